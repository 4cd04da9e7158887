"""What is staged for a later turn is not armed, and what was a mistake goes back."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.controller import kill_tree
from tests.e2e.conftest import (
    INVENTORY,
    ROOT,
    Host,
    Lab,
    Reader,
    SearchTraffic,
    ready,
    run_playbook,
)
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1500),
    pytest.mark.usefixtures("everything_up", "as_the_inventory_says"),
]

Searching = Callable[..., SearchTraffic]
Record = Callable[[str], None]
TITLE = "A title of the tests"


def command(playbook: str, *arguments: str) -> list[str]:
    return ["ansible-playbook", "-i", str(INVENTORY), f"{ROOT}/playbooks/{playbook}", *arguments]


@pytest.fixture(scope="module")
def as_the_inventory_says() -> Iterator[None]:
    yield
    assert run_playbook("app.yml").returncode == 0


def chosen(host: Host) -> str:
    return host.check("basename $(readlink /etc/research-app/current)").strip()


def running(host: Host) -> str:
    """The generation that the process was started with."""
    record = "/run/research-generations/research-app.service"
    return host.check(f"basename $(readlink {record})").strip()


def staged(host: Host) -> set[str]:
    return set(host.check("ls /etc/research-app/generations").split())


def reboot(hosts: list[Host]) -> None:
    """Switch hosts off and on again, as a loss of power does."""
    environment = {**os.environ, "CONTAINERS_CONF": f"{ROOT}/lab/containers.conf"}
    names = [f"research-lab-{host.name}" for host in hosts]
    for action in (["kill", "--signal=KILL"], ["start"]):
        subprocess.run(
            ["podman", *action, *names], env=environment, check=True, capture_output=True
        )


def test_a_killed_rollout_and_a_loss_of_power_leave_what_served(lab: Lab, record: Record) -> None:
    nodes = lab.group("app")
    before = {node.name: running(node) for node in nodes}
    known = staged(nodes[-1])
    run = subprocess.Popen(
        command("app.yml", "-e", f"app_site_title='{TITLE}'"),
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": f"{ROOT}/ansible.cfg"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: staged(nodes[-1]) != known, 300, "the new generation staged")
    kill_tree(run.pid)
    run.wait()
    turned = {node.name for node in nodes if chosen(node) != before[node.name]}
    reboot(nodes)
    for node in nodes:
        seconds = wait_until(lambda node=node: ready(node), 120, f"{node.name} ready")  # type: ignore[misc]
    record(f"rollout killed with {len(turned)} of {len(nodes)} turned; ready {seconds:.0f} s later")
    waited = [node for node in nodes if node.name not in turned]
    assert waited
    assert {node.name: running(node) for node in waited} == {
        node.name: before[node.name] for node in waited
    }


def test_settings_that_cannot_serve_are_taken_back(
    lab: Lab, searching: Searching, record: Record
) -> None:
    assert run_playbook("app.yml").returncode == 0
    nodes = lab.group("app")
    before = {node.name: running(node) for node in nodes}
    with searching() as traffic:
        done = run_playbook(
            "app.yml", "-e", "app_opensearch_user=nobody", "-e", "app_ready_seconds=15"
        )
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert f"{nodes[0].name} does not become ready" in said, done.stdout[-3000:]
    assert "What was new: settings.toml has changed" in said
    assert f"(generation {before[nodes[0].name]}), which serves" in said
    record(traffic.summary("settings that cannot serve"))
    assert traffic.failures == []
    assert {node.name: running(node) for node in nodes} == before
    assert {node.name: chosen(node) for node in nodes} == before


def test_a_rollback_and_the_way_forward_again(
    lab: Lab, reader: Reader, searching: Searching, record: Record
) -> None:
    nodes = lab.group("app")
    assert run_playbook("app.yml").returncode == 0
    before = {node.name: running(node) for node in nodes}
    assert run_playbook("app.yml", "-e", f"app_site_title='{TITLE}'").returncode == 0
    assert TITLE.encode() in reader.get("/").body
    started = time.monotonic()
    with searching(patience=8) as traffic:
        done = run_playbook("rollback.yml", "-e", "rollback_tier=app")
    assert done.returncode == 0, done.stdout[-3000:]
    record(f"rollback of {len(nodes)} nodes: {time.monotonic() - started:.0f} s")
    record(traffic.summary("rollback"))
    assert traffic.failures == []
    assert {node.name: running(node) for node in nodes} == before
    assert TITLE.encode() not in reader.get("/").body


def test_a_tier_without_generations_is_refused() -> None:
    done = run_playbook("rollback.yml", "-e", "rollback_tier=opensearch")
    assert done.returncode != 0
    assert 'rollback_tier is "opensearch", and can be app' in " ".join(done.stdout.split())
