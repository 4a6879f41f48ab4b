# Shared by the scripts of this folder: state directory, loopback ports, background processes with pid files.
# shellcheck shell=bash

# shellcheck disable=SC2034  # used by the scripts that source this file
readonly UNAVAILABLE=69 # exit status: the server's program is not installed here

servers_dir=${NEON_TEST_SERVERS_DIR:-${TMPDIR:-/tmp}/neon-test-servers}

say() { printf '%s\n' "$*" >&2; }

die() { # STATUS MESSAGE…
  local status=$1
  shift
  say "$*"
  exit "$status"
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() { # below the range from which systems take client ports
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 10000))
    port_answers "$port" || { echo "$port"; return; }
  done
  die 1 "found no free loopback port"
}

wait_for_port() { # PORT SECONDS
  local end=$((SECONDS + $2))
  until port_answers "$1"; do
    ((SECONDS < end)) || { say "nothing listens on 127.0.0.1:$1 after $2 s"; return 1; }
    sleep 0.1
  done
}

# A pid may be reused by a stranger after a crash, so the program's name must match too.
is_running() { # DIR PROGRAM
  local pid name
  pid=$(cat "$1/$2.pid" 2>/dev/null) || return 1
  name=$(ps -o comm= -p "$pid" 2>/dev/null) || return 1
  [[ $name == "${2:0:15}" ]]
}

# Starts PROGRAM detached from the caller's terminal and pipes, so that a caller may capture our output.
start_program() { # DIR PROGRAM PATH ARGUMENT…
  local dir=$1 program=$2
  shift 2
  setsid "$@" </dev/null >"$dir/$program.out" 2>&1 &
  echo $! >"$dir/$program.pid"
}

stop_program() { # DIR PROGRAM
  local dir=$1 program=$2
  if is_running "$dir" "$program"; then
    kill "$(cat "$dir/$program.pid")" 2>/dev/null || true
    for _ in {1..50}; do
      is_running "$dir" "$program" || break
      sleep 0.1
    done
    ! is_running "$dir" "$program" || kill -9 "$(cat "$dir/$program.pid")" 2>/dev/null || true
  fi
  rm -f "$dir/$program.pid"
}
