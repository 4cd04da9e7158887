"""Who reads what: a function for each kind of request, which gives the answers one by one.

They run in processes that end with the document, and are imported by those alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from PIL import Image

from research_app import pictures
from research_app.extract import media, pdf, transcripts
from research_app.sources import arxiv, bibtex, jsonlines, podcast_feed
from research_app.speech import hearing

Read = Callable[[BinaryIO, dict[str, Any]], Iterator[Any]]


def _pdf(file: BinaryIO, _: dict[str, Any]) -> Iterator[Any]:
    yield pdf.extract(file)


def _media(file: BinaryIO, _: dict[str, Any]) -> Iterator[Any]:
    yield media.described(file)


def _speech(file: BinaryIO, options: dict[str, Any]) -> Iterator[Any]:
    yield from hearing.heard(file, options)


def _picture(file: BinaryIO, _: dict[str, Any]) -> Iterator[Any]:
    yield pictures.drawn(file)


def _feed(file: BinaryIO, _: dict[str, Any]) -> Iterator[Any]:
    yield podcast_feed.parse(file.read())


def _arxiv(file: BinaryIO, _: dict[str, Any]) -> Iterator[Any]:
    yield arxiv.parsed(file.read())


def _transcript(file: BinaryIO, options: dict[str, Any]) -> Iterator[Any]:
    yield transcripts.parsed(file.read(), options["form"], options.get("charset"))


def _bibtex(file: BinaryIO, _: dict[str, Any]) -> Iterator[Any]:
    yield from bibtex.parsed(file.read())


def _jsonlines(file: BinaryIO, options: dict[str, Any]) -> Iterator[Any]:
    yield from jsonlines.parsed(file, packed=bool(options["packed"]))


# Loads what would else be loaded for each picture, and takes longer than to draw it.
Image.init()

READERS: dict[str, Read] = {
    "pdf": _pdf,
    "media": _media,
    "speech": _speech,
    "picture": _picture,
    "feed": _feed,
    "arxiv": _arxiv,
    "transcript": _transcript,
    "bibtex": _bibtex,
    "jsonlines": _jsonlines,
}
