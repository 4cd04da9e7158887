"""What an ingest did: in all, and for each kind of file what was taken, mended and refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from research_app.index.quarantine import MAX_ENTRIES_PER_RUN
from research_app.sources import bibtex, folder, podcast
from research_app.sources.caption_names import CAPTIONS, MEDIA
from research_app.sources.document import Mending, Refusal

State = Literal["new", "changed", "unchanged"]

KINDS_OF_FILES: dict[str, tuple[str, ...]] = {
    "PDF": (".pdf",),
    "BibTeX": bibtex.SUFFIX,
    "JSON lines": folder.JSON_LINES,
    "feeds": podcast.SUFFIX,
    "captions": CAPTIONS,
    "recordings": MEDIA,
}
WEB, OTHERS = "the web", "other"
MAX_SORTS = 12  # of mendings or of refusals of one kind that are told apart
MORE = "other reasons"

_PLACE = re.compile(r":\d+$")
_ADDRESS = re.compile(r"\bhttps?://\S+")
_QUOTED = re.compile(r'"[^"]*"')
_IDENTITY = re.compile(r"\bthe id \S+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_KEY = re.compile(r"^(?:an entry without a key|\S+): ")


def kind_of(source: str) -> str:
    """The kind of file that a document was found in, by the name of its source."""
    if "://" in source or source.startswith("arxiv:"):
        return WEB
    name = _PLACE.sub("", source).lower()
    found = (kind for kind, suffixes in KINDS_OF_FILES.items() if name.endswith(suffixes))
    return next(found, OTHERS)


def sort_of(sentence: str, kind: str = "") -> str:
    """A sentence without what is of one place only, so that equal faults are counted together."""
    sentence = _ADDRESS.sub("…", sentence[:1000])
    if kind == "BibTeX":
        sentence = _KEY.sub("", sentence)
    sentence = _IDENTITY.sub("the id …", _QUOTED.sub("…", sentence))
    return _NUMBER.sub("N", sentence)[:160]


class Tally(BaseModel):
    """What became of the documents of one kind of file; sentences with how often they were said."""

    taken: int = 0
    mended: int = 0
    refused: int = 0
    how: dict[str, int] = {}
    why: dict[str, int] = {}


def _count(sorts: dict[str, int], sentence: str) -> None:
    known = sentence in sorts or len(sorts) < MAX_SORTS
    name = sentence if known else MORE
    sorts[name] = sorts.get(name, 0) + 1


def lines(kinds: Mapping[str, Tally], unread: Mapping[str, int]) -> Iterator[str]:
    """The report of each kind, to be printed."""
    for kind, tally in sorted(kinds.items()):
        yield f"{kind}: {tally.taken} taken, {tally.mended} mended, {tally.refused} refused"
        for word, sorts in (("mended", tally.how), ("refused", tally.why)):
            for sentence, count in sorted(sorts.items(), key=lambda each: -each[1]):
                yield f"  {word} {count}: {sentence}"
    if unread:
        suffixes = sorted(unread.items(), key=lambda each: (-each[1], each[0]))
        told = ", ".join(f"{each} {suffix}" for suffix, each in suffixes[:MAX_SORTS])
        more = ", …" if len(suffixes) > MAX_SORTS else ""
        count = sum(unread.values())
        yield f"not read: {count} files of kinds that nothing here reads ({told}{more})"


@dataclass
class Report:
    """What a run did."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    # the first of them, as many as are kept: a small archive can hold millions of bad lines
    refusals: list[Refusal] = field(default_factory=list)
    # documents that were written although something in them is wrong, and the first of these faults
    mended: int = 0
    mendings: list[Mending] = field(default_factory=list)
    kinds: dict[str, Tally] = field(default_factory=dict)
    # files of a folder that no reader knows, by their suffix
    unread: dict[str, int] = field(default_factory=dict)
    total: int | None = None
    # what does not belong to any document, and takes none of them back
    notes: list[str] = field(default_factory=list)

    def _tally(self, source: str) -> tuple[str, Tally]:
        kind = kind_of(source)
        return kind, self.kinds.setdefault(kind, Tally())

    def take(self, source: str, state: State, faults: Sequence[str] = ()) -> None:
        """Count a document that the library has now, and what is wrong in it."""
        setattr(self, state, getattr(self, state) + 1)
        kind, tally = self._tally(source)
        tally.taken += 1
        if not faults:
            return
        self.mended += 1
        tally.mended += 1
        room = MAX_ENTRIES_PER_RUN - len(self.mendings)
        self.mendings += [Mending(source, fault) for fault in faults[:room]]
        for fault in faults:
            _count(tally.how, sort_of(fault, kind))

    def refuse(self, refusal: Refusal) -> None:
        """Count what is not taken."""
        self.refused += 1
        kind, tally = self._tally(refusal.source)
        tally.refused += 1
        _count(tally.why, sort_of(refusal.reason, kind))
        if len(self.refusals) < MAX_ENTRIES_PER_RUN:
            self.refusals.append(refusal)

    @property
    def taken(self) -> int:
        """Documents that the library has now."""
        return self.new + self.changed + self.unchanged

    @property
    def seen(self) -> int:
        """Documents looked at so far."""
        return self.taken + self.refused

    @property
    def wrote(self) -> bool:
        """Whether searches may now give another answer."""
        return self.new + self.changed > 0

    def __str__(self) -> str:
        changed = f"{self.changed} changed, " if self.changed else ""
        counts = f"{self.new} new, {changed}{self.unchanged} unchanged, {self.refused} refused"
        counts += f", {self.mended} mended" if self.mended else ""
        if self.unread:
            counts += f", {sum(self.unread.values())} files not read"
        return "; ".join([counts, *self.notes])


Progress = Callable[[Report], None]
