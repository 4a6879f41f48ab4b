#!/usr/bin/env bash
# A real S3 server written in Go, on loopback, with the keys TESTKEY / TESTSECRET.
#   go-server.sh build minio|versitygw          compile it once into the Go bin directory (minutes)
#   go-server.sh up    minio|versitygw [PORT]   start it; the last line printed is its endpoint
#   go-server.sh down  minio|versitygw          stop it and delete its data
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage="usage: go-server.sh build|up|down minio|versitygw [PORT]"
verb=${1:-} name=${2:-} port=${3:-}
case $name in
  minio) module=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c ;;
  versitygw) module=github.com/versity/versitygw/cmd/versitygw@v1.8.0 ;;
  *) die 2 "$usage" ;;
esac
dir=$servers_dir/$name

program_path() {
  local path
  if command -v go >/dev/null && path=$(go env GOPATH)/bin/$name && [[ -x $path ]]; then echo "$path"; else command -v "$name"; fi
}

build() {
  program_path >/dev/null && return
  command -v go >/dev/null || die "$UNAVAILABLE" "$name: no Go toolchain to build it with"
  say "$name: building $module (minutes the first time)"
  GOBIN=$(go env GOPATH)/bin GOFLAGS=-mod=mod go install "$module" >&2
}

up() {
  local path
  path=$(program_path) || die "$UNAVAILABLE" "$name: not installed (run: scripts/servers/go-server.sh build $name)"
  is_running "$dir" "$name" && { cat "$dir/endpoint"; return; }
  port=${port:-$(free_port)}
  ! port_answers "$port" || die 1 "$name: port $port is taken"
  rm -rf "$dir"
  mkdir -p "$dir/data"
  case $name in
    minio)
      MINIO_ROOT_USER=TESTKEY MINIO_ROOT_PASSWORD=TESTSECRET MINIO_BROWSER=off MINIO_UPDATE=off HOME=$dir \
        start_program "$dir" minio "$path" server --address "127.0.0.1:$port" "$dir/data"
      ;;
    versitygw)
      ROOT_ACCESS_KEY=TESTKEY ROOT_SECRET_KEY=TESTSECRET \
        start_program "$dir" versitygw "$path" --port "127.0.0.1:$port" posix "$dir/data"
      ;;
  esac
  wait_for_port "$port" 30 || { tail -n 20 "$dir/$name.out" >&2; stop_program "$dir" "$name"; exit 1; }
  echo "http://127.0.0.1:$port" | tee "$dir/endpoint"
}

case $verb in
  build) build ;;
  up) up ;;
  down) stop_program "$dir" "$name"; rm -rf "$dir" ;;
  *) die 2 "$usage" ;;
esac
