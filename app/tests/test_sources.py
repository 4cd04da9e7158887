from __future__ import annotations

import asyncio
import gzip
import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import AtHand

from research_app.files import FileStore
from research_app.sources import UnknownSourceError, jsonlines, open_source
from research_app.sources.document import (
    Candidate,
    Refusal,
    RefusedError,
    Workshop,
    clean,
    one_line,
)
from research_app.sources.folder import READ

PAPER = {"id": "a1", "title": "A title", "abstract": "About.", "year": 2020, "authors": ["A. B."]}


def line(**changes: Any) -> bytes:
    return json.dumps(PAPER | changes).encode()


def outcomes(items: Iterable[Candidate | Refusal]) -> list[str]:
    """Ids of what was taken, reasons of what was not."""
    return [item.reason if isinstance(item, Refusal) else item.id for item in items]


def fields(candidate: Candidate | Refusal) -> dict[str, Any]:
    assert isinstance(candidate, Candidate)

    async def no_extraction(_: Path) -> dict[str, Any]:
        raise AssertionError

    async def load() -> dict[str, Any]:
        return await candidate.load(Workshop(no_extraction, FileStore(Path("/nonexistent"))))

    return asyncio.run(load())


def written(path: Path, lines: list[bytes]) -> Path:
    content = b"\n".join(lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


BAD_LINES = [
    (b"{", "not JSON"),
    (b"\xff\xfe", "not JSON"),
    (b"[1]", "not a JSON object"),
    (b"null", "not a JSON object"),
    (b'{"title": "x"}', "no id"),
    (line(id=""), "no id"),
    (line(id="a b"), "id: a space or a control character is in it"),
    (line(id="x" * 300), "id: "),
    (line(id="書" * 180), "id: is over 512 bytes"),
    (line(title=""), "no title"),
    (b'{"id":1}', "no title"),
    (line(title="  \u0000 "), "no title"),
    (line(title=None), "no title"),
    (line(title=["x"]), "title: not a text"),
    (line(title="x" * 3000), "title: too long: 3,000 where at most 2,000 are taken"),
    (line(year="soon"), "year: not a whole number"),
    (line(year=19.5), "year: not a whole number"),
    (line(year=12), "year: has to be 1000 or more"),
    (line(duration="long"), "duration: not a number"),
    (line(thumbnail="x.png"), "thumbnail: not the key of a file in this library"),
    (line(passages=[{"text": "x"}, {"text": 1}]), "passages, entry 2, text: not a text"),
    (line(passages=[{"page": 1}]), "passages, entry 1: no text"),
    (line(passages=["x"]), "passages, entry 1: not an object with fields"),
    (line(url="javascript:alert(1)"), "url: is not an http or https address"),
    (line(pdf_url="file:///etc/passwd"), "pdf_url: is not an http"),
    (line(kind="book"), "kind: not 'paper', 'video' or 'podcast'"),
    (line(authors=5), "authors: not a list"),
    (line(authors=[1]), "authors, entry 1: not a text"),
    (line(abstract="x" * 200_000), "abstract: too long"),
    (b"[" * 100_000, "not JSON"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_LINES)
def test_a_bad_line_is_refused_and_the_rest_taken(tmp_path: Path, bad: bytes, reason: str) -> None:
    path = written(tmp_path / "p.jsonl", [line(), bad, b"", line(id="a2")])
    found = list(jsonlines.read(path, "paper", AtHand()))
    first, refused, last = outcomes(found)
    assert (first, last) == ("a1", "a2")
    assert refused.startswith(reason)
    assert isinstance(found[1], Refusal)
    assert found[1].source == "p.jsonl:2"


def test_a_line_without_end_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonlines, "MAX_LINE_BYTES", 200)
    path = written(tmp_path / "p.jsonl", [line(title="x" * 1000), line(id="a2")])
    assert outcomes(jsonlines.read(path, "paper", AtHand())) == ["the line is over 8 MiB", "a2"]


def test_a_damaged_archive_gives_what_it_can(tmp_path: Path) -> None:
    path = written(
        tmp_path / "p.jsonl.gz", [line(id=f"a{n}", abstract=str(n) * 500) for n in range(99)]
    )
    path.write_bytes(path.read_bytes()[:-30])
    found = outcomes(jsonlines.read(path, "paper", AtHand()))
    assert found[0] == "a0"
    assert found[-1] == "the archive is damaged from here on"


def test_an_archive_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(b"hello")
    assert outcomes(jsonlines.read(path, "paper", AtHand())) == [
        "the archive is damaged from here on"
    ]


def test_an_archive_that_unpacks_to_absurdly_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonlines, "ALWAYS_UNPACKED_BYTES", 4000)
    monkeypatch.setattr(jsonlines, "MAX_LINE_BYTES", 1000)
    for content in ([line(), *[b" " * 500] * 10_000], [line(), b" " * 10**6]):
        found = outcomes(
            jsonlines.read(written(tmp_path / "p.jsonl.gz", content), "paper", AtHand())
        )
        assert found[0] == "a1"
        assert found[-1] == "the archive unpacks to absurdly much; the rest is not read"
        assert len(found) < 4


