#!/usr/bin/env bash
# Stops every server that up-all.sh started and deletes its data.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/ceph-rgw.sh" down
"$here/go-server.sh" down minio
"$here/go-server.sh" down versitygw
