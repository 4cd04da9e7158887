from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loading import loaded
from reading import AtHand

from research_app.sources import bibtex, open_source
from research_app.sources.document import Candidate, Refusal

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
        "title": "Counting Zebras from the Air: Über Streifen \u2014 $p < 0.05$ & more",
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
    ("@article{a, title={T} year={2001}}\n", "not BibTeX"),
    ("@article{a, year={2001}}\n", "no title"),
    ("@article{a, title={T}, url={javascript:alert(1)}}\n", "url: is not an http"),
    ("@article{a, title=undefined_name}\n", "not BibTeX"),
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
    monkeypatch.setattr(bibtex, "MAX_ENTRIES", 2)
    found = read(tmp_path, "@misc{a, title={A}}\n@misc{b, title={B}}\n@misc{c, title={C}}\n" * 2)
    assert [item["title"] for item in taken(found)] == ["A", "B"]
    assert refused(found) == [
        ("library.bib:3", "the file: over 2 entries in one file; the rest is not read")
    ]


def test_strings_that_are_longer_than_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bibtex, "MAX_ENTRY", 1500)
    strings = "".join(f'@string{{s{n} = "{"x" * 1000}"}}\n' for n in range(2))
    found = read(tmp_path, strings + "@misc{a, title=s0}\n@misc{b, title = s0 # s1}\n")
    assert len(taken(found)) == 1
    assert refused(found) == [("library.bib:4", "b: the strings that it uses are over 1 KiB")]


def test_an_entry_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bibtex, "MAX_ENTRY", 2000)
    found = read(tmp_path, "@misc{a, title={" + "x" * 5000 + "}}\n@misc{b, title={After}}")
    assert refused(found) == [("library.bib:1", "a: it is over 1 KiB")]
    assert [item["title"] for item in taken(found)] == ["After"]


@pytest.mark.parametrize("content", ["", "just words", "%PDF-1.4", "@comment{x}"])
def test_what_is_no_bibtex(tmp_path: Path, content: str) -> None:
    assert refused(read(tmp_path, content)) == [("library.bib", "no BibTeX entry in it")]


def test_an_old_encoding(tmp_path: Path) -> None:
    (item,) = taken(read(tmp_path, "@misc{a, title={Größe}}".encode("latin-1")))
    assert item["title"] == "Größe"


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


@given(st.text(st.sampled_from('@misc{},="\\ab\n#()'), max_size=200))
def test_anything_is_read_to_its_end(text: str) -> None:
    found = list(bibtex.entries(text))
    assert len(found) <= text.count("@")
    lines = [entry.line for entry in found]
    assert lines == sorted(lines)


@given(st.text(max_size=100))
def test_plain_text(text: str) -> None:
    assert not set("{}\n") & set(bibtex.plain(text))
