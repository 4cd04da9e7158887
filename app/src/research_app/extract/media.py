"""What a recording says of itself: how long it is, and a picture from it.

By ffmpeg where the host has it, else by PyAV where that is installed, and always by who reads what
strangers made. Only real containers are opened: a playlist called talk.mp4 could name files of this
machine, or hosts of its network.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import math
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from pydantic import BaseModel, ValidationError

from research_app.extract.extraction import MALFORMED, OWN, Extraction
from research_app.refusal import RefusedError

VIDEO = (".mp4", ".m4v", ".webm", ".mkv", ".mov", ".ogv", ".avi")
AUDIO = (".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".flac", ".wav")

FORMATS = "mov,matroska,ogg,avi,mp3,aac,flac,wav"
# it reads what is open already, and opens nothing
PROTOCOLS = "fd,pipe"
SECONDS = 60.0
WIDTH = 480
MAX_PICTURE_BYTES = 2**21
DAMAGED = "damaged: no sound and no picture can be read from it"


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found; nothing of it where no tool is installed."""

    duration: float | None = None
    picture: bytes | None = None


class _Said(BaseModel):
    """What is said of a recording; the picture is a JPEG in Base64."""

    duration: float | None = None
    picture: str = ""


def is_media(head: bytes) -> bool:
    """Whether a file begins as a recording does."""
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
        or head.startswith((b"\x1a\x45\xdf\xa3", b"OggS", b"fLaC", b"ID3", b"ADIF"))
        or (head[:4] == b"RIFF" and head[8:12] in (b"WAVE", b"AVI "))
        or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)
    )


def check(path: Path) -> None:
    """Refuse what is no recording."""
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise RefusedError("the file is empty")
    if not is_media(head):
        raise RefusedError("not a recording, whatever its name says")


def facts(path: Path, extraction: Extraction = OWN) -> Facts:
    """Duration and picture of a recording; RefusedError where it cannot be read."""
    check(path)
    try:
        said = _Said.model_validate(extraction.ask("media", path))
    except ValidationError:
        raise RefusedError(MALFORMED) from None
    return Facts(_seconds(said.duration), _picture(base64.b64decode(said.picture)))


def described(file: BinaryIO) -> dict[str, Any]:
    """The same, of a file that is open; by whichever tool is here."""
    if has_ffmpeg():
        return _by_ffmpeg(file)
    if importlib.util.find_spec("av"):
        return _by_pyav(file)
    return {}


@cache
def has_ffmpeg() -> bool:
    """Whether this host has ffmpeg and ffprobe."""
    return bool(shutil.which("ffprobe") and shutil.which("ffmpeg"))


def moment(duration: float | None) -> float:
    """The second whose picture stands for a recording: past the titles."""
    return min(30.0, (duration or 0) / 10)


def _by_ffmpeg(file: BinaryIO) -> dict[str, Any]:
    # before ffmpeg 6 an open file can be read from its beginning to its end, and no other way
    seeks = b"fd" in _run(["ffprobe", "-v", "error", "-protocols"], file).split()
    opened = ["-v", "error", "-protocol_whitelist", PROTOCOLS, "-format_whitelist", FORMATS]
    source = ["-i", "fd:" if seeks else "pipe:0"]
    entries = "format=duration:stream=codec_type:stream_disposition=attached_pic"
    probe = ["ffprobe", *opened, "-show_entries", entries, "-of", "json", *source]
    found = orjson.loads(_run(probe, file) or b"{}")
    streams = found.get("streams", [])
    if not any(stream.get("codec_type") in ("audio", "video") for stream in streams):
        if seeks:
            raise RefusedError(DAMAGED)
        return {}
    duration = _seconds(found.get("format", {}).get("duration"))
    if not any(stream.get("codec_type") == "video" for stream in streams):
        return {"duration": duration}
    draw = [
        *("ffmpeg", "-nostdin", "-threads", "1", *opened, "-ss", str(moment(duration))),
        *(*source, "-map", "0:v:0", "-frames:v", "1"),
        *("-vf", f"scale={WIDTH}:-2", "-c:v", "mjpeg", "-f", "image2pipe", "-"),
    ]
    return {"duration": duration, "picture": _encoded(_run(draw, file))}


def _by_pyav(file: BinaryIO) -> dict[str, Any]:
    try:
        with opened(file) as container:
            if not container.streams.video and not container.streams.audio:
                raise RefusedError(DAMAGED)
            duration = container.duration / 1_000_000 if container.duration else None
            picture = b""
            if container.streams.video:
                picture = _frame(container, moment(duration))
    except (OSError, ValueError):  # PyAV's own errors are both
        raise RefusedError(DAMAGED) from None
    return {"duration": duration, "picture": _encoded(picture)}


def opened(file: BinaryIO) -> Any:
    """A recording by PyAV, and never a list of others."""
    import av  # noqa: PLC0415 - it is there with the speech extra only

    return av.open(file, options={"format_whitelist": FORMATS, "protocol_whitelist": PROTOCOLS})


def _frame(container: Any, second: float) -> bytes:
    container.seek(int(second * 1_000_000))
    for frame in container.decode(video=0):
        image = frame.to_image()
        image.thumbnail((WIDTH, WIDTH * 4))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=80)
        return buffer.getvalue()
    return b""


def _run(command: list[str], file: BinaryIO) -> bytes:
    """The output of a command that has an open file for its input; nothing where it fails."""
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are a list, and none is a stranger's
            command, stdin=file, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise RefusedError(f"reading it takes over {SECONDS:.0f} seconds") from None
    return done.stdout if done.returncode == 0 else b""


def _seconds(value: object) -> float | None:
    try:
        found = float(str(value))
    except ValueError:
        return None
    return round(found, 3) if math.isfinite(found) and found > 0 else None


def _encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode("ascii")


def _picture(content: bytes) -> bytes | None:
    whole = content.startswith(b"\xff\xd8\xff") and len(content) <= MAX_PICTURE_BYTES
    return content if whole else None
