"""Names of people, in a line that is printed or in a field that a program filled in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set as AbstractSet

from research_app.plain_text import one_line

MAX_LETTERS = 60
WORDS = (2, 7)
MAX_TEXT = 4000
MAX_FIELD = 20_000

_PARTICLE_WORDS = """
    af al av ben bin da das de del della den der di do dos du e el ibn la le te ten ter van vom von
    y zu zum zur
"""
_PARTICLES = frozenset(_PARTICLE_WORDS.split())
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})
# dots, apostrophes, hyphens, and accents that a font sets as letters of their own
_IN_NAMES = ".'-·`^~\u2019\u2010\u2011\u00b4\u00a8\u00b8\u02c6\u02c7\u02d8\u02d9\u02da\u02dc\u02dd"
# of institutions, headings and places, which stand where names stand and begin as they do
_NO_NAME_WORDS = """
    abstract academy acm affiliation affiliations agency akademia akademie and approach article
    association author authors avenue brain bureau center centre centro city clinic cnrs college
    committee company computer computing conference consortium contents contribution copyright corp
    corporation council date departamento department dept development dipartimento division draft
    ecole edition editor email engineering escuela fachhochschule facoltà facultad faculty faculté
    fakulta fellow figure foundation gmbh group hochschule hospital ieee inc industries information
    inria institut institute institutes institution instituto instytut intelligence international
    introduction invited istituto journal keywords kingdom kong korea lab laboratoire laboratories
    laboratory labs learning lecture library license limited llc ltd mathematics medicine member
    memorial method methods microsoft ministry model models national network networks notes
    observatory office organisation organization paper physics planck prediction preprint
    presentation proceedings program programme project publications published received replication
    report reproduction republic research review revised road school science sciences section
    security society société software special state states statistics street studies study
    submitted summary survey symposium system systems table tax technical technion technologies
    technology the this title transactions uk unit united univ universidad universidade universita
    universitat universite universities university università universität universitätsklinikum
    université univerzita uniwersytet usa volume working workshop zealand école
"""
_NO_NAME = frozenset(_NO_NAME_WORDS.split())
_ADDRESS = re.compile(r"\{[^{}]{0,200}\}@\S+|(?<!\S)[^\s@]+@\S+|https?://\S+")
_DEGREE = re.compile(
    r"(?:,\s*|\s)(?:Ph\.?\s?D|MSc|BSc|M\.Sc|B\.Sc|MPH|DPhil)\b\.?"
    r"|,\s*M\.?[DA]\b\.?(?=\s*(?:[,;|]|\band\b|$))"
    r"|(?:(?<=[\s,])|^)(?:Dr|Prof|Professor)\b\.?"
    r"|,\s*(?:(?:Graduate )?Student |Senior |Life )?(?:Member|Fellow),?\sIEEE\b"
)
_BEFORE = re.compile(r"^\s*(?:by|authors?|edited by)\b[\s:]*", re.I)
# of footnotes, in a class of characters
MARKS = r"\d*†‡§¶\u2217⋆★✉♯#∥‖⋄◦•^"
_MARKS = re.compile(f"[{MARKS}]+")
_ORCID = re.compile(r"(?<=[\s,\d])(?:ID|iD|ORCID)(?=[\s,]|$)|\((?:ORCID|orcid)[^()]{0,60}\)")
_BETWEEN = re.compile(r"[,;|&·]|(?:(?<=\s)|^)(?:and|AND|und|et)(?=\s|$)")
_ET_AL = re.compile(r"(?:,?\s)\bet\.?\s+al\b\.?|\band others\b", re.I)
_HAN = re.compile(r"[\u4e00-\u9fff々]{1,3}[ \u3000]?[\u4e00-\u9fff々]{1,3}")
_HAN_NO_NAME = re.compile("[学学院所部課室会社章節表図年月日]")
_LETTER_MARK = re.compile(r"(?<=\s)[a-z](?=\s*(?:,|$|\||\s))")
_GROUPS = re.compile(r"\s*;\s*|\s+and\s+|\s*&\s*")

# what computers and their sellers are called, where a program asks for the author
_ACCOUNT_WORDS = """
    acer admin administrateur administrator anonymous apple asus author autor benutzer besitzer
    compaq default dell fujitsu gast guest home hp huawei lenovo me microsoft msi none office owner
    pc propietario proprietaire proprietario propriétaire root samsung sony student test toshiba
    unknown user usuario utente utilisateur windows
