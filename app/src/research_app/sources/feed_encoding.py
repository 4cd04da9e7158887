"""The characters of a feed, whatever it says or does not say of how they are encoded."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from charset_normalizer import from_bytes

from research_app.extract.decoding import MARKS
from research_app.refusal import RefusedError

_DECLARED = re.compile(rb"<\?xml\b[^>]{0,500}?\bencoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
HEAD_BYTES = 2048
# which of the first four bytes are zero, where a text that begins in ASCII has no mark
_WIDE = {"0001": "utf-32-be", "1000": "utf-32-le", "0101": "utf-16-be", "1010": "utf-16-le"}
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
# what feeds are written in where they do not say so; of two that fit alike the first is meant
_OF_BYTES = (
    *("cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("koi8_r", "iso8859_2", "cp874"),
)
_OF_PAIRS = ("gb18030", "big5", "cp932", "euc_jp", "cp949")
_FOREIGN = re.compile(rb"[^\x00-\x7f][^\x00-\x1f<>]{0,1000}+")
SAMPLE_BYTES = 32 * 1024
# with that many bad of a hundred foreign letters a text still is what it says it is
_BAD_PER_CENT = 20


def decoded(content: bytes, charset: str | None = None) -> tuple[str, str]:
    """The text of a feed, and in a sentence what was wrong with its encoding, if anything.

    :param charset: what the server says
    :raises RefusedError: when nothing tells what the bytes mean
    """
    for mark, name in MARKS:
        if content.startswith(mark):
            return _sure(content, name).removeprefix("\ufeff"), ""
    if wide := _WIDE.get("".join(str(int(byte > 0)) for byte in content[:4])):
        return _sure(content, wide), ""
    declared = _DECLARED.search(content[:HEAD_BYTES])
    said = declared[1].decode("ascii") if declared else ""
    for name in _in_question(said, charset or ""):
        try:
            text = content.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        right = not said or _python(said) == _WIDER.get(name, name)
        return text, "" if right else _not(said, name)
    return _damaged(content, said)


def _sure(content: bytes, name: str) -> str:
    try:
        return content.decode(name)
    except UnicodeDecodeError:
        raise RefusedError(f"damaged: it begins as {name.upper()} and is not") from None


def _in_question(said: str, charset: str) -> Iterator[str]:
    """Encodings to try, in their order; a server's word counts first only where it is UTF-8."""
    declared, served = _python(said), _python(charset)
    if served == "utf-8":
        yield served
    if declared and not declared.startswith(("utf-16", "utf-32")):  # then it would have zeros
        yield declared
        if declared == "cp1252":
            yield "utf-8"
            yield "iso8859-1"  # five bytes are no letter of the wider one
    yield "utf-8"
    if served and not declared:
        yield served


def _python(name: str) -> str:
    """What Python calls the encoding, or the wider one; nothing for none of a feed's."""
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return ""
    return _WIDER.get(found, found) if _KNOWN.fullmatch(found) else ""


def _damaged(content: bytes, said: str) -> tuple[str, str]:
    """A text of which no encoding is right in every byte."""
    for name in dict.fromkeys((_python(said) or "utf-8", "utf-8")):
        text, bad = _without_bad(content, name)
        if 100 * bad <= _BAD_PER_CENT * (len(text) - len(text.encode("ascii", "ignore"))):
            return text, _left_out(bad, said)
    if guess := _guess(content):
        return _without_bad(content, guess)[0], _not(said or "UTF-8", guess)
    text, bad = _without_bad(content, "utf-8")
    if 100 * bad <= _BAD_PER_CENT * len(text):
        return text, _left_out(bad, said)
    raise RefusedError(
        "nothing tells the encoding of its characters; save it as UTF-8, or name the encoding in"
        " its first line"
    )


def _without_bad(content: bytes, name: str) -> tuple[str, int]:
    """What can be read of a text, and how much cannot."""
    text = content.decode(name, "replace")
    return text.replace("\ufffd", ""), text.count("\ufffd")


def _left_out(bad: int, said: str) -> str:
    return f"{bad:,} of its characters are not {said or 'UTF-8'} and are left out"


def _guess(content: bytes) -> str:
    """The likeliest encoding of a text that is not UTF-8, judged by some of its foreign letters."""
    sample = bytearray()
    for words in _FOREIGN.finditer(content):
        sample += words[0] + b"\n"
        if len(sample) > SAMPLE_BYTES:
            break
    found = list(from_bytes(bytes(sample), cp_isolation=[*_OF_BYTES, *_OF_PAIRS]))
    if not found or found[0].encoding in _OF_PAIRS:
        return found[0].encoding if found else ""
    chaos, coherence = found[0].chaos + 0.02, found[0].coherence - 0.15
    alike = {
        name
        for match in found
        if match.chaos <= chaos and match.coherence >= coherence
        for name in match.could_be_from_charset
    }
    return next((name for name in _OF_BYTES if name in alike), found[0].encoding)


def _not(said: str, instead: str) -> str:
    return f"its characters are not in {said}; they are read as {instead}"
