"""The words on scanned pages, as tesseract reads them from the pictures that PDFium draws."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import time
from typing import Any, BinaryIO

import pypdfium2 as pdfium
from PIL import Image

from research_app.extract import hyphens, pdf
from research_app.extract.heading import MAX_ROWS, Row
from research_app.extract.kinds import SCAN_SECONDS
from research_app.extract.layout import Box, Line
from research_app.extract.mending import Faults
from research_app.plain_text import clean
from research_app.refusal import RefusedError

PROGRAM = "tesseract"
DOTS_PER_INCH = 300
POINTS_PER_INCH = 72
# an A3 page at 300 dots an inch has 17 million; a poster is read with fewer dots an inch
MAX_DOTS = 20_000_000
PAGE_SECONDS = 60.0
# what is left to give the answer
RESERVE_SECONDS = 2 * PAGE_SECONDS
# of 100: below it tesseract guesses, mostly at pictures
LEAST_CERTAIN = 30.0
COLUMNS = 12
NOWHERE = Box(0, 0, 0, 0)


def recognised(file: BinaryIO, options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a document whose pages are pictures, with what was done under "mended".

    :param options: "languages", as tesseract calls them, and "max_pages"
    :raises RefusedError: where tesseract or its data for a language is missing, or no word is found
    """
    languages = [str(name) for name in options["languages"]]
    _check(languages)
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    document = pdf.opened(data)
    try:
        contents = pdf.Contents(document.get_metadata_dict(skip_empty=True))
        faults = _read(document, contents, languages, int(options["max_pages"]))
    except pdfium.PdfiumError:
        raise RefusedError("damaged: a page cannot be read") from None
    finally:
        document.close()
    contents.pages = _with_whole_words(contents.pages)
    contents.first = next(iter(contents.pages), "")
    read = sum(bool(page) for page in contents.pages)
    if not read:
        why = f" ({faults.sentences[0]})" if faults.count else ""
        raise RefusedError(f"no text in it: text recognition finds none on its pages{why}")
    said = f"{read} page{'s' if read > 1 else ''} read by OCR ({'+'.join(languages)})"
    return {**pdf.described(contents, data), "mended": [said, *faults.sentences]}


def _with_whole_words(pages: list[str]) -> list[str]:
    """The texts of pages, with the words whole that the ends of lines cut."""
    split = [clean(page).split("\n") for page in pages]
    lines = [Line(text, NOWHERE) for page in split for text in page]
    texts = iter(hyphens.mended(lines, hyphens.Vocabulary(line.text for line in lines)))
    return ["\n".join(next(texts) for _ in page).strip() for page in split]


def _check(languages: list[str]) -> None:
    if not shutil.which(PROGRAM):
        raise RefusedError(
            "no text in it, and nothing here recognises it: install the package tesseract-ocr"
        )
    listed = _run(["--list-langs"], b"").decode("utf-8", "replace").split()
    if missing := [name for name in languages if name not in listed]:
        package = "tesseract-ocr-" + missing[0].replace("_", "-")
        raise RefusedError(
            f"no text in it, and tesseract does not know {missing[0]}:"
            f" install the package {package}"
        )


def _read(
    document: pdfium.PdfDocument, contents: pdf.Contents, languages: list[str], max_pages: int
) -> Faults:
    """Read the pages into the contents; what is left out is said."""
    total = len(document)
    faults = Faults()
    end = time.monotonic() + SCAN_SECONDS - RESERVE_SECONDS
    for index in range(total):
        late = time.monotonic() > end
        if late or index >= max_pages:
            why = (
                f"no time is left after {SCAN_SECONDS // 60} minutes"
                if late
                else "the limit is ocr.max_pages"
            )
            faults.add(f"only the first {index} of {total} pages are read ({why})")
            contents.pages += [""] * (total - index)
            break
        try:
            rows, text = _page(document, index, languages)
        except subprocess.TimeoutExpired:
            faults.add(
                f"page {index + 1}: reading it takes over {PAGE_SECONDS:.0f} seconds;"
                " it is left out"
            )
            rows, text = [], ""
        if index == 0:
            contents.rows = rows[:MAX_ROWS]
        contents.pages.append(text)
    return faults


def _page(document: pdfium.PdfDocument, index: int, languages: list[str]) -> tuple[list[Row], str]:
    """The lines of a page, and its text."""
    page = document[index]
    try:
        width, height = page.get_size()
        dots = max(1.0, width * height) / POINTS_PER_INCH**2
        density = min(DOTS_PER_INCH, (MAX_DOTS / dots) ** 0.5)
        picture = _drawn(page, density / POINTS_PER_INCH)
    finally:
        page.close()
    if picture is None:
        return [], ""
    head = b"P5 %d %d 255\n" % picture.size
    # 1: where the text is, and which way it stands, is found out
    arguments = ["stdin", "stdout", "--dpi", f"{max(70, density):.0f}", "--psm", "1"]
    table = _run([*arguments, "-l", "+".join(languages), "tsv"], head + picture.tobytes())
    return lines_of(table.decode("utf-8", "replace"), POINTS_PER_INCH / density, height)


def _drawn(page: Any, scale: float) -> Image.Image | None:
    """A page in shades of grey; None where nothing is on it."""
    try:
        bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=False)
    except (pdfium.PdfiumError, ValueError):
        return None
    try:
        picture = bitmap.to_pil().convert("L")
    finally:
        bitmap.close()
    low, high = picture.getextrema()
    return None if low == high else picture


def lines_of(table: str, scale: float, height: float) -> tuple[list[Row], str]:
    """The lines in a table of tesseract's, and their text; an empty line is between paragraphs.

    :param scale: points of the page for each dot of the picture
    :param height: of the page, in points
    """
    found: dict[tuple[str, ...], list[tuple[Box, str]]] = {}
    for line in table.splitlines()[1:]:
        cells = line.split("\t")
        if len(cells) != COLUMNS or not cells[11].strip() or float(cells[10]) < LEAST_CERTAIN:
            continue
        left, top, wide, tall = (float(cell) * scale for cell in cells[6:10])
        box = Box(left, height - top - tall, left + wide, height - top)
        found.setdefault(tuple(cells[2:5]), []).append((box, cells[11].strip()))
    rows, text, last = [], "", ("", "")
    for (block, paragraph, _), words in found.items():
        box = words[0][0]
        for other, _ in words[1:]:
            box = box.union(other)
        said = " ".join(word for _, word in words)
        rows.append(Row(said, box, box.height))
        text += ("\n" if last in ((block, paragraph), ("", "")) else "\n\n") + said
        last = (block, paragraph)
    return rows, text.strip()


def _run(arguments: list[str], picture: bytes) -> bytes:
    """What tesseract says of a picture; nothing where it fails. It may take one thread."""
    done = subprocess.run(  # noqa: S603 - the arguments are a list, and none is a stranger's
        [PROGRAM, *arguments],
        input=picture,
        capture_output=True,
        timeout=PAGE_SECONDS,
        check=False,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
    )
    return done.stdout if done.returncode == 0 else b""