def test_a_small_archive_of_alike_lines_is_read_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "p.jsonl.gz", [line(abstract="word " * 1000)] * 2000)
    assert path.stat().st_size * jsonlines.MAX_RATIO < 10**7
    assert outcomes(jsonlines.read(path, "paper", AtHand())) == ["a1"] * 2000


@pytest.mark.parametrize("record", [b"1", b'{"captions": 1}'])
def test_a_file_of_refusals_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: bytes
) -> None:
    monkeypatch.setattr("research_app.sources.outcome.MAX_REFUSED", 3)
    three = [record, line(), record, record]
    path = written(tmp_path / "p.jsonl", three)
    assert len(outcomes(jsonlines.read(path, "paper", AtHand()))) == 4
    path = written(tmp_path / "p.jsonl", [*three, line(), record])
    found = list(jsonlines.read(path, "paper", AtHand()))
    assert found[4:] == [
        Refusal("p.jsonl", "3 entries of it were refused; the rest is not read"),
    ]


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz"])
@pytest.mark.parametrize("lines", [[], [b"", b" ", b""]])
def test_a_file_without_lines_is_refused(tmp_path: Path, name: str, lines: list[bytes]) -> None:
    found = list(jsonlines.read(written(tmp_path / name, lines), "paper", AtHand()))
    assert found == [Refusal(name, "the file is empty")]


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", b"\xff\xfe\0\0"),
    ],
)
def test_lines_as_windows_writes_them(
    tmp_path: Path, name: str, encoding: str, mark: bytes
) -> None:
    records = [json.dumps(PAPER | {"id": f"a{n}", "title": "Ärger 書"}, ensure_ascii=False)
               for n in range(3)]  # fmt: skip
    content = mark + "\r\n".join(records).encode(encoding)
    found = list(jsonlines.read(written(tmp_path / name, [content]), "paper", AtHand()))
    assert outcomes(found) == ["a0", "a1", "a2"]
    assert fields(found[0])["title"] == "Ärger 書"


def test_utf_16_that_is_damaged_gives_what_it_can(tmp_path: Path) -> None:
    good, half = (f"{line(id=name).decode()}\n".encode("utf-16-le") for name in ("a1", "a2"))
    damaged = line(id="a3", title="x?").decode().encode("utf-16-le").replace(b"?\0", b"\0\xd8")
    path = written(tmp_path / "p.jsonl", [b"\xff\xfe" + good + damaged + b"\n\0" + half[:-9]])
    first, second, third = jsonlines.read(path, "paper", AtHand())
    assert outcomes([first, second]) == ["a1", "a3"]
    assert isinstance(second, Candidate)
    assert second.mended == ("a character of it is damaged and stands as \ufffd",)
    assert outcomes([third])[0].startswith("not JSON")


