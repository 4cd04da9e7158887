"""What a fragment does to the whole configuration of sshd, and to the user of this connection."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.ssh_session import Session
from ansible.module_utils.ssh_settings import (
    SettingsError,
    Sshd,
    any_keys,
    drafted,
    key_files,
    parsed,
    shut_out,
)

DEPLOY = Session("deploy", "10.0.0.7", 22, "10.0.0.1")
REAL = Path("/usr/sbin/sshd")
FRAGMENT = "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
# As sshd does: refuses methods that are switched off, and lists what counts.
FAKE = """#!/bin/sh
echo "$*" >> {folder}/asked
if ! [ -d {folder}/run ]; then
  echo "Missing privilege separation directory: {folder}/run" >&2
  exit 1
fi
while [ "$1" != -f ]; do [ "$1" = -t ] && testing=1; shift; done
if [ "$testing" ]; then
  cat "$2" $(sed -n 's/^Include //p' "$2") > {folder}/read
  grep -q keyboard-interactive {folder}/read && {{ echo "cannot be satisfied" >&2; exit 255; }}
  exit 0
fi
printf 'port 22\\nauthenticationmethods any\\nallowusers deploy\\nallowusers ada\\n'
"""


@pytest.fixture
def sshd(tmp_path: Path) -> Sshd:
    """Return a host's ssh server, which has a fragment of the distribution beside ours."""
    (tmp_path / "ssh/sshd_config.d").mkdir(parents=True)
    (tmp_path / "ssh/sshd_config.d/00-ours.conf").write_text("PasswordAuthentication yes\n")
    (tmp_path / "ssh/sshd_config.d/50-cloud.conf").write_text("Port 2222\n")
    config = tmp_path / "ssh/sshd_config"
    config.write_text(f"Include {tmp_path}/ssh/sshd_config.d/*.conf\nUsePAM yes\n")
    program = tmp_path / "sshd"
    program.write_text(FAKE.format(folder=tmp_path))
    program.chmod(0o755)
    return Sshd(str(program), config)


def ours(sshd: Sshd) -> Path:
    """Return the fragment that is to be written."""
    return sshd.config.parent / "sshd_config.d/00-ours.conf"


def test_sshd_reads_the_whole_with_the_new_fragment(sshd: Sshd, tmp_path: Path) -> None:
    options = sshd.options(ours(sshd), FRAGMENT, DEPLOY)
    assert options["allowusers"] == ["deploy", "ada"]
    read = (tmp_path / "read").read_text()
    assert "PasswordAuthentication no" in read
    assert "PasswordAuthentication yes" not in read
    assert "Port 2222" in read
    assert "UsePAM yes" in read
    assert ours(sshd).read_text() == "PasswordAuthentication yes\n"
    asked = (tmp_path / "asked").read_text()
    assert "-C user=deploy,host=10.0.0.7,addr=10.0.0.7,laddr=10.0.0.1,lport=22" in asked


def test_what_sshd_would_not_start_with_is_refused(sshd: Sshd) -> None:
    with sshd.config.open("a") as config:
        config.write("AuthenticationMethods publickey,keyboard-interactive\n")
    with pytest.raises(SettingsError, match="cannot be satisfied"):
        sshd.options(ours(sshd), FRAGMENT, DEPLOY)


@pytest.mark.parametrize(
    ("include", "copied"),
    [
        ("Include {ssh}/sshd_config.d/*.conf", True),
        ("include sshd_config.d/*.conf", True),
        ('Include "{ssh}/sshd_config.d/*.conf" /srv/other.conf', True),
        ("Include={ssh}/sshd_config.d/00-ours.conf", True),
        ("Include {ssh}/sshd_config.d/more/*.conf", False),
        ("Include /other/sshd_config.d/*.conf", False),
        ("# Include {ssh}/sshd_config.d/*.conf", False),
    ],
)
def test_includes_lead_to_the_copies(
    sshd: Sshd, tmp_path: Path, include: str, copied: bool
) -> None:
    sshd.config.write_text(include.format(ssh=sshd.config.parent) + "\n")
    folder = tmp_path / "draft"
    folder.mkdir()
    draft = drafted(sshd.config, ours(sshd), FRAGMENT, folder).read_text()
    assert (f"{folder}/sshd_config.d/" in draft) == copied
    assert (f"{sshd.config.parent}/sshd_config.d/*" in draft) == (include.startswith("# "))


