# shellcheck shell=bash
# What `scripts/lab up` needs of this machine. Everything is checked before anything is made.

# The facts, each in a variable of its own; one that is already set is kept (so that tests can say what the machine is).
gather_facts() {
  : "${LAB_USER_ID=$(id -u)}"
  : "${LAB_SYSTEM=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown} ${VERSION_ID:-}")}"
  : "${LAB_ARCHITECTURE=$(uname -m)}"
  : "${LAB_CORES=$(nproc)}"
  : "${LAB_MEMORY_MB=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)}"
  : "${LAB_DISK_MB=$(free_disk_mb /var)}"
  : "${LAB_ROUTE=$(ip -4 -oneline route get 10.77.0.200 2>/dev/null || true)}"
  : "${LAB_DEFAULT_ROUTE=$(ip -4 -oneline route show default 2>/dev/null | head -n 1)}"
  : "${LAB_NETWORK=$(podman_if_there network inspect research-lab --format '{{index .Labels "research-lab"}} {{.NetworkInterface}}')}"
  : "${LAB_FOREIGN_HOSTS=$(foreign_hosts)}"
  : "${LAB_OWNER=$(cat "$state/checkout" 2>/dev/null || true)}"
  : "${LAB_UP_PROFILE=$(cat "$state/profile" 2>/dev/null || true)}"
}

free_disk_mb() { df --output=avail -m "$1" | tail -n 1 | tr -d ' '; }

podman_if_there() { if command -v podman >/dev/null; then podman "$@" 2>/dev/null || true; fi; }

# Containers that have a name of the lab and were not made by it.
foreign_hosts() {
  podman_if_there ps --all --filter name='^research-lab-' --format '{{.Names}} {{index .Labels "research-lab"}}' |
    awk '$2 != "host" {print $1}' | xargs
}

# Prints the first reason why the lab cannot be made here, as one sentence; nothing when it can.
# Usage: refusal PROFILE CHECKOUT
refusal() {
  local profile=$1 checkout=$2 memory=11500 disk=15000
  if [ "$profile" = single ] || [ "$profile" = cluster ]; then
    memory=5700
    disk=8000
  fi
  if [ "$LAB_USER_ID" != 0 ]; then
    echo "scripts/lab makes a network and containers with systemd, so it needs root: run it with sudo."
  elif ! supported_system "$LAB_SYSTEM"; then
    echo "This machine runs $LAB_SYSTEM; the lab needs Debian 12, Debian 13 or Ubuntu 24.04."
  elif [ "$LAB_ARCHITECTURE" != x86_64 ] && [ "$LAB_ARCHITECTURE" != aarch64 ]; then
    echo "This machine is $LAB_ARCHITECTURE; the lab needs x86_64 or aarch64."
  elif [ "$LAB_CORES" -lt 2 ]; then
    echo "This machine has $LAB_CORES core; the lab needs two."
  elif [ "$LAB_MEMORY_MB" -lt "$memory" ]; then
    echo "This machine has $LAB_MEMORY_MB MB of memory; the profile $profile needs $memory MB."
  elif [ -n "$LAB_OWNER" ] && [ "$LAB_OWNER" != "$checkout" ] && [ -d "$LAB_OWNER" ]; then
    echo "The lab of another checkout is up on this machine; take it down first: $LAB_OWNER/scripts/lab down"
  elif [ -n "$LAB_UP_PROFILE" ] && [ "$LAB_UP_PROFILE" != "$profile" ]; then
    echo "The lab is up with the profile $LAB_UP_PROFILE; take it down first: scripts/lab down --keep-cache"
  elif [ -z "$LAB_OWNER" ] && [ "$LAB_DISK_MB" -lt "$disk" ]; then
    echo "Below /var $LAB_DISK_MB MB are free; the profile $profile needs $disk MB."
  elif [ -n "$LAB_FOREIGN_HOSTS" ]; then
    echo "A container that the lab did not make has a name of the lab: $LAB_FOREIGN_HOSTS; rename or remove it."
  elif [ -n "$LAB_NETWORK" ] && [ "${LAB_NETWORK%% *}" != network ]; then
    echo "A podman network that the lab did not make is called research-lab; remove it: podman network rm research-lab"
  elif subnet_taken "$LAB_ROUTE" "$LAB_DEFAULT_ROUTE" "${LAB_NETWORK#* }"; then
    echo "The subnet 10.77.0.0/24 is in use on this machine (ip route get 10.77.0.200: ${LAB_ROUTE%% uid*}); the lab needs it."
  fi
}

supported_system() {
  case $1 in
  "debian 12" | "debian 13" | "ubuntu 24.04") true ;;
  *) false ;;
  esac
}

# The subnet is free when the way to it is the default route, or there is no way; or it is the lab's own bridge.
subnet_taken() {
  local route=$1 default=$2 bridge=$3 gateway
  gateway=$(sed -n 's/.* via \([^ ]*\).*/\1/p' <<<"$default")
  if [ -z "$route" ]; then return 1; fi
  if [ -n "$gateway" ] && [[ $route == *" via $gateway "* ]]; then return 1; fi
  if [ -n "$bridge" ] && [[ $route == *" dev $bridge "* ]]; then return 1; fi
  return 0
}
