#!/usr/bin/env bash
# Starts every S3 server that can run here and prints, as its last line, the setting by which tests find them:
#   eval "$(scripts/servers/up-all.sh)"
# A server whose program is missing is skipped, with the reason on stderr; --install installs or builds it first.
# Exit status 1 when an installed server did not start, or one could not be installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
source "$here/lib.sh"

install=false
case ${1:-} in
  "") ;;
  --install) install=true ;;
  *) die 2 "usage: up-all.sh [--install]" ;;
esac

servers=()
failed=0

add() { # NAME INSTALL_COMMAND… -- UP_COMMAND…
  local name=$1 output status=0
  local -a installer=()
  shift
  while [[ $1 != -- ]]; do installer+=("$1"); shift; done
  shift
  if $install && ! "${installer[@]}" >&2; then
    say "$name: could not be installed"
    failed=1
  fi
  output=$("$@") || status=$?
  case $status in
    0) servers+=("$name=${output##*$'\n'}") ;;
    "$UNAVAILABLE") say "skipped: $name" ;;
    *) say "failed: $name"; failed=1 ;;
  esac
}

add ceph-rgw "$here/install.sh" -- "$here/ceph-rgw.sh" up
for name in minio versitygw; do
  add "$name" "$here/go-server.sh" build "$name" -- "$here/go-server.sh" up "$name"
done

printf 'export NEON_TEST_S3_SERVERS="%s"\n' "${servers[*]}"
exit "$failed"
