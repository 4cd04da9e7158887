"""One run at a time for a site: who is refused, and how long a dead run is in the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.run_lock import (
    Claim,
    Folder,
    Heart,
    Held,
    Process,
    Run,
    beat_command,
    in_the_way,
    refusal,
    release_command,
)

PLAYBOOKS = Path(__file__).resolve().parent.parent.parent / "playbooks"
READING = {"preflight", "audit", "capacity"}
FIRST = Claim("1111", "ada@desk", 41, "site.yml", "2026-03-01 10:00 UTC", 60)
SECOND = Claim("2222", "bob@laptop", 42, "restore.yml", "2026-03-01 10:05 UTC", 60)


class Clock:
    """Time that passes when it is waited for."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("held", "claim", "refused"),
    [
        (None, SECOND, False),
        (Held(FIRST, 5), SECOND, True),
        (Held(FIRST, 59), SECOND, True),
        (Held(FIRST, 60), SECOND, False),  # it died
        (Held(FIRST, -200), SECOND, False),  # the host was started since
        (Held(FIRST, 5), FIRST, False),
        (Held(replace(FIRST, expiry=300), 70), SECOND, True),  # the holder's own patience counts
    ],
)
def test_who_is_in_the_way(held: Held | None, claim: Claim, refused: bool) -> None:
    assert (in_the_way(held, claim) is not None) == refused


def test_the_refusal_says_who_what_since_when_and_what_to_do() -> None:
    assert refusal(Held(FIRST, 4.4)) == (
        "ada@desk (process 41) runs site.yml on this site since 2026-03-01 10:00 UTC, heard of 4 s"
        " ago: wait until it ends, or end it there (a run that died is forgotten after 60 s); this"
        " run has changed nothing."
    )


def test_a_host_keeps_the_lock_for_as_long_as_the_run_is_heard_of(tmp_path: Path) -> None:
    clock = Clock()
    folder = Folder(str(tmp_path / "run"), clock)
    assert folder.take(FIRST) is None
    clock.sleep(50)
    assert folder.take(FIRST) is None  # taken again is heard of
    clock.sleep(50)
    other = folder.take(SECOND)
    assert other == Held(FIRST, 50)
    clock.sleep(10)
    assert folder.take(SECOND) is None
    other = folder.take(FIRST)
    assert other is not None
    assert other.claim == SECOND
    assert not list((tmp_path / "run").glob("beat-1111"))


def test_a_record_that_cannot_be_read_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "held").write_text('{"token": "1111"')
    assert Folder(str(tmp_path)).take(SECOND) is None


def test_what_the_heart_runs_on_the_host(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "a folder"))
    folder.take(FIRST)

    def shell(command: str) -> int:
        return subprocess.run(["sh", "-c", command], check=False).returncode

    folder.beat("1111").write_text("0.0\n")
    assert shell(beat_command(str(folder.path), "2222")) != 0
    assert shell(beat_command(str(folder.path), "1111")) == 0
    held = folder.held()
    assert held is not None
    assert held.age < 5
    assert shell(release_command(str(folder.path), "2222")) != 0
    assert folder.held()
    assert shell(release_command(str(folder.path), "1111")) == 0
    assert folder.held() is None


def test_a_heart_beats_four_times_in_the_expiry_until_the_run_ends() -> None:
    clock = Clock()
    beats: list[float] = []

    def beat() -> None:
        beats.append(clock.now - 1000)
        if len(beats) == 2:
            raise OSError("the host is away")

    Heart(60, lambda: clock.now < 1063, beat, clock, clock.sleep).run()
    assert beats == [15, 30, 45, 60]


def test_a_heart_that_slept_says_at_once_that_it_lives() -> None:
    clock = Clock()
    beats: list[float] = []

    def sleep(seconds: float) -> None:
        clock.now += 3600 if clock.now == 1001 else seconds

    Heart(60, lambda: clock.now < 4610, lambda: beats.append(clock.now), clock, sleep).run()
    assert beats == [4601]


