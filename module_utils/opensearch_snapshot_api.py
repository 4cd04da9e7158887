"""Measure indices, take snapshots and restore them, through a cluster's API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible.module_utils.opensearch_client import Client, OpenSearchError
from ansible.module_utils.opensearch_objects import flatten
from ansible.module_utils.opensearch_snapshot import (
    GOOD,
    RUNNING,
    SAMPLES,
    Manifest,
    Proof,
    Record,
    RestorePlan,
    Snapshot,
    Target,
    digest_of,
    plan_restore,
    prove,
    sample_points,
    why_not_good,
)

INTERVAL = 1.0
# How often a snapshot is taken again because sampled documents were rewritten meanwhile.
ATTEMPTS = 3
# Names the indices that a restore of ours began and has not proved.
RESTORING = "cluster.metadata.research_stack_restoring"
WRITE_BLOCK = "index.blocks.write"
Clock = Callable[[], float]


def checkpoints(client: Client, index: str) -> tuple[int, ...]:
    """Return up to which operation each shard of an index has processed everything.

    :raises OpenSearchError: where a shard has no started primary
    """
    answer = client.request(
        "GET", f"/{index}/_stats", level="shards", filter_path="indices.*.shards"
    )
    found: dict[int, int] = {}
    for shards in (answer.get("indices") or {}).values():
        for number, copies in shards["shards"].items():
            for copy in copies:
                if copy["routing"]["primary"] and "seq_no" in copy:
                    found[int(number)] = int(copy["seq_no"]["local_checkpoint"])
    settings = client.request(
        "GET", f"/{index}/_settings/index.number_of_shards", flat_settings="true"
    )
    shards = [int(one["settings"]["index.number_of_shards"]) for one in settings.values()]
    if len(shards) != 1 or sorted(found) != list(range(shards[0])):
        raise OpenSearchError(f"not every shard of {index} answers: {len(found)} of {sum(shards)}")
    return tuple(found[number] for number in sorted(found))


def measure(client: Client, index: str, upto: Sequence[int] = ()) -> Record:
    """Count an index's documents up to a checkpoint, and hash a sample of them.

    :param upto: the checkpoint of each shard; what it is now where nothing is given
    :return: with the checkpoints of now
    """
    now = checkpoints(client, index)
    limits = tuple(upto) if len(upto) == len(now) else now
    client.request("POST", f"/{index}/_refresh")
    points = max(SAMPLES // len(limits), 1)
    searches: list[tuple[int, dict[str, Any]]] = []
    for shard, limit in enumerate(limits):
        counted = {"size": 0, "track_total_hits": True, "query": numbers(0, limit)}
        searches.append((shard, counted))
        searches += [
            (shard, {"size": 1, "sort": ["_seq_no"], "query": numbers(point, limit)})
            for point in sample_points(limit, points)
        ]
    answers = search_shards(client, index, searches)
    documents = sum(
        answer["hits"]["total"]["value"]
        for answer, (_, body) in zip(answers, searches, strict=True)
        if body["size"] == 0
    )
    return Record(
        documents, now, digest_of(once(hit for a in answers for hit in a["hits"]["hits"]))
    )


def numbers(first: int, last: int) -> dict[str, Any]:
    """Return the query for the operations from one to another."""
    return {"range": {"_seq_no": {"gte": first, "lte": last}}}


def once(hits: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Leave out a document that is the next one after several points."""
    previous = None
    for hit in hits:
        if hit["_id"] != previous:
            yield hit
        previous = hit["_id"]


