"""What scripts/lab takes for a library, and the documentation as PDFs where there is none."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

from lab.documentation_pdf import pages_of, pdf, render, title_of
from lab.load_library import Part, parts_of, words_to_find

RECORD = {"id": "1", "title": "Parsing", "abstract": "About parsing."}


def write(path: Path, *records: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_finds_catalogues_and_folders_of_pdfs(tmp_path: Path) -> None:
    papers = write(tmp_path / "papers" / "papers.jsonl.gz", RECORD)
    talks = write(tmp_path / "videos" / "talks.jsonl", {"id": "2", "title": "T", "description": ""})
    write(tmp_path / "collection" / "queries.jsonl", {"_id": "1", "text": "what is parsing"})
    write(tmp_path / "broken.jsonl", "no record")
    (tmp_path / "binary.jsonl.gz").write_bytes(b"no gzip")
    pdfs = tmp_path / "pdfs"
    write(pdfs / "metadata.jsonl", {"file": "a.pdf", **RECORD})
    (pdfs / "a.pdf").write_bytes(b"%PDF")
    assert list(parts_of(tmp_path)) == [
        Part(papers, "paper"),
        Part(talks, "video"),
        Part(pdfs, "paper"),
    ]


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    part = Part(tmp_path, "paper")
    (tmp_path / "a.pdf").write_bytes(b"one")
    before = part.fingerprint
    assert part.fingerprint == before
    (tmp_path / "b.pdf").write_bytes(b"two")
    assert part.fingerprint != before


def test_takes_recordings_and_podcasts_by_their_topmost_folder(tmp_path: Path) -> None:
    for name in ("videos/course/items.jsonl", "podcasts/a.rss.xml", "podcasts/show/b.rss"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert list(parts_of(tmp_path)) == [
        Part(tmp_path / "podcasts", "podcast"),
        Part(tmp_path / "videos" / "course", "video"),
    ]


def test_knows_words_that_find_something(tmp_path: Path) -> None:
    papers = write(tmp_path / "papers.jsonl", {"id": "1", "title": 'On "deep" (learning): x-y'})
    (tmp_path / "pdfs").mkdir()
    (tmp_path / "pdfs" / "a-study.pdf").write_bytes(b"%PDF")
    assert words_to_find(Part(papers, "paper")) == "On deep learning x y"
    assert words_to_find(Part(tmp_path / "pdfs", "paper")) == "a study"


def test_the_documentation_becomes_pdfs(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# The `library` (ours)\n\nSee [here](docs/a.md).\n" * 40)
    (tmp_path / "docs" / "a.md").write_text("no heading")
    target = tmp_path / "out"
    assert render(tmp_path, target) == 2
    content = (target / "README.pdf").read_bytes()
    assert rb"/Title (The library \(ours\))" in content
    assert b"(See here.) Tj" in content
    assert (target / "docs-a.pdf").exists()


def test_the_table_of_a_pdf_points_at_its_objects() -> None:
    content = pdf("T", [["one"], ["two"]])
    offsets = [int(line) for line in re.findall(rb"^(\d{10}) 00000 n", content, re.MULTILINE)]
    for number, offset in enumerate(offsets, 1):
        assert content[offset:].startswith(f"{number} 0 obj".encode())
    start = int(re.findall(rb"startxref\n(\d+)", content)[0])
    assert content[start:].startswith(b"xref\n0 9\n")


def test_pages_and_titles() -> None:
    assert [len(page) for page in pages_of("line\n" * 57)] == [56, 1]
    assert pages_of("") == [[]]
    assert title_of("text", "name") == "name"
