"""How whole the words are that the reader of PDFs gives, beside other readers.

    python bench/pdf_words.py FOLDER [--words FILE]

For each reader: how many words (runs of two letters and more) it finds in the PDFs of a folder, how
many of them a list of words knows, and the share. A word that is cut in two, run together with the
next, or spoilt by its ligature is known to no list. Names, formulas and other languages are known
to none either, for every reader alike. Printed as a table for docs/results.md.

The list is a file with a word in each line (Debian: wamerican). pypdf comes with this project;
pdftotext is in Debian's poppler-utils, and pdfminer is tried where it is installed
(`uv run --with pdfminer.six python bench/pdf_words.py …`).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdf

from research_app.extract import pdf

WORD = re.compile(r"[^\W\d_]{2,}(?:['\u2019]s)?")
# as pypdf, pdfminer and pdftotext leave it to those who ask them
LINE_END_HYPHEN = re.compile(r"(?<=\w)[-\u00ad\u2010]\n(?=[a-z])")

Reader = Callable[[Path], str]


def ours(path: Path) -> str:
    """What a reader can search for: passages and references."""
    with path.open("rb") as file:
        found = pdf.extract(file)
    texts = [passage["text"] for passage in found.get("passages", ())]
    return "\n".join([*texts, *found.get("references", ())])


def by_pypdf(path: Path) -> str:
    """What pypdf gives."""
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def by_pdftotext(path: Path) -> str:
    """What poppler's pdftotext gives, in its order of reading."""
    done = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace")


def readers() -> Iterator[tuple[str, Reader]]:
    """The readers that there are on this machine."""
    yield "research-stack", ours
    others: list[tuple[str, Reader]] = [("pypdf", by_pypdf)]
    with contextlib.suppress(ImportError):
        others.append(("pdfminer.six", importlib.import_module("pdfminer.high_level").extract_text))
    if shutil.which("pdftotext"):
        others.append(("pdftotext", by_pdftotext))
    for name, read in others:
        yield name, read
        yield f"{name}, hyphens at line ends taken off", _joined(read)


def _joined(read: Reader) -> Reader:
    return lambda path: LINE_END_HYPHEN.sub("", read(path))


def known_words(path: Path) -> frozenset[str]:
    """The words of a list, in lower case."""
    return frozenset(path.read_text(encoding="utf-8").lower().split())


def counted(text: str, known: frozenset[str]) -> tuple[int, int]:
    """How many words a text has, and how many of them are known."""
    words = [word.lower().replace("\u2019", "'") for word in WORD.findall(text)]
    return len(words), sum(word in known or word.removesuffix("'s") in known for word in words)


def main() -> None:
    """Read, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/american-english"))
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    known = known_words(asked.words)
    files = sorted(asked.folder.glob("*.pdf"))
    print(f"{len(files)} PDFs, a list of {len(known):,} words\n")
    print("| reader | words | known | share of known | seconds |")
    print("| --- | --- | --- | --- | --- |")
    for name, read in readers():
        total = right = 0
        start = sum(os.times()[:4])
        for path in files:
            words, hits = counted(read(path), known)
            total, right = total + words, right + hits
        seconds = sum(os.times()[:4]) - start
        print(f"| {name} | {total:,} | {right:,} | {right / total:.2%} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
