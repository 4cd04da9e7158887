"""What a paper says of itself: titles, names and abstracts."""

from __future__ import annotations

import pytest

from research_app.extract import front, heading, names
from research_app.extract.heading import Row
from research_app.extract.layout import Box


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("On the Origin", "On the Origin"),
        ("Document understanding with transformers", "Document understanding with transformers"),
        ("Documents, words and zebras", "Documents, words and zebras"),
        ("Title inflation in the sciences", "Title inflation in the sciences"),
        ("Untangling zebras", "Untangling zebras"),
        ("Report of the committee", "Report of the committee"),
        ("Presentations of groups", "Presentations of groups"),
        ("Document", ""),
        ("Document1", ""),
        ("New Document 2", ""),
        ("Title", ""),
        ("Microsoft Word - thesis.doc", ""),
        ("Microsoft Word - On zebras", ""),
        ("PowerPoint Presentation", ""),
        ("PowerPoint-Präsentation", ""),
        ("Presentation1", ""),
        ("Slide 1", ""),
        ("untitled", ""),
        ("Untitled document", ""),
        ("paper.dvi", ""),
        ("C:\\Users\\x\\zebras final.docx", ""),
        ("paper", ""),
        ("PII: S0022-0000(99)00001-2", ""),
        ("doi:10.1000/1", ""),
        ("Paper Title (use style: paper title)", ""),
        ("----", ""),
        ("a", ""),
        ("", ""),
    ],
)
def test_titles_that_people_gave(given: str, title: str) -> None:
    assert front.title_from({"Title": given}) == title


def test_the_year_is_that_of_the_file() -> None:
    assert front.year_from({"CreationDate": "D:20190304120000Z"}) == 2019
    assert front.year_from({"CreationDate": "yesterday"}) is None


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("A. One; B. Two and C. Three, D. Four", ["A. One", "B. Two", "C. Three", "D. Four"]),
        ("Smith, John", ["John Smith"]),
        ("Smith, J.", ["J. Smith"]),
        ("Smith, John A.; Doe, Jane", ["John A. Smith", "Jane Doe"]),
        ("Smith, John and Doe, Jane", ["John Smith", "Jane Doe"]),
        ("Smith, J., Doe, J.", ["J. Smith", "J. Doe"]),
        ("van der Berg, Jan", ["Jan van der Berg"]),
        ("García Márquez, Gabriel", ["Gabriel García Márquez"]),
        ("Ana Müller, Bo Li", ["Ana Müller", "Bo Li"]),
        ("Ana Müller, Bo Li, and Cy Roe", ["Ana Müller", "Bo Li", "Cy Roe"]),
        ("Ana Müller & Bo Li", ["Ana Müller", "Bo Li"]),
        ("Jane Doe, NASA", ["Jane Doe"]),
        ("Plato", ["Plato"]),
        ("brianc", []),
        ("Administrator", []),
        ("Microsoft Office User", []),
        ("user 12", []),
        ("vyv03354", []),
        ("SE:W:CAR:MP", []),
        ("DOMAIN\\jdoe", []),
        ("jdoe@example.org", []),
        ("ME", []),
        ("", []),
    ],
)
def test_names_of_a_field(field: str, found: list[str]) -> None:
    assert names.of_field(field) == (found, False)


def test_a_field_that_says_that_there_are_more() -> None:
    assert names.of_field("Ana Müller et al.") == (["Ana Müller"], True)
    assert names.of_field("Ana Müller and others") == (["Ana Müller"], True)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Ana Müller1,2, Bo de la Cruz* and C. D. Li", ["Ana Müller", "Bo de la Cruz", "C. D. Li"]),
        ("Robin K. S. Hankin1", ["Robin K. S. Hankin"]),
        ("Ana Müller\u2217 1 , Bo Li†1 , Cy Roe1, 11", ["Ana Müller", "Bo Li", "Cy Roe"]),
        ("Ana Müller\u2217 Bo Li\u2217 Cy Roe†", ["Ana Müller", "Bo Li", "Cy Roe"]),
        ("Ana Müller1,†, ID , and Bo Li1, ID", ["Ana Müller", "Bo Li"]),
        ("M.A. Müller, M.D. Li", ["M.A. Müller", "M.D. Li"]),
        ("Ana Müller, M.D., Bo Li, M.A.", ["Ana Müller", "Bo Li"]),
        ("By Ana Müller, PhD, and Dr. Bo Li", ["Ana Müller", "Bo Li"]),
        ("Ana Müller, Senior Member, IEEE, and Bo Li", ["Ana Müller", "Bo Li"]),
        ("ANA MÜLLER AND BO LI", ["Ana Müller", "Bo Li"]),
        ("ANA MÜLLER and C. D. O'NEIL", ["Ana Müller", "C. D. O'Neil"]),
        ("Ana Müller a,\u2217, Bo Li b", ["Ana Müller", "Bo Li"]),
        ("Ana Müller (ana@example.org)", ["Ana Müller"]),
        ("Иван Петров, Анна Смирнова", ["Иван Петров", "Анна Смирнова"]),
        ("Jean-Luc d'Alembert", ["Jean-Luc d'Alembert"]),
        ("新山 祐介", ["新山 祐介"]),
        ("Department of Physics, Some University", []),
        ("Dipartimento di Fisica", []),
        ("Prediction Models", []),
        ("Zebra Stripes", []),
        ("We show that zebras run", []),
        ("Received 2 March 2020", []),
        ("東京大学", []),
        ("Zebra", []),
        ("", []),
    ],
)
def test_lines_of_names(line: str, found: list[str]) -> None:
    assert names.listed(line, {"zebra", "stripes"}) == found


