"""Loads a library through an application node, as a librarian would. scripts/lab runs it.

The library is a folder: JSON lines with a title and an abstract or description in each record,
folders of PDFs, folders of recordings with their captions, and podcasts. What was loaded is
remembered, so that another run loads what is new.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import documentation_pdf, site

REMOTE = "/srv/research-library"
# What the folder of a course's recordings has in it, and that of a podcast.
RECORDINGS = "items.jsonl"
FEEDS = (".rss", ".rss.xml")


@dataclass(frozen=True)
class Part:
    """Something that one call of the ingest takes."""

    path: Path
    kind: str

    @property
    def files(self) -> list[Path]:
        """The files that it consists of."""
        if self.path.is_file():
            return [self.path]
        return sorted(file for file in self.path.rglob("*") if file.is_file())

    @property
    def fingerprint(self) -> str:
        """What changes when a file does."""
        seen = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        return hashlib.sha256(repr((self.kind, seen)).encode()).hexdigest()


def kind_of(path: Path) -> str:
    """The kind of what is in a path, guessed from its words; a paper where nothing hints."""
    words = "/".join(path.parts[-3:]).lower()
    if "podcast" in words:
        return "podcast"
    return "video" if any(word in words for word in ("video", "lecture", "talk")) else "paper"


def first_record(path: Path) -> dict[str, Any]:
    """The first record of a file of JSON lines; empty where it has none."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            record = json.loads(file.readline())
    except (ValueError, OSError):
        return {}
    return record if isinstance(record, dict) else {}


def is_catalogue(path: Path) -> bool:
    """Whether the first record of a file of JSON lines has what a reader searches."""
    fields = first_record(path).keys()
    return {"id", "title"} <= fields and bool({"abstract", "description"} & fields)


def words_to_find(part: Part) -> str:
    """Words that find something in a part: the title of its first record, or a file's name."""
    catalogue = part.path if part.path.is_file() else part.path / "metadata.jsonl"
    pdfs = [file.stem for file in part.files if file.suffix.lower() == ".pdf"]
    title = first_record(catalogue).get("title") or next(iter(pdfs), "")
    return " ".join(re.findall(r"\w+", str(title)))[:200]


def parts_of(library: Path) -> Iterator[Part]:
    """What a library consists of: catalogues, and folders of PDFs, recordings and podcasts."""
    folders = sorted({file.parent for file in library.rglob("*") if file.suffix.lower() == ".pdf"})
    for path in sorted([*library.rglob("*.jsonl"), *library.rglob("*.jsonl.gz")]):
        if path.parent not in folders and is_catalogue(path):
            yield Part(path, kind_of(path.relative_to(library)))
    for folder in [*folders, *folders_of_recordings(library)]:
        yield Part(folder, kind_of(folder.relative_to(library)))


def folders_of_recordings(library: Path) -> list[Path]:
    """The topmost folders that hold the recordings of a course, or the feed of a podcast."""
    found = {
        file.parent
        for file in library.rglob("*")
        if file.name == RECORDINGS or file.name.endswith(FEEDS)
    }
    return sorted(folder for folder in found if not found & set(folder.parents))


def load(part: Part, lab: site.Site, node: site.Host) -> None:
    """Copies a part to the node and runs the ingest there."""
    target = f"{REMOTE}/{part.kind}-{part.path.name}"
    folder = target if part.path.is_dir() else REMOTE
    if part.path.is_file():
        target = f"{REMOTE}/{part.path.name}"
    unpack = f"sudo install -d {REMOTE} {folder} && sudo tar --extract --no-same-owner -C {folder}"
    where = part.path if part.path.is_dir() else part.path.parent
    names = [str(file.relative_to(where)) for file in part.files]
    pack = ["tar", "--create", "--mode=a+rX", "-C", str(where), "--", *names]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
        subprocess.run(lab.ssh(node, unpack), stdin=packing.stdout, check=True)
    ingest = f"sudo research-app ingest --kind {part.kind} {target}"
    subprocess.run(lab.ssh(node, ingest), stdin=subprocess.DEVNULL, check=True)


def default_library(state: Path) -> Path:
    """The data beside the checkout, or else the project's documentation."""
    beside = site.CHECKOUT.parent / "shared" / "data"
    if beside.is_dir():
        return beside
    rendered = state / "documentation"
    print(
        f"  {documentation_pdf.render(site.CHECKOUT, rendered)} documents of this project as PDFs"
    )
    return rendered


def main() -> int:
    parser = site.options(__doc__)
    parser.add_argument("library", type=Path, nargs="?")
    given = parser.parse_args()
    library: Path = given.library or default_library(given.state)
    record: Path = given.state / "loaded.json"
    loaded = json.loads(record.read_text()) if record.exists() else {}
    parts = list(parts_of(library))
    if not parts:
        print(f"scripts/lab: {library} has no catalogue (*.jsonl) and no PDF", file=sys.stderr)
        return 1
    (given.state / "search").write_text(words_to_find(parts[0]))
    lab = site.read(given.profile)
    node = lab.group("app")[0]
    for part in parts:
        if loaded.get(str(part.path)) == part.fingerprint:
            print(f"  loaded already: {part.path}", flush=True)
            continue
        print(f"  loading {part.path} ({part.kind}) through {node.name}", flush=True)
        try:
            load(part, lab, node)
        except subprocess.CalledProcessError:
            print(f"scripts/lab: {part.path} could not be loaded (see above)", file=sys.stderr)
            return 1
        loaded[str(part.path)] = part.fingerprint
        record.write_text(json.dumps(loaded, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
