from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pdfs import encrypted, pdf

from research_app.extract import pool, worker
from research_app.extract.pdf import (
    abstract_from,
    authors_from,
    extract,
    join_hyphenated,
    title_from,
    year_from,
)
from research_app.extract.pool import ExtractionPool
from research_app.files import FileStore
from research_app.sources import pdf_folder
from research_app.sources.document import Candidate, Refusal, RefusedError, Workshop

GOOD = pdf("The first page\nspeaks of zebras", "The second of giraffes")

BAD = [
    (b"", "the file is empty"),
    (b"<html>not here</html>", "not a PDF, whatever its name says"),
    (b"%PDF-1.7\ngarbage", "damaged: it cannot be opened as a PDF"),
    (GOOD[: len(GOOD) // 3], "damaged"),
    (encrypted(GOOD), "encrypted: a password is needed"),
    (pdf(""), "no text in it"),
]


def taken(folder: Path) -> dict[str, dict[str, Any] | str]:
    """File → fields, or the reason why not."""

    async def run() -> dict[str, dict[str, Any] | str]:
        found: dict[str, dict[str, Any] | str] = {}
        async with ExtractionPool(1) as extraction:
            workshop = Workshop(extraction.extract, FileStore(folder / ".store"))
            for item in pdf_folder.read(folder, "paper"):
                if isinstance(item, Refusal):
                    found[item.source] = item.reason
                    continue
                try:
                    found[item.source] = {
                        "id": item.id,
                        **await item.load(workshop),
                    }
                except RefusedError as error:
                    found[item.source] = str(error)
        return found

    return asyncio.run(run())


def test_bad_files_are_refused_each_with_its_reason(tmp_path: Path) -> None:
    for number, (content, _) in enumerate(BAD):
        (tmp_path / f"bad{number}.pdf").write_bytes(content)
    (tmp_path / "good.PDF").write_bytes(GOOD)
    (tmp_path / "notes.txt").write_text("not mine")
    found = taken(tmp_path)
    for number, (_, reason) in enumerate(BAD):
        refused = found.pop(f"bad{number}.pdf")
        assert isinstance(refused, str)
        assert refused.startswith(reason)
    good = found.pop("good.PDF")
    assert isinstance(good, dict)
    assert good["title"] == "good"
    assert good["pages"] == 2
    assert "zebras" in good["passages"][0]["text"]
    assert "giraffes" in good["passages"][1]["text"]
    assert not found


def test_what_is_known_beside_the_files_wins(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (below / "a.pdf").write_bytes(pdf("words", information={"Title": "Its own", "Author": "A. X."}))
    record = {"file": "a.pdf", "title": "The librarian's", "doi": "10.1/a", "year": 2021}
    (below / "metadata.jsonl").write_text("broken\n" + json.dumps(record) + "\n[]\n")
    (fields,) = taken(tmp_path).values()
    assert isinstance(fields, dict)
    assert fields["id"] == "10.1/a"
    assert fields["title"] == "The librarian's"
    assert fields["authors"] == ("A. X.",)
    assert fields["url"] == "https://doi.org/10.1/a"


def test_bad_metadata_refuses_its_file_only(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(GOOD)
    (tmp_path / "b.pdf").write_bytes(pdf("other words"))
    (tmp_path / "metadata.jsonl").write_text('{"file": "a.pdf", "year": "soon"}')
    found = taken(tmp_path)
    assert str(found["a.pdf"]).startswith("year: ")
    assert isinstance(found["b.pdf"], dict)


def test_the_identity_is_the_content_not_the_name(tmp_path: Path) -> None:
    for name in ("one.pdf", "two.pdf"):
        (tmp_path / name).write_bytes(GOOD)
    one, two = pdf_folder.read(tmp_path, "paper")
    assert isinstance(one, Candidate)
    assert isinstance(two, Candidate)
    assert one.id == two.id
    assert one.content_hash == two.content_hash


def test_nothing_is_extracted_until_it_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\ngarbage")
    (item,) = pdf_folder.read(tmp_path, "paper")
    assert isinstance(item, Candidate)


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("On the Origin", "On the Origin"),
        ("Microsoft Word - thesis.doc", ""),
        ("untitled", ""),
        ("paper.dvi", ""),
        ("a", ""),
        ("", ""),
    ],
)
def test_titles_left_by_programs(given: str, title: str) -> None:
    assert title_from({"Title": given}) == title


def test_names_and_years() -> None:
    assert authors_from({"Author": "A. One; B. Two and C. Three, D. Four"}) == [
        "A. One",
        "B. Two",
        "C. Three",
        "D. Four",
    ]
    assert year_from({"CreationDate": "D:20190304120000Z"}) == 2019
    assert year_from({"CreationDate": "yesterday"}) is None


def test_hyphens_and_abstracts() -> None:
    assert (
        join_hyphenated("a neu-\r\nral model, a well-\nKnown") == "a neural model, a well-\nKnown"
    )
    text = "Title\nAbstract\n" + "All about it. " * 20 + "\n1 Introduction\nNo."
    assert abstract_from(text) == ("All about it. " * 20).strip()
    assert abstract_from("no such heading") == ""


def test_own_information(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf("words", information={"Title": "A title", "Author": "A. B."}))
    fields = extract(path)
    assert fields["title"] == "A title"
    assert fields["authors"] == ["A. B."]


def test_a_worker_that_dies_or_hangs_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the worker that crashes or hangs when the file's name says so."""
    stub = tmp_path / "stub.py"
    stub.write_text(
        "import os, sys, time\n"
        "for line in sys.stdin:\n"
        "    if 'crash' in line: os.abort()\n"
        "    if 'hang' in line: time.sleep(60)\n"
        "    print('{\"fields\": {}}', flush=True)\n"
    )
    monkeypatch.setattr(pool, "COMMAND", (str(stub),))

    async def run() -> list[str]:
        outcomes = []
        async with ExtractionPool(1, seconds=2) as extraction:
            for name in ("crash.pdf", "fine.pdf", "hang.pdf", "fine.pdf"):
                try:
                    outcomes.append(str(await extraction.extract(tmp_path / name)))
                except RefusedError as error:
                    outcomes.append(str(error))
        return outcomes

    assert asyncio.run(run()) == [
        "damaged: it crashes the PDF reader",
        "{}",
        "reading it takes over 2 seconds",
        "{}",
    ]


def test_the_worker_answers_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> dict[str, Any]:
        raise KeyError("x")

    monkeypatch.setattr(worker, "extract", broken)
    assert worker.answer(tmp_path) == b'{"refused":"cannot be read (KeyError)"}'