def rows(*lines: tuple[str, float, str]) -> list[Row]:
    """Lines below each other, centred, each with its size and its font; "a | b" are two beside."""
    found: list[Row] = []
    top = 780.0
    for text, size, face in lines:
        parts = text.split(" | ")
        for at, part in enumerate(parts):
            middle = 50 + 500 * (at + 0.5) / len(parts)
            half = 0.25 * size * len(part)
            box = Box(max(50, middle - half), top - size, min(550, middle + half), top)
            found.append(Row(part, box, size, face))
        top -= 1.2 * size
    return found


BODY = [
    ("the zebras of the plain run as fast as they ever ran before that day on", 10.0, "Text")
] * 20
TITLE = ("On the Speed of Zebras", 17.0, "Bold")
ABSTRACT = ("Abstract", 10.0, "Bold")

LAYOUTS = {
    "a line of names": [("Ana Müller1 and Bo Li2", 12.0, "Text"), ("1 A University", 9.0, "Text")],
    "a list of two lines": [
        ("Ana Müller1, Cy", 12.0, "Text"),
        ("Roe2, and Bo Li3", 12.0, "Text"),
        ("Some Institute of Zebras, Vienna, Austria", 10.0, "Text"),
    ],
    "a word cut in two": [
        ("Ana Müller1, Cy Roe2, Bo Alexan", 12.0, "Text"),
        ("der9, and Bo Li3", 12.0, "Text"),
    ],
    "each with a place and an address": [
        ("Ana Müller", 12.0, "Text"),
        ("Google Brain", 10.0, "Text"),
        ("ana@example.org", 10.0, "Mono"),
        ("Bo Li", 12.0, "Text"),
        ("Stanford University", 10.0, "Text"),
    ],
    "names in bold, places of the same size": [
        ("Ana Müller\u2217", 10.0, "Bold"),
        ("Rovira Virgili", 10.0, "Text"),
        ("Bo Li", 10.0, "Bold"),
        ("Example Org", 10.0, "Text"),
    ],
    "beside each other": [
        ("Ana Müller | Bo Li", 12.0, "Text"),
        ("ID-IMAG | A Laboratory", 9.0, "Text"),
        ("51 avenue Jean Kuntzmann | Vienna, Austria", 9.0, "Text"),
    ],
    "in capitals": [("ANA MÜLLER AND BO LI", 10.0, "Text")],
    "below a date": [("12 March 2020", 10.0, "Text"), ("Ana Müller, Bo Li", 12.0, "Text")],
}
FOUND = {
    "a list of two lines": ["Ana Müller", "Cy Roe", "Bo Li"],
    "a word cut in two": ["Ana Müller", "Cy Roe", "Bo Alexander", "Bo Li"],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_authors_stand_below_the_title(name: str) -> None:
    page = rows(TITLE, *LAYOUTS[name], ABSTRACT, *BODY)
    title = heading.title_rows(page)
    assert heading.joined(title) == "On the Speed of Zebras"
    found = heading.authors_below(title, page, {"zebras"})
    assert found == FOUND.get(name, ["Ana Müller", "Bo Li"])


def test_no_authors_in_the_text() -> None:
    page = rows(TITLE, ABSTRACT, ("Ana Müller, Bo Li", 10.0, "Text"), *BODY)
    assert heading.authors_below(heading.title_rows(page), page, set()) == []


def test_names_beside_the_title_are_not_its_authors() -> None:
    """Editors and reviewers stand at the margin of some journals."""
    title = Row("On the Speed of Zebras", Box(200, 760, 550, 777), 17)
    author = Row("Ana Müller", Box(200, 740, 260, 750), 10)
    editor = Row("Ed Itor", Box(50, 735, 100, 742), 10)
    body = rows(*BODY)
    assert heading.authors_below([title], [title, editor, author, *body], set()) == ["Ana Müller"]


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        ([("On the Speed of", 17.0, ""), ("Zebras \u2217", 17.0, "")], "On the Speed of Zebras"),
        ([("Journal of Zebras", 24.0, ""), TITLE], "On the Speed of Zebras"),
        ([("R E S E A R C H", 24.0, ""), TITLE], "On the Speed of Zebras"),
        ([("ZEBRAS", 30.0, ""), TITLE, ("12", 40.0, "")], "On the Speed of Zebras"),
        ([("コンパラブルな新聞記事", 20.0, "")], "コンパラブルな新聞記事"),
        ([("a line of the text", 10.5, "")], ""),
        ([], ""),
    ],
)
def test_the_title_is_what_is_set_largest(lines: list[tuple[str, float, str]], title: str) -> None:
    assert heading.joined(heading.title_rows(rows(*lines, *BODY))) == title
    assert heading.title_rows([]) == []


