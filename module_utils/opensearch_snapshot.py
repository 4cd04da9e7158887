"""Judge snapshots: what a manifest says, which ones may go, what a restore must do and has proved.

A manifest is kept in the snapshot's own metadata. It is made before the snapshot, while people may
go on writing, so it speaks of the documents up to a checkpoint: the sequence number that each shard
had processed. Whatever came later has a higher number, also within the snapshot, and is known
by that.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.opensearch_client import OpenSearchError

SAMPLES = 64
# The server refuses metadata of 1024 bytes and more.
MOST_METADATA = 1023
MARK = "research_stack"
SECURITY_INDEX = ".opendistro_security"
GOOD = "SUCCESS"
RUNNING = "IN_PROGRESS"
DAY = 86400


@dataclass(frozen=True)
class Record:
    """An index up to a checkpoint: documents, checkpoint by shard, digest of the sampled ones."""

    documents: int
    checkpoints: tuple[int, ...]
    digest: str

    @property
    def never_written(self) -> bool:
        """Say whether nobody has ever written to the index."""
        return self.documents == 0 and all(number < 0 for number in self.checkpoints)


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds, as measured on the cluster that it was taken of."""

    server: str
    indices: dict[str, Record]

    def metadata(self) -> dict[str, Any]:
        """Return the metadata for the snapshot.

        :raises OpenSearchError: where the server would not take it
        """
        indices = {
            name: [record.documents, list(record.checkpoints), record.digest]
            for name, record in sorted(self.indices.items())
        }
        found = {MARK: {"server": self.server, "indices": indices}}
        size = len(json.dumps(found, separators=(",", ":")).encode())
        if size > MOST_METADATA:
            raise OpenSearchError(
                f"the manifest of {len(indices)} indices takes {size} bytes and a snapshot keeps "
                f"{MOST_METADATA}: name fewer indices, and take the others into another snapshot"
            )
        return found

    @classmethod
    def read(cls, metadata: Any) -> Manifest | None:
        """Return the manifest in a snapshot's metadata; None where there is none to be read."""
        try:
            found = metadata[MARK]
            indices = {
                name: Record(int(documents), tuple(int(n) for n in checkpoints), str(digest))
                for name, (documents, checkpoints, digest) in found["indices"].items()
            }
            return cls(str(found["server"]), indices)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def without_sample(self, names: Iterable[str]) -> Manifest:
        """Return a manifest that says nothing of the content of some indices."""
        unsure = set(names)
        return Manifest(
            self.server,
            {
                name: Record(r.documents, r.checkpoints, "" if name in unsure else r.digest)
                for name, r in self.indices.items()
            },
        )


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as its repository lists it."""

    name: str
    state: str
    started: float
    indices: tuple[str, ...] = ()
    manifest: Manifest | None = None

    @property
    def good(self) -> bool:
        """Say whether everything can be restored from it, and be proved."""
        return self.state == GOOD and self.manifest is not None

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Snapshot:
        """Read one entry of the repository's list.

        :raises OpenSearchError: where it is no snapshot
        """
        try:
            return cls(
                name=str(answer["snapshot"]),
                state=str(answer["state"]),
                started=int(answer["start_time_in_millis"]) / 1000,
                indices=tuple(sorted(answer.get("indices") or ())),
                manifest=Manifest.read(answer.get("metadata")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OpenSearchError("the repository's list of snapshots is unreadable") from error


def sample_points(checkpoint: int, number: int) -> list[int]:
    """Return sequence numbers, evenly spread from 0 to a checkpoint; all of them if they are few.

    The document sampled for a point is the first one at or after it.
    """
    total = checkpoint + 1
    return sorted({point * total // number for point in range(number)}) if total > 0 else []


def digest_of(documents: Iterable[Mapping[str, Any]]) -> str:
    """Hash documents as searches return them: identity and content, in the order of the shards."""
    total = hashlib.sha256()
    for document in documents:
        content = [document["_id"], document.get("_routing"), document.get("_source")]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        total.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return total.hexdigest()[:16]


@dataclass(frozen=True)
class Proof:
    """Whether an index holds what the manifest says, and what was written since."""

    reasons: tuple[str, ...] = ()
    writes: int = 0

    @property
    def ok(self) -> bool:
        """Say whether it does."""
        return not self.reasons


def prove(recorded: Record, found: Record) -> Proof:
    """Compare an index with its record.

    :param found: measured up to the record's checkpoints, with the checkpoints of now
    """
    if len(recorded.checkpoints) != len(found.checkpoints):
        shards = f"{len(found.checkpoints)} shards instead of {len(recorded.checkpoints)}"
        return Proof((f"it has {shards}",))
    pairs = list(zip(recorded.checkpoints, found.checkpoints, strict=True))
    lost = sum(max(before - now, 0) for before, now in pairs)
    writes = sum(max(now - before, 0) for before, now in pairs)
    missing = recorded.documents - found.documents
    reasons = []
    if lost:
        reasons.append(f"the last {lost} operations are missing")
    # Each later operation can have replaced or deleted one of the recorded documents, and no more.
    if not 0 <= missing <= writes:
        reasons.append(f"it has {found.documents} documents instead of {recorded.documents}")
    if recorded.digest and recorded.digest != found.digest:
        reasons.append("the content of its sampled documents is another")
    return Proof(tuple(reasons), writes)


def newest_good(snapshots: Iterable[Snapshot]) -> Snapshot | None:
    """Return the newest snapshot from which everything can be restored, or None."""
    return max(
        (snapshot for snapshot in snapshots if snapshot.good),
        key=lambda snapshot: (snapshot.started, snapshot.name),
        default=None,
    )


def choose(snapshots: Sequence[Snapshot], name: str = "") -> Snapshot:
    """Return the snapshot to restore: the named one, or the newest good one.

    :raises OpenSearchError: where there is none, or the named one is not good
    """
    if not name:
        newest = newest_good(snapshots)
        if newest is None:
            raise OpenSearchError("the repository holds no complete snapshot with a manifest")
        return newest
    found = [snapshot for snapshot in snapshots if snapshot.name == name]
    if not found:
        raise OpenSearchError(f"the repository holds no snapshot {name}")
    if not found[0].good:
        raise OpenSearchError(why_not_good(found[0]))
    return found[0]


def why_not_good(snapshot: Snapshot) -> str:
    """Say why a snapshot cannot be trusted."""
    if snapshot.state != GOOD:
        return f"snapshot {snapshot.name} is {snapshot.state}, not {GOOD}"
    return f"snapshot {snapshot.name} has no manifest: nothing restored from it could be proved"


def plan_prune(
    snapshots: Sequence[Snapshot], now: float, keep: int = 0, max_age: int = 0
) -> dict[str, str]:
    """Say which snapshots may go, and why. The newest good one never does.

    Snapshots without a manifest are somebody else's, and running ones are left alone.

    :param keep: how many good ones stay; 0 for any number
    :param max_age: days that one is kept; 0 for ever
    """
    newest = newest_good(snapshots)
    if newest is None:
        return {}
    ours = [s for s in snapshots if s.manifest is not None and s.state != RUNNING and s != newest]
    ranked = sorted(ours, key=lambda snapshot: (snapshot.started, snapshot.name), reverse=True)
    good = 1
    doomed = {}
    for snapshot in ranked:
        days = (now - snapshot.started) / DAY
        if not snapshot.good:
            # What failed after the newest good one is evidence; what failed before it is waste.
            if snapshot.started < newest.started:
                doomed[snapshot.name] = f"{snapshot.state}, and a later one is complete"
        elif max_age and days > max_age:
            doomed[snapshot.name] = f"older than {max_age} days"
        elif keep and good >= keep:
            doomed[snapshot.name] = f"{keep} newer ones are complete"
        else:
            good += 1
    return doomed


@dataclass(frozen=True)
class Target:
    """The index into which one of a snapshot's indices is restored, as it is found."""

    source: str
    name: str
    state: str = "absent"  # absent, open or close
    found: Record | None = None
    ours: bool = False  # a restore of ours began and has not been proved


