"""The characters of a feed, whatever it says or does not say of how they are encoded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from research_app.extract.decoding import guessed, marked, named
from research_app.refusal import RefusedError

_DECLARED = re.compile(rb"<\?xml\b[^>]{0,500}?\bencoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
HEAD_BYTES = 2048
# which of the first four bytes are zero, where a text that begins in ASCII has no mark
_WIDE = {"0001": "utf-32-be", "1000": "utf-32-le", "0101": "utf-16-be", "1010": "utf-16-le"}
_FOREIGN = re.compile(rb"[^\x00-\x7f][^\x00-\x1f<>]{0,1000}+")
SAMPLE_BYTES = 32 * 1024
# with that many bad of a hundred foreign letters a text still is what it says it is
_BAD_PER_CENT = 20


def decoded(content: bytes, charset: str | None = None) -> tuple[str, str]:
    """The text of a feed, and in a sentence what was wrong with its encoding, if anything.

    :param charset: what the server says
    :raises RefusedError: when nothing tells what the bytes mean
    """
    if name := marked(content):
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
        right = not said or named(said) == named(name)
        return text, "" if right else _not(said, name)
    return _damaged(content, said)


def _sure(content: bytes, name: str) -> str:
    try:
        return content.decode(name)
    except UnicodeDecodeError:
        raise RefusedError(f"damaged: it begins as {name.upper()} and is not") from None


def _in_question(said: str, charset: str) -> Iterator[str]:
    """Encodings to try, in their order; a server's word counts first only where it is UTF-8."""
    declared, served = named(said), named(charset)
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


def _damaged(content: bytes, said: str) -> tuple[str, str]:
    """A text of which no encoding is right in every byte."""
    for name in dict.fromkeys((named(said) or "utf-8", "utf-8")):
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
    return guessed(bytes(sample))


def _not(said: str, instead: str) -> str:
    return f"its characters are not in {said}; they are read as {instead}"