def test_one_line_that_is_no_utf_8_is_refused_alone(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + line()
    path = written(tmp_path / "p.jsonl", [content, b'{"title": "\xe4"}', line(id="a2")])
    first, refused, last = outcomes(jsonlines.read(path, "paper", AtHand()))
    assert (first, last) == ("a1", "a2")
    assert refused.startswith("not JSON")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not_are_left_out_and_said(tmp_path: Path, number: str) -> None:
    record = f'{{"id": "a1", "title": "NaN is no number", "year": {number}}}'.encode()
    (found,) = jsonlines.read(written(tmp_path / "p.jsonl", [record]), "paper", AtHand())
    assert isinstance(found, Candidate)
    assert "year" not in fields(found)
    assert fields(found)["title"] == "NaN is no number"
    assert found.mended == ("NaN or Infinity stands where JSON has no number; it is left out",)


@pytest.mark.parametrize(
    "record",
    [
        b'{"id": "a", "title": NaN, "x": [' + b"[" * 100_000,
        b'{"id": "a", "year": NaN, "x": 1' + b"0" * 10_000 + b"}",
        b'{"id": "a", "title": "\\ud800", "year": NaN}',
        b'{"id": NaN, "title": }',
        b"NaN",
    ],
)
def test_what_is_no_record_although_it_has_nan(tmp_path: Path, record: bytes) -> None:
    (reason,) = outcomes(jsonlines.read(written(tmp_path / "p.jsonl", [record]), "paper", AtHand()))
    assert reason.startswith("not JSON")


def test_nan_in_a_text_is_a_word(tmp_path: Path) -> None:
    path = written(tmp_path / "p.jsonl", [line(title="NaN and Infinity")])
    (found,) = jsonlines.read(path, "paper", AtHand())
    assert isinstance(found, Candidate)
    assert (fields(found)["title"], found.mended) == ("NaN and Infinity", ())


def test_a_record_cannot_say_that_it_was_mended(tmp_path: Path) -> None:
    record = line(mended=["by a stranger"])
    (found,) = jsonlines.read(written(tmp_path / "p.jsonl", [record]), "paper", AtHand())
    assert isinstance(found, Candidate)
    assert found.mended == ()


def test_a_long_text_is_cut_into_passages(tmp_path: Path) -> None:
    sentence = "There are ten words in this sentence and no more. "
    text = sentence * 20 + "\n\n" + sentence * 20
    record = json.dumps({"id": "a", "title": "T", "text": text}).encode()
    (found,) = jsonlines.read(written(tmp_path / "p.jsonl", [record]), "paper", AtHand())
    passages = [part["text"] for part in fields(found)["passages"]]
    assert " ".join(passages) == " ".join(text.split())
    assert all(60 <= len(passage.split()) <= 200 for passage in passages)


def test_what_is_stored(tmp_path: Path) -> None:
    record = line(
        title=" A\u0007 title\n over  lines ",
        authors=["A. B.", " ", "C"],
        venue=None,
        unknown=1,
        url="https://example.org/a",
    )
    (candidate,) = jsonlines.read(written(tmp_path / "p.jsonl", [record]), "video", AtHand())
    assert fields(candidate) == {
        "kind": "video",
        "title": "A title over lines",
        "abstract": "About.",
        "authors": ("A. B.", "C"),
        "year": 2020,
        "url": "https://example.org/a",
    }


def test_names_of_other_collections(tmp_path: Path) -> None:
    records = [
        b'{"_id": "7", "title": "T", "text": "the text"}',
        b'{"id": 8, "title": "T", "authors": "A; B", "description": "d", "year": "1999"}',
    ]
    first, second = jsonlines.read(written(tmp_path / "p.jsonl", records), "paper", AtHand())
    assert fields(first)["passages"] == ({"text": "the text"},)
    assert fields(second)["authors"] == ("A", "B")
    assert fields(second)["abstract"] == "d"
    assert fields(second)["year"] == 1999


def test_the_hash_is_of_the_content_alone(tmp_path: Path) -> None:
    def digest(record: bytes, name: str = "p.jsonl") -> str:
        (found,) = jsonlines.read(written(tmp_path / name, [record]), "paper", AtHand())
        assert isinstance(found, Candidate)
        return found.content_hash

    assert digest(line()) == digest(line(extra=1), "q.jsonl")
    assert digest(line()) != digest(line(year=2021))


@given(st.text())
def test_clean_text(text: str) -> None:
    """Nothing that a page, a terminal or an index would stumble over; once is enough."""
    found = clean(text)
    assert clean(found) == found
    found.encode("utf-8")
    assert not any(
        unicodedata.category(letter) in ("Cs", "Co") for letter in found if letter < "\uffff"
    )
    assert not any(letter < " " and letter not in "\t\n\r" for letter in found)
    line = one_line(text)
    assert one_line(line) == line == " ".join(clean(text).split())
    assert "\n" not in line


def test_marks_cannot_be_smuggled_in() -> None:
    assert clean("a\ue000b\ue001c\ud800d") == "a b cd"


def test_what_no_source_reads(tmp_path: Path) -> None:
    (tmp_path / "x.docx").write_text("")
    for path, message in (
        (tmp_path / "none.jsonl", "no such file"),
        (tmp_path / "x.docx", "give a .jsonl"),
        (tmp_path, "nothing to read in this directory"),
    ):
        with pytest.raises(UnknownSourceError, match=message):
            open_source(path, "paper")


@pytest.mark.parametrize("suffix", [each for each in READ if each != ".jsonl.gz"])
@pytest.mark.parametrize("in_a_folder", [False, True])
def test_an_empty_file_is_refused_with_a_word(
    tmp_path: Path, suffix: str, in_a_folder: bool
) -> None:
    path = tmp_path / f"nothing{suffix}"
    path.touch()
    source = open_source(tmp_path if in_a_folder else path, "paper")

    async def no_extraction(_: Path) -> dict[str, Any]:
        raise AssertionError

    def reason(item: Candidate | Refusal) -> str:
        if isinstance(item, Refusal):
            return item.reason

        async def load() -> dict[str, Any]:
            return await item.load(Workshop(no_extraction, FileStore(tmp_path)))

        with pytest.raises(RefusedError) as refused:
            asyncio.run(load())
        return str(refused.value)

    assert [reason(item) for item in source.candidates] == ["the file is empty"]


def test_what_no_reader_knows_in_a_folder_is_counted(tmp_path: Path) -> None:
    written(tmp_path / "p.jsonl", [line()])
    for name in ("a.docx", "b.DOCX", "c.tex", "README", ".DS_Store"):
        (tmp_path / name).write_text("x")
    (tmp_path / "not-a-feed.xml").write_text("<mods/>")
    source = open_source(tmp_path, "paper")
    assert outcomes(source.candidates) == ["a1"]
    assert source.unread == {".docx": 2, ".tex": 1, ".xml": 1, "without a suffix": 1}