def test_a_stamp_at_the_margin_is_no_title() -> None:
    stamp = Row("arXiv:2001.00001v1 [cs.DL]", Box(10, 200, 30, 600), 20)
    assert heading.joined(heading.title_rows([stamp, *rows(TITLE, *BODY)])) == TITLE[0]


def matter(information: dict[str, str], page: list[Row], xmp: dict[str, object] | None = None):  # type: ignore[no-untyped-def]
    return front.front_matter(information, xmp or {}, page, "\n".join(row.text for row in page))


PAGE = rows(TITLE, ("Ana Müller1, Bo Li2", 12.0, "Text"), ABSTRACT, *BODY)


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ({}, "On the Speed of Zebras"),
        ({"Title": "On the speed of zebras"}, "On the speed of zebras"),
        ({"Title": "zebras_final2"}, "On the Speed of Zebras"),
        ({"Title": "Instructions to Contributors"}, "On the Speed of Zebras"),
        ({"Title": "Journal 12 (2000): speed of zebras"}, "Journal 12 (2000): speed of zebras"),
    ],
)
def test_a_given_title_is_taken_where_it_is_the_printed_one(
    given: dict[str, str], title: str
) -> None:
    assert matter(given, PAGE)["title"] == title


def test_a_given_title_is_taken_where_none_is_printed() -> None:
    assert matter({"Title": "On gnus"}, rows(*BODY))["title"] == "On gnus"
    assert matter({}, PAGE, {"title": "On the Speed of Zebras"})["title"] == TITLE[0]


@pytest.mark.parametrize(
    ("given", "authors"),
    [
        ("", ["Ana Müller", "Bo Li"]),
        ("A. Müller, B. Li", ["A. Müller", "B. Li"]),
        ("Ana Müller", ["Ana Müller", "Bo Li"]),  # who uploaded it, of several
        ("Ana Müller et al.", ["Ana Müller", "Bo Li"]),
        ("Proprietario", ["Ana Müller", "Bo Li"]),
        ("Ty Pist", ["Ana Müller", "Bo Li"]),
    ],
)
def test_given_authors_are_taken_where_they_are_the_printed_ones(
    given: str, authors: list[str]
) -> None:
    assert matter({"Author": given}, PAGE)["authors"] == authors


def test_given_authors_are_taken_where_none_are_printed() -> None:
    assert matter({"Author": "Ty Pist"}, rows(TITLE, *BODY))["authors"] == ["Ty Pist"]
    assert matter({}, rows(TITLE, *BODY), {"authors": ["Ty Pist"]})["authors"] == ["Ty Pist"]


ABOUT = ("All about zebras. " * 20).strip()


@pytest.mark.parametrize(
    ("text", "abstract"),
    [
        (f"Title\nAbstract\n{ABOUT}\n1 Introduction\nNo.", ABOUT),
        (f"Title\nABSTRACT\n{ABOUT}\nCategories and Subject Descriptors\nD.3", ABOUT),
        (f"Title\nAbstract\u2014{ABOUT}\nIndex Terms\u2014zebras\nI. INTRODUCTION", ABOUT),
        (f"Title\nAbstract. {ABOUT}\nKeywords: zebras", ABOUT),
        (f"Title\nA B S T R A C T\n{ABOUT}\nKey words: zebras", ABOUT),
        (f"Title\nAbstract {ABOUT}\n1 Historical context\nNo.", ABOUT),
        (f"Titel\nZusammenfassung\n{ABOUT}\nEinleitung\nNein.", ABOUT),
        (f"Title\nAbstract\n{ABOUT}", ABOUT),  # the page ends with it
        ("Title\nAbstract\nShort.", ""),
        ("Title\nAbstract\n" + ABOUT * 20, ""),
        (f"Title\nAbstraction of zebras\n{ABOUT}\nIntroduction", ""),
        ("no such heading", ""),
    ],
)
def test_abstracts(text: str, abstract: str) -> None:
    assert front.abstract_from(text) == abstract
