"""The text of a file that does not say how it is encoded, or says it wrongly."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from unicodedata import category

from charset_normalizer import from_bytes

from research_app.extract.mending import Faults
from research_app.refusal import RefusedError

MAX_BYTES = 8 * 2**20
NO_TEXT = "not a text, whatever its name says"

# those of UTF-32 before the one of UTF-16 that begins one of them
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# What Python calls a text encoding and is none of a feed's (punycode takes the square of the
# length) is not among them.
_KNOWN = re.compile(
    r"ascii|utf-(?:8|16|32)(?:-[a-z]+)?|iso8859-\d+|iso2022_\w+|cp\d+|koi8-[rtu]|mac-\w+|hz|johab"
    r"|euc_\w+|gb\w+|big5\w*|shift_jis\w*|tis-620|ptcp154|kz1048"
)
# what is written under the narrower name is, where they differ, always the wider one
_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "cp950",
}
_SAMPLE_BYTES = 64 * 1024
_BEFORE = 200  # bytes of a long line before the first that is not in ASCII
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_CANDIDATES = [
    *("cp1252", "cp1250", "cp1254", "cp1257", "iso8859_2"),
    *("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874"),
    *("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"),
]
# The letters beyond a to z that a language is written with, by the encoding that has them. Of
# Latin scripts frequencies tell little in a short text, and a letter that no word has tells much.
_LATIN: dict[str, tuple[str, ...]] = {
    "cp1252": (
        "äöüß",  # German
        "àâæçéèêëîïôœùûü",  # French
        "áéíóúüñªº¿¡",  # Spanish
        "àáâãçéêíóôõúü",  # Portuguese
        "àèéìíòóù",  # Italian
        "æøåéäöü",  # Danish, Norwegian, Swedish, Finnish
        "áæðéíóöúýþ",  # Icelandic
        "äëéèïöüó",  # Dutch
    ),
    "cp1250": (
        "ąćęłńóśźż",  # Polish
        "áčďéěíňóřšťúůýž",  # Czech
        "áäčďéíĺľňóôŕšťúýž",  # Slovak
        "čćđšž",  # Croatian, Serbian, Slovene
        "áéíóöőúüű",  # Hungarian
        "ăâîşţ",  # Romanian
    ),
    "cp1254": ("âçğ\u0131îöşûüi\u0307",),  # Turkish
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),  # Lithuanian, Latvian, Estonian
}
_LATIN["iso8859_2"] = _LATIN["cp1250"]
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")


def decoded(content: bytes, faults: Faults, charset: str | None = None) -> str:
    """The text of a file, without a mark at its head.

    :param charset: what a server says of it; believed only where the file is not in UTF-8
    :raises RefusedError: it is empty, too large, or no text
    """
    if len(content) > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES // 2**20} MiB: not a transcript")
    if not content.strip():
        raise RefusedError("the file is empty")
    if encoding := marked(content):
        return _nearly(content, encoding, faults).removeprefix("\ufeff")
    if b"\0" in content:
        return _with_zeros(content, faults)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return (
            _as_said(content, charset) or _nearly_utf8(content, faults) or _guessed(content, faults)
        )


def marked(head: bytes) -> str:
    """The encoding that the mark at the head of a file names; nothing where there is no mark."""
    return next((encoding for mark, encoding in MARKS if head.startswith(mark)), "")


def utf16_without_mark(head: bytes) -> str:
    """Which UTF-16 a text without a mark is in, or nothing.

    Every second byte of its line ends, digits and spaces is zero, whatever script it is in.
    """
    even, odd = head[:4096:2], head[1:4096:2]
    for encoding, zeros, letters in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        pairs = zip(zeros, letters, strict=False)
        plain = sum(not zero and 9 <= letter < 127 for zero, letter in pairs)
        if plain * 4 > len(letters) and plain > 4 * letters.count(0):
            return encoding
    return ""


def _nearly(content: bytes, encoding: str, faults: Faults) -> str:
    """The text of a file that says its encoding; a place or two in it may be wrong."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode(encoding, "replace")
    wrong = text.count("\ufffd")
    if wrong * 50 > len(text):
        raise RefusedError(f"damaged: it says that it is {encoding.upper()}, and is not")
    _say_wrong(wrong, encoding, faults)
    return text


