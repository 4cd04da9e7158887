"""One document as its page shows it: its files, the place that was asked for, its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from research_app.web.addresses import file_address
from research_app.web.places import clock, place_address
from research_app.web.views import KIND_NAME, Place

VIDEO = (".mp4", ".m4v", ".webm", ".ogv", ".mov", ".mkv")
AUDIO = (".mp3", ".m4a", ".aac", ".ogg", ".opus", ".wav", ".flac")
YOUTUBE = ("youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be")


@dataclass(frozen=True)
class Player:
    """A recording that the library has, from the second that was asked for on."""

    address: str
    video: bool


@dataclass(frozen=True)
class Step:
    """A way to somewhere, in words."""

    label: str
    address: str


@dataclass(frozen=True)
class Here:
    """The part of a document that was asked for."""

    title: str
    paragraphs: list[str]
    before: Step | None
    after: Step | None


@dataclass(frozen=True)
class Spoken(Place):
    """A part of a transcript."""

    second: int
    here: bool


def item_view(
    item: dict[str, Any], passages: list[dict[str, Any]], page: int | None, second: float | None
) -> dict[str, Any]:
    """All that the page of a document shows of it."""
    spoken = [passage for passage in passages if passage.get("start") is not None]
    at = _spoken_at(spoken, second)
    return {
        "item": item,
        "kind_name": KIND_NAME.get(item["kind"], item["kind"]),
        "length": clock(item["duration"]) if item["duration"] else "",
        "player": player(item, second),
        "poster": file_address(item["thumbnail"]) if item["thumbnail"] else "",
        "actions": actions(item, page, second),
        "place": _written(item, passages, page) or (at is not None and _said(item, spoken, at)),
        "figures": [_figure(item, figure) for figure in item["figures"]],
        "references": item.get("references") or [],
        "transcript": [
            Spoken(
                part["text"],
                clock(part["start"]),
                place_address(item["id"], None, part["start"]),
                int(part["start"]),
                number == at,
            )
            for number, part in enumerate(spoken)
        ],
    }


def _suffix(item: dict[str, Any]) -> str:
    return PurePosixPath(item["file"] or "").suffix


def player(item: dict[str, Any], second: float | None) -> Player | None:
    """The recording, where the library has it."""
    if _suffix(item) not in (*VIDEO, *AUDIO):
        return None
    start = f"#t={int(second)}" if second else ""
    return Player(file_address(item["file"]) + start, _suffix(item) in VIDEO)


def actions(item: dict[str, Any], page: int | None, second: float | None) -> list[Step]:
    """The ways to the document itself, the library's own first."""
    found: list[Step] = []
    if _suffix(item) == ".pdf":
        label = f"Open the PDF at page {page}" if page else "Open the PDF"
        found.append(Step(label, file_address(item["file"], page)))
    elif item["pdf_url"]:
        found.append(Step("PDF", item["pdf_url"] + (f"#page={page}" if page else "")))
    if item["media_url"] and not player(item, second):
        verb = "Watch" if item["kind"] == "video" else "Listen"
        start = f"#t={int(second)}" if second else ""
        label = f"{verb} from {clock(second)}" if second else verb
        found.append(Step(label, item["media_url"] + start))
    if item["url"]:
        found.append(Step("Go to the source", _from_second(item["url"], second)))
    return found


def _from_second(url: str, second: float | None) -> str:
    """An address of a video site at a second; any other as it is."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return url
    if not second or host not in YOUTUBE or "#" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}t={int(second)}s"


def _figure(item: dict[str, Any], figure: dict[str, Any]) -> dict[str, Any]:
    page = figure["page"]
    image = file_address(figure["image"]) if figure.get("image") else ""
    pdf = file_address(item["file"], page) if _suffix(item) == ".pdf" else ""
    return {**figure, "image": image, "address": pdf or image or item["url"] or "#figures"}


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _written(item: dict[str, Any], passages: list[dict[str, Any]], page: int | None) -> Here | None:
    """The page that was asked for, and the ways to its neighbours that have text."""
    pages = sorted({passage["page"] for passage in passages if passage.get("page")})
    if page not in pages:
        return None

    def step(number: int, label: str) -> Step:
        return Step(label.format(number), place_address(item["id"], number, None))

    at = pages.index(page)
    texts = [passage["text"] for passage in passages if passage.get("page") == page]
    return Here(
        f"Page {page}",
        [paragraph for text in texts for paragraph in _paragraphs(text)],
        step(pages[at - 1], "← Page {}") if at else None,
        step(pages[at + 1], "Page {} →") if at + 1 < len(pages) else None,
    )


def _spoken_at(spoken: list[dict[str, Any]], second: float | None) -> int | None:
    """Which part of a transcript is said at a second."""
    if second is None or not spoken:
        return None
    begun = [number for number, part in enumerate(spoken) if int(part["start"]) <= second]
    return begun[-1] if begun else 0


def _said(item: dict[str, Any], spoken: list[dict[str, Any]], at: int) -> Here:
    def step(number: int, label: str) -> Step:
        start = spoken[number]["start"]
        return Step(label.format(clock(start)), place_address(item["id"], None, start))

    return Here(
        f"At {clock(spoken[at]['start'])}",
        _paragraphs(spoken[at]["text"]),
        step(at - 1, "← {}") if at else None,
        step(at + 1, "{} →") if at + 1 < len(spoken) else None,
    )
