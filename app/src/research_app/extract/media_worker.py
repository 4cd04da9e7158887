"""The process that looks into a recording with PyAV, where the host has no ffmpeg."""

from __future__ import annotations

import base64
import io
import sys
from typing import Any

import orjson

from research_app.extract.media import FORMATS, PROTOCOLS, WIDTH, moment


def opened(path: str) -> Any:
    """A recording, and never a list of others."""
    import av  # noqa: PLC0415 - it is there with the speech extra only

    options = {"format_whitelist": FORMATS, "protocol_whitelist": PROTOCOLS}
    return av.open(f"file:{path}", options=options)


def described(path: str) -> dict[str, Any]:
    """Duration and picture."""
    with opened(path) as container:
        if not container.streams.video and not container.streams.audio:
            return {"refused": "nothing in it"}
        duration = container.duration / 1_000_000 if container.duration else None
        picture = b""
        if container.streams.video:
            picture = _picture(container, moment(duration))
        return {"duration": duration, "picture": base64.b64encode(picture).decode()}


def _picture(container: Any, second: float) -> bytes:
    container.seek(int(second * 1_000_000))
    for frame in container.decode(video=0):
        image = frame.to_image()
        image.thumbnail((WIDTH, WIDTH * 4))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=80)
        return buffer.getvalue()
    return b""


def main() -> None:
    """Describe the file that the argument names."""
    try:
        answer = described(sys.argv[1])
    except Exception as error:
        answer = {"refused": type(error).__name__}
    sys.stdout.buffer.write(orjson.dumps(answer))


if __name__ == "__main__":
    main()
