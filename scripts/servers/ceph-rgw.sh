#!/usr/bin/env bash
# Ceph's S3 gateway with one monitor and one in-memory OSD, on loopback, with the keys TESTKEY / TESTSECRET.
#   ceph-rgw.sh up [PORT]   start it (a few seconds); the last line printed is its endpoint
#   ceph-rgw.sh down        stop it and delete its data
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

dir=$servers_dir/ceph-rgw
programs=(radosgw ceph-osd ceph-mon) # in the order of stopping

write_config() { # FSID RGW_PORT MON_PORT_V2 MON_PORT_V1
  # No authentication between the daemons; that needs "crc" as the messenger mode, or clients are refused.
  # Short proposal intervals and an eager garbage collection keep start-up and memory small.
  cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $1
mon host = [v2:127.0.0.1:$3/0,v1:127.0.0.1:$4/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
run dir = $dir
log file = $dir/\$name.log
admin socket = $dir/\$name.asok
keyring = $dir/keyring
paxos propose interval = 0.05
paxos min wait = 0.01
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon pg warn min per osd = 0
mon data avail warn = 1
mon data avail crit = 1
[mon.a]
mon data = $dir/mon
[osd]
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd memory target = 1073741824
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$2
rgw dns name = localhost
rgw gc obj min wait = 1
rgw gc processor period = 2
rgw gc processor max time = 2
CONF
}

start_monitor() { # FSID PORT_V2 PORT_V1
  monmaptool --create --fsid "$1" --addv a "[v2:127.0.0.1:$2,v1:127.0.0.1:$3]" "$dir/monmap"
  ceph-mon -i a --mkfs --monmap "$dir/monmap" -c "$CEPH_CONF"
  start_program "$dir" ceph-mon ceph-mon -f -i a -c "$CEPH_CONF"
  wait_for_port "$2" 20
}

start_osd() {
  local uuid
  uuid=$(cat /proc/sys/kernel/random/uuid)
  timeout 30 ceph osd new "$uuid"
  ceph-osd -i 0 --mkfs --osd-uuid "$uuid" -c "$CEPH_CONF"
  timeout 30 ceph osd crush add osd.0 1.0 host=test root=default
  start_program "$dir" ceph-osd ceph-osd -f -i 0 -c "$CEPH_CONF"
  for _ in {1..200}; do
    [[ $(timeout 10 ceph osd stat) == *"1 up"* ]] && return
    sleep 0.1
  done
  say "the OSD did not come up"
  return 1
}

start_gateway() { # PORT
  start_program "$dir" radosgw radosgw -f -n client.rgw -c "$CEPH_CONF"
  wait_for_port "$1" 60
  timeout 60 radosgw-admin -n client.rgw user create --uid=test --display-name=test \
    --access-key=TESTKEY --secret=TESTSECRET
}

start_all() { # PORT
  local fsid mon_v2 mon_v1
  fsid=$(cat /proc/sys/kernel/random/uuid)
  mon_v2=$(free_port)
  mon_v1=$(free_port)
  write_config "$fsid" "$1" "$mon_v2" "$mon_v1"
  start_monitor "$fsid" "$mon_v2" "$mon_v1"
  start_osd
  start_gateway "$1"
}

up() { # [PORT]
  local port=${1:-} program
  for program in "${programs[@]}" ceph monmaptool radosgw-admin; do
    command -v "$program" >/dev/null || die "$UNAVAILABLE" "ceph-rgw: $program is not installed (run: scripts/servers/install.sh)"
  done
  is_running "$dir" radosgw && { cat "$dir/endpoint"; return; }
  down
  port=${port:-$(free_port)}
  ! port_answers "$port" || die 1 "ceph-rgw: port $port is taken"
  mkdir -p "$dir/mon" "$dir/osd"
  export CEPH_CONF=$dir/ceph.conf
  # In a subshell of its own, since "set -e" is off in a function called from a condition.
  set +e
  (set -e; start_all "$port") >"$dir/up.log" 2>&1
  local status=$?
  set -e
  ((status == 0)) || { tail -n 20 "$dir/up.log" >&2; stop; die 1 "ceph-rgw: did not start; logs are in $dir"; }
  echo "http://127.0.0.1:$port" | tee "$dir/endpoint"
}

stop() {
  local program
  for program in "${programs[@]}"; do stop_program "$dir" "$program"; done
}

down() { stop; rm -rf "$dir"; }

case ${1:-} in
  up) up "${2:-}" ;;
  down) down ;;
  *) die 2 "usage: ceph-rgw.sh up|down [PORT]" ;;
esac
