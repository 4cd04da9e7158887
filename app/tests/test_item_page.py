"""The page of a document: its place, its player, its figures; and the holdings as a plot."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import FakePassage, Site, results
from hypothesis import given
from hypothesis import strategies as st

from research_app.web import library_view, views
from research_app.web.item_view import item_view
from research_app.web.places import clock, place_address

KEY = "a" * 64
NASTY = "<script>alert(1)</script>"
PAPER: dict[str, Any] = {
    "kind": "paper",
    "title": "A paper",
    "file": f"{KEY}.pdf",
    "figures": [{"page": 2, "caption": f"Figure 1. {NASTY}", "image": f"{KEY}.webp"}],
    "references": [f"Ann. {NASTY}. 1999."],
}
PAGES = [
    {"text": "The first page.", "page": 1},
    {"text": f"The second page {NASTY}\n\nwith two paragraphs.", "page": 2},
    {"text": "The fourth page.", "page": 4},
]
TALK = {"kind": "video", "title": "A talk", "duration": 3725.0, "url": "https://youtu.be/x"}
SPOKEN = [
    {"text": "Good morning.", "start": 0.0},
    {"text": f"About {NASTY} zebras.", "start": 61.7},
    {"text": "Thank you.", "start": 3700.0},
]


@pytest.fixture
def shelf(site: Site) -> Site:
    site.search.items = {"p": PAPER, "t": TALK, "r": {**TALK, "file": f"{KEY}.mp4"}}
    site.search.texts = {"p": PAGES, "t": SPOKEN, "r": SPOKEN}
    return site


def test_a_paper_opens_at_a_page(shelf: Site) -> None:
    page = shelf.get("/items/p?page=2").text
    assert '<h2 id="place-title">Page 2</h2>' in page
    assert "The second page &lt;script&gt;" in page
    assert "<p>with two paragraphs.</p>" in page
    assert f'href="/files/{KEY}.pdf#page=2"' in page
    assert 'rel="prev" href="/items/p?page=1#place"' in page
    assert 'rel="next" href="/items/p?page=4#place"' in page
    assert NASTY not in page


@pytest.mark.parametrize("query", ["", "?page=3", "?page=0", "?page=x", "?page=-1", "?page=²"])
def test_a_place_that_is_none(shelf: Site, query: str) -> None:
    response = shelf.get(f"/items/p{query}")
    assert response.status_code == 200
    assert 'id="place"' not in response.text


def test_figures_and_references(shelf: Site) -> None:
    page = shelf.get("/items/p").text
    assert f'<img src="/files/{KEY}.webp" alt="Figure on page 2"' in page
    assert "References (1)" in page
    assert NASTY not in page


def test_a_recording_plays_from_a_second(shelf: Site) -> None:
    response = shelf.get("/items/r?t=75")
    assert f'<video controls preload="metadata" src="/files/{KEY}.mp4#t=75"' in response.text
    assert "media-src 'self'" in response.headers["content-security-policy"]
    assert ">At 1:01</h2>" in response.text
    assert 'href="/items/r?t=3700#place" data-second="3700"' in response.text
    assert "1:02:05" in response.text
    assert NASTY not in response.text


def test_a_recording_elsewhere_opens_at_a_second(shelf: Site) -> None:
    page = shelf.get("/items/t?t=61").text
    assert "<video" not in page
    assert 'href="https://youtu.be/x?t=61s"' in page


TIMES = st.floats(0, 1e5, allow_nan=False)


@given(st.lists(TIMES, max_size=6).map(sorted), st.none() | st.integers(0, 200_000))
def test_every_second_has_its_part(starts: list[float], second: int | None) -> None:
    item = {"id": "t", **results(TALK)["results"][0]}
    spoken = [{"text": f"part {n}", "start": start} for n, start in enumerate(starts)]
    view = item_view(item, spoken, None, second)
    here = [part for part in view["transcript"] if part.here]
    assert len(here) == (1 if starts and second is not None else 0)
    assert bool(view["place"]) == bool(here)


def test_addresses_of_places() -> None:
    assert place_address("a b", None, None) == "/items/a%20b"
    assert place_address("a", 3, None) == "/items/a?page=3#place"
    assert place_address("a", None, 0.9) == "/items/a?t=0#place"
    assert clock(3599.9) == "59:59"


# --- results ------------------------------------------------------------------------------------


def test_a_result_shows_where_it_was_found(site: Site) -> None:
    found = results(PAPER, TALK, total=2) | {"suggestion": "zebra <b>stripes</b>"}
    found["results"][0]["passages"] = [{"text": "a <mark>zebra</mark>", "page": 2, "start": None}]
    found["results"][1]["passages"] = [
        {"text": "the <mark>zebra</mark>", "page": None, "start": 61.7}
    ]
    site.search.results_of = found
    page = site.get("/?q=zebras").text
    assert f'href="/files/{KEY}.pdf#page=2"><span class="hidden">Open at </span>page 2</a>' in page
    assert 'href="/items/2?t=61#place"><span class="hidden">Open at </span>1:01</a>' in page
    assert "a <mark>zebra</mark>" in page
    assert f'<img src="/files/{KEY}.webp"' in page
    assert (
        '<a href="/?q=zebra+%3Cb%3Estripes%3C%2Fb%3E">zebra &lt;b&gt;stripes&lt;/b&gt;</a>' in page
    )
    assert "@misc{" in page


def test_the_figure_that_was_found_is_the_one_shown() -> None:
    figures = [
        {"page": 1, "caption": "A lion.", "image": f"{'b' * 64}.webp"},
        {"page": 2, "caption": "Figure 2. A zebra & more.", "image": f"{KEY}.webp"},
    ]
    (result,) = results({**PAPER, "figures": figures})["results"]
    result["highlights"] = {"figures.caption": ["A <mark>zebra</mark> &amp; more."]}
    shown = views.picture(result)
    assert shown is not None
    assert shown.address == f"/files/{KEY}.webp"
    result["highlights"] = {}
    shown = views.picture(result)
    assert shown is not None
    assert "bbb" in shown.address


@pytest.mark.parametrize(
    ("words", "asks"),
    [("zebra", False), ("zebra stripes", False), ("why stripes?", True), ("a b c d", True)],
)
def test_what_is_a_question(words: str, asks: bool) -> None:
    assert views.is_question(words) is asks


# --- answers and holdings -----------------------------------------------------------------------


def test_the_page_of_an_answer(site: Site) -> None:
    site.search.found_passages = [
        FakePassage(f"Zebras have stripes because of biting {NASTY} flies.", title=NASTY, page=3)
    ]
    page = site.get("/answer?q=Why do zebras have stripes?").text
    assert '<a class="number" href="/items/a/b?page=3#place"' in page
    assert "page 3" in page
    assert NASTY not in page
    assert site.get("/answer?q=ab").status_code == 422
    assert "Nothing in the library" in site.get("/answer?q=quarks and gluons").text


def test_only_sources_become_links() -> None:
    assert views.with_citations("a [1] b [7][0].", 2) == [
        ("a ", None),
        ("", 1),
        (" b [7][0].", None),
    ]


def test_the_holdings(site: Site) -> None:
    page = site.get("/library").text
    assert 'role="img"' in page
    assert "<title>2019: 990 papers</title>" in page
    assert '<th scope="row">2021</th><td>234</td><td>0</td><td>234</td>' in page


@given(st.dictionaries(st.integers(1000, 2999), st.integers(1, 10**6), max_size=80))
def test_the_plot_stays_in_its_box(counts: dict[int, int]) -> None:
    years = [
        {"value": year, "count": count, "kinds": {"paper": count - count // 3, "video": count // 3}}
        for year, count in counts.items()
    ]
    overview = {"kind": [], "year": years}
    plot = library_view.stack(overview)
    if plot is None:
        assert not years
        return
    for part in plot.parts:
        assert plot.left <= part.x <= part.x + plot.bar <= plot.width + 0.1
        assert 0 <= part.y <= part.y + part.height <= plot.height
    assert 1 <= len(plot.lines) <= 7
    assert [row.year for row in library_view.rows(overview)] == sorted(counts, reverse=True)


def test_the_table_adds_up_with_what_has_no_year() -> None:
    overview = {
        "kind": [{"value": "video", "count": 5}, {"value": "paper", "count": 3}],
        "year": [{"value": 2020, "count": 3, "kinds": {"paper": 2, "video": 1}}],
    }
    assert library_view.kinds_of(overview) == ["paper", "video"]
    found = [(row.year, row.counts, row.total) for row in library_view.rows(overview)]
    assert found == [(2020, [2, 1], 3), (None, [1, 4], 5)]


@pytest.mark.parametrize(
    ("most", "ticks"), [(1, [0, 1]), (9, [0, 2, 4, 6, 8]), (917, [0, 200, 400, 600, 800])]
)
def test_the_scale_is_round(most: int, ticks: list[int]) -> None:
    assert library_view.scale(most) == ticks
