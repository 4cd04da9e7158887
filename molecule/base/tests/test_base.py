"""What the role leaves on every host, and what only on hosts that ask for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
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
    found = [line for line in search.file(path).content_string.splitlines() if "vm." in line]
    assert found == ["vm.swappiness = 1"]
    assert "kernel.kptr_restrict = 2" in other.file(path).content_string
    assert "vm." not in other.file(path).content_string


# What systemd-analyze makes of a unit, times ten. ssh and cron are doors to a whole host for those
# whom they let in: what takes more from them takes it from an administrator's sudo and from jobs.
EXPOSURE = {"chrony": 20, "cron": 45, "ssh": 92, "unattended-upgrades": 20}


@pytest.mark.parametrize("unit", EXPOSURE)
def test_the_distribution_s_units_are_in_a_sandbox(search: Any, unit: str) -> None:
    shown = search.run(f"systemd-analyze security --threshold={EXPOSURE[unit]} {unit}.service")
    assert shown.rc == 0, shown.stdout


def test_the_clock_daemon_works_in_its_sandbox(search: Any) -> None:
    """Without the clock, which a container does not give."""
    folder = "/run/systemd/system/chrony.service.d"
    search.check_output(f"mkdir -p {folder}")
    search.check_output(
        "printf '[Unit]\nConditionCapability=\n[Service]\nExecStart=\n"
        f"ExecStart=/usr/sbin/chronyd -U -x\n' > {folder}/zz-test.conf"
    )
    try:
        search.check_output("systemctl daemon-reload && systemctl start chrony")
        assert "Reference ID" in search.check_output("chronyc -n tracking")
    finally:
        search.check_output(f"systemctl stop chrony; rm -r {folder}; systemctl daemon-reload")
        search.check_output("systemctl start chrony")


def test_a_cron_job_runs_and_may_write_and_send_mail(search: Any) -> None:
    """Within the minute; a setgid program is what hands over a mail."""
    mark = "/usr/local/cron-test"
    search.check_output("install -g mail -m 2755 /usr/bin/id /usr/local/bin/mail-id")
    search.check_output(
        f"echo '* * * * * nobody /usr/local/bin/mail-id > /tmp/cron-test; sync' > /etc/cron.d/test;"
        f"echo '* * * * * root id > {mark}' >> /etc/cron.d/test"
    )
    try:
        search.check_output(
            f"for i in $(seq 130); do test -s {mark} -a -s /tmp/cron-test && exit; sleep 1; done;"
            "exit 1"
        )
        assert "uid=0" in search.file(mark).content_string
        assert "egid=8(mail)" in search.file("/tmp/cron-test").content_string
    finally:
        search.check_output(f"rm -f /etc/cron.d/test {mark} /tmp/cron-test /usr/local/bin/mail-id")


def test_an_unattended_upgrade_runs(search: Any) -> None:
    """By the unit that the timer starts, while its guard of the shutdown is up."""
    search.check_output("systemctl start apt-daily-upgrade.service")
    assert search.service("unattended-upgrades").is_running
    log = search.check_output("cat /var/log/unattended-upgrades/unattended-upgrades.log")
    assert "ERROR" not in log


WEAK = re.compile(r"nistp|sha1\b|ssh-rsa|ssh-dss|cbc|3des|arcfour|md5|umac-64|ripemd")


def test_sshd_offers_no_weak_algorithm(host: Any) -> None:
    """Of those that ssh-audit fails a server for."""
    settings = dict(
        line.split(" ", 1) for line in host.check_output("sshd -T").splitlines() if " " in line
    )
    for name in ("kexalgorithms", "ciphers", "macs"):
        assert not WEAK.search(settings[name]), f"{name}: {settings[name]}"
    found = host.run(f"ssh-keyscan -t ecdsa {host.backend.name}")
    assert "ecdsa-sha2" not in found.stdout


def test_what_crashes_leaves_no_memory_on_disk(host: Any) -> None:
    assert "DefaultLimitCORE=0" in host.check_output(
        "systemd-analyze cat-config systemd/system.conf"
    )
    assert "Storage=none" in host.check_output("systemd-analyze cat-config systemd/coredump.conf")


def test_drivers_without_a_use_are_not_loaded(host: Any) -> None:
    assert "install usb-storage /bin/false" in host.check_output(
        "cat /etc/modprobe.d/research-stack.conf"
    )


def test_modes_are_narrowed(host: Any) -> None:
    assert host.file("/etc/crontab").mode == 0o600
    assert host.file("/etc/cron.d").mode == 0o700


def test_the_console_says_whose_host_this_is(host: Any) -> None:
    assert "unauthorized use is prohibited" in host.file("/etc/issue").content_string


def test_files_of_packages_are_as_they_were_brought(host: Any) -> None:
    """On a host that was just deployed; the next look is tonight."""
    assert host.service("research-integrity.timer").is_enabled
    assert host.service("research-integrity.timer").is_running
    host.check_output("systemctl start research-integrity")


def test_a_changed_program_is_named_and_fails_the_unit(other: Any) -> None:
    """With what mends it."""
    other.check_output("cp --archive /usr/bin/whoami /var/tmp && echo x >> /usr/bin/whoami")
    try:
        assert other.run("systemctl start research-integrity").rc != 0
        assert other.check_output("systemctl is-failed research-integrity") == "failed"
        said = other.check_output("journalctl --output=cat --identifier=research-integrity")
        assert said.splitlines()[-1] == (
            "/usr/bin/whoami is not as its package brought it (coreutils): "
            "apt-get install --reinstall coreutils"
        )
    finally:
        other.check_output("mv /var/tmp/whoami /usr/bin && systemctl start research-integrity")


# auditctl reads a rule before it turns to the kernel, which takes none from a user namespace.
READ_RULE = "unshare --map-root-user auditctl"
NOT_TAKEN = re.compile("audit system is disabled|audit support not in kernel|error sending")


def test_the_rules_of_the_kernel_s_audit_are_well_formed(search: Any) -> None:
    wrong = search.run(f"{READ_RULE} -a always,exit -F pat=/etc/passwd -F key=test").stderr
    assert "unknown field: pat" in wrong
    rules = "grep --no-filename '^-' /etc/audit/rules.d/research-*.rules"
    assert int(search.check_output(f"{rules} | wc -l")) > 40
    said = search.run(f"{rules} | xargs -L1 {READ_RULE} 2>&1").stdout
    assert not [line for line in said.splitlines() if not NOT_TAKEN.search(line)]


def test_secrets_are_watched_and_changes_of_accounts(search: Any) -> None:
    """In what the daemon loads when it starts; the package's own wish to wait is not the last."""
    search.check_output("augenrules")
    loaded = search.check_output("cat /etc/audit/audit.rules")
    assert "-F dir=/etc/research-nothing -F perm=r -F auid!=unset" in loaded
    assert "-F path=/etc/ssh/ssh_host_ed25519_key -F perm=wa" in loaded
    assert "-F path=/etc/passwd -F perm=wa -F key=research-identity" in loaded
    assert re.findall(r"--backlog_wait_time (\d+)", loaded)[-1] == "0"
    assert "-e 2" not in loaded


