"""A snapshot is taken, lost data comes back from it, and what came back is proved."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ONCE = [True, True, False, False]
LIBRARY = "research_assistant-evaluation-library"  # one that the worker may make and fill
REPOSITORY = "research"
DIRECTORY = "/srv/research-snapshots"
PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
DOCUMENTS = 300
Shell = Callable[[str], str]
Module = Callable[..., dict[str, Any]]
Four = Callable[..., list[bool]]

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]


@pytest.fixture(scope="module", autouse=True)
def _library(ask: Any) -> Iterator[None]:
    """Fill an index of two shards; some documents are replaced, some deleted."""
    ask("DELETE", f"/{LIBRARY}", "admin")
    ask("DELETE", f"/_snapshot/{REPOSITORY}/*", "admin")
    made = ask("PUT", f"/{LIBRARY}", "admin", {"settings": {"number_of_shards": 2}})
    assert made.status == 200, made.body
    numbers = [*range(DOCUMENTS), *range(0, DOCUMENTS, 7)]
    lines = [
        json.dumps({"index": {"_index": LIBRARY, "_id": str(number)}})
        + "\n"
        + json.dumps({"title": f"paper {number}", "passages": [{"text": "é" * 50}], "turn": turn})
        for turn, number in enumerate(numbers)
    ]
    lines += [json.dumps({"delete": {"_index": LIBRARY, "_id": str(n)}}) for n in (5, 6)]
    filled = ask("POST", "/_bulk?refresh=true", "admin", "\n".join(lines) + "\n")
    assert filled.status == 200, filled.body
    assert not filled.body["errors"]
    yield
    for name in (LIBRARY, f"{LIBRARY}-before", "research_assistant-moving"):
        ask("DELETE", f"/{name}", "admin")


@pytest.fixture(scope="module")
def taken(four: Four) -> str:
    """Return the name of a snapshot of the library."""
    options = {"repository": REPOSITORY, "name": "taken", "indices": [LIBRARY]}
    assert four("opensearch_snapshot", **options) == ONCE
    return "taken"


def count(ask: Any, index: str) -> int:
    """Return how many documents an index has, as its reader sees it."""
    ask("POST", f"/{index}/_refresh", "admin")
    answer = ask("GET", f"/{index}/_count", "admin")
    return int(answer.body["count"]) if answer.status == 200 else -answer.status


@pytest.fixture
def restore(module: Module) -> Module:
    """Return a function that runs the module that restores."""

    def run(check: bool = False, **options: Any) -> dict[str, Any]:
        return module("opensearch_restore", check, repository=REPOSITORY, **options)

    return run


def test_the_run_made_directory_and_repository(ask: Any, shell: Shell) -> None:
    assert shell(f"stat -c '%U %a' {DIRECTORY}") == "opensearch 750"
    found = ask("GET", f"/_snapshot/{REPOSITORY}", "admin").body[REPOSITORY]
    assert found == {"type": "fs", "settings": {"location": f"{DIRECTORY}/research"}}


def test_a_repository_changes_once(four: Four, module: Module) -> None:
    options = {"name": "probe", "settings": {"location": f"{DIRECTORY}/probe", "compress": True}}
    assert four("opensearch_snapshot_repository", **options) == ONCE
    gone = module("opensearch_snapshot_repository", name="probe", state="absent")
    assert gone["changed"]


def test_a_repository_that_a_node_cannot_use_is_not_left_behind(
    ask: Any, shell: Shell, module: Module
) -> None:
    shell(f"install -d -o root -m 0700 {DIRECTORY}/locked")
    for location in ("/var/tmp/elsewhere", f"{DIRECTORY}/locked/x"):
        settings = {"location": location, "secret_key": "Kx9vmQ27tRw48"}
        failed = module("opensearch_snapshot_repository", name="bad", settings=settings)
        assert failed["failed"]
        assert failed["msg"].startswith("opensearch_snapshot_repository: ")
        assert "Kx9vmQ27tRw48" not in json.dumps(failed)
        assert ask("GET", "/_snapshot/bad", "admin").status == 404


def test_a_snapshot_is_verified_and_its_manifest_counts(taken: str, module: Module) -> None:
    found = module("opensearch_snapshot", repository=REPOSITORY, state="verified", name=taken)
    assert not found["changed"]
    assert found["indices"] == {LIBRARY: DOCUMENTS - 2}
    missing = module("opensearch_snapshot", repository=REPOSITORY, state="verified", name="none")
    assert "holds no snapshot none" in missing["msg"]


def test_a_lost_index_comes_back_and_is_proved(
    ask: Any, taken: str, four: Four, restore: Module
) -> None:
    assert ask("DELETE", f"/{LIBRARY}", "admin").status == 200
    assert four("opensearch_restore", repository=REPOSITORY, snapshot=taken) == ONCE
    assert count(ask, LIBRARY) == DOCUMENTS - 2
    written = ask("PUT", f"/{LIBRARY}/_doc/new?refresh=true", "worker", {"title": "later"})
    assert written.status == 201
    again = restore(snapshot=taken)
    assert not again["changed"]
    assert again["unchanged"] == {LIBRARY: DOCUMENTS - 2}
    assert count(ask, LIBRARY) == DOCUMENTS - 1


def test_an_open_index_with_something_else_is_not_overwritten(
    ask: Any, taken: str, restore: Module
) -> None:
    for number in range(0, DOCUMENTS, 2):
        ask("PUT", f"/{LIBRARY}/_doc/{number}", "worker", {"title": "tampered"})
    before = count(ask, LIBRARY)
    for check in (True, False):
        refused = restore(check, snapshot=taken)
        assert refused["msg"] == (
            f"opensearch_restore: {LIBRARY} is open and holds other documents than snapshot "
            f"{taken}: restore under another name, or close or delete it first"
        )
    assert count(ask, LIBRARY) == before


def test_an_index_is_restored_beside_the_live_one(ask: Any, taken: str, four: Four) -> None:
    beside = {"snapshot": taken, "indices": [LIBRARY], "rename": f"{LIBRARY}-before"}
    settings = {"index.refresh_interval": None, "index.max_result_window": 20000}
    options = {**beside, "repository": REPOSITORY, "settings": settings}
    assert four("opensearch_restore", **options) == ONCE
    assert count(ask, f"{LIBRARY}-before") == DOCUMENTS - 2
    found = ask("GET", f"/{LIBRARY}-before/_settings?flat_settings=true", "admin").body
    assert found[f"{LIBRARY}-before"]["settings"]["index.max_result_window"] == "20000"
    assert "index.refresh_interval" not in found[f"{LIBRARY}-before"]["settings"]
    assert "index.blocks.write" not in found[f"{LIBRARY}-before"]["settings"]
    assert ask("PUT", f"/{LIBRARY}-before/_doc/x", "admin", {"title": "x"}).status == 201


def test_what_is_not_as_the_manifest_says_fails_and_is_kept_from_writers(
    ask: Any, taken: str, restore: Module
) -> None:
    listed = ask("GET", f"/_snapshot/{REPOSITORY}/{taken}", "admin").body["snapshots"][0]
    metadata = listed["metadata"]
    metadata["research_stack"]["indices"][LIBRARY][2] = "0123456789abcdef"
    body = {"indices": LIBRARY, "include_global_state": False, "metadata": metadata}
    ask("DELETE", f"/{LIBRARY}", "admin")
    restore(snapshot=taken)
    path = f"/_snapshot/{REPOSITORY}/tampered?wait_for_completion=true"
    assert ask("PUT", path, "admin", body).status == 200
    ask("DELETE", f"/{LIBRARY}", "admin")
    failed = restore(snapshot="tampered")
    assert "the content of its sampled documents is another" in failed["msg"]
    blocked = ask("PUT", f"/{LIBRARY}/_doc/x", "worker", {"title": "x"})
    assert blocked.status == 403
    # A run that goes on with it comes to the same end; the good snapshot is restored after all.
    assert "sampled documents is another" in restore(snapshot="tampered")["msg"]
    ask("DELETE", f"/{LIBRARY}", "admin")
    assert restore(snapshot=taken)["restored"] == {LIBRARY: DOCUMENTS - 2}
    assert ask("DELETE", f"/_snapshot/{REPOSITORY}/tampered", "admin").status == 200


def test_a_killed_restore_is_resumed(ask: Any, taken: str, four: Four) -> None:
    ask("DELETE", f"/{LIBRARY}", "admin")
    mark = {"cluster.metadata.research_stack_restoring": LIBRARY}
    assert ask("PUT", "/_cluster/settings", "admin", {"persistent": mark}).status == 200
    body = {"indices": LIBRARY, "index_settings": {"index.blocks.write": True}}
    assert ask("POST", f"/_snapshot/{REPOSITORY}/{taken}/_restore", "admin", body).status == 200
    assert four("opensearch_restore", repository=REPOSITORY, snapshot=taken) == ONCE
    assert ask("PUT", f"/{LIBRARY}/_doc/x", "worker", {"title": "x"}).status == 201
    settings = ask("GET", "/_cluster/settings?flat_settings=true", "admin").body["persistent"]
    assert not [name for name in settings if "restoring" in name]


def test_an_index_that_nobody_wrote_to_is_replaced(ask: Any, taken: str, restore: Module) -> None:
    ask("DELETE", f"/{LIBRARY}", "admin")
    assert ask("PUT", f"/{LIBRARY}", "worker").status == 200
    assert restore(snapshot=taken)["changed"]
    assert count(ask, LIBRARY) == DOCUMENTS - 2


def test_people_may_write_while_a_snapshot_is_taken(
    ask: Any, module: Module, restore: Module
) -> None:
    index, stop, written = "research_assistant-moving", threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            answer = ask("PUT", f"/{index}/_doc/{len(written)}", "admin", {"n": len(written)})
            assert answer.status == 201
            written.append(time.monotonic())

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(2)
    taking = module("opensearch_snapshot", repository=REPOSITORY, name="moving", indices=[index])
    stop.set()
    writer.join()
    assert taking["changed"], taking
    beside = {"snapshot": "moving", "rename": f"{index}-2"}
    found = restore(**beside)
    assert found["restored"][f"{index}-2"] <= count(ask, f"{index}-2") <= len(written)
    ask("DELETE", f"/{index}-2", "admin")


def test_old_snapshots_go_and_the_newest_good_one_stays(
    ask: Any, taken: str, four: Four, module: Module
) -> None:
    prune = {"repository": REPOSITORY, "state": "pruned", "keep": 1}
    assert four("opensearch_snapshot", **prune) == ONCE
    listed = ask("GET", f"/_snapshot/{REPOSITORY}/_all", "admin").body["snapshots"]
    assert [one["snapshot"] for one in listed] == ["moving"]
    absent = {"repository": REPOSITORY, "state": "absent", "name": "moving"}
    assert module("opensearch_snapshot", **absent)["changed"]


def test_users_come_back_with_the_security_index_if_that_is_asked_for(
    ask: Any, module: Module, restore: Module
) -> None:
    user = {"password": "Kx9-vmQ27-tRw48-hLp", "backend_roles": []}
    path = "/_plugins/_security/api/internalusers/probe"
    assert ask("PUT", path, "admin", user).status == 201
    indices = [".opendistro_security", LIBRARY]
    module("opensearch_snapshot", repository=REPOSITORY, name="users", indices=indices)
    assert ask("DELETE", path, "admin").status == 200
    assert not restore(snapshot="users")["changed"]
    assert restore(snapshot="users", security=True)["changed"]
    assert not restore(snapshot="users", security=True)["changed"]
    assert ask("GET", path, "admin").status == 200
    assert ask("DELETE", path, "admin").status == 200


def test_a_wrong_connection_is_one_clear_error_and_changes_nothing(
    ask: Any, module: Module
) -> None:
    connections = (
        ({"urls": ["https://opensearch-1:9201"]}, "does not answer"),
        ({"ca": "/etc/ssl/certs/ISRG_Root_X1.pem"}, "TLS with https://opensearch-1:9200 failed"),
        (
            {
                "client_certificate": None,
                "client_key": None,
                "user": "research_web",
                "password_file": "/etc/hostname",
            },
            "HTTP 401",
        ),
    )
    settings = {"location": f"{DIRECTORY}/never"}
    runs: dict[str, dict[str, Any]] = {
        "opensearch_snapshot_repository": {"name": "never", "settings": settings},
        "opensearch_snapshot": {"repository": REPOSITORY, "name": "never"},
        "opensearch_restore": {"repository": REPOSITORY},
    }
    for name, options in runs.items():
        for connection, message in connections:
            failed = module(name, connection=connection, **options)
            assert failed["failed"]
            assert failed["msg"].startswith(f"{name}: ")
            assert message in failed["msg"]
    assert ask("GET", "/_snapshot/never", "admin").status == 404
    listed = ask("GET", f"/_snapshot/{REPOSITORY}/_all", "admin").body["snapshots"]
    assert "never" not in [one["snapshot"] for one in listed]


def test_the_playbooks_take_and_restore(playbook: Any, ask: Any) -> None:
    snapshot, back = (str(PLAYBOOKS / name) for name in ("snapshot.yml", "restore.yml"))
    named = {"snapshot": "by-hand"}
    assert playbook("--check", playbook=snapshot, **named)["opensearch-1"] >= 1
    assert playbook(playbook=snapshot, **named)["opensearch-1"] >= 1
    assert playbook(playbook=snapshot, **named) == {"opensearch-1": 0}
    held = count(ask, LIBRARY)
    assert ask("DELETE", f"/{LIBRARY}", "admin").status == 200
    assert playbook("--check", playbook=back) == {"opensearch-1": 1}
    assert playbook(playbook=back) == {"opensearch-1": 1}
    assert playbook(playbook=back) == {"opensearch-1": 0}
    assert count(ask, LIBRARY) == held
    beside = {"index": LIBRARY, "restore_as": f"{LIBRARY}-before"}
    ask("DELETE", f"/{LIBRARY}-before", "admin")
    assert playbook(playbook=back, **beside) == {"opensearch-1": 1}
    assert count(ask, f"{LIBRARY}-before") == held