@dataclass
class RestorePlan:
    """What is to be done with each target."""

    restore: list[Target] = field(default_factory=list)
    # Was never written to: removed first.
    replace: list[Target] = field(default_factory=list)
    # The security index, which its plugin makes: closed first.
    close: list[Target] = field(default_factory=list)
    # Restored by a run that did not come to the proof.
    resume: list[Target] = field(default_factory=list)
    done: list[Target] = field(default_factory=list)

    @property
    def to_restore(self) -> list[Target]:
        """Return what goes into the request."""
        return [*self.restore, *self.replace, *self.close]


def select(
    manifest: Manifest, patterns: Sequence[str], rename: str = "", security: bool = False
) -> dict[str, str]:
    """Return which indices of a snapshot are restored, and under which name.

    Indices of the system are so only where a pattern beginning with a dot names them, and the
    security index only where it is asked for.

    :raises OpenSearchError: where nothing is left, or one name is to hold several
    """
    chosen = []
    for name in sorted(manifest.indices):
        fitting = [p for p in patterns if fnmatch.fnmatchcase(name, p)]
        if name == SECURITY_INDEX:
            if security:
                chosen.append(name)
        elif any(not name.startswith(".") or p.startswith(".") for p in fitting):
            chosen.append(name)
    if security and SECURITY_INDEX not in chosen:
        raise OpenSearchError("the snapshot does not hold the security index")
    if not chosen:
        held = ", ".join(sorted(manifest.indices)) or "nothing"
        raise OpenSearchError(f"no index of the snapshot is called so; it holds {held}")
    if rename and len(chosen) > 1:
        raise OpenSearchError(f"only one index can become {rename}, not {', '.join(chosen)}")
    return {name: rename or name for name in chosen}