def search_shards(
    client: Client, index: str, searches: Sequence[tuple[int, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Run searches, each on one shard.

    :raises OpenSearchError: where one of them has no complete answer
    """
    lines = []
    for shard, body in searches:
        lines.append(json.dumps({"index": index, "preference": f"_shards:{shard}"}))
        lines.append(json.dumps(body))
    answers = client.request("POST", "/_msearch", "\n".join(lines) + "\n")["responses"]
    for answer in answers:
        if "error" in answer or answer["timed_out"] or answer["_shards"]["successful"] != 1:
            raise OpenSearchError(
                f"{index} could not be read: {answer.get('error') or 'no answer'}"
            )
    found: list[dict[str, Any]] = answers
    return found


def make_manifest(client: Client, indices: Iterable[str]) -> Manifest:
    """Measure indices for a snapshot."""
    server = client.request("GET", "/")["version"]["number"]
    return Manifest(server, {name: measure(client, name) for name in sorted(indices)})


def open_indices(client: Client, patterns: Sequence[str]) -> list[str]:
    """Return the open indices that patterns name.

    :raises OpenSearchError: where there is none
    """
    listed = client.get(
        f"/_cat/indices/{','.join(patterns)}",
        format="json",
        h="index,status",
        expand_wildcards="open,hidden",
    )
    names = sorted(one["index"] for one in listed or [] if one["status"] == "open")
    if not names:
        raise OpenSearchError(f"there is no open index {', '.join(patterns)}", final=True)
    return names


def list_snapshots(client: Client, repository: str) -> list[Snapshot]:
    """Return a repository's snapshots.

    :raises OpenSearchError: where the repository is not there or unreadable
    """
    answer = client.get(f"/_snapshot/{repository}/_all")
    if answer is None:
        raise no_repository(repository)
    return [Snapshot.read(entry) for entry in answer["snapshots"]]


def find_snapshot(client: Client, repository: str, name: str) -> Snapshot | None:
    """Return one snapshot, or None.

    :raises OpenSearchError: where the repository is not there or unreadable
    """
    answer = client.get(f"/_snapshot/{repository}/{name}")
    if answer is not None:
        return Snapshot.read(answer["snapshots"][0])
    if client.get(f"/_snapshot/{repository}") is None:
        raise no_repository(repository)
    return None


def no_repository(name: str) -> OpenSearchError:
    """Return the error for a repository that is not registered."""
    return OpenSearchError(
        f"there is no snapshot repository {name}: playbooks/opensearch.yml registers it", final=True
    )


class Taking:
    """Takes a snapshot and waits for it."""

    def __init__(self, client: Client, repository: str, name: str, timeout: float) -> None:
        """Keep what is wanted; nothing is sent yet."""
        self.client = client
        self.repository = repository
        self.name = name
        self.deadline = time.monotonic() + timeout
        self.timeout = timeout
        self.history: list[str] = []
        self.notes: list[str] = []

    @property
    def path(self) -> str:
        """Return the snapshot's path."""
        return f"/_snapshot/{self.repository}/{self.name}"

    def take(self, indices: Sequence[str]) -> Snapshot:
        """Take it, again where sampled documents were rewritten meanwhile.

        :raises OpenSearchError: where it does not become complete
        """
        unsure: set[str] = set()
        for attempt in range(1, ATTEMPTS + 1):
            manifest = make_manifest(self.client, indices)
            if attempt == ATTEMPTS:
                manifest = manifest.without_sample(unsure)
            body = {
                "indices": ",".join(indices),
                "ignore_unavailable": False,
                "include_global_state": False,
                "partial": False,
                "metadata": manifest.metadata(),
            }
            self.client.request("PUT", self.path, body, wait_for_completion="false")
            taken = self.wait()
            unsure = {name for name in indices if not self._still_so(manifest, name)}
            if not unsure or attempt == ATTEMPTS:
                break
            self._say(f"taken again: {', '.join(sorted(unsure))} was rewritten meanwhile")
            self.delete()
        if unsure:
            self.notes.append(
                f"no content is recorded of {', '.join(sorted(unsure))}, which is being rewritten"
            )
        return taken

    def wait(self) -> Snapshot:
        """Wait until the snapshot is complete.

        :raises OpenSearchError: where it ends otherwise, or not in time
        """
        while True:
            found = find_snapshot(self.client, self.repository, self.name)
            if found is None:
                raise OpenSearchError(f"snapshot {self.name} is gone")
            if found.state == GOOD:
                self._say(f"complete, {len(found.indices)} indices")
                return found
            if found.state != RUNNING:
                raise OpenSearchError(
                    f"snapshot {self.name} ended as {found.state}: {self._failures()}"
                )
            progress = self._progress()
            self._say(progress)
            if time.monotonic() >= self.deadline:
                raise OpenSearchError(
                    f"snapshot {self.name} is not complete after {self.timeout:.0f} s "
                    f"({progress}); the server goes on, and another run with this name waits for it"
                )
            time.sleep(INTERVAL)

    def delete(self) -> None:
        """Remove it."""
        self.client.request("DELETE", self.path)

    def _still_so(self, manifest: Manifest, index: str) -> bool:
        record = manifest.indices[index]
        return prove(record, measure(self.client, index, record.checkpoints)).ok

    def _progress(self) -> str:
        status = self.client.get(f"{self.path}/_status") or {}
        stats = (status.get("snapshots") or [{}])[0].get("shards_stats") or {}
        return f"{stats.get('done', 0)} of {stats.get('total', '?')} shards"

    def _failures(self) -> str:
        answer = self.client.get(self.path) or {}
        failures = (answer.get("snapshots") or [{}])[0].get("failures") or []
        return str(failures[0].get("reason")) if failures else "the server gives no reason"

    def _say(self, text: str) -> None:
        if text not in self.history:
            self.history.append(text)


def check_snapshot(client: Client, repository: str, name: str) -> Snapshot:
    """Return a snapshot whose every shard lies in the repository, and whose manifest is complete.

    :raises OpenSearchError: where it is not so
    """
    found = find_snapshot(client, repository, name)
    if found is None:
        raise OpenSearchError(f"repository {repository} holds no snapshot {name}", final=True)
    if not found.good or found.manifest is None:
        raise OpenSearchError(why_not_good(found), final=True)
    status = client.request("GET", f"/_snapshot/{repository}/{name}/_status")["snapshots"][0]
    stats = status["shards_stats"]
    if stats["failed"] or stats["done"] != stats["total"]:
        raise OpenSearchError(f"snapshot {name} has {stats['done']} of {stats['total']} shards")
    unknown = set(found.indices) ^ set(found.manifest.indices)
    if unknown:
        raise OpenSearchError(
            f"the manifest of {name} and what it holds differ in {sorted(unknown)}"
        )
    return found


class Restoring:
    """Restores indices of a snapshot, and proves them."""

    def __init__(self, client: Client, repository: str, snapshot: Snapshot, timeout: float) -> None:
        """Keep what is wanted; nothing is sent yet."""
        if snapshot.manifest is None:
            raise OpenSearchError(why_not_good(snapshot), final=True)
        self.client = client
        self.repository = repository
        self.name = snapshot.name
        self.manifest = snapshot.manifest
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout

    def plan(self, names: Mapping[str, str]) -> RestorePlan:
        """Look at the targets and decide.

        :raises OpenSearchError: where an open index would be overwritten
        """
        pending = self.pending()
        return plan_restore(
            self.name,
            self.manifest,
            [self._look(source, name, pending) for source, name in names.items()],
        )

    def _look(self, source: str, name: str, pending: set[str]) -> Target:
        state = index_state(self.client, name)
        if state != "open":
            return Target(source, name, state)
        if name in pending:
            return Target(source, name, state, ours=True)
        upto = self.manifest.indices[source].checkpoints
        return Target(source, name, state, measure(self.client, name, upto))

    def run(self, plan: RestorePlan, settings: Mapping[str, Any] | None = None) -> dict[str, Proof]:
        """Carry a plan out and return the proof of each target.

        Until it is proved nobody can write to a target.

        :raises OpenSearchError: where a target does not hold what the manifest says
        """
        targets = plan.to_restore
        if targets:
            self._mark(self.pending() | {target.name for target in targets})
            for target in plan.replace:
                self.client.request("DELETE", f"/{target.name}")
            for target in plan.close:
                self.client.request("POST", f"/{target.name}/_close")
            self._send(targets, settings or {})
        proofs = {}
        for target in [*targets, *plan.resume]:
            self._wait(target.name)
            proofs[target.name] = self._prove(target)
        return proofs

    def _send(self, targets: Sequence[Target], settings: Mapping[str, Any]) -> None:
        renamed = [target for target in targets if target.source != target.name]
        replaced = {name: value for name, value in settings.items() if value is not None}
        body: dict[str, Any] = {
            "indices": ",".join(target.source for target in targets),
            "ignore_unavailable": False,
            "include_global_state": False,
            "include_aliases": not renamed,
            "partial": False,
            "index_settings": {**replaced, WRITE_BLOCK: True},
        }
        left_out = [name for name in settings if name not in replaced]
        if left_out:
            body["ignore_index_settings"] = ",".join(left_out)
        if renamed:
            body |= {"rename_pattern": "^.+$", "rename_replacement": renamed[0].name}
        path = f"/_snapshot/{self.repository}/{self.name}/_restore"
        self.client.request("POST", path, body, wait_for_completion="false")

    def _wait(self, index: str) -> None:
        while True:
            health = self.client.request("GET", f"/_cluster/health/{index}", level="shards")
            shards = health["indices"].get(index, {}).get("shards", {})
            if shards and all(shard["primary_active"] for shard in shards.values()):
                return
            if time.monotonic() >= self.deadline:
                raise OpenSearchError(
                    f"{index} is not restored after {self.timeout:.0f} s: "
                    f"{self._why(index, shards)}; another run waits for it"
                )
            time.sleep(INTERVAL)

    def _why(self, index: str, shards: Mapping[str, Any]) -> str:
        waiting = [int(number) for number, shard in shards.items() if not shard["primary_active"]]
        if not waiting:
            return "the cluster does not know it yet"
        body = {"index": index, "shard": waiting[0], "primary": True}
        explained = self.client.request("POST", "/_cluster/allocation/explain", body)
        why = explained.get("allocate_explanation") or explained.get("current_state")
        details = (explained.get("unassigned_info") or {}).get("details") or ""
        return f"shard {waiting[0]} {why} {details}".strip()

    def _prove(self, target: Target) -> Proof:
        recorded = self.manifest.indices[target.source]
        proof = prove(recorded, measure(self.client, target.name, recorded.checkpoints))
        if not proof.ok:
            raise OpenSearchError(
                f"{target.name} of {self.name} is not as the manifest says: "
                f"{'; '.join(proof.reasons)}. Nobody can write to it; delete it, and restore "
                "another snapshot"
            )
        self.client.request("PUT", f"/{target.name}/_settings", {WRITE_BLOCK: None})
        self._mark(self.pending() - {target.name})
        return proof

    def pending(self) -> set[str]:
        """Return the indices that a restore began and has not proved."""
        found = self.client.request("GET", "/_cluster/settings", flat_settings="true")
        return set(str(found["persistent"].get(RESTORING, "")).split(",")) - {""}

    def _mark(self, names: set[str]) -> None:
        value = ",".join(sorted(names)) or None
        self.client.request("PUT", "/_cluster/settings", {"persistent": {RESTORING: value}})


def index_state(client: Client, name: str) -> str:
    """Return absent, open or close.

    :raises OpenSearchError: where the name is an alias
    """
    listed = client.get(
        f"/_cluster/state/metadata/{name}",
        filter_path="metadata.indices.*.state",
        expand_wildcards="all",
    )
    indices = ((listed or {}).get("metadata") or {}).get("indices") or {}
    if indices and name not in indices:
        raise OpenSearchError(f"{name} is an alias of {', '.join(sorted(indices))}")
    return str(indices[name]["state"]) if name in indices else "absent"


def read_repository(client: Client, name: str) -> dict[str, Any] | None:
    """Return a repository's type and settings, or None."""
    answer = client.get(f"/_snapshot/{name}")
    if not answer or name not in answer:
        return None
    return {"type": answer[name]["type"], "settings": flatten(answer[name].get("settings") or {})}


def verify_repository(client: Client, name: str) -> list[str]:
    """Return the nodes that can read and write a repository, which must be all that have to.

    :raises OpenSearchError: where one cannot
    """
    answer = client.request("POST", f"/_snapshot/{name}/_verify")
    able = {node["name"] for node in answer["nodes"].values()}
    listed = client.request("GET", "/_nodes/_all/process", filter_path="nodes.*.name,nodes.*.roles")
    needed = {
        node["name"]
        for node in listed["nodes"].values()
        if {"data", "cluster_manager", "master"} & set(node["roles"])
    }
    if needed - able:
        raise OpenSearchError(f"{', '.join(sorted(needed - able))} cannot use repository {name}")
    return sorted(able)
