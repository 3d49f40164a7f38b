#!/usr/bin/env bash
# A private PostgreSQL for the tests: its own data folder, a free port of loopback, nothing kept.
# Sourced, it gives four functions:
#   postgres_require        makes sure that a server is installed, or says what is missing and fails
#   postgres_start FOLDER   starts an instance in FOLDER; sets POSTGRES_URL
#   postgres_stop           stops it; harmless when none was started
# Called, it does the same for tests that break their server:
#   postgres.sh require          makes sure that a server is installed
#   postgres.sh start FOLDER     makes a server, or starts it again on the same port; prints its URL
#   postgres.sh stop FOLDER      stops it in good order; its data stay
#   postgres.sh kill9 FOLDER     kills all its processes; its data stay
#   postgres.sh rm FOLDER        ends it and deletes the folder
#
# Durability is switched off: a crash of the machine may cost these data, and nobody would miss them. What a killed server
# has committed stays, in those that are called.

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
  local folder=$1
  postgres_make "$folder"
  # Somebody may take the port between its choice and the server's bind: then the next one.
  for _ in 1 2 3 4 5; do
    if postgres_launch "$folder" "$(free_port)" -c synchronous_commit=off; then return; fi
  done
  echo "PostgreSQL did not start:" >&2
  tail -n 20 "$folder/postgres.log" >&2
  return 1
}

postgres_make() {
  local folder=$1 bin
  bin=$(postgres_bin)
  # It refuses to run as root; every folder above must then be open to the user `postgres`.
  if [ "$(id -u)" = 0 ]; then chown postgres: "$folder"; fi
  (
    cd /
    postgres_as_user "$bin/initdb" -D "$folder/data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync
  ) >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; return 1; }
}

# postgres_launch FOLDER PORT SETTING...: sets postgres_pid and POSTGRES_URL.
postgres_launch() {
  local folder=$1 port=$2 bin
  shift 2
  bin=$(postgres_bin)
  (
    cd /
    # A session of its own: Ctrl-C at the terminal ends the tests first and the server after them.
    postgres_as_user setsid "$bin/postgres" -D "$folder/data" -p "$port" \
      -c listen_addresses=127.0.0.1 -c unix_socket_directories="$folder" -c max_connections=200 \
      -c fsync=off -c full_page_writes=off "$@"
  ) </dev/null >>"$folder/postgres.log" 2>&1 &
  postgres_pid=$!
  # Whoever sources this reads it.
  # shellcheck disable=SC2034
  POSTGRES_URL=postgres://postgres@127.0.0.1:$port/postgres
  postgres_wait "$bin" "$port"
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

# The rest is for those who call it.
if [ "${BASH_SOURCE[0]}" != "$0" ]; then return; fi
set -euo pipefail

# Starts the server of $folder, the first time or again.
postgres_again() {
  local port
  if [ ! -e "$folder/port" ]; then
    postgres_make "$folder"
    free_port >"$folder/port"
  fi
  port=$(cat "$folder/port")
  # A killed server that nobody has waited for looks to the next one as if it still ran.
  if [ -e "$folder/pid" ] && gone "$(cat "$folder/pid")"; then
    rm -f "$folder/data/postmaster.pid" "$folder"/.s.PGSQL.*
  fi
  if ! postgres_launch "$folder" "$port"; then
    tail -n 20 "$folder/postgres.log" >&2
    return 1
  fi
  echo "$postgres_pid" >"$folder/pid"
  echo "$POSTGRES_URL"
}

# postgres_end SIGNAL SECONDS: true once no process of the server is left.
postgres_end() {
  local pid all
  pid=$(cat "$folder/pid" 2>/dev/null) || return 0
  all="$pid $(postgres_children "$pid")"
  # Killed, it tells its children nothing.
  # shellcheck disable=SC2086
  if [ "$1" = KILL ]; then kill -KILL $all 2>/dev/null || true; else kill "-$1" "$pid" 2>/dev/null || true; fi
  # shellcheck disable=SC2086
  wait_until "$2" postgres_gone $all
}

postgres_children() {
  { cat /proc/[0-9]*/stat 2>/dev/null || true; } |
    awk -v parent="$1" '{ pid = $1; sub(/.*\) /, "") } $2 == parent { print pid }'
}

postgres_gone() {
  local pid
  for pid in "$@"; do gone "$pid" || return 1; done
}

action=${1:-}
if [ "$action" = require ]; then
  postgres_require
  exit
fi
folder=$(readlink -f "${2:?the folder of the server}")
case $action in
  start) postgres_again ;;
  stop) postgres_end INT 60 ;;
  kill9) postgres_end KILL 10 ;;
  rm)
    postgres_end INT 10 || postgres_end KILL 10
    rm -rf "$folder"
    ;;
  *)
    echo "postgres.sh: no action \`$action\`" >&2
    exit 2
    ;;
esac
