"""What an answer is told in: its sources, its text bit by bit, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel


class Source(BaseModel):
    """A passage that the answer may cite, under its number."""

    number: int
    item_id: str
    title: str
    kind: str
    page: int | None = None
    start: float | None = None
    place: str = ""
    text: str = ""
    address: str


class Answer(BaseModel):
    """A whole answer. `[1]` in its text is the source of that number."""

    question: str
    text: str
    found: bool
    provider: str
    notice: str = ""
    citations: list[int] = []
    sources: list[Source] = []


@dataclass(frozen=True)
class Sources:
    """The passages found; a text that came before them counts no longer."""

    sources: list[Source]


@dataclass(frozen=True)
class Text:
    """The next bit of the text."""

    text: str


@dataclass(frozen=True)
class Notice:
    """Something about the answer that its reader should know."""

    text: str


@dataclass(frozen=True)
class Done:
    """The end: who wrote it, and what it cited."""

    provider: str
    found: bool
    citations: list[int] = field(default_factory=list)


Event = Sources | Text | Notice | Done


def whole(question: str, events: list[Event]) -> Answer:
    """All events of an answer as one."""
    answer = Answer(question=question, text="", found=False, provider="")
    for event in events:
        match event:
            case Sources(sources):
                answer.sources, answer.text, answer.notice = sources, "", ""
            case Text(text):
                answer.text += text
            case Notice(text):
                answer.notice = text
            case Done(provider, found, citations):
                answer.provider, answer.found, answer.citations = provider, found, citations
    answer.text = answer.text.strip()
    return answer
