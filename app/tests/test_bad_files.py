"""One of each kind of file that a library would rather not be given."""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pdfs import CATALOG, built, encrypted, one_page, pdf, stream, words
from reading import reading

from research_app.extract.extraction import OWN, Extraction
from research_app.extract.kinds import KINDS
from research_app.extract.papers import Papers
from research_app.files import FileStore
from research_app.sources import open_source, pdf_folder
from research_app.sources.document import Refusal, RefusedError, Workshop

GOOD = pdf("words of a good paper")
TEXT = words("words of a good paper").encode()


def taken(path: Path, extraction: Extraction = OWN) -> list[str]:
    """What becomes of each document of a path: its text, or the reason why not."""

    async def run() -> list[str]:
        outcomes = []
        workshop = Workshop(Papers(extraction).read, FileStore(path.parent / ".store"))
        for item in open_source(path, "paper").candidates:
            if isinstance(item, Refusal):
                outcomes.append(item.reason)
                continue
            try:
                fields = await item.load(workshop)
                outcomes.append(fields["passages"][0]["text"])
            except RefusedError as error:
                outcomes.append(str(error))
        return outcomes

    return asyncio.run(run())


def nested_arrays() -> bytes:
    return one_page(stream(TEXT, "/X " + "[" * 100_000 + "]" * 100_000))


def nested_states() -> bytes:
    return one_page(stream(b"q " * 200_000 + TEXT))


def nested_dictionaries() -> bytes:
    return one_page(stream(TEXT, "/X " + "<</A" * 50_000 + " 1 " + ">>" * 50_000))


def nested_pages() -> bytes:
    depth = 3000
    tree = [
        f"<< /Type /Pages /Kids [{n + 1} 0 R] /Count 1 /Parent {n - 1} 0 R >>".encode()
        for n in range(2, depth)
    ]
    return built(CATALOG, *tree, b"<< /Type /Page /MediaBox [0 0 9 9] >>")


def pages_of_themselves() -> bytes:
    return built(CATALOG, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 4 >>")


def form_in_itself() -> bytes:
    head = "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>"
    return one_page(
        stream(TEXT + b"/X Do"), stream(b"/X Do " * 9, head), resources="/XObject << /X 6 0 R >>"
    )


def packed_bomb() -> bytes:
    packer = zlib.compressobj(9)
    once = b"".join(packer.compress(b" " * (1 << 24)) for _ in range(64)) + packer.flush()
    return one_page(stream(zlib.compress(once), "/Filter [/FlateDecode /FlateDecode]"))


def too_many_pages() -> bytes:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"
    kids = " ".join(["3 0 R"] * 5001)
    return built(CATALOG, f"<< /Type /Pages /Kids [{kids}] /Count 5001 >>".encode(), page)


BAD: list[tuple[Callable[[], bytes], str]] = [
    (lambda: b"", "the file is empty"),
    (lambda: b"PK\x03\x04 a word processor's file", "not a PDF, whatever its name says"),
    (lambda: b"%PDF-1.7\n" + os.urandom(5000), "damaged: it cannot be opened as a PDF"),
    (lambda: GOOD[:300], "damaged"),
    (lambda: encrypted(GOOD), "encrypted: a password is needed to read it"),
    (
        lambda: pdf(""),
        "no text in it: a scan, which needs text recognition (OCR), or empty pages",
    ),
    (too_many_pages, "over 5000 pages"),
    (nested_dictionaries, "no text in it"),
    (nested_pages, "damaged"),
    (pages_of_themselves, "damaged"),
    (packed_bomb, "damaged: it crashes its reader, or needs more memory"),
]


@pytest.mark.parametrize(("make", "reason"), BAD)
def test_a_bad_file_is_refused_and_the_next_one_taken(
    tmp_path: Path, make: Callable[[], bytes], reason: str
) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "1-bad.pdf").write_bytes(make())
    (folder / "2-good.pdf").write_bytes(GOOD)
    bad, good = taken(folder)
    assert bad.startswith(reason)
    assert good == "words of a good paper"


@pytest.mark.parametrize("make", [nested_arrays, nested_states])
def test_what_is_odd_but_can_be_read(tmp_path: Path, make: Callable[[], bytes]) -> None:
    (tmp_path / "a.pdf").write_bytes(make())
    assert taken(tmp_path / "a.pdf") == ["words of a good paper"]


def test_a_file_that_takes_for_ever(tmp_path: Path) -> None:
    """Its reader is busy inside the library's own code, where no signal but the last one helps."""
    (tmp_path / "a.pdf").write_bytes(form_in_itself())
    hurried = replace(KINDS["pdf"], seconds=2)
    with reading(tmp_path, pdf=hurried) as (extraction, _):
        (reason,) = taken(tmp_path / "a.pdf", extraction)
    assert reason.startswith(("reading it takes over 2 seconds", "damaged: it crashes"))


def test_a_file_over_the_limit_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "huge.pdf"
    with path.open("wb") as file:
        file.write(GOOD)
        file.truncate(pdf_folder.MAX_BYTES + 1)  # no disk is used for it
    assert taken(path) == ["the file is over 512 MiB"]


def test_the_name_of_another_kind(tmp_path: Path) -> None:
    for name, reason in (
        ("a.bib", "no BibTeX entry in it"),
        ("a.jsonl", "not "),
    ):
        (tmp_path / name).write_bytes(GOOD)
        outcomes = taken(tmp_path / name)
        assert outcomes
        assert all(outcome.startswith(reason) for outcome in outcomes)
