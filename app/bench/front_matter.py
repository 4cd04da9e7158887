"""Measure what is read of the titles and authors of PDFs, beside what people read there.

    python bench/front_matter.py FOLDER TRUTH [--all]

FOLDER holds PDFs. TRUTH says what each has printed at its top: a metadata.jsonl with file, title
and authors, or a table (front_matter.tsv beside this script) with the same in columns, names
separated by "; " and titles that are both right by " | ". An empty title or no authors is a claim
too: nothing may be found there. Printed are the share of titles that are the same but for case,
accents and punctuation, and precision, recall and F1 of the names. A name is the same where family
name and first name are, or the initial of one that is only given so; middle names do not count.
"""

from __future__ import annotations

import argparse
import csv
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from research_app.extract.extraction import OWN
from research_app.refusal import RefusedError


@dataclass(frozen=True)
class Truth:
    """What one file has: titles that are both right, and its authors."""

    file: str
    titles: tuple[str, ...]
    authors: tuple[str, ...]


def truths(path: Path) -> Iterator[Truth]:
    """What is known of the files, from either form."""
    if path.suffix == ".jsonl":
        for line in path.read_bytes().splitlines():
            item = orjson.loads(line)
            yield Truth(item["file"], (item["title"],), tuple(item["authors"]))
        return
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            names = tuple(name for name in row["authors"].split("; ") if name)
            yield Truth(row["file"], tuple(row["title"].split(" | ")), names)


def plain(text: str) -> str:
    """Letters and digits alone."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def same_name(one: str, other: str) -> bool:
    """Whether two names are of one person, as far as names say."""
    first, second = ([plain(word) for word in name.split()] for name in (one, other))
    if not first or not second or first[-1] != second[-1]:
        return False
    short = min(len(first[0]), len(second[0]))
    return first[0] == second[0] or (short == 1 and first[0][0] == second[0][0])


def matches(found: list[str], wanted: tuple[str, ...]) -> int:
    """How many names are found, each counted once."""
    left = list(wanted)
    for name in found:
        if (match := next((item for item in left if same_name(name, item)), None)) is not None:
            left.remove(match)
    return len(wanted) - len(left)


def main() -> None:
    """Print one line for each file that is wrong, and the measures."""
    parser = argparse.ArgumentParser(description="Measure titles and authors of PDFs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--all", action="store_true", help="show also what is right")
    options = parser.parse_args()
    files = titles = right = found_names = wanted_names = 0
    for truth in truths(options.truth):
        try:
            found = OWN.ask("pdf", options.folder / truth.file)
        except RefusedError as error:
            print(f"{truth.file}: refused: {error}")
            found = {}
        title, names = found.get("title", ""), found.get("authors", [])
        same_title = plain(title) in {plain(wanted) for wanted in truth.titles}
        same = matches(names, truth.authors)
        if options.all or not same_title:
            print(f"{truth.file}: title {title!r}, printed {' | '.join(truth.titles)!r}")
        if options.all or not same == len(names) == len(truth.authors):
            print(f"{truth.file}: authors {names}, printed {list(truth.authors)}")
        files, titles, right = files + 1, titles + same_title, right + same
        found_names, wanted_names = found_names + len(names), wanted_names + len(truth.authors)
    precision, recall = right / max(1, found_names), right / max(1, wanted_names)
    f1 = 2 * right / max(1, found_names + wanted_names)
    print(f"{files} files: title exact {titles / max(1, files):.3f} ({titles})")
    print(f"authors F1 {f1:.3f} (precision {precision:.3f}, recall {recall:.3f}, {right} names)")


if __name__ == "__main__":
    main()
