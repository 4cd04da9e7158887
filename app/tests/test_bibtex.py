from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loading import loaded
from reading import AtHand

from research_app.sources import bibtex, bibtex_entries, open_source
from research_app.sources.document import Candidate, Refusal, RefusedError

GOOD = r"""
% a file as reference managers write it
@string{jw = "Journal of Wildlife"}
@comment{@article{hidden, title={not an entry}}}

@article{mueller2019,
  title     = {Counting {Z}ebras from the Air: {\"U}ber \emph{Streifen} --- $p < 0.05$ \& more},
  author    = {M{\"u}ller, Ana and Bo Li and {\'E}douard de la Cruz and
               {World Wildlife Fund} and others},
  journal   = jw,
  year      = {2019},
  doi       = {https://doi.org/10.1000/zebra.1},
  abstract  = "We count
               zebras.",
}
@inproceedings{k2, title="Stripes", author="Gon{\c c}alves, Jo{\~a}o",
  booktitle={Proc. of Patterns}, date={2021-05-02}}
@PHDTHESIS(k3, title = {Im Gr\"unen}, school = {A University}, year = 1999)
"""


def read(folder: Path, text: str | bytes) -> list[Candidate | Refusal]:
    path = folder / "library.bib"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(bibtex.read(path, "paper", AtHand()))


def taken(found: list[Candidate | Refusal]) -> list[dict[str, Any]]:
    candidates = [item for item in found if isinstance(item, Candidate)]
    stored = loaded(candidates)
    return [{**dict(stored[item.source]), "id": item.id} for item in candidates]


def refused(found: list[Candidate | Refusal]) -> list[tuple[str, str]]:
    return [(item.source, item.reason) for item in found if isinstance(item, Refusal)]


