from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy.exceptions import ConnectionError as UnreachableError
from opensearchpy.exceptions import RequestError, TransportError

from research_app import ingest
from research_app.files import FileStore
from research_app.index.client import IndexUnavailableError
from research_app.ingest import Ingest, Write, split
from research_app.refusal import NotNowError
from research_app.report import MAX_SORTS, Report, lines, sort_of
from research_app.sources.document import Candidate, Refusal, RefusedError, Source, ready, validated
from research_app.sources.outcome import FAULT

# what OpenSearch 3 says of an index when a disk is over the flood stage
FULL = {
    "type": "cluster_block_exception",
    "reason": "index [library] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage"
    " watermark, index has read-only-allow-delete block];",
}


class FakeIndex:
    """The three calls that an ingest makes, over a dictionary."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.failures: list[Exception] = []
        self.busy: dict[str, int] = {}
        self.refused: set[str] = set()
        self.invalid: set[str] = set()
        self.full = False
        self.bulks = 0
        self.refreshed = 0
        self.indices = self

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    async def mget(self, body: Any, **_: Any) -> dict[str, Any]:
        self._fail()
        assert body["ids"]  # OpenSearch refuses to look for nothing
        return {
            "docs": [
                {"_id": identity, "found": True, "_source": self.documents[identity]}
                if identity in self.documents
                else {"_id": identity, "found": False}
                for identity in body["ids"]
            ]
        }

    async def bulk(self, body: bytes, index: str, **_: Any) -> dict[str, Any]:
        self._fail()
        if index.endswith("-quarantine"):
            return {"errors": False, "items": []}
        self.bulks += 1
        lines = body.splitlines()
        if self.invalid & {orjson.loads(action)["index"]["_id"] for action in lines[::2]}:
            reason = {"type": "action_request_validation_exception", "reason": "too long"}
            raise RequestError(400, reason["type"], {"error": reason, "status": 400})
        return {
            "items": [
                {"index": self._put(orjson.loads(action)["index"]["_id"], orjson.loads(source))}
                for action, source in zip(lines[::2], lines[1::2], strict=True)
            ]
        }

    def _put(self, identity: str, source: dict[str, Any]) -> dict[str, Any]:
        if self.busy.get(identity, 0) > 0:
            self.busy[identity] -= 1
            return {"status": 429, "error": {"reason": "queue is full"}}
        if self.full:
            return {"status": 429, "error": FULL}
        if identity in self.refused:
            return {"status": 400, "error": {"type": "x", "caused_by": {"reason": "no such field"}}}
        self.documents[identity] = source
        return {"status": 201}

    async def exists(self, **_: Any) -> bool:
        return True

    async def put_mapping(self, **_: Any) -> None:
        pass

    async def delete_by_query(self, **_: Any) -> None:
        raise AssertionError  # these sources have no root

    async def refresh(self, **_: Any) -> None:
        self.refreshed += 1


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> FakeIndex:
    monkeypatch.setattr(ingest, "PAUSES", (0.001,) * 3)
    return FakeIndex()


def paper(identity: str, **changes: Any) -> Candidate:
    document = validated({"id": identity, "kind": "paper", "title": "T", **changes})
    return ready(document, f"p.jsonl:{identity}")


FILES = FileStore(Path("/nonexistent"))  # nothing here has a file


def run(index: FakeIndex, *items: Candidate | Refusal, batch: int = 2) -> Report:
    return run_from(index, Source(iter(items), batch))


def run_from(index: FakeIndex, source: Source) -> Report:
    return asyncio.run(Ingest(index, "library", FILES).run(source))  # type: ignore[arg-type]


def reasons(report: Report) -> list[str]:
    return [refusal.reason for refusal in report.refusals]


def test_new_then_unchanged_then_changed(index: FakeIndex) -> None:
    papers = [paper(str(number)) for number in range(5)]
    assert str(run(index, *papers)) == "5 new, 0 unchanged, 0 refused"
    assert index.refreshed == 1
    bulks = index.bulks
    assert str(run(index, *papers)) == "0 new, 5 unchanged, 0 refused"
    assert (index.bulks, index.refreshed) == (bulks, 1)  # nothing was written
    report = run(index, *papers[:4], paper("4", title="Another"))
    assert str(report) == "0 new, 1 changed, 4 unchanged, 0 refused"
    assert index.documents["4"]["title"] == "Another"


def test_what_is_written(index: FakeIndex) -> None:
    run(index, paper("1", year=2020))
    stored = index.documents["1"]
    assert stored.pop("ingested_at")
    assert len(stored.pop("content_hash")) == 64
    assert stored == {"kind": "paper", "title": "T", "year": 2020, "source": "p.jsonl:1"}


def test_an_interrupted_run_goes_on_where_it_stopped(index: FakeIndex) -> None:
    papers = [paper(str(number)) for number in range(6)]
    run(index, *papers[:3])
    assert str(run(index, *papers)) == "3 new, 3 unchanged, 0 refused"


def test_a_source_that_stops_answering_keeps_what_it_gave(index: FakeIndex) -> None:
    def cut_off() -> Iterator[Candidate | Refusal]:
        yield from (paper("1"), paper("2"), paper("3"))
        raise NotNowError("example.org answers 503", 7)

    with pytest.raises(NotNowError) as caught:
        run_from(index, Source(cut_off(), 2))
    assert caught.value.seconds == 7
    assert set(index.documents) == {"1", "2", "3"}
    assert index.refreshed == 1


def test_two_documents_with_one_id(index: FakeIndex) -> None:
    report = run(index, paper("1"), paper("1"), paper("1", title="Another"))
    assert (report.new, report.unchanged) == (1, 1)
    assert reasons(report) == ["another document in this run has the id 1"]


def test_an_id_of_another_kind_is_not_overwritten(index: FakeIndex) -> None:
    run(index, paper("1"))
    report = run(index, paper("1", kind="video"))
    assert reasons(report) == ["the id 1 belongs to a paper"]
    assert index.documents["1"]["kind"] == "paper"


def test_refusals_stop_nothing(index: FakeIndex) -> None:
    async def load(_: Any) -> dict[str, Any]:
        raise RefusedError("encrypted")

    index.refused.add("2")
    bad = Candidate("9", "paper", "a.pdf", "hash", load)
    report = run(index, Refusal("b.pdf", "empty"), bad, paper("1"), paper("2"), paper("3"))
    assert report.new == 2
    assert sorted(reasons(report)) == ["empty", "encrypted", "the index refuses it: no such field"]


def test_a_fault_of_ours_in_one_document_stops_nothing(index: FakeIndex) -> None:
    async def load(_: Any) -> dict[str, Any]:
        raise KeyError("nobody thought of it")

    report = run(index, Candidate("9", "paper", "a.pdf", "hash", load), paper("1"))
    assert report.new == 1
    assert report.refusals == [Refusal("a.pdf", FAULT)]


def test_nothing_but_refusals(index: FakeIndex) -> None:
    assert str(run(index, Refusal("a.pdf", "x"), Refusal("b.pdf", "x"))).endswith("2 refused")


def test_of_more_refusals_than_anybody_reads_the_first_are_kept(
    index: FakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("research_app.report.MAX_ENTRIES_PER_RUN", 2)
    report = run(index, *(Refusal("a.jsonl", str(number)) for number in range(5)))
    assert (report.refused, report.seen, reasons(report)) == (5, 5, ["0", "1"])


def test_what_a_whole_request_is_refused_for_stops_no_other(index: FakeIndex) -> None:
    index.invalid = {"3", "5"}
    report = run(index, *(paper(str(number)) for number in range(8)), batch=8)
    assert sorted(index.documents) == ["0", "1", "2", "4", "6", "7"]
    assert reasons(report) == ["the index refuses it: too long"] * 2


def test_what_the_cluster_is_too_busy_for_is_sent_again(index: FakeIndex) -> None:
    index.busy = {"1": 2, "3": 1}
    papers = [paper(str(number)) for number in range(5)]
    assert run(index, *papers, batch=5).new == 5
    assert index.bulks == 3


def test_a_node_that_goes_away_is_waited_for(index: FakeIndex) -> None:
    index.failures = [
        UnreachableError("N/A", "", Exception()),
        TransportError(503, "no master", {}),
        TransportError(429, "breaker", {}),
    ]
    assert run(index, paper("1")).new == 1


@pytest.mark.parametrize(
    "failures",
    [
        [UnreachableError("N/A", "", Exception())] * 40,
        [RequestError(403, "security_exception", {})] * 40,
    ],
)
def test_a_cluster_that_stays_away_ends_the_run(
    index: FakeIndex, failures: list[Exception]
) -> None:
    index.failures = failures
    with pytest.raises(IndexUnavailableError):
        run(index, paper("1"))


def test_a_cluster_that_goes_away_between_two_batches_ends_the_run(index: FakeIndex) -> None:
    def papers() -> Iterator[Candidate]:
        yield paper("1")
        while not index.documents:
            time.sleep(0.001)
        index.failures = [UnreachableError("N/A", "", Exception())] * 40
        yield paper("2")

    with pytest.raises(IndexUnavailableError, match="no node answers"):
        run_from(index, Source(papers(), 1))


def test_a_cluster_that_stays_busy_ends_the_run(index: FakeIndex) -> None:
    index.busy = {"1": 99}
    with pytest.raises(IndexUnavailableError):
        run(index, paper("1"))


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([], []),
        ([5], [[5]]),
        ([50], [[50]]),
        ([4, 4, 4], [[4, 4], [4]]),
        ([1, 50, 1], [[1], [50], [1]]),
    ],
)
def test_parts_stay_below_a_size(sizes: list[int], parts: list[list[int]]) -> None:
    writes = [Write(paper("1"), "new", b"x" * size) for size in sizes]

    def lengths(groups: Iterable[list[Write]]) -> list[list[int]]:
        return [[len(write.body) for write in group] for group in groups]

    assert lengths(split(writes, 10)) == parts


@pytest.mark.parametrize("as_a_whole", [False, True])
def test_a_full_disk_is_said_at_once_and_not_waited_for(
    index: FakeIndex, monkeypatch: pytest.MonkeyPatch, as_a_whole: bool
) -> None:
    monkeypatch.setattr(ingest, "PAUSES", (60,) * 3)
    index.full = not as_a_whole
    if as_a_whole:
        index.failures = [TransportError(429, FULL["type"], {"error": FULL, "status": 429})]
    with pytest.raises(IndexUnavailableError, match="disk of one of its nodes is full"):
        run(index, paper("1"))


def mended(identity: str, *faults: str) -> Candidate:
    document = validated({"id": identity, "kind": "paper", "title": "T"})
    return ready(document, f"{identity}.bib:1", faults)


def found_to_be_mended(identity: str, *faults: str) -> Candidate:
    async def load(_: Any) -> dict[str, Any]:
        return {"kind": "paper", "title": "T", "mended": list(faults)}

    return Candidate(identity, "paper", f"{identity}.srt", "hash", load)


def test_what_is_mended_is_told_and_not_stored(index: FakeIndex) -> None:
    report = run(index, mended("1", "no key"), found_to_be_mended("2", "no time", "no words"))
    assert (report.new, report.mended, str(report)) == (
        2, 2, "2 new, 0 unchanged, 0 refused, 2 mended",
    )  # fmt: skip
    told = sorted((mending.source, mending.what) for mending in report.mendings)
    assert told == [("1.bib:1", "no key"), ("2.srt", "no time"), ("2.srt", "no words")]
    assert "mended" not in index.documents["1"]
    assert "mended" not in index.documents["2"]


@pytest.mark.parametrize("make", [mended, found_to_be_mended])
def test_what_the_index_refuses_is_not_mended(index: FakeIndex, make: Any) -> None:
    index.refused = {"1"}
    report = run(index, make("1", "no key"))
    assert (report.refused, report.mended, report.mendings) == (1, 0, [])


def test_the_report_tells_each_kind_of_file(index: FakeIndex) -> None:
    report = run(
        index,
        mended("1", 'line 3: "a" is no macro'),
        mended("2", 'line 14: "b" is no macro'),
        paper("3"),
        Refusal("a.bib:7", "smith07: no title"),
        Refusal("a.bib:9", "jones12: no title"),
        Refusal("b/c.pdf", "the file is empty"),
        Refusal("https://example.org/feed.xml:3", "its transcript cannot be had"),
    )
    assert list(lines(report.kinds, {".docx": 2, ".tex": 3})) == [
        "BibTeX: 2 taken, 2 mended, 2 refused",
        "  mended 2: line N: … is no macro",
        "  refused 2: no title",
        "JSON lines: 1 taken, 0 mended, 0 refused",
        "PDF: 0 taken, 0 mended, 1 refused",
        "  refused 1: the file is empty",
        "the web: 0 taken, 0 mended, 1 refused",
        "  refused 1: its transcript cannot be had",
        "not read: 5 files of kinds that nothing here reads (3 .tex, 2 .docx)",
    ]


def test_of_many_reasons_the_first_are_told_apart() -> None:
    report = Report()
    for letter in "abcdefghijklmnopqrst":
        report.refuse(Refusal("a.pdf", letter))
        report.refuse(Refusal("a.pdf", letter))
    assert len(report.kinds["PDF"].why) == MAX_SORTS + 1
    assert sum(report.kinds["PDF"].why.values()) == 40


@pytest.mark.parametrize(
    ("sentence", "sort"),
    [
        ('line 12: "00:61:99 --> x" is not a time', "line N: … is not a time"),
        ("line 3, column 4", "line N, column N"),
        ("the id doi:10.1/x belongs to a video", "the id … belongs to a video"),
        ("not at https://host/feed?token=s3cret now", "not at … now"),
    ],
)
def test_equal_faults_are_one_sort_without_places_and_addresses(sentence: str, sort: str) -> None:
    assert sort_of(sentence) == sort
