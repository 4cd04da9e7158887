"""Read a folder of other people's files as an ingest does, and compare with their own suites.

    python bench/cases.py FOLDER [--list N] [--only KIND]

Ends with 1 where a disagreement is not argued, or something is argued that nothing disagrees with.

Everything goes through the ingest and the reader of documents in its own process, under their
limits; OpenSearch is stood for by a dictionary, the web and the store of files by nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import fnmatch
import hashlib
import logging
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import psutil
from expectations import Outcome, Verdict, judge

from research_app.extract.extraction import Extraction, OwnService
from research_app.files import FileStore
from research_app.ingest import Ingest
from research_app.refusal import RefusedError
from research_app.report import kind_of, sort_of
from research_app.sources import UnknownSourceError, arxiv, open_source, youtube
from research_app.sources.document import Source
from research_app.sources.tools import Tools

MANIFEST = "MANIFEST.tsv"
ARGUED = Path(__file__).with_name("cases_argued.tsv")
ELSEWHERE = "scripts/cases fetches nothing"


class Memory:
    """What an ingest asks of OpenSearch, over a dictionary that is empty at first."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.indices = self

    async def mget(self, **_: Any) -> dict[str, Any]:
        return {"docs": []}

    async def bulk(self, body: bytes, index: str, **_: Any) -> dict[str, Any]:
        if index != "cases":  # what is refused is in the report
            return {"errors": False, "items": []}
        lines = body.splitlines()
        keys = [orjson.loads(line)["index"]["_id"] for line in lines[::2]]
        self.documents.update(zip(keys, map(orjson.loads, lines[1::2]), strict=True))
        return {"items": [{"index": {"status": 201}} for _ in keys]}

    async def nothing(self, **_: Any) -> dict[str, Any]:
        return {}

    exists = create = put_mapping = refresh = nothing


class NoFiles(FileStore):
    """Says under which key a file would be kept."""

    def put(self, content: Path | bytes, suffix: str = "") -> str:
        data = content.read_bytes() if isinstance(content, Path) else content
        return hashlib.sha256(data).hexdigest() + suffix.lower()


class Web:
    """Fetches nothing, but for an answer that is at hand."""

    enabled, saves_recordings = True, False

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.charset = None
        self.url = ""

    def get(self, *_: Any, **__: Any) -> Web:
        if self.content is None:
            raise RefusedError(ELSEWHERE)
        return self

    save = get


class Informant:
    """What yt-dlp said of a video or a channel."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def information(self, _: str) -> dict[str, Any]:
        """The same, again."""
        found: dict[str, Any] = orjson.loads(self._path.read_bytes())
        return found


@dataclass
class Case:
    """One file of a folder, and what its manifest expects of it."""

    path: Path
    kind: str
    suite: str
    expected: str


@dataclass
class Argument:
    """Why a disagreement is meant: the files, how its sentence begins, and the reason."""

    files: str
    begins: str
    reason: str
    # files of that name that were read, and disagreements that it met
    read: int = 0
    met: int = 0

    def meets(self, name: str, sentence: str) -> bool:
        """Whether a disagreement is the one that is argued."""
        return fnmatch.fnmatchcase(name, self.files) and sentence.startswith(self.begins)


def arguments_of(path: Path) -> list[Argument]:
    """The list of them, without its head."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Argument(*row) for row in rows if row][1:]


@dataclass
class Row:
    """What came of the files of one suite."""

    files: int = 0
    taken: int = 0
    mended: int = 0
    refused: int = 0
    elsewhere: int = 0
    unread: int = 0
    judged: int = 0
    disagree: int = 0
    argued: int = 0
    slowest: float = 0.0
    slowest_name: str = ""
    reasons: Counter[str] = field(default_factory=Counter)
    mendings: Counter[str] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)


def cases(root: Path) -> Iterator[Case]:
    """Every file below a folder, in a stable order."""
    for manifest in sorted(root.rglob(MANIFEST)):
        folder = manifest.parent
        expected = dict(_expected(manifest))
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if not path.is_file() or path.name in (MANIFEST, "README.md"):
                continue
            suite = name.partition("/")[0] if "/" in name else ""
            yield Case(path, folder.name, suite, expected.get(name, ""))


def _expected(manifest: Path) -> Iterator[tuple[str, str]]:
    with manifest.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            for name in re.split(r",? (?=\S+\.\w+$|\S+\.\w+ )|, ", row[0]):
                yield name.strip(), row[-1]


def opened(case: Case, extraction: Extraction) -> Source:
    """The source that a file is; answers of catalogues go to those who ask them."""
    tools = Tools(fetcher=Web(), extraction=extraction)  # type: ignore[arg-type]
    if case.suite == "arxiv-api":
        tools = Tools(fetcher=Web(case.path.read_bytes()), extraction=extraction)  # type: ignore[arg-type]
        return Source(_one_page(arxiv.read("arxiv:words", "paper", tools)), arxiv.PAGE)
    if case.kind == "video-info" or case.path.name.endswith(".info.json"):
        url = "https://www.youtube.com/watch?v=none"
        informant = Informant(case.path)
        return Source(youtube.read_address(url, "video", tools, informant=informant), 16)
    return open_source(case.path, "paper", tools)


def _one_page(items: Iterator[Any]) -> Iterator[Any]:
    """Of an answer that says that there are more, only what is in it."""
    seen: set[str] = set()
    for item in items:
        if (key := getattr(item, "id", "")) in seen:
            return
        seen |= {key} if key else set()
        yield item