def test_a_file_of_a_reference_manager(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert refused(found) == []
    first, second, third = taken(found)
    assert first == {
        "id": "10.1000/zebra.1",
        "kind": "paper",
        "title": "Counting Zebras from the Air: Über Streifen \u2014 p < 0.05 & more",
        "authors": ("Ana Müller", "Bo Li", "Édouard de la Cruz", "World Wildlife Fund"),
        "venue": "Journal of Wildlife",
        "year": 2019,
        "doi": "10.1000/zebra.1",
        "url": "https://doi.org/10.1000/zebra.1",
        "abstract": "We count zebras.",
    }
    assert second["authors"] == ("João Gonçalves",)
    assert (second["venue"], second["year"]) == ("Proc. of Patterns", 2021)
    assert (third["title"], third["venue"]) == ("Im Grünen", "A University")
    assert [item.source for item in found] == [f"library.bib:{line}" for line in (6, 16, 18)]


BAD = [
    ("@article{a, title={Never closed, year=2001\n", "it has no end: a closing brace is missing"),
    ("@article{a, year={2001}}\n", "no title"),
    ("@article{a}\n", "no title"),
    (
        "@article{a, title=" + "{" * 200 + "}" * 200 + "}\n",
        "its braces are nested too deeply",
    ),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_a_malformed_entry_is_refused_alone(tmp_path: Path, bad: str, reason: str) -> None:
    found = read(tmp_path, "@misc{x, title={Before}}\n" + bad + "@misc{y, title={After}}\n")
    assert [item["title"] for item in taken(found)] == ["Before", "After"]
    ((source, said),) = refused(found)
    assert source == "library.bib:2"
    assert said.startswith(f"a: {reason}")


MENDED = [
    ("@misc{a, title={T} year={2001}}", "a comma is missing before year"),
    ("@misc{a\n title={T}, year={2001}}", "a comma is missing behind its key a"),
    (
        "@misc{a, title={T}, year={2001}, note={never closed\n",
        "note: its value has no end; it is left out",
    ),
    (
        "@misc{a,\n title={T},\n year={2001}\n",
        "its closing brace is missing; it ends where the next begins",
    ),
    (
        "@misc{a,\n title={T},\n note={open,\n year={2001}\n}",
        "note: its value has no end; it ends where the next begins",
    ),
    ("@misc{a, title={T}, what is this, year=2001}", '"what is this" is no field; it is left out'),
    (
        "@misc{a, title={T}, journal=jw, year=2001}",
        'journal: no @string defines "jw"; the name stands for it',
    ),
    (
        "@misc{a, title={T}, year=2001, url={javascript:alert(1)}}",
        'url: "javascript:alert(1)" is no web address; it is left out',
    ),
    ("@misc{a, title={T}, year=2001, doi={n/a}}", 'doi: "n/a" is none; it is left out'),
    (
        "@misc{a, title={T}, year=2001, crossref={gone}}",
        "crossref: no entry of the file has the key gone",
    ),
    (
        "@misc{a, title={T}, year=2001, author={Smith, A.; Doe, B.}}",
        'author: its names are separated by ";" and not by "and"',
    ),
]


@pytest.mark.parametrize(("text", "said"), MENDED)
def test_what_is_mended_is_said(tmp_path: Path, text: str, said: str) -> None:
    found = read(tmp_path, f"{text}\n@misc{{z, title={{After}}, year=1999}}")
    assert refused(found) == []
    assert [(item["title"], item["year"]) for item in taken(found)] == [
        ("T", 2001),
        ("After", 1999),
    ]
    assert [item.mended for item in found if isinstance(item, Candidate)] == [(said,), ()]


def test_many_faults_are_counted(tmp_path: Path) -> None:
    (item,) = read(
        tmp_path, "@misc{a, title={T}, " + "".join(f"odd{n} x, y=1, " for n in range(8)) + "}"
    )
    assert isinstance(item, Candidate)
    assert len(item.mended) == 6
    assert item.mended[-1] == "and 3 more faults"


TITLES = [
    # keys
    ("@misc{, title={T}}", ["T"]),
    ("@misc{\n title={T}}", ["T"]),
    ("@misc{D'Arcy:Müller+2010/a, title={T}}", ["T"]),
    ("@misc{a{b}, title={T}}", ["T"]),
    # where entries stand
    ("@misc{a, title={A}} @misc{b, title={B}}", ["A", "B"]),
    ("@misc{a, title={A}}@misc{b, title={B}}", ["A", "B"]),
    ("% @misc{a, title={A}}\n@misc{b, title={B}}", ["B"]),
    ("by me@home{x} and so on\n@misc{b, title={B}}", ["B"]),
    ("@comment{\n@misc{a, title={A}}\n}\n@misc{b, title={B}}", ["B"]),
    ('@preamble{ "\\def\\x{1}" # s }\n@misc{b, title={B}}', ["B"]),
    ("@misc(a, title={A (and so on)}, note={)}) @misc{b, title={B}}", ["A (and so on)", "B"]),
    (
        "@misc{a, title={A}, abstract={like\n@misc{key, title={X}}}}\n@misc{b, title={B}}",
        ["A", "B"],
    ),
    # values
    ('@misc{a, title="A {"}quoted{"} title"}', ['A "quoted" title']),
    ('@misc{a, title="A "quoted" title",\n year=2001}', ['A "quoted" title']),
    ("@misc{a, title={A \\{ brace}}", ["A { brace"]),
    ("@misc{a, file={C:\\dir\\}, title={T}}", ["T"]),
    ("@misc{a, title = 2001}", ["2001"]),
    ('@misc{a, title = "A" # { B} # " C" }', ["A B C"]),
    ("@misc{a,\n % a comment, = {\n title={T}}", ["T"]),
    ("@misc{a, Owner+an = {1=me}, bdsk-url-1={x}, 2={y}, TITLE={T}}", ["T"]),
    ("@misc{a, title={T}, subtitle={S}}", ["T. S"]),
    ("@misc{a, title={T?}, subtitle={S}}", ["T? S"]),
    ("@proceedings{a, booktitle={Proc. of X}}", ["Proc. of X"]),
    ("@article{a, journal={J. of X}, volume=3, pages={1--5}}", ["J. of X 3, 1\u20135"]),
]


@pytest.mark.parametrize(("text", "titles"), TITLES)
def test_what_people_write(tmp_path: Path, text: str, titles: list[str]) -> None:
    found = read(tmp_path, text)
    assert refused(found) == []
    assert [item["title"] for item in taken(found)] == titles


STRINGS = [
    ('@string{jw="J"}', "jw", "J"),
    ('@string{JW="J"}', "jw", "J"),
    ("@String(jw = {J})", "JW", "J"),
    ('@string{a="J"} @string{b = a # " of X"}', "b", "J of X"),
    ('@string{a="old"} @string{a="new"}', "a", "new"),
    ("", 'sept # " " # 3', "sept 3"),
]


@pytest.mark.parametrize(("strings", "value", "venue"), STRINGS)
def test_strings(tmp_path: Path, strings: str, value: str, venue: str) -> None:
    (item,) = taken(
        read(tmp_path, f"{strings}\n@misc{{k, title={{T}}, month=mai, journal={value}}}")
    )
    assert item["venue"] == venue


def test_a_string_that_is_defined_later(tmp_path: Path) -> None:
    (item,) = taken(read(tmp_path, '@misc{k, title={T}, journal=jw}\n@string{jw="J"}'))
    assert item["venue"] == "J"


NAMES = [
    ('Ana M{\\"u}ller AND Li, Bo  and\n others', ["Ana Müller", "Bo Li"]),
    ("{Barnes and Noble, Inc.} and {IBM}", ["Barnes and Noble, Inc.", "IBM"]),
    ("de la Cruz, Ana and Ludwig van Beethoven", ["Ana de la Cruz", "Ludwig van Beethoven"]),
    ("King, Jr., Martin Luther and {\\relax Ch}ir, B.", ["Martin Luther King Jr.", "B. Chir"]),
    ("family=Beethoven, given=Ludwig, prefix=van, useprefix=true", ["Ludwig van Beethoven"]),
    ("A. Smith, B. C. Doe, D. Roe", ["A. Smith", "B. C. Doe", "D. Roe"]),
    ("Smith, A., Doe, B. C.", ["A. Smith", "B. C. Doe"]),
    ("Smith, A.; Doe, B.", ["A. Smith", "B. Doe"]),
    ("Smith, A. et al.", ["A. Smith"]),
    ("A and and B and", ["A", "B"]),
    ("Andy Sand", ["Andy Sand"]),
    (r"Th\{'ebaux, A. and IBM", ["A. Thébaux", "IBM"]),
]


@pytest.mark.parametrize(("written", "shown"), NAMES)
def test_names(tmp_path: Path, written: str, shown: list[str]) -> None:
    (item,) = taken(read(tmp_path, f"@misc{{a, title={{T}}, author={{{written}}}}}"))
    assert list(item["authors"]) == shown


ADDRESSES = [
    ("url={www.x.org/a}", "http://www.x.org/a"),
    ("url={x.org/a\\_b}", "http://x.org/a_b"),
    ("url={\\url{https://x.org/{\\textasciitilde}me}}", "https://x.org/~me"),
    ("url={see https://x.org and more}", "https://x.org"),
    ("howpublished={\\url{http://x.org}}", "http://x.org"),
    ("doi={10.1000/x}, url={}", "https://doi.org/10.1000/x"),
    ("doi={10.1000/x}, note={data at http://x.org}", "https://doi.org/10.1000/x"),
    ("doi={DOI: 10.1000/x}", "https://doi.org/10.1000/x"),
    ("doi={https://dx.doi.org/10.1000/x}", "https://doi.org/10.1000/x"),
    ("eprint={1706.03762}, archivePrefix={arXiv}", "https://arxiv.org/abs/1706.03762"),
    ("eprint={arXiv:hep-th/9901001v2}", "https://arxiv.org/abs/hep-th/9901001v2"),
    ("journal={arXiv preprint arXiv:1706.03762}", "https://arxiv.org/abs/1706.03762"),
    ("eprint={12345}, eprinttype={jstor}", "https://www.jstor.org/stable/12345"),
    ("eprint={12345}, eprinttype={mine}", None),
]


@pytest.mark.parametrize(("fields", "url"), ADDRESSES)
def test_addresses(tmp_path: Path, fields: str, url: str | None) -> None:
    (item,) = taken(read(tmp_path, f"@misc{{a, title={{T}}, {fields}}}"))
    assert item.get("url") == url


YEARS = [
    ("year=2010", 2010),
    ("year={2010a}", 2010),
    ("date={2010-05/2011}", 2010),
    ("year={c. 1850}", 1850),
    ("year={in press}, date={2010}", 2010),
    ("year={in press}", None),
    ("year={12010}", None),
]


@pytest.mark.parametrize(("fields", "year"), YEARS)
def test_years(tmp_path: Path, fields: str, year: int | None) -> None:
    (item,) = taken(read(tmp_path, f"@misc{{a, title={{T}}, {fields}}}"))
    assert item.get("year") == year


FAMILY = """
@inproceedings{a, title={A}, author={X}, crossref={P}}
@incollection{b, title={B}, author={Y}, xdata={d1, d2}}
@article{c, crossref={w}}
@inbook{e, title={E}, crossref={w2}}
@xdata{d1, publisher={Press}, xdata=d2}
@xdata{d2, year=2002, publisher={Other}}
@proceedings{p, title={Proc. of X}, editor={Ed}, year=2001, doi={10.1000/p}, url={http://p.org}}
@article{w, title={W}, author={Z}, journal={J}, year=2003}
@book{w2, title={W2}, author={Q}, year=2004}
@misc{x, title={X1}, crossref={y}}
@misc{y, title={Y1}, crossref={x}, year=2005}
"""


def test_a_set_of_entries_is_no_work(tmp_path: Path) -> None:
    found = read(tmp_path, "@set{s, entryset={a,b}}\n@misc{a, title={A}}\n@misc{b, title={B}}")
    assert [item["title"] for item in taken(found)] == ["A", "B"]
    assert len(list(found)) == 2


def test_what_is_inherited(tmp_path: Path) -> None:
    found = taken(read(tmp_path, FAMILY))
    shown = [
        (item["title"], item.get("authors", ()), item.get("venue"), item.get("year"))
        for item in found
    ]
    assert shown == [
        ("A", ("X",), "Proc. of X", 2001),
        ("B", ("Y",), "Press", 2002),
        ("W", ("Z",), "J", 2003),
        ("E", ("Q",), "W2", 2004),
        ("Proc. of X", ("Ed",), None, 2001),
        ("W", ("Z",), "J", 2003),
        ("W2", ("Q",), None, 2004),
        ("X1", (), "Y1", 2005),
        ("Y1", (), "X1", 2005),
    ]
    assert (found[0].get("url"), found[0].get("doi")) == (None, None)


BOOK = "10.1007/978-3-540-12345-6"
CHAPTERS = [
    # the book's, by its form
    (f"@incollection{{a, title={{One}}, author={{A}}, doi={{{BOOK}}}}}", [False]),
    (f"@book{{a, title={{One}}, author={{A}}, doi={{{BOOK}}}}}", [True]),
    (f"@incollection{{a, title={{One}}, author={{A}}, doi={{{BOOK}_1}}}}", [True]),
    # the book's, as chapters share it
    (
        "@inbook{a, title={First steps}, doi={10.1/b}}@inbook{b, title={Last words}, doi={10.1/b}}",
        [False, False],
    ),
    (
        "@inbook{a, title={First steps}, doi={10.1/b}} @book{b, title={A life}, doi={10.1/b}}",
        [False, True],
    ),
    # the same work twice
    (
        "@inbook{a, title={First steps}, doi={10.1/b}}"
        "@inbook{b, title={First Steps: a tale}, doi={10.1/b}}",
        [True, True],
    ),
    (
        "@article{a, title={First steps}, doi={10.1/b}} @article{b, title={Erratum}, doi={10.1/b}}",
        [True, True],
    ),
]


@pytest.mark.parametrize(("text", "own"), CHAPTERS)
def test_a_chapter_is_not_its_book(tmp_path: Path, text: str, own: list[bool]) -> None:
    found = taken(read(tmp_path, text))
    assert [item["id"] == item["doi"] for item in found] == own
    if not all(own):
        assert len({item["id"] for item in found}) == len(found)


# of "a study li 2001"
IDENTITY = f"bib-{hashlib.sha256(b'a study li 2001').hexdigest()[:20]}"


def test_the_identity_of_a_work_without_doi_stays(tmp_path: Path) -> None:
    """What an earlier version stored is not stored beside itself."""
    text = "@misc{k, title={{A} Study}, subtitle={S}, author={Li, Jr., Bo and X}, year=2001}"
    (item,) = taken(read(tmp_path, text))
    assert item["id"] == IDENTITY


@pytest.mark.parametrize(
    "text",
    [
        "@misc{my key, title={T}, doi={10.1/x}}",
        "@misc{k, title={T}, doi={https://doi.org/10.1/\n  x}}",
    ],
)
def test_spaces_where_none_belong(tmp_path: Path, text: str) -> None:
    (item,) = taken(read(tmp_path, text))
    assert (item["id"], item["url"]) == ("10.1/x", "https://doi.org/10.1/x")


LONG = 400_000
HOSTILE = {
    "entries without end": "@a(\n" * (LONG // 4),
    "strings": "".join(f'@string{{a{n}="x"}}\n@misc{{k, title=a{n}}}\n' for n in range(1000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_take_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Minutes, where the time grows with the square of the size."""
    monkeypatch.setattr("research_app.sources.outcome.MAX_REFUSED", 10**9)
    start = time.monotonic()
    assert read(tmp_path, HOSTILE[name])
    assert time.monotonic() - start < 60


def test_more_entries_than_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bibtex_entries, "MAX_ENTRIES", 2)
    found = read(tmp_path, "@misc{a, title={A}}\n@misc{b, title={B}}\n@misc{c, title={C}}\n" * 2)
    assert [item["title"] for item in taken(found)] == ["A", "B"]
    assert refused(found) == [
        ("library.bib:3", "the file: over 2 entries in one file; the rest is not read")
    ]


def test_more_fields_than_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bibtex_entries, "MIN_FIELDS", 2)
    found = read(tmp_path, "@misc{a, title={A}}\n@misc{b, title={B}, x=1, y=1, z=1, w=1}")
    assert [item["title"] for item in taken(found)] == ["A"]
    assert refused(found) == [
        ("library.bib:2", "b: the file has more fields than any library of its size")
    ]


def test_strings_that_are_longer_than_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bibtex_entries, "MAX_ENTRY", 1500)
    strings = "".join(f'@string{{s{n} = "{"x" * 1000}"}}\n' for n in range(2))
    found = read(tmp_path, strings + "@misc{a, title=s0}\n@misc{b, title = s0 # s1}\n")
    assert len(taken(found)) == 1
    assert refused(found) == [("library.bib:4", "b: the strings that it uses are over 1 KiB")]


def test_an_entry_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bibtex_entries, "MAX_ENTRY", 2000)
    found = read(tmp_path, "@misc{a, title={" + "x" * 5000 + "}}\n@misc{b, title={After}}")
    assert refused(found) == [("library.bib:1", "a: it is over 1 KiB")]
    assert [item["title"] for item in taken(found)] == ["After"]


@pytest.mark.parametrize("content", ["just words", "%PDF-1.4", "@comment{x}"])
def test_what_is_no_bibtex(tmp_path: Path, content: str) -> None:
    assert refused(read(tmp_path, content)) == [("library.bib", "no BibTeX entry in it")]


CYRILLIC = "Распознавание образов, теория и практика"
GUESSED = [
    ("Größe, Straße, naïve", "cp1252", "Windows-1252"),
    ("Größe", "latin-1", "Windows-1252"),
    ("Éléments d\u2019une théorie", "cp1252", "Windows-1252"),
    ("基于深度学习的图像识别研究", "gbk", "gb18030"),
    ("深度學習的影像辨識研究", "big5", "big5"),
    ("深層学習による画像認識の研究について", "shift_jis", "shift_jis"),
    (CYRILLIC, "cp1251", "Windows-1251"),
    (CYRILLIC, "koi8_r", "koi8_r"),
    ("Příliš žluťoučký kůň úpěl", "cp1250", "Windows-1250"),
]


@pytest.mark.parametrize(("title", "encoding", "said"), GUESSED)
def test_an_old_encoding(tmp_path: Path, title: str, encoding: str, said: str) -> None:
    text = f"@misc{{a, title={{{title}}}}}\n@misc{{b, title={{After}}}}"
    first, second = read(tmp_path, text.encode(encoding))
    assert isinstance(first, Candidate)
    assert isinstance(second, Candidate)
    assert taken([first])[0]["title"] == title
    assert first.mended == (f"the file is not UTF-8; it is read as {said}",)
    assert second.mended == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_in_every_form(tmp_path: Path, encoding: str) -> None:
    (item,) = read(tmp_path, "@misc{a, title={Größe, 图像}}".encode(encoding))
    assert isinstance(item, Candidate)
    assert taken([item])[0]["title"] == "Größe, 图像"
    assert item.mended == ()


def test_a_declared_encoding(tmp_path: Path) -> None:
    text = "% Encoding: iso-8859-2\n@misc{a, title={ľščťžýáíé}}"
    (item,) = taken(read(tmp_path, text.encode("iso-8859-2")))
    assert item["title"] == "ľščťžýáíé"


def test_one_line_in_another_encoding(tmp_path: Path) -> None:
    lines = [f"@misc{{a{n}, title={{Größe {n}}}}}\n".encode() for n in range(3)]
    lines.append("@misc{b, title={Maß \u2013 so}}\n".encode("cp1252"))
    found = read(tmp_path, b"".join(lines))
    assert [item["title"] for item in taken(found)] == [
        "Größe 0",
        "Größe 1",
        "Größe 2",
        "Maß \u2013 so",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            b"@misc{a, title={" + bytes(range(128, 256)) + b"}}",
            "its encoding is not to be made out",
        ),
        (b"@misc{a, title={\0\0\1\2}}", "not a text"),
        ("@misc{a, title={Größe}}".encode("utf-16")[:-1], "damaged: it is not all UTF-16"),
        (b"", "the file is empty"),
    ],
)
def test_what_is_no_text(tmp_path: Path, content: bytes, reason: str) -> None:
    ((source, said),) = refused(read(tmp_path, content))
    assert source == "library.bib"
    assert said.startswith(reason)


def test_the_key_is_not_the_identity(tmp_path: Path) -> None:
    """Two libraries use one key for two works, and two keys for one."""
    one, other, again = taken(
        read(tmp_path, "@misc{k, title={A}}\n@misc{k, title={B}}\n@misc{m, title={{A}}}")
    )
    assert one["id"] != other["id"]
    assert one["id"] == again["id"]


def test_it_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.BIB").write_text("@misc{a, title={T}}")
    for path in (tmp_path, tmp_path / "a.BIB"):
        (item,) = open_source(path, "paper").candidates
        assert isinstance(item, Candidate)


@given(st.text(st.sampled_from('@misc{},="\\ab\n#()%'), max_size=200))
def test_anything_is_read_to_its_end(text: str) -> None:
    found = list(bibtex.parsed(text.encode()))
    assert len(found) <= text.count("@")
    lines = [entry["line"] for entry in found]
    assert lines == sorted(lines)


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    with contextlib.suppress(RefusedError):
        list(bibtex.parsed(b"@misc{a, title={" + content))