def test_a_run_has_lost_its_lock_when_no_host_keeps_it(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    assert run.claim(lambda: FIRST) == run.claim(lambda: SECOND) == FIRST
    run.note("kept", "os1")
    run.note("kept", "os2")
    assert not run.taken_over()
    run.note("lost", "os1", "bob@laptop")  # it was started anew, and another run looks
    assert not run.taken_over()
    run.note("lost", "os2", "bob@laptop")
    assert run.taken_over() == "bob@laptop"
    run.forget("lost", "os1")
    assert not run.taken_over()


def test_a_process_is_known_by_number_and_start() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    process = Process.of(sleeper.pid)
    assert process.lives()
    assert not replace(process, started="1").lives()
    sleeper.kill()
    time.sleep(0.2)
    assert not process.lives()  # nobody has waited for it yet
    sleeper.wait()
    assert not process.lives()
    assert not Process.of(sleeper.pid).lives()


def first(playbook: Path) -> str:
    """Return the playbook that a playbook begins with, where that is none that only reads."""
    plays = yaml.safe_load(playbook.read_text())
    while Path(str(plays[0].get("import_playbook", ""))).stem in READING:
        plays = plays[1:]
    return str(plays[0].get("import_playbook", ""))


@pytest.mark.parametrize("playbook", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.stem)
def test_what_changes_hosts_takes_the_lock_first(playbook: Path) -> None:
    if playbook.stem in READING:
        assert "lock.yml" not in playbook.read_text()
        return
    begins = playbook.name
    while begins and begins != "lock.yml":
        begins = first(PLAYBOOKS / begins)
    assert begins == "lock.yml"


# Two hosts keep the lock on this machine; a third does not answer. The lock is imported twice, as
# site.yml does. `wait` keeps the run going until a file is there.
HOSTS = """\
all:
  vars: {{ansible_connection: local, ansible_become: false, run_lock_expiry: 8,
         ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}",
         run_lock_path: "{folder}/{{{{ run_lock_host }}}}"}}
  hosts:
    os1: {{}}
    os2: {{}}
    gone: {{ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}}
"""
SITE = """\
- import_playbook: {playbooks}/lock.yml
- import_playbook: {playbooks}/lock.yml
- hosts: os2
  gather_facts: false
  tasks:
    - ansible.builtin.file: {{path: "{folder}/began-{{{{ run_name }}}}", state: touch}}
    - ansible.builtin.wait_for: {{path: "{folder}/end-{{{{ run_name }}}}", timeout: 100, sleep: 1}}
- import_playbook: {playbooks}/lock.yml
"""


class Site:
    """A site on this machine, and the runs that were started on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[subprocess.Popen[str]] = []
        (folder / "hosts.yml").write_text(HOSTS.format(folder=folder))
        (folder / "site.yml").write_text(SITE.format(folder=folder, playbooks=PLAYBOOKS))

    def run(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a run."""
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(PLAYBOOKS.parent / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
        }
        command = ["ansible-playbook", "-i", str(self.folder / "hosts.yml"), *arguments]
        command += ["-e", f"run_name={name}", str(self.folder / "site.yml")]
        run = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.runs.append(run)
        return run

    def began(self, name: str) -> bool:
        """Wait until a run is past the lock."""
        for _ in range(600):
            if (self.folder / f"began-{name}").exists():
                return True
            if self.runs[-1].poll() is not None:
                return False
            time.sleep(0.1)
        return False

    def end(self, name: str) -> None:
        """Let a run end."""
        (self.folder / f"end-{name}").touch()

    def kept(self) -> list[str]:
        """Return the hosts that keep the lock."""
        return sorted(path.parent.name for path in self.folder.glob("*/held"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a site, whose runs end with the test."""
    found = Site(tmp_path)
    yield found
    for name in ("first", "second", "third", "check"):
        found.end(name)
    for run in found.runs:
        with contextlib.suppress(ProcessLookupError):
            run.kill()
        run.communicate()


def said(run: subprocess.Popen[str]) -> str:
    """Return what a run said until its end."""
    return run.communicate(timeout=100)[0]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_second_run_waits_its_turn_and_a_killed_one_frees_the_site(site: Site) -> None:
    first_run = site.run("first")
    assert site.began("first"), said(first_run)
    assert site.kept() == ["os1", "os2"]
    time.sleep(9)  # longer than the expiry: it is the heart that keeps the lock
    refused = said(site.run("second", "--limit", "os2"))
    assert f"(process {first_run.pid}) runs site.yml on this site since 20" in refused
    assert "this run has changed nothing." in refused
    assert not (site.folder / "began-second").exists()

    site.end("check")
    checked = site.run("check", "--check")
    assert "failed=0" in said(checked)
    assert checked.returncode == 0

    assert site.kept() == ["os1", "os2"]
    first_run.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    while not site.began("third") and time.monotonic() - killed < 60:
        if site.runs[-1].poll() is not None:
            site.run("third")
    assert site.began("third")
    assert time.monotonic() - killed < 60
    site.end("third")
    done = said(site.runs[-1])
    assert "failed=0" in done
    assert "changed=0" in done.replace("os2 ", "").replace("changed=1", "changed=0")
    for _ in range(100):
        if not site.kept():
            break
        time.sleep(0.1)
    assert site.kept() == []  # a run that ends gives it back at once


@pytest.mark.slow
def test_a_run_that_lost_its_lock_to_another_stops(site: Site) -> None:
    run = site.run("first")
    assert site.began("first"), said(run)
    for host in ("os1", "os2"):
        folder = Folder(str(site.folder / host))
        held = folder.held()
        assert held
        folder.beat(held.claim.token).write_text("0.0\n")
        assert folder.take(replace(SECOND, expiry=1e9)) is None
    time.sleep(10)
    site.end("first")
    assert "not heard of for so long that bob@laptop took its lock" in said(run)
    assert run.returncode != 0
    assert site.kept() == ["os1", "os2"]
