# shellcheck shell=bash
# What the lab installs on this machine: Debian packages, only those that are missing.

machine_packages() {
  local wanted=(podman runc netavark aardvark-dns iptables mmdebstrap debian-archive-keyring openssh-client curl) missing=()
  command -v mvn >/dev/null || wanted+=(maven)
  command -v gcc >/dev/null || wanted+=(gcc libc6-dev)
  command -v uv >/dev/null || wanted+=(python3-venv)
  mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort) \
    <(dpkg-query --show --showformat '${db:Status-Abbrev}${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^ii //p' | sort))
  if [ ${#missing[@]} -eq 0 ]; then
    say "all there"
    return
  fi
  say "installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
}
