"""A document as the index stores it, and what a source hands to the ingest."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from research_app.files import KEY, FileStore
from research_app.plain_text import clean, one_line
from research_app.problems import in_words
from research_app.refusal import RefusedError

__all__ = [
    "FORM",
    "KINDS",
    "Address",
    "Candidate",
    "Document",
    "Extract",
    "Figure",
    "FileKey",
    "Kind",
    "Line",
    "Lines",
    "Mending",
    "Part",
    "Passage",
    "Passages",
    "Refusal",
    "RefusedError",
    "Source",
    "Total",
    "Workshop",
    "clean",
    "content_hash",
    "one_line",
    "ready",
    "validated",
]

Kind = Literal["paper", "video", "podcast"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# Part of every content hash: raise it when the stored form changes, and the next ingest
# writes every document again instead of calling it unchanged.
FORM = 2

# what OpenSearch takes; it refuses the whole request that a longer one is in
MAX_ID_BYTES = 512


def _web_address(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("is not an http or https address")
    return url


def _short(identity: str) -> str:
    if len(identity.encode()) > MAX_ID_BYTES:
        raise ValueError(f"is over {MAX_ID_BYTES} bytes")
    return identity


def _names(value: Any) -> Any:
    if value is None:
        return ()
    return [name.strip() for name in value.split(";")] if isinstance(value, str) else value


def _filled(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value for value in values if value)


def _tidy(text: str) -> str:
    return clean(text).strip()


def _optional(value: Any) -> Any:
    return None if value in ("", 0) else value


Line = Annotated[str, AfterValidator(one_line)]
Lines = Annotated[tuple[Line, ...], AfterValidator(_filled), Field(max_length=5000)]
Address = Annotated[
    Annotated[str, Field(max_length=2000), AfterValidator(_web_address)] | None,
    BeforeValidator(_optional),
]


FileKey = Annotated[
    Annotated[str, Field(pattern=f"^{KEY.pattern}$")] | None, BeforeValidator(_optional)
]


class Part(BaseModel):
    """Something inside a document."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Passage(Part):
    """A text that a reader can go to: a page of a paper, a minute of a recording."""

    text: Annotated[str, AfterValidator(_tidy)]
    page: Annotated[int, Field(ge=1)] | None = None
    start: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Figure(Part):
    """A figure of a paper; the image is a key of the file store."""

    page: Annotated[int, Field(ge=1)]
    caption: Annotated[Line, Field(max_length=5000)]
    image: FileKey = None


def _with_text(values: tuple[Passage, ...]) -> tuple[Passage, ...]:
    return tuple(value for value in values if value.text)


# below the 10,000 parts that OpenSearch takes in one document
Passages = Annotated[tuple[Passage, ...], AfterValidator(_with_text), Field(max_length=9000)]


class Document(BaseModel):
    """What is known of one paper, video or episode."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Annotated[
        str,
        Field(min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f\x7f]+$"),
        AfterValidator(_short),
    ]
    kind: Kind
    title: Annotated[Line, Field(min_length=1, max_length=2000)]
    abstract: Annotated[Line, Field(max_length=100_000)] = ""
    passages: Passages = ()
    figures: Annotated[tuple[Figure, ...], Field(max_length=1000)] = ()
    references: Lines = ()
    authors: Annotated[Lines, BeforeValidator(_names)] = ()
    year: Annotated[Annotated[int, Field(ge=1000, le=2999)] | None, BeforeValidator(_optional)] = (
        None
    )
    venue: Annotated[Line, Field(max_length=2000)] = ""
    url: Address = None
    pdf_url: Address = None
    doi: Annotated[Line, Field(max_length=300)] = ""
    language: Annotated[Line, Field(max_length=100)] = ""
    pages: int | None = None
    duration: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    thumbnail: FileKey = None
    file: FileKey = None
    media_url: Address = None

    def stored(self) -> dict[str, Any]:
        """The fields that have a value, without the id (that is the key)."""
        fields = self.model_dump(exclude={"id"}, exclude_none=True)
        return {name: value for name, value in fields.items() if value not in ("", ())}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that was not taken: where it was, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mending:
    """A document that was taken although something in it is wrong: where it was, and what."""

    source: str
    what: str


Extract = Callable[[Path], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Workshop:
    """What it takes to load a document: a reader of files, and the place where they are kept."""

    extract: Extract
    files: FileStore


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may be new; `load` does the expensive part, if it is.

    Where there is none, because the fields are at hand, they can be had without waiting.
    What was wrong and is mended or left out stands in `mended`, a short sentence each; what only
    `load` finds out stands under the same name in the fields that it gives, and is not stored.
    """

    id: str
    kind: Kind
    source: str
    content_hash: str
    load: Callable[[Workshop], Awaitable[dict[str, Any]]]
    at_hand: dict[str, Any] | None = None
    mended: tuple[str, ...] = ()


@dataclass(slots=True)
class Total:
    """How many documents a source gives; None where nobody knows, or not yet."""

    count: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What one path holds, and how many of it make a batch worth its round trip.

    The root is the path itself, or whatever else tells this source from others; what was refused
    below it is forgotten when it is refused no more.
    """

    candidates: Iterator[Candidate | Refusal]
    batch: int
    root: str = ""
    kind: Kind = "paper"
    total: Total = field(default_factory=Total)
    # how many files were passed over, by their suffix; whoever reads the candidates fills it
    unread: dict[str, int] = field(default_factory=dict)


def content_hash(*parts: bytes) -> str:
    """The identity of a content, of the form in which it is stored."""
    digest = hashlib.sha256(str(FORM).encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def validated(fields: dict[str, Any]) -> Document:
    """A document, or the refusal in words."""
    try:
        return Document.model_validate(fields)
    except ValidationError as error:
        raise RefusedError(_in_words(error)) from None


def ready(document: Document, source: str, mended: tuple[str, ...] = ()) -> Candidate:
    """A candidate whose content is already at hand."""
    fields = document.stored()
    digest = content_hash(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS))

    async def load(_: Workshop) -> dict[str, Any]:
        return fields

    return Candidate(document.id, document.kind, source, digest, load, fields, mended)


def _in_words(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    *around, field = [
        f"entry {part + 1}" if isinstance(part, int) else part
        for part in problem["loc"] or ("document",)
    ]
    if problem["type"] in ("missing", "string_too_short", "too_short"):
        return f"{', '.join(around)}: no {field}" if around else f"no {field}"
    return f"{', '.join((*around, field))}: {in_words(problem)}"
