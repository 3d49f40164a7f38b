#!/usr/bin/env bash
# A fleet on a PostgreSQL and a RabbitMQ of its own, against the fake provider, while one worker after the other is killed
# with -9, the broker is restarted and the database is killed. Prints what was lost, doubled and paid twice, and how jobs
# ended; exit 0 where nothing was lost or doubled, no more paid twice than was in flight at deaths, and no job errored but
# as poison.
#
#   tests/chaos.sh [--jobs 50000] [--workers 4] [--in-flight 50] [--latency-ms 100] [--kill-every SECONDS, 5]
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
  -h | --help)
    sed -n '2,/^set/s/^# \{0,1\}//p' tests/chaos.sh
    exit
    ;;
esac
tests/services/postgres.sh require
tests/services/rabbitmq.sh require
# The user `postgres` must be able to walk to it, which it is not in a home folder.
scratch=$(mktemp -d /tmp/assay-chaos.XXXXXX)
leave() {
  # Of a chaos that was killed.
  for node in "$scratch"/rabbitmq-*/; do
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
export ASSAY_TEST_NODES=$scratch

# As ./test.sh builds: what is built is shared. The first brings the program `assay` with it.
cargo test --workspace --locked --quiet --no-run --test help
cargo test --workspace --locked --quiet --features assay-tests/chaos --test chaos -- "$@"
