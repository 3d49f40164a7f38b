# What the scripts of the services share. Sourced.
# shellcheck shell=bash

# A port of loopback that nobody answers on, below the ephemeral range, so that no outgoing connection takes it
# before the server does.
free_port() {
  local port
  while port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000)); do
    if ! answers "$port"; then
      echo "$port"
      return
    fi
  done
}

# answers PORT: whether somebody accepts connections there.
answers() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# gone PID: whether the process has ended; one that nobody has waited for yet counts as ended.
gone() {
  [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# wait_until SECONDS COMMAND...: true once the command is, false when the time is up or it says 2 (never).
wait_until() {
  local end=$((SECONDS + $1)) status
  shift
  while true; do
    status=0
    "$@" || status=$?
    case $status in
      0) return 0 ;;
      2) return 1 ;;
    esac
    if ((SECONDS > end)); then return 1; fi
    sleep 0.05
  done
}
