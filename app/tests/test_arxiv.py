"""recorded/arxiv-1911.12281.atom.xml is an answer of arXiv's interface of June 2020. What arXiv
tells of its papers is free of rights (CC0)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from loading import loaded

from research_app.refusal import NotNowError
from research_app.sources import absolute, arxiv, open_source
from research_app.sources.document import Candidate, Refusal, RefusedError
from research_app.sources.tools import Tools

RECORDED = (Path(__file__).parent / "recorded" / "arxiv-1911.12281.atom.xml").read_bytes()
FEED = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><totalResults'
    ' xmlns="http://a9.com/-/spec/opensearch/1.1/">{total}</totalResults>{entries}</feed>'
)
ENTRY = (
    "<entry><id>http://arxiv.org/abs/{number}v1</id><title>T</title><summary>S</summary>"
    "<published>2020-01-01T00:00:00Z</published></entry>"
)
ERROR = (
    "<entry><id>http://arxiv.org/api/errors#incorrect_id_format_for_x</id><title>Error</title>"
    "<summary>incorrect id format for x</summary></entry>"
)


class FakeWeb:
    """Answers one after the other, and remembers what was asked."""

    enabled = True

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[dict[str, list[str]], float | None]] = []

    def get(self, url: str, *, max_bytes: int, pause: float) -> Any:
        assert url.startswith("https://export.arxiv.org/api/query?")
        self.asked.append((parse_qs(urlsplit(url).query), pause))
        return SimpleNamespace(content=self.answers.pop(0))


def read(location: str, *answers: bytes) -> tuple[list[Candidate | Refusal], FakeWeb]:
    web = FakeWeb(*answers)
    source = open_source(location, "paper", Tools(fetcher=web))  # type: ignore[arg-type]
    return list(source.candidates), web


def feed(total: int, *entries: str) -> bytes:
    return FEED.format(total=total, entries="".join(entries)).encode()


def test_a_paper_by_its_number() -> None:
    (item,), web = read("arxiv:1911.12281", RECORDED)
    assert isinstance(item, Candidate)
    assert (item.id, item.source) == ("arxiv:1911.12281", "https://arxiv.org/abs/1911.12281")
    found = dict(loaded([item])[item.source])
    assert found.pop("abstract").startswith("We compute small rational models for configuration")
    assert found == {
        "id": "arxiv:1911.12281",
        "kind": "paper",
        "title": "Configuration Spaces of Surfaces",
        "authors": ("Ricardo Campos", "Najib Idrissi", "Thomas Willwacher"),
        "year": 2019,
        "venue": "arXiv (math.QA)",
        "url": "https://arxiv.org/abs/1911.12281",
        "pdf_url": "https://arxiv.org/pdf/1911.12281v2",
    }
    ((asked, pause),) = web.asked
    assert asked == {"id_list": ["1911.12281"], "start": ["0"], "max_results": ["100"]}
    assert pause == 3.0


def test_pages_of_a_query() -> None:
    first = feed(3, ENTRY.format(number="2001.00001"), ENTRY.format(number="hep-th/9901001"))
    second = feed(3, ENTRY.format(number="2001.00003"))
    items, web = read("arxiv:zebra stripes", first, second)
    assert [item.id for item in items if isinstance(item, Candidate)] == [
        "arxiv:2001.00001",
        "arxiv:hep-th/9901001",
        "arxiv:2001.00003",
    ]
    assert [asked["start"] for asked, _ in web.asked] == [["0"], ["2"]]
    assert web.asked[0][0]["search_query"] == ["all:zebra AND all:stripes"]


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("arxiv:1911.12281v2", {"id_list": "1911.12281v2"}),
        ("arXiv:hep-th/9901001, 2001.00001", {"id_list": "hep-th/9901001,2001.00001"}),
        ("https://arxiv.org/abs/1911.12281v1", {"id_list": "1911.12281v1"}),
        ("http://www.arxiv.org/pdf/1911.12281.pdf", {"id_list": "1911.12281"}),
        ("arxiv:ti:operad AND cat:math.QA", {"search_query": "ti:operad AND cat:math.QA"}),
        ("arxiv:a&max_results=9", {"search_query": "all:a AND all:max_results AND all:9"}),
    ],
)
def test_what_is_asked(location: str, asked: dict[str, str]) -> None:
    assert arxiv.is_reference(location)
    assert arxiv.parameters(location) == asked


def test_other_addresses_are_not_arxivs() -> None:
    for location in ("https://arxiv.org.example.com/abs/1911.12281", "https://arxiv.org/list/x"):
        assert not arxiv.is_reference(location)
    assert absolute("arxiv:1911.12281") == "arxiv:1911.12281"


def test_nothing_asked() -> None:
    with pytest.raises(RefusedError, match="say which papers"):
        arxiv.parameters("arxiv: ")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (feed(1, ERROR), "arXiv says: incorrect id format for x"),
        (feed(0), "arXiv has no such paper"),
        (b"<html>busy", "arXiv's answer cannot be read"),
        (
            b'<!DOCTYPE f [<!ENTITY e SYSTEM "file:///etc/passwd">]><feed>&e;</feed>',
            "arXiv's answer cannot be read",
        ),
    ],
)
def test_what_is_refused(answer: bytes, reason: str) -> None:
    (item,), _ = read("arxiv:1911.12281", answer)
    assert isinstance(item, Refusal)
    assert item.reason == reason


def test_an_interface_that_is_away_for_now_refuses_nothing() -> None:
    class Away(FakeWeb):
        def get(self, url: str, **options: Any) -> Any:
            if not self.answers:
                raise NotNowError("export.arxiv.org answers 503", 5)
            return super().get(url, **options)

    web = Away(feed(2, ENTRY.format(number="2001.00001")))
    source = open_source("arxiv:zebra", "paper", Tools(fetcher=web))  # type: ignore[arg-type]
    first = next(source.candidates)
    assert isinstance(first, Candidate)
    with pytest.raises(NotNowError):
        next(source.candidates)


def test_without_the_web() -> None:
    (item,) = open_source("arxiv:1911.12281", "paper").candidates
    assert item == Refusal("arxiv:1911.12281", "fetching from the web is switched off on this site")


def test_a_query_that_finds_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arxiv, "MAX_PAPERS", 1)
    items, web = read("arxiv:physics", feed(99, ENTRY.format(number="2001.00001")))
    assert isinstance(items[1], Refusal)
    assert items[1].reason == "only the first 1 of 99 papers were taken"
    assert len(web.asked) == 1


def test_an_answer_with_more_in_it_than_answers_have_is_refused() -> None:
    content = b'<feed xmlns="http://www.w3.org/2005/Atom">' + b"<a>" * 200_001
    with pytest.raises(RefusedError, match="over 200,000 elements: not an answer of arXiv's"):
        arxiv.parsed(content)
