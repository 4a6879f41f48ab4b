#!/usr/bin/env bash
# Installs the Debian packages that the heavy tests use. Does nothing, quietly, when all are there.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$(dirname "${BASH_SOURCE[0]}")/postgres-tools.sh" || say "the programs of Postgres 16 to 18 could not be installed"

packages=(
  postgresql-15                          # with its contrib modules, pg_verifybackup, pg_checksums, pgbench
  pgbackrest rclone zstd                 # programs whose results are compared with ours
  radosgw ceph-mon ceph-osd ceph-common  # ceph-rgw.sh
)

is_installed() { [[ $(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]; }

command -v apt-get >/dev/null || die 1 "install.sh knows Debian and Ubuntu only"
missing=()
for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
((${#missing[@]})) || exit 0
((EUID == 0)) || die 1 "install.sh must run as root; missing: ${missing[*]}"

# Packages must not start their services: the tests start what they need themselves.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
say "installing ${missing[*]}"
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  die 1 "apt-get failed; its whole output is in $log"
fi
rm -f "$log"

# The cluster that a first installation creates would take port 5432 at the next boot.
if [[ " ${missing[*]} " == *" postgresql-15 "* && -w /etc/postgresql/15/main/start.conf ]]; then
  echo disabled >/etc/postgresql/15/main/start.conf
fi
