#!/usr/bin/env bash
# The benchmark of a fleet, on a PostgreSQL and a RabbitMQ of its own, which it starts on free ports and takes away again.
#
#   ./bench-fleet.sh [ARGUMENTS OF assay-bench --fleet]      for example: ./bench-fleet.sh --cases 10000 --workers 3
set -euo pipefail
cd "$(dirname "$0")"
source tests/services/postgres.sh

postgres_require
tests/services/rabbitmq.sh require
# The user `postgres` must be able to walk to it, which it is not in a home folder.
scratch=$(mktemp -d /tmp/assay-bench.XXXXXX)
leave() {
  postgres_stop
  tests/services/rabbitmq.sh rm "$scratch/rabbitmq"
  rm -rf "$scratch"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 711 "$scratch"
mkdir "$scratch/postgres" "$scratch/rabbitmq"
postgres_start "$scratch/postgres"
queue=$(tests/services/rabbitmq.sh start "$scratch/rabbitmq")

cargo run --release --locked --package assay-bench -- --fleet --store "$POSTGRES_URL" --queue "$queue" "$@"