@pytest.mark.parametrize(
    ("said", "keys", "reason"),
    [
        ("", True, None),
        ("authenticationmethods any", True, None),
        ("authenticationmethods publickey", True, None),
        ("authenticationmethods publickey,password publickey", True, None),
        ("authenticationmethods publickey,keyboard-interactive", True, "for more than a key"),
        ("authenticationmethods publickey,publickey", True, "for more than a key"),
        ("pubkeyauthentication no", True, "PubkeyAuthentication no"),
        ("authorizedkeysfile /etc/ssh/keys/%u", False, "has no key in /etc/ssh/keys/%u"),
        ("permitrootlogin no", True, None),
        ("denyusers dep*", True, "DenyUsers dep* shuts out deploy"),
        ("allowusers ada\nallowusers deploy@10.0.0.0/24", True, None),
        ("allowusers ada", True, "AllowUsers ada leaves out deploy"),
        ("denygroups sudo", True, "DenyGroups sudo shuts out"),
        ("allowgroups admins", True, "AllowGroups admins leaves out"),
        ("allowgroups admins sudo", True, None),
    ],
)
def test_who_is_shut_out(said: str, keys: bool, reason: str | None) -> None:
    found = shut_out(parsed(said), DEPLOY, ["deploy", "sudo"], keys)
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


def test_root_is_shut_out_by_what_is_said_of_root() -> None:
    root = Session("root", "10.0.0.7", 22)
    assert shut_out(parsed("permitrootlogin without-password"), root, ["root"], True) is None
    assert shut_out(parsed("permitrootlogin no"), root, ["root"], True)


def test_keys_are_where_sshd_looks_for_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    options = parsed(f"authorizedkeysfile {tmp_path}/keys/%u-%U-%% .ssh/authorized_keys %h/more")
    files = key_files(options, "deploy", 1000, str(home))
    assert files == [
        tmp_path / "keys/deploy-1000-%",
        home / ".ssh/authorized_keys",
        home / "more",
    ]
    assert not any_keys(options, files)
    (tmp_path / "keys").mkdir()
    files[0].write_text("# none yet\n\n")
    assert not any_keys(options, files)
    files[0].write_text("ssh-ed25519 AAAA deploy\n")
    assert any_keys(options, files)
    assert key_files({}, "deploy", 1000, "/home/deploy") == [
        Path("/home/deploy/.ssh/authorized_keys")
    ]
    assert key_files(parsed("authorizedkeysfile none"), "deploy", 1000, "/home/deploy") == []


@pytest.mark.parametrize(
    ("said", "enough"),
    [
        ("authorizedkeyscommand none\ntrustedusercakeys none", False),
        ("authorizedkeyscommand /usr/bin/sss_ssh_authorizedkeys %u", True),
        ("trustedusercakeys /etc/ssh/users.pub", True),
    ],
)
def test_keys_that_cannot_be_seen_are_enough(said: str, enough: bool) -> None:
    assert any_keys(parsed(said), []) == enough


@pytest.mark.skipif(not REAL.exists(), reason="there is no sshd here")
def test_the_real_sshd_refuses_two_factors_of_which_one_is_switched_off(sshd: Sshd) -> None:
    real = Sshd(str(REAL), sshd.config)
    key = sshd.config.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    ours(sshd).with_name("60-key.conf").write_text(f"HostKey {key}\n")
    with sshd.config.open("a") as config:
        config.write("AuthenticationMethods publickey,keyboard-interactive\n")
    with pytest.raises(SettingsError, match="AuthenticationMethods"):
        real.options(ours(sshd), FRAGMENT, DEPLOY)
    options = real.options(ours(sshd), "KbdInteractiveAuthentication yes\n", DEPLOY)
    assert "for more than a key" in str(shut_out(options, DEPLOY, ["deploy"], True))
    with sshd.config.open("a") as config:
        config.write("Match User deploy\nAuthenticationMethods publickey\n")
    options = real.options(ours(sshd), "KbdInteractiveAuthentication yes\n", DEPLOY)
    assert shut_out(options, DEPLOY, ["deploy"], True) is None
