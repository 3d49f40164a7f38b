#!/usr/bin/env bash
# Every test of the workspace, on SQLite, a PostgreSQL and a RabbitMQ of its own, on any machine with Rust. As root on
# Debian it installs those servers where they are missing. It leaves nothing behind but target/.
#
#   ./test.sh [ARGUMENTS OF cargo test]      for example: ./test.sh conformance
set -euo pipefail
cd "$(dirname "$0")"
source tests/services/postgres.sh

postgres_require
tests/services/rabbitmq.sh require
# The user `postgres` must be able to walk to it, which it is not in a home folder.
scratch=$(mktemp -d /tmp/assay-test.XXXXXX)
leave() {
  postgres_stop
  # The shared node, those that tests share for breaking them, and those of tests that were killed.
  for node in "$scratch"/rabbitmq*/; do
    if [ -e "$node/node.env" ]; then tests/services/rabbitmq.sh rm "$node"; fi
  done
  for server in "$scratch"/postgres-*/; do
    if [ -e "$server/port" ]; then tests/services/postgres.sh rm "$server"; fi
  done
  rm -rf "$scratch"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 711 "$scratch"
mkdir "$scratch/postgres"
postgres_start "$scratch/postgres"
export ASSAY_TEST_POSTGRES=$POSTGRES_URL
mkdir "$scratch/rabbitmq"
ASSAY_TEST_AMQP=$(tests/services/rabbitmq.sh start "$scratch/rabbitmq")
export ASSAY_TEST_AMQP
# Tests that break a broker start their own in here.
export ASSAY_TEST_NODES=$scratch

# Many tests wait for processes more than they compute.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
status=0
cargo test --workspace --locked --no-fail-fast "$@" 2>&1 | tee "$scratch/log" || status=$?

awk '/^test result:/ {
       for (i = 1; i < NF; i++) { if ($(i + 1) ~ /^passed/) passed += $i; if ($(i + 1) ~ /^failed/) failed += $i }
     }
     END { printf "%d passed, %d failed\n", passed, failed }' "$scratch/log"
exit "$status"