def plan_restore(name: str, manifest: Manifest, targets: Sequence[Target]) -> RestorePlan:
    """Decide what is to be done with each target.

    :param name: of the snapshot
    :raises OpenSearchError: where an open index with other documents would be overwritten
    """
    plan = RestorePlan()
    refused = []
    for target in targets:
        recorded = manifest.indices[target.source]
        if target.state in {"absent", "close"}:
            plan.restore.append(target)
        elif target.ours:
            plan.resume.append(target)
        elif target.found is not None and prove(recorded, target.found).ok:
            plan.done.append(target)
        elif target.name == SECURITY_INDEX:
            plan.close.append(target)
        elif target.found is not None and target.found.never_written:
            plan.replace.append(target)
        else:
            refused.append(target.name)
    if refused:
        raise OpenSearchError(
            f"{', '.join(refused)} is open and holds other documents than snapshot {name}: "
            "restore under another name, or close or delete it first"
        )
    return plan


SECRET_WORDS = ("key", "secret", "password", "token")
HIDDEN = "********"


def is_secret(setting: str) -> bool:
    """Say whether a repository's setting is one that must not be shown."""
    return any(word in setting.lower().rpartition(".")[2] for word in SECRET_WORDS)


def shown(repository: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a repository as it may be shown."""
    if repository is None:
        return None
    settings = repository["settings"]
    return {
        "type": repository["type"],
        "settings": {key: HIDDEN if is_secret(key) else settings[key] for key in sorted(settings)},
    }


def differs(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Say whether a repository is another than the wanted one.

    A secret that the server does not show counts as the wanted one.
    """
    if found is None or found["type"] != wanted["type"]:
        return True
    hidden = {key for key in wanted["settings"] if is_secret(key) and key not in found["settings"]}
    expected = {key: value for key, value in wanted["settings"].items() if key not in hidden}
    return bool(found["settings"] != expected)
