"""A test collection in the layout of the BEIR benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

JUDGMENTS = ("qrels/test.tsv", "qrels.tsv")


class CollectionError(Exception):
    """This is no test collection; the message says what is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Text:
    """A document of the collection, or a question (which has no title)."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, the questions that were judged, and what the judges said."""

    name: str
    documents: list[Text]
    questions: dict[str, str]
    judged: dict[str, dict[str, int]]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise CollectionError(f"{path}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            record = orjson.loads(line)
            yield {"_id": record["_id"], "title": record.get("title") or "", "text": record["text"]}
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise CollectionError(f"{path}:{number}: not an object with _id and text") from None


def _texts(path: Path) -> list[Text]:
    return [
        Text(str(record["_id"]), record["title"], record["text"] or "") for record in _records(path)
    ]


def judgments(path: Path) -> dict[str, dict[str, int]]:
    """Question → document → grade; the heading is recognised by its grade being a word."""
    judged: dict[str, dict[str, int]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            question, document, grade = line.split("\t")
            judged.setdefault(question, {})[document] = int(grade)
        except ValueError:
            if number > 1:
                raise CollectionError(
                    f"{path}:{number}: not a question, a document and a grade"
                ) from None
            judged.clear()
    return judged


def read(folder: Path) -> Collection:
    """The collection in a folder: corpus.jsonl, queries.jsonl, and the judgments."""
    path = next((folder / name for name in JUDGMENTS if (folder / name).is_file()), None)
    if path is None:
        raise CollectionError(f"{folder}: neither {' nor '.join(JUDGMENTS)} is there")
    judged = judgments(path)
    asked = {text.id: text.text for text in _texts(folder / "queries.jsonl")}
    questions = {identity: asked[identity] for identity in judged if identity in asked}
    if not questions:
        raise CollectionError(f"{path}: none of its questions is in queries.jsonl")
    return Collection(folder.name, _texts(folder / "corpus.jsonl"), questions, judged)