def outcome(case: Case, extraction: Extraction) -> Outcome:
    """What an ingest of one file would report."""
    client, found = Memory(), Outcome()
    ingest = Ingest(client, "cases", NoFiles(Path("/nonexistent")), extraction=extraction)  # type: ignore[arg-type]
    try:
        # without a root nothing is looked for in the quarantine
        asyncio.run(ingest.run(replace(opened(case, extraction), root="")))
    except UnknownSourceError:
        found.no_reader = True
        return found
    except Exception as error:
        found.refused.append(f"FAULT {type(error).__name__}: {error}")
    report = ingest.report
    reasons = [refusal.reason for refusal in report.refusals]
    found.elsewhere = sum(ELSEWHERE in reason for reason in reasons)
    found.refused += [reason for reason in reasons if ELSEWHERE not in reason]
    found.taken = report.taken
    found.mended = [mending.what for mending in report.mendings]
    found.mended_documents = report.mended
    found.documents = sorted(client.documents.values(), key=_place)
    return found


def _place(document: dict[str, Any]) -> tuple[int, str]:
    number = document["source"].rpartition(":")[2]
    return int(number) if number.isdecimal() else 0, document["source"]


class Spent:
    """The processor time of the processes that read."""

    def seconds(self) -> float:
        """All of it so far."""
        total = 0.0
        for process in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.children_user + times.children_system
        return total


def examine(case: Case, extraction: Extraction, row: Row, argued: list[Argument]) -> None:
    """Read one file and add what came of it to its row."""
    spent, before = Spent(), Spent().seconds()
    found = outcome(case, extraction)
    seconds = spent.seconds() - before
    row.files += 1
    row.unread += found.no_reader
    row.taken += found.taken
    row.mended += found.mended_documents
    row.refused += len(found.refused)
    row.elsewhere += found.elsewhere
    kind = kind_of(case.path.name)
    row.reasons.update(sort_of(reason, kind) for reason in found.refused)
    row.mendings.update(sort_of(fault, kind) for fault in found.mended)
    if seconds > row.slowest:
        row.slowest, row.slowest_name = seconds, case.path.name
    try:
        verdict = judge(case.kind, case.path, case.expected, found)
    except Exception as error:  # an expectation of a form that nobody thought of
        verdict = Verdict(1, [f"cannot be judged: {type(error).__name__}: {error}"])
    row.judged += verdict.judged
    name = case.path.name
    for each in argued:
        each.read += fnmatch.fnmatchcase(name, each.files)
    for sentence in verdict.disagreements:
        row.disagree += 1
        meeting = [each for each in argued if each.meets(name, sentence)]
        for each in meeting:
            each.met += 1
        if meeting:
            row.argued += 1
        else:
            row.disagreements.append(f"{name}: {sentence}")


COLUMNS = (
    "files",
    "taken",
    "mended",
    "refused",
    "elsewhere",
    "unread",
    "judged",
    "disagree",
    "argued",
)


def print_table(rows: dict[tuple[str, str], Row]) -> None:
    """One line for each suite, as Markdown."""
    print("| kind |", " | ".join(COLUMNS), "| most CPU s |")
    print("|---|" + "---:|" * (len(COLUMNS) + 1))
    for (kind, suite), row in rows.items():
        numbers = " | ".join(f"{getattr(row, name):,}" for name in COLUMNS)
        name = f"{kind}/{suite}" if suite else kind
        print(f"| {name} | {numbers} | {row.slowest:.2f} {row.slowest_name[:40]} |")
    totals = " | ".join(f"{sum(getattr(row, name) for row in rows.values()):,}" for name in COLUMNS)
    print(f"| all | {totals} | {max((row.slowest for row in rows.values()), default=0):.2f} |")


def print_reasons(rows: dict[tuple[str, str], Row], most: int) -> None:
    """Why things were refused, how they were mended, and where the suites disagree."""
    for (kind, suite), row in rows.items():
        if not (row.reasons or row.mendings or row.disagreements):
            continue
        print(f"\n{kind}/{suite}")
        for label, counts in (("refused", row.reasons), ("mended", row.mendings)):
            for reason, count in counts.most_common(most):
                print(f"  {label} {count:>5}  {reason}")
        for sentence in row.disagreements[:most]:
            print(f"  disagrees      {sentence}")
        if (more := len(row.disagreements) - most) > 0:
            print(f"  disagrees      and {more} more")


def print_arguments(rows: dict[tuple[str, str], Row], argued: list[Argument]) -> bool:
    """How much is argued, and what is argued in vain; whether all of it is as it should be."""
    disagree, met = (sum(getattr(row, name) for row in rows.values()) for name in COLUMNS[-2:])
    stale = [each for each in argued if each.read and not each.met]
    print(f"\n{disagree} disagreements: {met} argued, {disagree - met} not")
    for each in stale:
        print(f"  argued in vain  {each.files}: nothing says any more {each.begins!r}")
    return disagree == met and not stale


def main() -> None:
    """Read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--list", type=int, default=20)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # what it says is counted below
    argued = arguments_of(ARGUED)
    start = time.monotonic()
    service = OwnService()
    rows: dict[tuple[str, str], Row] = {}
    try:
        for case in cases(arguments.folder):
            if not arguments.only or case.kind == arguments.only:
                row = rows.setdefault((case.kind, case.suite), Row())
                examine(case, Extraction(own=service), row, argued)
    finally:
        service.end()
    print_table(rows)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"\n{time.monotonic() - start:.0f} s; the greediest process of a reader took {memory} MB")
    print_reasons(rows, arguments.list)
    if not print_arguments(rows, argued):
        sys.exit(1)


if __name__ == "__main__":
    main()
