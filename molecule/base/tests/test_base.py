"""What the role leaves on every host, and what only on hosts that ask for it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra

SCENARIO = Path(__file__).resolve().parent.parent
SSH_OPTIONS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
OTHER_ADDRESS = "10.78.0.16"


@pytest.fixture(scope="module")
def search() -> Any:
    """Return the host that asks for kernel settings."""
    return testinfra.get_host("podman://base-search.example.org")


@pytest.fixture(scope="module")
def other() -> Any:
    """Return the host that does not."""
    return testinfra.get_host("podman://base-other")


def test_names_resolve_to_the_address_that_peers_use(host: Any) -> None:
    """Its own as well, and the short form of a long one."""
    for name, address in (
        ("base-search.example.org", "10.78.0.15"),
        ("base-search", "10.78.0.15"),
        ("base-other", "10.78.0.16"),
    ):
        assert host.check_output("getent ahostsv4 %s", name).split()[0] == address
    assert host.check_output("getent ahostsv4 localhost").split()[0] == "127.0.0.1"


def test_the_host_is_called_as_in_the_inventory(host: Any) -> None:
    """The certificates and the peers use this name."""
    assert host.check_output("hostname") == host.backend.name


def test_sshd_takes_keys_only(host: Any) -> None:
    """As its whole configuration says, not only our part of it; and it runs with that."""
    settings = host.check_output("sshd -T").splitlines()
    for line in (
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitrootlogin without-password",
        "permitemptypasswords no",
    ):
        assert line in settings
    offered = host.run(f"ssh {SSH_OPTIONS} -o PreferredAuthentications=none root@localhost true")
    assert "Permission denied (publickey)" in offered.stderr


def test_sudo_is_valid_and_grants_what_was_asked_for(host: Any) -> None:
    """To the group, which need not exist yet."""
    assert host.run("visudo -c").rc == 0
    drop_in = host.file("/etc/sudoers.d/research-stack")
    assert drop_in.mode == 0o440
    assert "%admins ALL=(ALL:ALL) NOPASSWD: ALL" in drop_in.content_string


def test_only_security_updates_come_by_themselves(host: Any) -> None:
    """Daily, without a reboot, and without those that restart a service."""
    config = host.check_output("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in config
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in config
    assert 'Unattended-Upgrade::Package-Blacklist:: "valkey";' in config
    assert host.package("unattended-upgrades").is_installed
    assert host.run("unattended-upgrade --dry-run --debug").rc == 0


def test_the_journal_is_kept_and_bounded(host: Any) -> None:
    """Journald itself says so: it was restarted with the new settings."""
    assert "SystemMaxUse=1G" in host.check_output(
        "systemd-analyze cat-config systemd/journald.conf"
    )
    host.check_output("journalctl --flush")
    assert host.check_output("ls /var/log/journal")


def test_the_clock_shows_the_zone_of_the_inventory(host: Any) -> None:
    """Winter or summer, Berlin is not UTC."""
    assert host.check_output("date +%Z") in {"CET", "CEST"}


def test_one_time_service_is_installed_and_held_back_by_its_own_condition(
    search: Any, other: Any
) -> None:
    """A container cannot set the clock, its unit knows that."""
    for host, package in ((search, "chrony"), (other, "systemd-timesyncd")):
        assert host.package(package).is_installed
        assert host.service(package).is_enabled
        shown = host.check_output("systemctl show -p ConditionResult %s", package)
        assert shown == "ConditionResult=no"
    assert not search.package("systemd-timesyncd").is_installed
    assert not other.file("/etc/chrony").exists
    assert "NTP=10.78.0.1" in other.check_output(
        "systemd-analyze cat-config systemd/timesyncd.conf"
    )


def test_certificates_can_be_handled(host: Any) -> None:
    """By what Ansible's modules for them import on the host."""
    host.check_output("python3 -c 'import cryptography.x509'")


def test_the_kernel_is_set_only_where_asked_for(search: Any, other: Any) -> None:
    """What is high enough is not written; what the container cannot change is kept for a reboot."""
    path = "/etc/sysctl.d/90-research-stack.conf"
    assert search.file(path).content_string.splitlines()[1:] == ["vm.swappiness = 1"]
    assert not other.file(path).exists


def run_playbook(*arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run the scenario's playbook on one host, with extra variables."""
    command = [
        "ansible-playbook",
        f"--inventory={SCENARIO.parent}/shared/connection.yml",
        f"--inventory={SCENARIO}/inventory.yml",
        "--limit=base-other",
        f"--extra-vars={json.dumps(variables)}",
        *arguments,
        str(SCENARIO / "converge.yml"),
    ]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def by_ssh(other: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return the variables with which Ansible reaches a host by ssh, as an ordinary user."""
    key = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    home = "/home/deploy/.ssh"
    other.check_output(f"install -d -o deploy -g deploy -m 0700 {home}")
    public = key.with_suffix(".pub").read_text().strip()
    other.check_output(f"echo '{public}' > {home}/authorized_keys")
    other.check_output(f"chown deploy: {home}/authorized_keys")
    yield {
        "ansible_connection": "ssh",
        "ansible_host": OTHER_ADDRESS,
        "ansible_user": "deploy",
        "ansible_become": True,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": f"{SSH_OPTIONS} -o ControlPath=none",
    }
    other.check_output(f"rm -r {home}")


def test_who_would_lock_out_this_very_user_is_refused(other: Any, by_ssh: dict[str, Any]) -> None:
    """Before anything was changed, though sudo hides who is connected."""
    result = run_playbook(base_ssh_allow_groups=["admins"], **by_ssh)
    assert result.returncode != 0
    assert "base_ssh_allow_groups (admins) has none of the groups of deploy" in " ".join(
        result.stdout.split()
    )
    assert "allowgroups" not in other.check_output("sshd -T")


def test_a_reload_that_an_interrupted_run_left_out_is_made_up_for(other: Any) -> None:
    """Nothing has to be remembered: the file is newer than the service's last reload."""
    other.check_output("touch /etc/ssh/sshd_config.d/00-research-stack.conf")
    pid = other.check_output("systemctl show -p MainPID ssh")
    result = run_playbook("-v")
    assert "changed=1 " in result.stdout and "reload ssh.service" in result.stdout, result.stdout
    assert "changed=0 " in run_playbook().stdout
    assert other.check_output("systemctl show -p MainPID ssh") == pid
