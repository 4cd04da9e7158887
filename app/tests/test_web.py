from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.robotparser import RobotFileParser

import pytest
from conftest import Site, results
from test_assistant_routes import page_config

from research_app.citation import bibtex
from research_app.index.client import IndexUnavailableError
from research_app.search.query import SearchQuery
from research_app.services import build
from research_app.web import views
from research_app.web.addresses import item_address, search_address, toggled
from research_app.web.static_files import versions

NASTY = "<script>alert(1)</script>\"'&"
PAPER = {"kind": "paper", "title": "A paper", "authors": ["Ann"], "year": 2020, "venue": "V"}


class Outline(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


PAGES = ["/", "/?q=graph+networks", "/?q=ab", "/items/a/b", "/items/none", "/nowhere"]


@pytest.fixture
def full(site: Site) -> Site:
    site.search.results_of = results({**PAPER, "url": "https://example.org/x"}, total=500)
    site.search.items = {"a/b": {**PAPER, "abstract": "About it."}}
    return site


@pytest.mark.parametrize("address", PAGES)
def test_pages_work_under_a_strict_policy(full: Site, address: str) -> None:
    response = full.get(address)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = Outline(response.text)
    for _, attributes in page.tags:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert page.of("style") == []
    for script in page.of("script"):
        assert str(script["src"]).startswith("/static/")
    for link in page.of("link"):
        assert str(link["href"]).startswith("/static/")
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("address", PAGES)
def test_pages_have_what_a_screen_reader_needs(full: Site, address: str) -> None:
    page = Outline(full.get(address).text)
    assert page.of("html")[0]["lang"] == "en"
    assert len(page.of("h1")) == 1
    assert len(page.of("main")) == 1
    assert page.of("a")[0]["href"] == "#main"
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {label.get("for") for label in page.of("label")}
    for field in page.of("input"):
        if field.get("type") == "search":
            assert field["id"] in labels


def test_the_beginning_shows_the_holdings(site: Site) -> None:
    page = site.get("/").text
    assert "<strong>1,224</strong> papers" in page
    assert "Holdings by year, 2019 to 2021" in page


def test_whatever_a_document_says_is_text(site: Site) -> None:
    nasty = {**PAPER, "title": NASTY, "authors": [NASTY], "venue": NASTY, "abstract": NASTY}
    site.search.results_of = results(nasty)
    site.search.items = {"1": {**nasty, "doi": NASTY, "language": NASTY}}
    for address in ("/?q=alert", "/items/1"):
        response = site.get(address)
        assert response.status_code == 200
        assert "<script>alert" not in response.text
        assert "&lt;script&gt;alert" in response.text


@pytest.mark.parametrize(
    "words", [NASTY, "p < 0.05; x--y", '" onfocus="x', "{{ 7*7 }}", "a\u202eb c"]
)
def test_whatever_a_reader_asks_is_text(site: Site, words: str) -> None:
    response = site.get("/", params={"q": words})
    assert response.status_code == 200
    (box,) = (field for field in Outline(response.text).of("input") if field.get("id") == "q")
    assert box["value"] == site.search.asked[-1].q
    assert "onfocus" not in box


def test_the_address_says_everything(full: Site) -> None:
    full.get("/?q=graph&kind=paper&kind=video&year_from=2019&year_to=&sort=newest&page=3&venue=V")
    assert full.search.asked[-1] == SearchQuery(
        q="graph", kind=("paper", "video"), year_from=2019, sort="newest", page=3, venue=("V",)
    )


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/?q=ab", 422, "3 to 500 characters"),
        ("/?q=" + "a" * 501, 422, "3 to 500 characters"),
        ("/?q=abc&page=101", 422, "Only the first 100 pages"),
        ("/?q=abc&year_from=2020&year_to=2010", 422, "after year_to"),
        ("/items/none", 404, "no such item"),
        ("/nowhere", 404, "no such page"),
    ],
)
def test_mistakes_are_explained(site: Site, address: str, status: int, words: str) -> None:
    response = site.get(address)
    assert response.status_code == status
    assert words in response.text
    assert "<form" in response.text


