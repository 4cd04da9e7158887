"""The day that a feed names, in any of the forms that feeds have."""

# ruff: noqa: RUF001 - some months are Greek

from __future__ import annotations

import re
from datetime import date, timedelta

LONGEST = 100

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan januar ιαν",
            "feb febr februar φεβ",
            "mar marc marz μαρ μαρτ",
            "apr april απρ",
            "may maj mai maggio μαι",
            "jun juni ιουν",
            "jul juli ιουλ",
            "aug august αυγ",
            "sep sept szept σεπ",
            "oct okt οκτ",
            "nov νοε",
            "dec dez δεκ",
        ),
        1,
    )
    for name in names.split()
}
_ACCENTS = str.maketrans("áéíóöőúüűäάέήίϊΐόύϋώ", "aeiooouuuaαεηιιιουυω")
_WEEKDAY = r"(?:[^\W\d_]+(?:[.,]+\s*|\s+))?"
# year, month and day; a feed of Google's has a month of three digits
_YEAR_FIRST = re.compile(rf"{_WEEKDAY}(\d{{4}})[-/.]0?(\d{{1,2}})[-/.](\d{{1,2}})(?![\d/.-])")
_KOREAN = re.compile(r"(\d{4})년\s*(\d{1,2})월\s*(\d{1,2})일")
_IN_ONE = re.compile(r"(\d{4})(\d\d)(\d\d)(?=t|\s|$)")
_SHORT = re.compile(r"(\d\d)(?:-(\d\d)-(\d\d)|(\d\d)(\d\d))$")
_MONTH_ONLY = re.compile(r"(\d{4})-(\d\d)$|-(\d\d)-?(\d\d)$")
_YEAR_ONLY = re.compile(r"(\d{4})$")
_OF_THE_YEAR = re.compile(r"(\d{4}|\d\d)-?(\d{3})(?=t|$)")
_NAMED = re.compile(r"(\d{4})-([^\W\d_]+)-(\d{1,2})(?!\d)")
_DAY_MONTH = re.compile(rf"{_WEEKDAY}(\d{{1,2}})[\s-]+([^\W\d_]+)\.?,?[\s-]+(\d{{4}}|\d\d)(?!\d)")
_MONTH_DAY = re.compile(rf"{_WEEKDAY}([^\W\d_]+)\.?\s+(\d{{1,2}}),?\s+(.{{0,40}})$")
_LAST_YEAR = re.compile(r"(?<![\d:+-])(\d{4})(?![\d:])")
_ANY_YEAR = re.compile(r"(?:19|20)\d{2}")


def day(text: str) -> date | None:
    """The day as it is written, in the time zone of who wrote it; None where there is none."""
    text = text[:LONGEST].strip().lower().translate(_ACCENTS)
    for read in (_by_numbers, _by_names, _by_parts):
        try:
            if found := read(text):
                return found
        except ValueError:  # there is no such day
            return None
    return None


def year(text: str) -> int | None:
    """The year in a date whose day makes no sense."""
    some = _ANY_YEAR.search(text[:LONGEST])
    return int(some[0]) if some else None


def _by_numbers(text: str) -> date | None:
    if found := _YEAR_FIRST.match(text) or _KOREAN.match(text) or _IN_ONE.match(text):
        return date(int(found[1]), int(found[2]), int(found[3]))
    if found := _SHORT.match(text):
        return date(_full(found[1]), int(found[2] or found[4]), int(found[3] or found[5]))
    return None


def _by_names(text: str) -> date | None:
    if found := _NAMED.match(text):
        return _named(found[3], found[2], found[1])
    if found := _DAY_MONTH.match(text):
        return _named(found[1], found[2], found[3])
    if (found := _MONTH_DAY.match(text)) and (end := _LAST_YEAR.search(found[3])):
        return _named(found[2], found[1], end[1])
    return None


def _by_parts(text: str) -> date | None:
    """What leaves the day out, or the month."""
    if found := _MONTH_ONLY.match(text):
        return date(_full(found[1] or found[3]), int(found[2] or found[4]), 1)
    if found := _YEAR_ONLY.match(text):
        return date(int(found[1]), 1, 1)
    if found := _OF_THE_YEAR.match(text):
        first = date(_full(found[1]), 1, 1)
        that = first + timedelta(days=int(found[2]) - 1)
        return that if that.year == first.year else None
    return None


def _named(number: str, month: str, year_digits: str) -> date | None:
    found = _MONTHS.get(month) or _MONTHS.get(month[:4]) or _MONTHS.get(month[:3])
    return date(_full(year_digits), found, int(number)) if found else None


def _full(digits: str) -> int:
    """A year of two digits is one of the hundred around the turn of the century."""
    number = int(digits)
    if len(digits) > 2:
        return number
    return number + (2000 if number < 70 else 1900)