def _say_wrong(count: int, encoding: str, faults: Faults) -> None:
    places = "one place is" if count == 1 else f"{count:,} places are"
    faults.add(f'{places} no {encoding.upper()}, and read as "\ufffd"')


def _with_zeros(content: bytes, faults: Faults) -> str:
    """UTF-16 whose mark was lost, or a text with some zeros in it; of pictures there are more."""
    if encoding := utf16_without_mark(content):
        return _nearly(content, encoding, faults)
    zeros = content.count(0)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise RefusedError(NO_TEXT) from None
    if len(_CONTROL.findall(text)) * 20 > len(text):
        raise RefusedError(NO_TEXT)
    faults.add(f'it has {zeros:,} zero {"byte" if zeros == 1 else "bytes"}, read as "\ufffd"')
    return text.replace("\0", "\ufffd")


def _as_said(content: bytes, charset: str | None) -> str:
    """The text in the encoding that a server names; nothing where that cannot be."""
    try:
        return content.decode(name) if (name := named(charset or "")) else ""
    except UnicodeError:
        return ""


def named(name: str) -> str:
    """What Python calls an encoding, or the wider one; nothing for none that texts are in."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return ""
    return _WIDER.get(found, found) if _KNOWN.fullmatch(found) else ""


def _nearly_utf8(content: bytes, faults: Faults) -> str:
    """UTF-8 with a few wrong bytes; what is in another encoding has hardly any right ones."""
    text = content.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = len(text) - wrong - len(content.translate(None, bytes(range(128, 256))))
    if wrong * 10 > right:
        return ""
    _say_wrong(wrong, "utf-8", faults)
    return text


def _guessed(content: bytes, faults: Faults) -> str:
    """The text in the encoding that makes the most of it."""
    encoding = guessed(foreign_lines(content)) or "cp1252"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode(encoding, "replace")
    if len(_CONTROL.findall(text)) * 20 > len(text):
        raise RefusedError(NO_TEXT)
    faults.add(f"it does not say its encoding, and is read as {encoding}")
    return text


def guessed(sample: bytes, also: Sequence[str] = ()) -> str:
    """The encoding that makes the most of a text; nothing where none makes one of it.

    :param sample: what is not in ASCII of a text that is not in UTF-8
    :param also: encodings in question beside the usual ones
    """
    best = from_bytes(sample, cp_isolation=[*_CANDIDATES, *also]).best()
    encoding = best.encoding if best else ""
    return _latin(sample) if encoding in _LATIN else encoding


def foreign_lines(content: bytes) -> bytes:
    """The lines that are not in ASCII, as many as it takes, and of a long one a part."""
    kept: list[bytes] = []
    room = _SAMPLE_BYTES
    end = 0
    while room > 0 and (found := _BEYOND_ASCII.search(content, end)):
        at = found.start()
        start = max(content.rfind(b"\n", end, at) + 1, end, at - _BEFORE)
        end = content.find(b"\n", at)
        end = min(len(content) if end < 0 else end, at + room)
        kept.append(content[start:end])
        room -= end - start
    return b"\n".join(kept)


def _latin(sample: bytes) -> str:
    """Which of the encodings of Latin scripts: where one language has all the letters."""
    return max(_LATIN, key=lambda encoding: _likeness(sample, encoding))


def _likeness(sample: bytes, encoding: str) -> float:
    """The share of the letters beyond a to z that one language has."""
    text = sample.decode(encoding, "replace").lower()
    # signs and punctuation tell nothing, but for those of Spanish
    letters = [
        letter
        for letter in text
        if letter > "\x7f" and (category(letter)[0] not in "PSZ" or letter in "¿¡")
    ]
    return max(_share(letters, alphabet) for alphabet in _LATIN[encoding])


def _share(letters: Sequence[str], alphabet: str) -> float:
    return sum(letter in alphabet for letter in letters) / max(1, len(letters))
