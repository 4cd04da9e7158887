"""Text of files that do not say how it is encoded, or say it wrongly."""

from __future__ import annotations

import re
from itertools import islice

from research_app.extract.decoding import NO_TEXT, guessed, marked, named, utf16_without_mark
from research_app.refusal import RefusedError

# as JabRef and editors write it into the first lines
DECLARED = re.compile(rb"^%+[^\n]{0,40}?(?:en)?coding\s*[:=]\s*([\w-]{2,20})", re.M | re.I)
HEAD = 1024
# of lines with other letters than ASCII's, which is what an encoding is guessed from
SAMPLE = 32 * 1024
# what bytes that are no UTF-8 are in Windows-1252
WINDOWS = {0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(128, 256)}
# lines with other letters than ASCII's, and how many of them are looked at
OTHER_LINE = re.compile(rb"^[^\n\x80-\xff]*+[\x80-\xff][^\n]*+", re.M)
MAX_LINES = 10_000
NOT_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")


def decoded(content: bytes) -> tuple[str, str]:
    """The text, and what has to be said of its encoding: nothing where it is UTF-8 or marked.

    :raises RefusedError: where no encoding gives a text of it
    """
    if (encoding := marked(content)) not in ("", "utf-8"):
        return _as(content, encoding).removeprefix("\ufeff"), ""
    if b"\0" in content[:HEAD]:
        if not (wide := utf16_without_mark(content)):
            raise RefusedError(NO_TEXT)
        return _as(content, wide).removeprefix("\ufeff"), ""
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return _legacy(content)


def _as(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise RefusedError(f"damaged: it is not all {encoding.upper()}; save it as UTF-8") from None


def _legacy(content: bytes) -> tuple[str, str]:
    """Text of which some is no UTF-8: what it declares, its lines each by itself, or a guess."""
    lines = [found[0] for found in islice(OTHER_LINE.finditer(content), MAX_LINES)]
    broken = [line for line in lines if not _is_utf8(line)]
    if len(broken) * 2 <= len(lines):
        text = content.decode("utf-8-sig", "surrogateescape").translate(WINDOWS)
        return text, "lines of the file are not UTF-8 as the others; they are read as Windows-1252"
    encoding = _declared(content) or guessed(b"\n".join(broken)[:SAMPLE], ["mac_roman"])
    try:
        text = content.decode(encoding) if encoding else "\ufffd"
    except UnicodeDecodeError:
        text = "\ufffd"
    if NOT_TEXT.search(text):
        raise RefusedError("its encoding is not to be made out; save it as UTF-8")
    return text, f"the file is not UTF-8; it is read as {encoding.replace('cp', 'Windows-')}"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _declared(content: bytes) -> str:
    found = DECLARED.search(content[:HEAD])
    return named(found[1].decode()) if found else ""
