from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research_app.extract.layout import Box, Line
from research_app.extract.references import HEADING, Place, Split, find_heading, join, split

BODY = "We speak of references here.\nThe results are in Table 2.\n"


def column(*texts: str, left: float = 100, top: float = 700, step: float = 12) -> list[Line]:
    """Lines below each other; two spaces at the beginning set one in."""
    lines = []
    for text in texts:
        inner = left + (15 if text.startswith("  ") else 0)
        lines.append(Line(text.strip(), Box(inner, top - 10, inner + 300, top)))
        top -= step
    return lines


def plain(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


def taken(*pages: list[Line], before: str = BODY) -> Split:
    texts = [before + plain(pages[0]), *map(plain, pages[1:])]
    place = find_heading(texts)
    assert place is not None
    return split(texts, dict(enumerate(pages)), place)


def test_numbered_entries() -> None:
    found = taken(
        column(
            "References",
            "1. A. One. “A title that is long and",
            "  goes on.” In: Journal 3 (2001).",
            "2.",  # some programs set the number as a piece of its own
            "  B. Two. Proc. of 2002, pp. 1-",
            "  20.",
        )
    )
    assert found.references == [
        "A. One. “A title that is long and goes on.” In: Journal 3 (2001).",
        "B. Two. Proc. of 2002, pp. 1- 20.",
    ]
    assert found.pages == [BODY.strip()]


def test_entries_in_brackets() -> None:
    found = taken(column("REFERENCES", "[1] A. One, 2001.", "[2] B. Two, 2002.", "[3] C, 2003."))
    assert found.references == ["A. One, 2001.", "B. Two, 2002.", "C, 2003."]


def test_entries_whose_lines_hang() -> None:
    found = taken(
        column(
            "7 References",
            "Alpha, A. (2001). Words, and more words, and",
            "  an end. https://doi.org/10.1/",
            "  abc",
            "Beta, B. (2002). A",
            "  Message.",
        )
    )
    assert found.references == [
        "Alpha, A. (2001). Words, and more words, and an end. https://doi.org/10.1/abc",
        "Beta, B. (2002). A Message.",
    ]


def test_a_line_with_wide_spaces_is_one() -> None:
    lines = column("References", "Alpha, A. 2001.", "  Words.", "Beta, B. 2002.", "  Words.")
    apart = Line("More words.", Box(350, lines[1].box.bottom, 420, lines[1].box.top), beside=True)
    lines.insert(2, apart)
    assert taken(lines).references == [
        "Alpha, A. 2001. More words. Words.",
        "Beta, B. 2002. Words.",
    ]


def test_entries_with_gaps_between() -> None:
    first = column("References", "Alpha, A. 2001. Words, and", "an end.")
    second = column("Beta, B. 2002. A title on", "two lines.", top=650)
    assert taken(first + second).references == [
        "Alpha, A. 2001. Words, and an end.",
        "Beta, B. 2002. A title on two lines.",
    ]


def test_a_list_over_pages() -> None:
    one = column("References", "1. A. One, 2001.", "2. B. Two, 2002, which")
    two = column("goes on.", "3. C. Three, 2003.")
    three = column("A page of pictures, of which none", "is an entry.")
    found = taken(one, two, three)
    assert found.references == ["A. One, 2001.", "B. Two, 2002, which goes on.", "C. Three, 2003."]
    assert found.pages[1] == ""
    assert found.pages[2].startswith("A page of pictures")


def test_what_follows_the_list_stays() -> None:
    found = taken(
        column(
            "Bibliography", "[1] A, 2001.", "[2] B, 2002.", "Appendix A: Proofs", "We prove this."
        )
    )
    assert found.references == ["A, 2001.", "B, 2002."]
    assert found.pages == [BODY + "Appendix A: Proofs\nWe prove this."]


@pytest.mark.parametrize(
    "lines",
    [
        ("References", "are what this paper is about."),
        ("References", "1. Wash the glass.", "2. Dry it.", "3. Fill it."),
        ("References",),
    ],
)
def test_what_only_looks_like_a_list_stays(lines: tuple[str, ...]) -> None:
    found = taken(column(*lines))
    assert found.references == []
    assert found.pages == [BODY + "\n".join(lines)]


@pytest.mark.parametrize(
    ("line", "is_heading"),
    [
        ("References", True),
        ("2References", True),  # the number of the page before, as the reader gives it
        ("6. References", True),
        ("VII. REFERENCES", True),
        ("Literature cited", True),
        ("Bibliography:", True),
        ("References are given below", False),
        ("See References", False),
        ("Cross-References", False),
        ("References ........ 12", False),
    ],
)
def test_headings(line: str, is_heading: bool) -> None:
    assert bool(HEADING.search(f"before\n{line}\r\nafter")) == is_heading


def test_the_last_heading_counts() -> None:
    assert find_heading(["References\nx", "References\ny\nReferences\nz"]) == Place(1, 13, 23)
    assert find_heading(["none here"]) is None


@given(st.lists(st.text(max_size=12), max_size=8))
def test_joining_loses_no_letter(texts: list[str]) -> None:
    def letters(text: str) -> str:
        return "".join(text.split())

    assert letters(join(texts)) == letters("".join(texts))


WORDS = st.text("abc 12.-()[]\n", max_size=60)


@given(st.lists(WORDS, min_size=1, max_size=5), st.data())
def test_splitting_anything(pages: list[str], data: st.DataObject) -> None:
    """Nothing raises, pages stay as many, and what is not a list of references is left alone."""
    at = data.draw(st.integers(0, len(pages) - 1))
    pages[at] += "\nReferences\n" + data.draw(WORDS)
    place = find_heading(pages)
    assert place is not None
    lines = {number: column(*page.splitlines()) for number, page in enumerate(pages)}
    found = split(pages, lines, place)
    assert len(found.pages) == len(pages)
    assert found.references or found.pages == pages
