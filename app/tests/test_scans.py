"""Text recognition: PDFs without a word in them, where the option is on."""

from __future__ import annotations

import asyncio
import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from pdfs import pdf
from PIL import Image, ImageDraw, ImageFont

from research_app.extract import scans
from research_app.extract.extraction import OWN
from research_app.extract.papers import Papers
from research_app.files import FileStore
from research_app.refusal import RefusedError
from research_app.settings import Ocr
from research_app.sources import pdf_folder
from research_app.sources.document import Candidate, Workshop

needs_tesseract = pytest.mark.skipif(
    not shutil.which(scans.PROGRAM), reason="tesseract is not installed (package tesseract-ocr)"
)


def scan(*pages: str, turned: int = 0) -> bytes:
    """A PDF whose pages are pictures of text."""
    pictures = []
    for page in pages:
        picture = Image.new("L", (1240, 1754), 255)
        font = ImageFont.load_default(size=40)
        ImageDraw.Draw(picture).multiline_text((120, 150), page, fill=0, font=font, spacing=20)
        pictures.append(picture.rotate(turned, expand=True))
    output = io.BytesIO()
    pictures[0].save(output, "PDF", resolution=150, save_all=True, append_images=pictures[1:])
    return output.getvalue()


TEXT = "The zebras of the plain\nrun as fast as they can\nbefore the rain begins\n" * 4


def read(path: Path, **settings: Any) -> dict[str, Any]:
    """What is stored of a PDF, and what was mended."""
    (item,) = pdf_folder.read(path, "paper", OWN)
    assert isinstance(item, Candidate)
    workshop = Workshop(Papers(OWN, Ocr(**settings)).read, FileStore(path.parent / ".store"))

    async def load() -> dict[str, Any]:
        return await item.load(workshop)

    return asyncio.run(load())


def test_a_scan_is_refused_where_the_option_is_off(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(scan(TEXT))
    with pytest.raises(RefusedError, match=r"recognition is off here \(ocr.enabled; app_ocr"):
        read(tmp_path / "a.pdf")


@needs_tesseract
@pytest.mark.parametrize("turned", [0, 90])
def test_the_words_of_a_scan(tmp_path: Path, turned: int) -> None:
    (tmp_path / "a.pdf").write_bytes(scan(TEXT, TEXT, turned=turned))
    fields = read(tmp_path / "a.pdf", enabled=True)
    assert fields["mended"] == ["2 pages read by OCR (eng)"]
    assert fields["pages"] == 2
    assert {passage["page"] for passage in fields["passages"]} == {1, 2}
    assert "run as fast as they can" in fields["passages"][0]["text"].replace("\n", " ")
    assert fields["thumbnail"]


@needs_tesseract
def test_what_is_over_the_limit_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(scan(TEXT, TEXT, TEXT))
    fields = read(tmp_path / "a.pdf", enabled=True, max_pages=1)
    assert fields["mended"] == [
        "1 page read by OCR (eng)",
        "only the first 1 of 3 pages are read (the limit is ocr.max_pages)",
    ]
    assert fields["pages"] == 3


@needs_tesseract
@pytest.mark.parametrize(
    ("content", "settings", "reason"),
    [
        (pdf(""), {}, "no text in it: text recognition finds none on its pages"),
        (
            scan(TEXT),
            {"languages": ("tlh_x",)},
            "no text in it, and tesseract does not know tlh_x:"
            " install the package tesseract-ocr-tlh-x",
        ),
    ],
)
def test_what_cannot_be_recognised(
    tmp_path: Path, content: bytes, settings: dict[str, Any], reason: str
) -> None:
    (tmp_path / "a.pdf").write_bytes(content)
    with pytest.raises(RefusedError) as refused:
        read(tmp_path / "a.pdf", enabled=True, **settings)
    assert str(refused.value) == reason


def test_a_host_without_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.pdf").write_bytes(scan(TEXT))
    with (
        (tmp_path / "a.pdf").open("rb") as file,
        pytest.raises(RefusedError, match="install the package tesseract-ocr"),
    ):
        scans.recognised(file, {"languages": ["eng"], "max_pages": 1})


def test_a_page_that_takes_too_long_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tesseract"
    program.write_text(
        '#!/bin/sh\nif [ "$1" = --list-langs ]; then echo eng; exit; fi\n'
        f"if mkdir {tmp_path}/first 2>/dev/null; then exec sleep 60; fi\n"
        "printf 'head\\n5\\t1\\t1\\t1\\t1\\t1\\t0\\t0\\t9\\t9\\t90\\twords\\n'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(scans, "PAGE_SECONDS", 2.0)
    (tmp_path / "a.pdf").write_bytes(scan(TEXT, TEXT))
    with (tmp_path / "a.pdf").open("rb") as file:
        found = scans.recognised(file, {"languages": ["eng"], "max_pages": 9})
    assert found["passages"] == [{"text": "words", "page": 2}]
    assert found["mended"] == [
        "1 page read by OCR (eng)",
        "page 1: reading it takes over 2 seconds; it is left out",
    ]


def test_lines_of_a_table() -> None:
    def row(block: int, line: int, left: int, word: str, certain: float = 90.0) -> str:
        return f"5\t1\t{block}\t1\t{line}\t1\t{left}\t100\t50\t20\t{certain}\t{word}"

    table = "\n".join(
        ["head", row(1, 1, 0, "On"), row(1, 1, 60, "zebras"), row(1, 2, 0, "and"),
         row(2, 1, 0, "gnus"), row(2, 1, 60, "~~", 3.0), "5\tbroken"]
    )  # fmt: skip
    rows, text = scans.lines_of(table, 0.5, 400)
    assert text == "On zebras\nand\n\ngnus"
    assert [row.text for row in rows] == ["On zebras", "and", "gnus"]
    assert rows[0].box == (0, 340, 55, 350)