@pytest.mark.parametrize("address", ["/items/", "/api/items/", "/api/items//similar"])
def test_an_address_without_an_id_is_no_fault_of_ours(
    site: Site, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setitem(vars(site.services), "search", build(site.services.settings).search)
    assert site.get(address).status_code == 404


@pytest.mark.parametrize("address", ["/", "/?q=graph", "/items/1", "/api/search?q=graph"])
def test_when_opensearch_is_down(site: Site, address: str) -> None:
    site.search.failure = IndexUnavailableError("no node answers at os1:9200")
    response = site.get(address)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert "try again in a moment" in response.text
    assert "os1" not in response.text


@pytest.mark.parametrize("address", ["/?q=graph", "/api/search?q=graph"])
def test_a_fault_of_ours_shows_nothing_of_it(site: Site, address: str) -> None:
    site.search.failure = KeyError("internal-detail")
    response = site.get(address)
    assert response.status_code == 500
    assert "internal-detail" not in response.text
    assert "went wrong on our side" in response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_nothing_found(site: Site) -> None:
    page = site.get("/?q=graph&kind=video&year=2020").text
    assert "Nothing found" in page
    assert "search again without the filters" in page


def test_part_of_the_library_missing(site: Site) -> None:
    site.search.results_of = results(PAPER) | {"partial": True}
    assert "does not answer right now" in site.get("/?q=graph").text


@pytest.mark.parametrize("name", sorted(versions()))
def test_static_files_are_kept_for_ever_under_their_own_address(site: Site, name: str) -> None:
    version = versions()[name]
    cached = site.get(f"/static/{name}?v={version}").headers["cache-control"]
    assert "immutable" in cached
    other = site.get(f"/static/{name}?v=other")
    assert "immutable" not in other.headers["cache-control"]
    assert site.get("/static/none.css").status_code == 404
    assert site.get("/static/../settings.py").status_code == 404


def test_only_get_and_head(site: Site) -> None:
    assert site.client.head("/").status_code == 200
    assert site.client.head("/ready").status_code == 200
    for method in ("POST", "PUT", "DELETE"):
        assert site.client.request(method, "/").status_code == 405
        assert site.client.request(method, "/api/search?q=abc").status_code == 405


def test_crawlers_are_kept_from_what_costs_a_model(site: Site) -> None:
    robots = RobotFileParser()
    robots.parse(site.get("/robots.txt").text.splitlines())
    for kept in ("/answer?q=x", "/api/answer?q=x", "/assistant/", "/?q=x", "/login", "/admin"):
        assert not robots.can_fetch("any", kept), kept
    for shown in ("/", "/library", "/items/a", "/static/site.css", "/files/a.pdf"):
        assert robots.can_fetch("any", shown), shown
    site.search.results_of = results(PAPER)
    link = re.search(r'<a href="/answer\?[^>]*>', site.get("/?q=stripes").text)
    assert link is not None
    assert 'rel="nofollow"' in link[0]


def test_request_ids(site: Site) -> None:
    assert len(site.get("/live").headers["x-request-id"]) == 32
    given = {"X-Request-ID": "edge-12345678"}
    assert site.get("/live", headers=given).headers["x-request-id"] == "edge-12345678"
    forged = {"X-Request-ID": "x\tlevel=error"}
    assert site.get("/live", headers=forged).headers["x-request-id"] != "x\tlevel=error"


def test_api_search(full: Site) -> None:
    found = full.get("/api/search?q=graph&size=5&year=2020").json()
    assert set(found) >= {"total", "page", "size", "took_ms", "results", "facets"}
    assert set(found["results"][0]) >= {
        "id", "title", "authors", "year", "venue", "kind", "url", "highlights", "score",
    }  # fmt: skip
    assert (found["page"], found["size"]) == (1, 5)


def test_api_mistakes(site: Site) -> None:
    response = site.get("/api/search?q=abc&size=1000")
    assert response.status_code == 422
    assert response.json()["fields"] == ["size"]
    assert site.get("/api/search").json()["detail"].startswith("a query is needed")
    assert site.get("/api/nothing").json() == {"detail": "There is no such page here."}


def test_api_items(full: Site) -> None:
    assert full.get("/api/items/a/b").json()["title"] == "A paper"
    assert full.get("/api/items/none").status_code == 404


def test_readiness(site: Site) -> None:
    assert site.get("/live").status_code == 200
    assert site.get("/ready").status_code == 200
    site.health.bad = {"opensearch"}
    assert site.get("/ready").status_code == 503
    site.reset()
    site.drain.begin()
    assert site.get("/ready").status_code == 503
    assert site.get("/live").status_code == 200


@pytest.mark.parametrize(
    ("bad", "status", "word"),
    [
        (set(), 200, "healthy"),
        ({"cache"}, 200, "degraded"),
        ({"indices"}, 200, "degraded"),
        ({"opensearch"}, 503, "unhealthy"),
        ({"disk", "cache"}, 503, "unhealthy"),
    ],
)
def test_health(site: Site, bad: set[str], status: int, word: str) -> None:
    site.health.bad = bad
    response = site.get("/health")
    assert response.status_code == status
    found = response.json()
    assert found["status"] == word
    assert all(set(found[name]) == {"ok", "seconds", "detail"} for name in bad)


def test_the_assistant_leaks_nothing(site: Site) -> None:
    page = site.get("/assistant/")
    assert page.status_code == 200
    config = page_config(site)
    assert config["show_error"] is False
    assert config["analytics_enabled"] is False
    assert config["enable_queue"] is True
    assert not config.get("show_api", False)
    assert site.get("/assistant/monitoring").status_code in (401, 403, 404)
    assert "fonts.googleapis" not in page.text


def test_the_plot_has_a_place_for_every_year() -> None:
    counts = [{"value": 2010, "count": 10}, {"value": 2019, "count": 1}]
    plot = views.plot(counts, SearchQuery(q="abc", year_from=2015))
    assert plot is not None
    assert (plot.first, plot.last, len(plot.bars)) == (2010, 2019, 2)
    assert [bar.chosen for bar in plot.bars] == [False, True]
    assert plot.bars[1].x == 91
    assert views.plot([], None) is None


def test_years_that_are_not_shown_do_not_lower_the_others() -> None:
    plot = views.plot([{"value": 1900, "count": 1000}, {"value": 2019, "count": 1}], None)
    assert plot is not None
    assert [(bar.year, bar.height) for bar in plot.bars] == [(2019, 38)]


@pytest.mark.parametrize(
    ("current", "last", "numbers"),
    [
        (1, 1, [1]),
        (1, 3, [1, 2, 3]),
        (1, 9, [1, 2, 3, None, 9]),
        (5, 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (50, 100, [1, None, 48, 49, 50, 51, 52, None, 100]),
    ],
)
def test_page_numbers(current: int, last: int, numbers: list[int | None]) -> None:
    assert views.page_numbers(current, last) == numbers


def test_pages_end_where_opensearch_does() -> None:
    query = SearchQuery(q="abc", page=100)
    view = views.search_view(query, results(PAPER, total=9999))
    assert view["pages"][-1][0] == 100
    assert view["next"] == ""


def test_addresses() -> None:
    query = SearchQuery(q="a b&c", kind=("paper",), year=2020, page=4, sort="newest")
    assert search_address(query) == "/?q=a+b%26c&kind=paper&year=2020&sort=newest"
    assert search_address(query, page=2).endswith("&page=2")
    assert toggled(query, "kind", "paper") == "/?q=a+b%26c&year=2020&sort=newest"
    assert toggled(query, "kind", "video").count("kind=") == 2
    assert "year" not in toggled(query, "year", 2020)
    assert "year=2021" in toggled(query, "year", 2021)
    assert item_address("10.1/a b?") == "/items/10.1/a%20b%3F"


def test_a_chosen_value_can_be_let_go_when_nothing_is_left_of_it() -> None:
    query = SearchQuery(q="abc", kind=("video",))
    choices = views.facet_choices(query, results())["kind"]
    assert [(choice.label, choice.count, choice.chosen) for choice in choices] == [
        ("Papers", 3, False),
        ("Videos", 0, True),
    ]


def test_names_found_are_marked_among_the_others() -> None:
    (result,) = results({**PAPER, "authors": ["Ann Lee", "Bo"]})["results"]
    result["highlights"] = {"authors": ["Ann <mark>Lee</mark>"]}
    assert [str(name) for name in views.result_view(result)["authors_shown"]] == [
        "Ann <mark>Lee</mark>",
        "Bo",
    ]


def test_shortened() -> None:
    assert views.shortened("one two three", 9) == "one two …"
    assert views.shortened("short", 9) == "short"


ENTRIES: list[tuple[dict[str, Any], str]] = [
    ({"venue": "Proceedings of X"}, "@inproceedings{lovelace1843sketch,"),
    ({"venue": "Journal of X"}, "@article{"),
    ({"venue": ""}, "@misc{"),
    ({"kind": "video"}, "@misc{"),
    ({"authors": [], "year": None}, "@inproceedings{anonymoussketch,"),
]


@pytest.mark.parametrize(("change", "start"), ENTRIES)
def test_citations(change: dict[str, Any], start: str) -> None:
    item = {
        "kind": "paper", "title": "A Sketch of 100% {it}", "authors": ["Ada Lovelace"],
        "year": 1843, "venue": "Proceedings of X", "doi": "10.1/a_b", "url": None,
    }  # fmt: skip
    entry = bibtex(item | change)
    assert entry.startswith(start)
    assert r"100\% \{it\}" in entry
    assert entry.count("{") == entry.count("}")
    assert re.search(r"doi = \{10\.1/a_b\}", entry)


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("https://e.org/a}b", "https://e.org/a%7Db"),
        ("https://e.org/{a}\\ b", "https://e.org/%7Ba%7D%5C%20b"),
        ("https://e.org/a_b?c=%20&d#e~", "https://e.org/a_b?c=%20&d#e~"),
    ],
)
def test_addresses_end_no_citation(address: str, written: str) -> None:
    entry = bibtex({"kind": "paper", "title": "T", "url": address, "doi": address})
    assert f"  doi = {{{written}}},\n  url = {{{written}}},\n" in entry
    assert entry.count("{") == entry.count("}")
