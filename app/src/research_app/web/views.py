"""What the templates show, computed: links, chosen facets, page numbers, the year plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from research_app.answer.citations import MARK
from research_app.answer.events import Answer
from research_app.citation import bibtex
from research_app.search.query import SearchQuery
from research_app.web.addresses import (
    answer_address,
    file_address,
    item_address,
    search_address,
    toggled,
)
from research_app.web.places import clock, place, place_address

KIND_NAMES = {"paper": "Papers", "video": "Videos", "podcast": "Podcasts"}
KIND_NAME = {"paper": "Paper", "video": "Video", "podcast": "Podcast"}
FACET_TITLES = {"kind": "Kind", "venue": "Venue", "author": "Author"}
SORT_NAMES = {"relevance": "Relevance", "newest": "Newest", "oldest": "Oldest", "title": "Title"}
MADE_BY = {"extractive": "Sentences of the sources, word for word."}
MADE_BY_MODEL = "Written by a language model from the sources. Please check them."
LAST_PAGE = 100
SHOWN_AUTHORS = 6
SHOWN_ABSTRACT = 320
SHOWN_PLACES = 2
# so many words are a question, or as good as one: it is answered without being asked to
WORDS_OF_A_QUESTION = 4


@dataclass(frozen=True)
class Choice:
    """A value of a facet, as a link that chooses it or lets it go."""

    label: str
    count: int
    address: str
    chosen: bool


@dataclass(frozen=True)
class Chip:
    """A filter in force, and the address of the search without it."""

    label: str
    address: str


@dataclass(frozen=True)
class Bar:
    """A year in the plot."""

    year: int
    count: int
    x: float
    height: float
    address: str
    chosen: bool


@dataclass(frozen=True)
class Plot:
    """Documents per year, as bars in a box of 100 by 40."""

    bars: list[Bar]
    width: float
    first: int
    last: int


def shortened(text: str, limit: int) -> str:
    """The beginning of a text, cut between two words."""
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0].rstrip(",;:. ") + " …"


def _label(facet: str, value: str) -> str:
    """A value as a narrow column can show it; what every venue has in common says nothing."""
    if facet == "kind":
        return KIND_NAMES.get(value, value)
    if facet == "venue":
        short = value.removeprefix("Proceedings of ").removeprefix("the ")
        return short[:1].upper() + short[1:]
    return value


def facet_choices(query: SearchQuery, found: dict[str, Any]) -> dict[str, list[Choice]]:
    """Facet → its values; chosen ones stay visible when nothing is left of them."""
    choices: dict[str, list[Choice]] = {}
    for facet in FACET_TITLES:
        chosen = tuple(getattr(query, facet))
        counts = {entry["value"]: entry["count"] for entry in found["facets"].get(facet, [])}
        counts |= {value: 0 for value in chosen if value not in counts}
        choices[facet] = [
            Choice(
                _label(facet, value),
                count,
                toggled(query, facet, value),
                value in chosen,
            )
            for value, count in counts.items()
        ]
    return choices


def chips(query: SearchQuery) -> list[Chip]:
    """The filters in force."""
    found = [
        Chip(
            _label(facet, value),
            toggled(query, facet, value),
        )
        for facet in FACET_TITLES
        for value in getattr(query, facet)
    ]
    first, last = query.years
    if first or last:
        listed = ", ".join(map(str, query.year))
        label = listed or (str(first) if first == last else f"{first or '…'} to {last or '…'}")
        found.append(Chip(label, search_address(query, year=None, year_from=None, year_to=None)))
    return found


def plot(counts: list[dict[str, Any]], query: SearchQuery | None) -> Plot | None:
    """Bars per year, every year between the first and the last having its place."""
    if not counts:
        return None
    by_year = {entry["value"]: entry["count"] for entry in counts}
    first, last = min(by_year), max(by_year)
    first = max(first, last - 59)
    step = 100 / (last - first + 1)
    most = max(count for year, count in by_year.items() if year >= first)
    chosen_first, chosen_last = query.years if query else (None, None)
    bars = [
        Bar(
            year=year,
            count=count,
            x=round((year - first) * step + step * 0.1, 2),
            height=round(max(1.0, 38 * count / most), 2),
            address=toggled(query, "year", year) if query else "",
            chosen=year in query.year
            if query and query.year
            else bool(chosen_first or chosen_last)
            and (chosen_first or year) <= year <= (chosen_last or year),
        )
        for year, count in sorted(by_year.items())
        if year >= first
    ]
    return Plot(bars, round(step * 0.8, 2), first, last)


def page_numbers(current: int, last: int) -> list[int | None]:
    """Numbers worth a link, with None where some are left out."""
    wanted = sorted({1, last, *range(max(1, current - 2), min(last, current + 2) + 1)})
    numbers: list[int | None] = []
    for number in wanted:
        if numbers and (previous := numbers[-1]) is not None and number > previous + 1:
            numbers.append(previous + 1 if number == previous + 2 else None)
        numbers.append(number)
    return numbers


@dataclass(frozen=True)
class Place:
    """A passage, and the address that opens its document there."""

    text: Markup | str
    label: str
    address: str


@dataclass(frozen=True)
class Picture:
    """A figure, or a still of a recording."""

    address: str
    text: str


def opened_at(item: dict[str, Any], page: int | None, start: float | None) -> str:
    """The document itself at a place, where the library has it; else its page here."""
    if page is not None and (item.get("file") or "").endswith(".pdf"):
        return file_address(item["file"], page)
    return place_address(item["id"], page, start)


def places(result: dict[str, Any]) -> list[Place]:
    """The passages that were found, each with the way to it."""
    return [
        Place(
            Markup(found["text"]),  # noqa: S704 - escaped by the search
            place(found["page"], found["start"]),
            opened_at(result, found["page"], found["start"]),
        )
        for found in result.get("passages", [])[:SHOWN_PLACES]
    ]


def picture(result: dict[str, Any]) -> Picture | None:
    """What to look at: the figure that was found, the still of a recording, the first figure."""
    figures = [figure for figure in result["figures"] if figure.get("image")]
    captions = [
        Markup(part).striptags()  # noqa: S704
        for part in result["highlights"].get("figures.caption", [])
    ]
    found = [
        figure
        for figure in figures
        if any(part in " ".join(figure["caption"].split()) for part in captions)
    ]
    if not found and result["thumbnail"]:
        return Picture(file_address(result["thumbnail"]), "")
    if figures:
        shown = (found or figures)[0]
        return Picture(file_address(shown["image"]), shown["caption"])
    return None


def result_view(result: dict[str, Any]) -> dict[str, Any]:
    """One result; highlights are HTML that the search has escaped already."""
    highlights = {
        name: [Markup(part) for part in parts]  # noqa: S704
        for name, parts in result["highlights"].items()
    }
    found = places(result)
    abstract = highlights.get("abstract", [])[: 1 if found else 2]
    authors = highlights.get("authors") or result["authors"]
    marked_names = {Markup(name).striptags(): name for name in authors}  # noqa: S704
    names = [marked_names.get(name, name) for name in result["authors"]]
    return {
        **result,
        "address": item_address(result["id"]),
        "kind_name": KIND_NAME.get(result["kind"], result["kind"]),
        "title_shown": (highlights.get("title") or [result["title"]])[0],
        "authors_shown": names[:SHOWN_AUTHORS],
        "authors_more": max(0, len(names) - SHOWN_AUTHORS),
        "passages": abstract or ([] if found else [shortened(result["abstract"], SHOWN_ABSTRACT)]),
        "places": found,
        "picture": picture(result),
        "length": clock(result["duration"]) if result["duration"] else "",
        "bibtex": bibtex(result),
    }


def brief_view(result: dict[str, Any]) -> dict[str, Any]:
    """A document in one line."""
    return {
        **result,
        "address": item_address(result["id"]),
        "kind_name": KIND_NAME.get(result["kind"], result["kind"]),
    }


def is_question(words: str) -> bool:
    """Whether a reader seems to ask something, rather than look for a title or a name."""
    return words.rstrip().endswith("?") or len(words.split()) >= WORDS_OF_A_QUESTION


def answer_view(found: Answer) -> dict[str, Any]:
    """An answer as pages show it, also one that is not yet at its end."""
    return {
        "answer": found,
        "pieces": with_citations(found.text, len(found.sources)),
        "made": MADE_BY.get(found.provider, MADE_BY_MODEL),
    }


def with_citations(text: str, known: int) -> list[tuple[str, int | None]]:
    """A text in pieces: words, and the numbers of the sources that are cited between them."""
    pieces: list[tuple[str, int | None]] = []
    position = 0
    for match in MARK.finditer(text):
        number = int(match.group(1))
        if not 1 <= number <= known:
            continue
        pieces += [(text[position : match.start()], None), ("", number)]
        position = match.end()
    return [*pieces, (text[position:], None)]


def search_view(query: SearchQuery, found: dict[str, Any]) -> dict[str, Any]:
    """All that the page of results shows."""
    last = min(LAST_PAGE, max(1, -(-found["total"] // query.size)))
    first_shown = (query.page - 1) * query.size + 1
    suggestion = found.get("suggestion") or ""
    return {
        "query": query,
        "found": found,
        "results": [result_view(result) for result in found["results"]],
        "first_shown": first_shown,
        "last_shown": first_shown + len(found["results"]) - 1,
        "facets": [
            (name, FACET_TITLES[name], choices)
            for name, choices in facet_choices(query, found).items()
            if choices
        ],
        "chips": chips(query),
        "suggestion": suggestion,
        "suggested": search_address(query, q=suggestion) if suggestion else "",
        "answer": answer_address(query.q) if query.page == 1 and found["total"] else "",
        "answer_now": is_question(query.q) and query.sort == "relevance",
        "clear": search_address(
            query, kind=(), venue=(), author=(), year=None, year_from=None, year_to=None
        ),
        "plot": plot(found["facets"].get("year", []), query),
        "sorts": [
            (label, search_address(query, sort=sort), sort == query.sort)
            for sort, label in SORT_NAMES.items()
        ],
        "pages": [
            (number, search_address(query, page=number) if number else "")
            for number in page_numbers(query.page, last)
        ]
        if last > 1
        else [],
        "previous": search_address(query, page=query.page - 1) if query.page > 1 else "",
        "next": search_address(query, page=query.page + 1) if query.page < last else "",
    }
