"""A change reaches host after host: someone always serves, a broken release goes no further."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# A release is installed and hosts restart one by one; on a busy machine that takes minutes.
pytestmark = pytest.mark.timeout(1500)

NAMES = ["app-1", "app-2"]
RELEASES = "/opt/research-app/releases"
Get = Callable[..., tuple[int, Any]]
Pid = Callable[[str], str]
Playbook = Callable[..., subprocess.CompletedProcess[str]]


class Readers:
    """Ask every host again and again, and note who answered when."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._end = threading.Event()
        self.rounds: list[set[str]] = []
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._end.is_set():
            self.rounds.append({name for name in NAMES if self._answers(name)})
            time.sleep(0.1)

    def _answers(self, name: str) -> bool:
        try:
            return bool(self._get(name, "/live", timeout=5)[0] == 200)
        except OSError:
            return False

    def __enter__(self) -> Readers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def current(host: Any) -> str:
    return str(host.check_output("basename $(readlink /opt/research-app/current)"))


def generation(host: Any) -> str:
    """Name the generation that is chosen."""
    return str(host.check_output("basename $(readlink /etc/research-app/current)"))


def running(host: Any) -> str:
    """Name the generation that the process was started with."""
    record = "/run/research-generations/research-app.service"
    return str(host.check_output(f"basename $(readlink {record})"))


