#!/usr/bin/env bash
# A private RabbitMQ node for the tests: everything it has is in one folder, and it answers on loopback alone.
#   rabbitmq.sh require              makes sure that the server is installed, or says what is missing and fails
#   rabbitmq.sh start FOLDER         makes a node, or starts it again on the same ports; prints its URL
#   rabbitmq.sh stop FOLDER          stops it in good order; its data stay
#   rabbitmq.sh kill9 FOLDER         kills it; its data stay
#   rabbitmq.sh wipe FOLDER          deletes the data of one that is stopped
#   rabbitmq.sh signal FOLDER NAME   sends its process a signal (STOP, CONT)
#   rabbitmq.sh rm FOLDER            ends it and whatever belongs to it, and deletes the folder
#   rabbitmq.sh ctl FOLDER ARG...    rabbitmqctl
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

# The folder of the newest server's programs. Those in PATH are wrappers that insist on a user `rabbitmq`.
programs() {
  local server
  server=$(ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin 2>/dev/null | sort -V | tail -n 1)
  [ -n "$server" ] && echo "$server"
}

require() {
  programs >/dev/null && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    cat >&2 <<'MISSING'
missing: the RabbitMQ server (`rabbitmq-server`). The queue is tested in memory and on RabbitMQ.
Install it, on Debian with `sudo apt-get install rabbitmq-server`, or run this command as root on Debian and it does so itself.
MISSING
    return 1
  fi
  echo "installing the RabbitMQ server" >&2
  # The package would start a node of its own; this policy forbids it, unless the machine has one already.
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    made=yes
  fi
  local status=0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rabbitmq-server; } \
    >&2 || status=$?
  if [ -n "$made" ]; then rm "$policy"; fi
  [ "$status" = 0 ] && programs >/dev/null
}

# The whole environment of the node in $folder; nothing of the machine's own RabbitMQ is read or written.
environment() {
  source "$folder/node.env"
  export HOME=$folder # the Erlang cookie is $HOME/.erlang.cookie
  # A port mapper of its own, and a name that needs no resolving.
  export ERL_EPMD_PORT=$epmd_port ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_NODENAME=$name@localhost
  export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$port RABBITMQ_DIST_PORT=$distribution_port
  export RABBITMQ_CTL_DIST_PORT_MIN=$ctl_port RABBITMQ_CTL_DIST_PORT_MAX=$((ctl_port + 20))
  export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
  export RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_ENABLED_PLUGINS_FILE=$folder/enabled_plugins
  export RABBITMQ_CONFIG_FILE=$folder/rabbitmq.conf RABBITMQ_ADVANCED_CONFIG_FILE=$folder/advanced.config
  export RABBITMQ_GENERATED_CONFIG_DIR=$folder/config RABBITMQ_PID_FILE=$folder/rabbitmq.pid
  export RABBITMQ_MNESIA_BASE=$folder/data RABBITMQ_LOG_BASE=$folder/log
  # Makes the start script replace itself by the node, so that the pid is the node's.
  export RUNNING_UNDER_SYSTEMD=true
  unset NOTIFY_SOCKET
}

make() {
  cat >"$folder/node.env" <<ENV
name=test$$
port=$(free_port)
distribution_port=$(free_port)
ctl_port=$(free_port)
epmd_port=$(free_port)
ENV
  rm -f "$folder/.erlang.cookie"
  (umask 077 && head -c 15 /dev/urandom | base64 | tr -d '/+=' >"$folder/.erlang.cookie")
  chmod 400 "$folder/.erlang.cookie"
  printf 'disk_free_limit.absolute = 50MB\nlog.file.level = info\n' >"$folder/rabbitmq.conf"
  echo '[].' >"$folder/enabled_plugins"
}

start() {
  if [ -e "$folder/node.env" ]; then
    launch
    return
  fi
  # Somebody may take a port between its choice and the node's bind: then others.
  for _ in 1 2 3; do
    make
    if launch; then return; fi
    remove_processes
    rm -rf "$folder/data"
  done
  return 1
}

launch() {
  environment
  # Sessions of their own: Ctrl-C at the terminal ends the tests first and the servers after them. The port mapper in
  # the foreground: the node would else leave a daemon behind.
  if ! answers "$epmd_port"; then
    setsid epmd -port "$epmd_port" -address 127.0.0.1 </dev/null >/dev/null 2>&1 &
    echo $! >"$folder/epmd.pid"
    wait_until 5 answers "$epmd_port" || return 1
  fi
  (cd "$folder" && exec setsid "$(programs)/rabbitmq-server") </dev/null >>"$folder/stdout" 2>>"$folder/stderr" &
  echo $! >"$folder/node.pid"
  if ! wait_until 90 started; then
    echo "RabbitMQ did not start:" >&2
    tail -n 20 "$folder/stdout" "$folder/stderr" >&2
    return 1
  fi
  echo "amqp://guest:guest@127.0.0.1:$port/%2f"
}

# It listens, or has ended; then waiting longer is of no use.
started() {
  if gone "$(cat "$folder/node.pid")"; then return 2; fi
  answers "$port"
}

# end PIDFILE SIGNAL SECONDS: true once the process is gone.
end() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  kill "-$2" "$pid" 2>/dev/null || return 0
  wait_until "$3" gone "$pid"
}

remove_processes() {
  # A frozen one would not hear anything else.
  end "$folder/node.pid" CONT 0 || true
  end "$folder/node.pid" TERM 20 || end "$folder/node.pid" KILL 10
  end "$folder/epmd.pid" TERM 10
}

action=${1:-}
if [ "$action" = require ]; then
  require
  exit
fi
folder=$(readlink -f "${2:?the folder of the node}")
shift 2
case $action in
  start) start ;;
  stop) end "$folder/node.pid" TERM 60 ;;
  kill9) end "$folder/node.pid" KILL 10 ;;
  wipe) rm -rf "$folder/data" ;;
  signal) kill "-$1" "$(cat "$folder/node.pid")" ;;
  rm)
    remove_processes
    rm -rf "$folder"
    ;;
  ctl)
    environment
    exec "$(programs)/rabbitmqctl" "$@"
    ;;
  *)
    echo "rabbitmq.sh: no action \`$action\`" >&2
    exit 2
    ;;
esac
