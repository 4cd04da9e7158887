"""The script that reads other people's files: what it argues, and what is argued in vain."""

from __future__ import annotations

import csv
import importlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shared_data import shared

BENCH = Path(__file__).parents[1] / "bench"
HEAD = "file\tdisagreement begins\treason\n"


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Reads a folder with a list of what is argued; how it ends, and what it says."""
    monkeypatch.syspath_prepend(str(BENCH))
    cases = importlib.import_module("cases")
    monkeypatch.setattr(logging, "disable", lambda _: None)  # or it were so for all other tests

    def with_list(folder: Path, argued: Path = BENCH / "cases_argued.tsv") -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cases", str(folder)])
        monkeypatch.setattr(cases, "ARGUED", argued)
        try:
            cases.main()
        except SystemExit as end:
            return int(str(end.code)), capsys.readouterr().out
        return 0, capsys.readouterr().out

    return with_list


# a line of the list, what is said of it, and how the script ends
LISTS = [
    ("", "1 disagreements: 0 argued, 1 not", 1),
    ("two.bib\t2 documents expected, 1 taken\tno title\n", "1 disagreements: 1 argued, 0 not", 0),
    ("two.bib\t2 documents expected, 0 taken\tno title\n", "argued in vain  two.bib", 1),
    (
        "two.bib\t2 documents\tno title\ngood.bib\t1 documents\tnothing\n",
        "argued in vain  good.bib",
        1,
    ),
    ("two.bib\t2 documents\tno title\nelsewhere.bib\t1\tnot read now\n", "1 argued, 0 not", 0),
]


@pytest.mark.parametrize(("lines", "said", "status"), LISTS)
def test_what_is_argued(
    run: Callable[..., tuple[int, str]], tmp_path: Path, lines: str, said: str, status: int
) -> None:
    folder = tmp_path / "bibtex"
    folder.mkdir()
    (folder / "good.bib").write_text("@misc{a, title={A}}")
    (folder / "two.bib").write_text("@misc{a, title={A}}\n@misc{b, year=2001}")
    manifest = "file\torigin\tspecial\texpected\ngood.bib\t\t\t1 entries\ntwo.bib\t\t\t2 entries\n"
    (folder / "MANIFEST.tsv").write_text(manifest)
    (tmp_path / "argued.tsv").write_text(HEAD + lines)
    ended, words = run(tmp_path, tmp_path / "argued.tsv")
    assert (said in words, ended) == (True, status)


def test_each_line_has_a_reason() -> None:
    with (BENCH / "cases_argued.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert all(len(row) == 3 and all(row) for row in rows)
    assert len({(row[0], row[1]) for row in rows}) == len(rows)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_all_that_disagrees_is_argued(run: Callable[..., tuple[int, str]]) -> None:
    assert run(shared("../cases"))[0] == 0