def wait_live(get: Get, name: str, seconds: float = 60) -> bool:
    """Wait until a host answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if get(name, "/live", timeout=5)[0] == 200:
                return True
        time.sleep(0.5)
    return False


def test_a_new_release_reaches_all_and_someone_always_serves(
    hosts: dict[str, Any], get: Get, main_pid: Pid, playbook: Playbook, sources: Path
) -> None:
    # An index that a host would have to reach does not exist: the wheels are all it has.
    for host in hosts.values():
        host.run_test("printf '[global]\\nindex-url = http://127.0.0.1:9/\\n' >/etc/pip.conf")
    before = {name: (current(host), main_pid(name)) for name, host in hosts.items()}
    with (sources / "src" / "research_app" / "__init__.py").open("a") as stream:
        stream.write(f"\n# {time.time()}\n")
    with Readers(get) as readers:
        done = playbook(app_project=str(sources))
    assert done.returncode == 0, done.stdout
    missing = sum(len(NAMES) - len(answered) for answered in readers.rounds)
    print(f"{len(readers.rounds)} rounds, a host was away in {missing}")
    assert all(readers.rounds), "there was a moment in which nobody served"
    assert missing, "the readers saw no restart"
    for name, host in hosts.items():
        release, pid = before[name]
        assert current(host) != release and main_pid(name) != pid
        assert release in host.check_output(f"ls {RELEASES}")
        assert host.run(f"grep -q {current(host)} /proc/{main_pid(name)}/maps").succeeded


@pytest.mark.long
def test_a_broken_release_stops_at_the_first_host_which_goes_back(
    hosts: dict[str, Any], get: Get, main_pid: Pid, playbook: Playbook, sources: Path
) -> None:
    before = {name: current(host) for name, host in hosts.items()}
    process = main_pid("app-2")
    with (sources / "src" / "research_app" / "server.py").open("a") as stream:
        stream.write(f"\nraise RuntimeError('broken {time.time()}')\n")
    done = playbook(app_project=str(sources))
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert re.search(r"app-1 does not become ready with \S+-cp\d+", said), done.stdout
    back = rf"It was put back to {before['app-1']} \(generation \w+\), which serves"
    assert re.search(back, said), done.stdout
    assert {name: current(host) for name, host in hosts.items()} == before
    assert main_pid("app-2") == process
    assert [get(name, "/live")[0] for name in NAMES] == [200, 200]


@pytest.mark.long
def test_settings_that_cannot_serve_stop_at_the_first_host_which_goes_back(
    hosts: dict[str, Any], get: Get, main_pid: Pid, playbook: Playbook
) -> None:
    """They are valid, and nothing starts with them; the host that waits uses no part of them."""
    assert playbook().returncode == 0
    before = {name: generation(host) for name, host in hosts.items()}
    waiting = main_pid("app-2")
    done = playbook(app_tls_ciphers=["NO-SUCH-CIPHER"], app_ready_seconds=8)
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "What was new: settings.toml has changed" in said, done.stdout
    assert f"(generation {before['app-1']}), which serves" in said, done.stdout
    assert {name: generation(host) for name, host in hosts.items()} == before
    assert main_pid("app-2") == waiting
    assert [get(name, "/live")[0] for name in NAMES] == [200, 200]
    hosts["app-2"].run_test("systemctl kill -s KILL research-app")
    assert wait_live(get, "app-2"), "after a crash it serves as before"
    assert running(hosts["app-2"]) == before["app-2"]
    assert playbook().returncode == 0


@pytest.mark.long
def test_what_somebody_edited_is_put_right_and_restarted(
    hosts: dict[str, Any], main_pid: Pid, playbook: Playbook
) -> None:
    assert playbook().returncode == 0
    before = {name: main_pid(name) for name in NAMES}
    settings = "/etc/research-app/current/settings.toml"
    hosts["app-1"].run_test(f"sed -i 's/title_boost = .*/title_boost = 9.0/' {settings}")
    done = playbook()
    assert done.returncode == 0, done.stdout
    assert hosts["app-1"].file(settings).contains("title_boost = 4.0")
    assert main_pid("app-1") != before["app-1"] and main_pid("app-2") == before["app-2"]
    again = playbook()
    assert re.findall(r"changed=(\d+)", again.stdout) == ["0", "0"], again.stdout


@pytest.mark.long
def test_a_run_that_was_killed_is_taken_up_where_it_stopped(
    hosts: dict[str, Any],
    get: Get,
    main_pid: Pid,
    playbook: Playbook,
    start_playbook: Callable[..., Any],
) -> None:
    assert playbook().returncode == 0
    before = {name: main_pid(name) for name in NAMES}
    variables = {"app_site_title": f"Library {time.time()}"}
    run = start_playbook(**variables)
    deadline = time.monotonic() + 120
    while main_pid("app-1") == before["app-1"] and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert main_pid("app-2") == before["app-2"]
    # Whatever happens to the host that waits: it serves as before.
    earlier = running(hosts["app-2"])
    hosts["app-2"].run_test("systemctl kill -s KILL research-app")
    assert wait_live(get, "app-2")
    assert running(hosts["app-2"]) == earlier
    before["app-2"] = main_pid("app-2")
    done = playbook(**variables)
    assert done.returncode == 0, done.stdout
    after = {name: main_pid(name) for name in NAMES}
    assert after["app-1"] != before["app-1"] and after["app-2"] != before["app-2"]
    again = playbook(**variables)
    assert re.findall(r"changed=(\d+)", again.stdout) == ["0", "0"], again.stdout
    assert {name: main_pid(name) for name in NAMES} == after
    assert [get(name, "/live")[0] for name in NAMES] == [200, 200]


EDGE_THAT_IS_AWAY = "all: {children: {edge: {hosts: {app-edge: {base_address: 10.78.0.79}}}}}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "app-edge"), (("--limit=app",), "app-edge was not reached in this run")],
    ids=["edge is away", "edge is left out"],
)
def test_no_host_begins_to_ask_for_certificates_before_the_edges_show_theirs(
    hosts: dict[str, Any],
    get: Get,
    main_pid: Pid,
    playbook: Playbook,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    """The settings are those of a release that asked nobody for one."""
    edges, settings = tmp_path / "edges.yml", "/etc/research-app/current/settings.toml"
    edges.write_text(EDGE_THAT_IS_AWAY)
    before = {name: main_pid(name) for name in NAMES}
    for host in hosts.values():
        host.run_test(f"sed -i.now '/^edges = /d; /^clients = /d' {settings}")
    earlier = {name: hosts[name].check_output(f"cat {settings}") for name in NAMES}
    try:
        done = playbook(f"--inventory={edges}", *arguments)
        assert done.returncode != 0 and said in " ".join(done.stdout.split()), done.stdout
        assert {name: hosts[name].check_output(f"cat {settings}") for name in NAMES} == earlier
        assert {name: main_pid(name) for name in NAMES} == before
    finally:
        for host in hosts.values():
            host.run_test(f"mv {settings}.now {settings}")
    assert [get(name, "/live")[0] for name in NAMES] == [200, 200]