"""
_ACCOUNTS = frozenset(_ACCOUNT_WORDS.split())
_ACCOUNT_NAMES = re.compile(
    r"(?:microsoft|windows|ms|office|registered|valued|authorized|latex)\b.*\b(?:user|customer"
    r"|office|gateway|template)|user\s*\d*|.*[\\:_@/|].*|[a-z]+\d+|\W*",
    re.I,
)
SHORT_CODE = 4


def is_name(text: str, common: AbstractSet[str] = frozenset()) -> bool:
    """Whether a text can be the name of one person.

    :param common: words that the same document uses in small letters; a name is not made of them
    """
    if len(text) > MAX_LETTERS:
        return False
    if _HAN.fullmatch(text):
        return not _HAN_NO_NAME.search(text)
    words = text.split()
    if not WORDS[0] <= len(words) <= WORDS[1] or not _is_part(words[0]):
        return False
    if not all(word in _PARTICLES or _is_part(word) for word in words):
        return False
    plain = [word.strip(_IN_NAMES).casefold() for word in words]
    last_is_whole = len(plain[-1]) > 1 and (not words[-1].endswith(".") or plain[-1] in _SUFFIXES)
    return last_is_whole and _NO_NAME.isdisjoint(plain) and not _are_common(plain, common)


def _are_common(words: list[str], common: AbstractSet[str]) -> bool:
    """Whether words are of the language and no name; of a long name half of them are enough."""
    long = [word for word in words if len(word) > 2 and word not in _PARTICLES]
    used = sum(word in common for word in long)
    return bool(long) and (used == len(long) or (len(long) > 3 and 2 * used >= len(long)))


def is_particle(word: str) -> bool:
    """Whether a word stands in names in small letters."""
    return word in _PARTICLES


def _is_part(word: str) -> bool:
    """Whether a word begins as names do, and has nothing in it that no name has."""
    letters = word.lstrip(_IN_NAMES)
    begun = letters[:1].isupper() or letters.startswith(("d'", "d\u2019", "al-"))
    return begun and all(
        letter.isalpha() or letter in _IN_NAMES or unicodedata.combining(letter)
        for letter in letters
    )


def parts_of(text: str) -> list[str]:
    """What stands between commas, marks of footnotes and the word "and" in a list of authors."""
    text = _BEFORE.sub("", text[:MAX_TEXT])
    for noise in (_ADDRESS, _ORCID, _DEGREE):
        text = noise.sub(" ", text)
    text = _LETTER_MARK.sub(" ", _MARKS.sub("|", text))
    parts = [part.strip(" ,()[]") for part in _BETWEEN.split(text)]
    return [one_line(part) for part in parts if any(map(str.isalpha, part))]


def listed(text: str, common: AbstractSet[str] = frozenset(), share: float = 1.0) -> list[str]:
    """The names in a text that is nothing but names; none where too much in it is something else.

    :param share: how much of it must be names
    """
    parts = parts_of(text)
    names = [part for part in parts if is_name(part, common)]
    if not names or parts[0] != names[0] or len(names) < share * len(parts):
        return []
    return [_in_small_letters(name) for name in names]


def _in_small_letters(name: str) -> str:
    """A name that is printed in capitals, as it is else written."""
    words = name.split()
    if any(len(word.strip(".")) > 1 and not word.isupper() for word in words):
        return name
    return " ".join(
        word if word.endswith(".") or word.casefold() in _SUFFIXES else word.title()
        for word in words
    )


def is_account(name: str) -> bool:
    """Whether this is whose computer it was, and not who wrote the text."""
    if _ACCOUNT_NAMES.fullmatch(name) or name.casefold() in _ACCOUNTS:
        return True
    return " " not in name and (name.islower() or (name.isupper() and len(name) <= SHORT_CODE))


def of_field(field: str) -> tuple[list[str], bool]:
    """The names in a field that a program filled in, and whether it says that there are more.

    They are separated by semicolons, commas or "and", and written "John Smith" or "Smith, John".
    """
    field = one_line(field[:MAX_FIELD])
    given = _ET_AL.sub("", field)
    names: list[str] = []
    for group in _GROUPS.split(given):
        names += _of_group([part.strip() for part in group.split(",") if part.strip()])
    kept = [name for name in names if len(name) > 1 and not is_account(name)]
    return kept, given != field


def _of_group(parts: list[str]) -> list[str]:
    """Names between two semicolons, where a comma is between two names or in one."""
    pairs = list(zip(parts[::2], parts[1::2], strict=False))
    in_pairs = len(parts) == 2 * len(pairs) and all(_reversed(*pair) for pair in pairs)
    if in_pairs and (len(pairs) == 1 or all(_one_word(family) for family, _ in pairs)):
        return [f"{given} {family}" for family, given in pairs]
    return parts


def _one_word(text: str) -> bool:
    return sum(word not in _PARTICLES for word in text.split()) == 1


def _reversed(family: str, given: str) -> bool:
    """Whether two texts are the family name and the first names of one person."""
    if family.endswith(".") or given.casefold().strip(".") in _SUFFIXES:
        return False
    if _one_word(family):
        return len(given.split()) <= 3
    return len(given.split()) == 1 and not (given.isupper() and len(given) > 1)
