# shellcheck shell=bash disable=SC2154 # profile and state are set by scripts/lab
# The hosts of the lab: systemd containers on a network of their own, reached by ssh.

# Prints "NAME ADDRESS" for every host of the profile's inventory.
inventory_hosts() {
  ansible-inventory -i "inventories/$profile" --list | python -c '
import json, sys
for name, variables in json.load(sys.stdin)["_meta"]["hostvars"].items():
    print(name, variables["ansible_host"])'
}

make_network() {
  podman network exists research-lab ||
    podman network create --label research-lab=network --disable-dns --subnet 10.77.0.0/24 --gateway 10.77.0.1 \
      research-lab >/dev/null
}

# Makes one host, or starts it where it is stopped. Usage: make_host NAME ADDRESS
make_host() {
  local name=$1 address=$2 container=research-lab-$1 limits
  if [ "$(podman inspect --format '{{.State.Running}}' "$container" 2>/dev/null)" = true ]; then return; fi
  if podman container exists "$container"; then
    podman start "$container" >/dev/null
    echo "  started $name"
    return
  fi
  mapfile -t limits < <(lab/limits | sed 's/^/--ulimit=/')
  # The two folders stand in for the filer that a site mounts on these hosts.
  # SYS_ADMIN: units with a mount namespace. NET_RAW: VRRP. The sysctl: an edge binds the address it may take over.
  podman run --detach --name "$container" --hostname "$name" --label research-lab=host \
    --network research-lab --ip "$address" --systemd always \
    --cap-add NET_ADMIN,NET_RAW,AUDIT_WRITE,SYS_ADMIN "${limits[@]}" \
    --volume "$state/shared/snapshots:/srv/research-snapshots" --volume "$state/shared/library:/srv/research-library" \
    --sysctl net.ipv4.ip_nonlocal_bind=1 localhost/research-host:trixie >/dev/null
  echo "  made $name ($address)"
}

make_key() {
  local folder=inventories/$profile/.ssh
  install -d -m 0700 "$folder"
  [ -e "$folder/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C research-lab -f "$folder/id_ed25519"
}

# Lets our key in, and reads the host's key inside the host: it is not taken on trust over the network.
# Usage: admit NAME ADDRESS
admit() {
  local container=research-lab-$1 key=''
  until key=$(podman exec "$container" cat /etc/ssh/ssh_host_ed25519_key.pub 2>/dev/null); do
    if [ $SECONDS -gt 90 ]; then
      echo "  $1 does not boot: podman logs $container" >&2
      return 1
    fi
    sleep 0.5
  done
  podman exec --interactive "$container" sh -c 'umask 077; install -d -o deploy -g deploy -m 0700 ~deploy/.ssh &&
    cat >~deploy/.ssh/authorized_keys && chown deploy: ~deploy/.ssh/authorized_keys' \
    <"inventories/$profile/.ssh/id_ed25519.pub"
  echo "$1,$2 ${key% *}" >"$state/known_hosts/$1"
  # shellcheck disable=SC2016 # $0 and $1 are the arguments of the inner shell
  flock "$state/known_hosts" sh -c 'cat "$0"/* >"$1.new" && mv "$1.new" "$1"' \
    "$state/known_hosts" "inventories/$profile/.ssh/known_hosts"
}

# Makes a host that answers by ssh. Usage: bring_up NAME ADDRESS
bring_up() {
  make_host "$1" "$2"
  if lab_ssh "$2" true 2>/dev/null; then return; fi
  admit "$1" "$2"
  until lab_ssh "$2" true 2>/dev/null; do
    if [ $SECONDS -gt 90 ]; then
      echo "  $1 does not answer by ssh" >&2
      return 1
    fi
    sleep 0.5
  done
}

# Usage: lab_ssh ADDRESS [COMMAND…]
lab_ssh() {
  local address=$1 folder=inventories/$profile/.ssh
  ssh -i "$folder/id_ed25519" -o UserKnownHostsFile="$folder/known_hosts" -o StrictHostKeyChecking=yes -o BatchMode=yes \
    -o ConnectTimeout=5 -o LogLevel=ERROR "deploy@$address" "${@:2}"
}

make_hosts() {
  inventory_hosts >"$state/hosts"
  lab/machine-sysctl raise
  make_network
  make_key
  mkdir -p "$state/known_hosts"
  install -d -m 1777 "$state/shared/snapshots" "$state/shared/library"
  export -f make_host admit bring_up lab_ssh
  xargs --max-lines=1 --max-procs=4 bash -euo pipefail -c 'bring_up "$@"' _ <"$state/hosts"
  say "$(wc -l <"$state/hosts") hosts answer by ssh"
}

# Only what carries the lab's label is removed.
remove_hosts() {
  local containers
  mapfile -t containers < <(podman ps --all --quiet --filter label=research-lab=host)
  if [ ${#containers[@]} -gt 0 ]; then podman --log-level error rm --force --time 0 --volumes "${containers[@]}" >/dev/null; fi
  say "removed ${#containers[@]} hosts"
  if [ "$(podman network inspect research-lab --format '{{index .Labels "research-lab"}}' 2>/dev/null)" = network ]; then
    podman network rm research-lab >/dev/null
    say "removed the network 10.77.0.0/24"
  fi
  # The network of the molecule scenarios, unless one is running.
  podman network rm research-molecule >/dev/null 2>&1 || true
}
