"""What a recording says of itself: how long it is, and a picture from it.

By ffmpeg where the host has it, else by PyAV where that is installed, and always in a process of
its own. Only real containers are opened: a playlist called talk.mp4 could name files of this
machine, or hosts of its network.
"""

from __future__ import annotations

import base64
import importlib.util
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

from research_app.refusal import RefusedError

VIDEO = (".mp4", ".m4v", ".webm", ".mkv", ".mov", ".ogv", ".avi")
AUDIO = (".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".flac", ".wav")

FORMATS = "mov,matroska,ogg,avi,mp3,aac,flac,wav"
PROTOCOLS = "file"
SECONDS = 60.0
WIDTH = 480
MAX_PICTURE_BYTES = 2**21
PYAV = "research_app.extract.media_worker"


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found; nothing of it where no tool is installed."""

    duration: float | None = None
    picture: bytes | None = None


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


def facts(path: Path) -> Facts:
    """Duration and picture of a recording; RefusedError where it cannot be read."""
    check(path)
    if has_ffmpeg():
        return _by_ffmpeg(path)
    if importlib.util.find_spec("av"):
        return _by_pyav(path)
    return Facts()


@cache
def has_ffmpeg() -> bool:
    """Whether this host has ffmpeg and ffprobe."""
    return bool(shutil.which("ffprobe") and shutil.which("ffmpeg"))


def moment(duration: float | None) -> float:
    """The second whose picture stands for a recording: past the titles."""
    return min(30.0, (duration or 0) / 10)


def limited_environment() -> dict[str, str]:
    """What a process that reads a stranger's file needs of ours."""
    kept = ("PATH", "LANG", "HOME", "HF_HUB_OFFLINE")
    prefixes = ("OPENBLAS_", "OMP_", "MKL_")
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.startswith(prefixes)
    }


def _by_ffmpeg(path: Path) -> Facts:
    opened = ["-v", "error", "-protocol_whitelist", PROTOCOLS, "-format_whitelist", FORMATS]
    entries = "format=duration:stream=codec_type:stream_disposition=attached_pic"
    described = orjson.loads(
        _run(["ffprobe", *opened, "-show_entries", entries, "-of", "json", f"file:{path}"]) or b"{}"
    )
    streams = described.get("streams", [])
    if not any(stream.get("codec_type") in ("audio", "video") for stream in streams):
        raise RefusedError("damaged: no sound and no picture can be read from it")
    duration = _seconds(described.get("format", {}).get("duration"))
    if not any(stream.get("codec_type") == "video" for stream in streams):
        return Facts(duration)
    picture = _run(
        [
            *("ffmpeg", "-nostdin", "-threads", "1", *opened, "-ss", str(moment(duration))),
            *("-i", f"file:{path}", "-map", "0:v:0", "-frames:v", "1"),
            *("-vf", f"scale={WIDTH}:-2", "-c:v", "mjpeg", "-f", "image2pipe", "-"),
        ]
    )
    return Facts(duration, _picture(picture))


def _by_pyav(path: Path) -> Facts:
    answer = orjson.loads(_run([sys.executable, "-m", PYAV, str(path)]) or b'{"refused": "x"}')
    if "refused" in answer:
        raise RefusedError("damaged: no sound and no picture can be read from it")
    return Facts(_seconds(answer["duration"]), _picture(base64.b64decode(answer["picture"])))


def _run(command: list[str]) -> bytes:
    """The output of a command; nothing where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are a list, the path a file:
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            env=limited_environment(),
            check=False,
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


def _picture(content: bytes) -> bytes | None:
    whole = content.startswith(b"\xff\xd8\xff") and len(content) <= MAX_PICTURE_BYTES
    return content if whole else None