def test_the_audit_daemon_is_held_back_by_its_condition_in_a_container(host: Any) -> None:
    """And nothing has failed, now or at the next boot."""
    assert host.service("auditd").is_enabled
    assert host.check_output("systemctl show -p ConditionResult auditd") == "ConditionResult=no"
    host.check_output("systemctl start auditd audit-rules")
    assert host.run("systemctl is-failed auditd audit-rules").rc != 0


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
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_the_audit_is_taken_away_where_it_is_not_wanted(other: Any) -> None:
    result = run_playbook(auditd_enabled=False)
    assert result.returncode == 0, result.stdout
    assert other.run("ls /etc/audit/rules.d/research-*").rc != 0
    assert "research-stack" not in other.file("/etc/audit/auditd.conf").content_string
    assert not other.service("auditd").is_enabled
    assert "changed=0 " in run_playbook(auditd_enabled=False).stdout
    assert run_playbook().returncode == 0
    assert other.service("auditd").is_enabled


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


@pytest.fixture(scope="module")
def login(by_ssh: dict[str, Any]) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Return what runs a command as an ordinary user by ssh."""

    def run(command: str, *options: str) -> subprocess.CompletedProcess[str]:
        ssh = ["ssh", *SSH_OPTIONS.split(), "-o", "ControlPath=none"]
        key = ["-i", by_ssh["ansible_ssh_private_key_file"], *options]
        return subprocess.run(
            [*ssh, *key, f"deploy@{OTHER_ADDRESS}", command],
            # ssh would leave the terminal of the tests unfit for Ansible.
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_an_administrator_installs_a_package_over_ssh(login: Any) -> None:
    """With sudo, in the sandbox of sshd, which sessions inherit; a setgid file among the rest."""
    done = login("sudo DEBIAN_FRONTEND=noninteractive apt-get install -y plocate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert login("stat -c %A /usr/bin/plocate").stdout.strip() == "-rwxr-sr-x"
    assert login("sudo mount -t tmpfs none /mnt && grep -c ' /mnt ' /proc/1/mounts").stdout == "1\n"
    assert login("sudo umount /mnt").returncode == 0


def test_files_of_a_login_are_not_for_others_but_what_sudo_installs_is(login: Any) -> None:
    # The group of a user with a group of the same name is the user.
    assert login("umask").stdout in {"0027\n", "0007\n"}
    assert login("sudo sh -c umask").stdout == "0022\n"
    assert login("ulimit -Hc").stdout == "0\n"


def test_a_forgotten_shell_ends_and_a_script_waits(host: Any) -> None:
    assert host.run("bash -lic 'echo $TMOUT'").stdout == "3600\n"
    assert host.run("TMUX=/tmp/tmux bash -lic 'echo $TMOUT'").stdout == "\n"
    assert host.check_output("bash -lc 'echo $TMOUT'") == ""


def test_nothing_is_forwarded(login: Any) -> None:
    """Neither to another port of the host nor to others behind it."""
    done = login("", "-W", "127.0.0.1:22")
    assert done.returncode != 0
    assert "forwarding failed" in done.stderr


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
