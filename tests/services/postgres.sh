#!/usr/bin/env bash
# A private PostgreSQL for the tests: its own data folder, a free port of loopback, nothing kept.
# Sourced; it gives four functions:
#   postgres_require        makes sure that a server is installed, or says what is missing and fails
#   postgres_start FOLDER   starts an instance in FOLDER; sets POSTGRES_URL
#   postgres_stop           stops it; harmless when none was started
#
# Durability is switched off: a crash of the machine may cost these data, and nobody would miss them.

source "${BASH_SOURCE[0]%/*}/lib.sh"

POSTGRES_URL=
postgres_pid=

postgres_require() {
  postgres_bin >/dev/null && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    cat >&2 <<'MISSING'
missing: the PostgreSQL server (`initdb` and `postgres`). The store is tested on SQLite and on PostgreSQL.
Install it, on Debian with `sudo apt-get install postgresql`, or run this command as root on Debian and it does so itself.
MISSING
    return 1
  fi
  echo "installing the PostgreSQL server" >&2
  # The package would make and start a cluster of its own; this one is all the tests need.
  local settings=/etc/postgresql-common/createcluster.conf made=
  if [ ! -e "$settings" ]; then
    mkdir -p "${settings%/*}"
    echo "create_main_cluster = false" >"$settings"
    made=yes
  fi
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >&2
  if [ -n "$made" ]; then
    cp /usr/share/postgresql-common/createcluster.conf "$settings"
    rm -f "$settings.ucf-dist"
  fi
  postgres_bin >/dev/null
}

# The folder of the newest server's programs: Debian keeps them out of PATH.
postgres_bin() {
  local program
  program=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)
  [ -n "$program" ] && dirname "$(readlink -f "$program")"
}

postgres_start() {
  local folder=$1 bin port
  bin=$(postgres_bin)
  # It refuses to run as root; every folder above must then be open to the user `postgres`.
  if [ "$(id -u)" = 0 ]; then chown postgres: "$folder"; fi
  (
    cd /
    postgres_as_user "$bin/initdb" -D "$folder/data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync
  ) >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; return 1; }
  # Somebody may take the port between its choice and the server's bind: then the next one.
  for _ in 1 2 3 4 5; do
    port=$(free_port)
    (
      cd /
      # A session of its own: Ctrl-C at the terminal ends the tests first and the server after them.
      postgres_as_user setsid "$bin/postgres" -D "$folder/data" -p "$port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories="$folder" -c max_connections=200 \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off
    ) </dev/null >>"$folder/postgres.log" 2>&1 &
    postgres_pid=$!
    if postgres_wait "$bin" "$port"; then
      # Whoever sources this reads it.
      # shellcheck disable=SC2034
      POSTGRES_URL=postgres://postgres@127.0.0.1:$port/postgres
      return
    fi
  done
  echo "PostgreSQL did not start:" >&2
  tail -n 20 "$folder/postgres.log" >&2
  return 1
}

# Replaces the subshell it is called in, whose pid is then the program's.
postgres_as_user() {
  if [ "$(id -u)" != 0 ]; then exec "$@"; fi
  exec setpriv --reuid postgres --regid postgres --clear-groups --inh-caps=-all -- "$@"
}

# Until it answers queries (true), or has ended or not answered for a minute (false).
postgres_wait() {
  for _ in $(seq 1200); do
    if "$1/pg_isready" -q -h 127.0.0.1 -p "$2" -U postgres; then return 0; fi
    if ! kill -0 "$postgres_pid" 2>/dev/null; then return 1; fi
    sleep 0.05
  done
  return 1
}

postgres_stop() {
  if [ -z "$postgres_pid" ]; then return; fi
  # Fast shutdown; a server that takes longer than ten seconds is killed.
  kill -INT "$postgres_pid" 2>/dev/null || true
  for _ in $(seq 200); do
    if ! kill -0 "$postgres_pid" 2>/dev/null; then break; fi
    sleep 0.05
  done
  kill -KILL "$postgres_pid" 2>/dev/null || true
  wait "$postgres_pid" 2>/dev/null || true
  postgres_pid=
}
