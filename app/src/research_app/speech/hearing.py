"""Hears what is said in a recording, on behalf of who reads what strangers made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from research_app.extract.media import opened
from research_app.refusal import RefusedError

RATE = 16_000
PIECE = 15 * 60 * RATE  # an hour of sound at once would take a gigabyte
LOOK_BACK = 15 * RATE
WINDOW = RATE // 5


def pieces(file: BinaryIO, max_seconds: float) -> Iterator[tuple[float, Any]]:
    """The sound in pieces that end where it is quiet, each with the second at which it starts."""
    import numpy as np  # noqa: PLC0415 - it is there with the speech extra only

    collected: list[Any] = []
    length = start = 0
    for samples in _samples(file):
        collected.append(samples)
        length += len(samples)
        if start + length > max_seconds * RATE:
            raise RefusedError(f"longer than {max_seconds / 60:g} minutes")
        if length >= PIECE:
            sound = np.concatenate(collected)
            end = quiet_place(sound)
            yield start / RATE, sound[:end]
            collected, length, start = [sound[end:]], len(sound) - end, start + end
    if length:
        yield start / RATE, np.concatenate(collected)


def quiet_place(sound: Any) -> int:
    """Where to cut: in the quietest fifth of a second among the last few."""
    import numpy as np  # noqa: PLC0415

    tail = sound[-LOOK_BACK:]
    tail = tail[: len(tail) // WINDOW * WINDOW].reshape(-1, WINDOW)
    quietest = int(np.argmin(np.square(tail).mean(axis=1)))
    return len(sound) - min(len(sound), LOOK_BACK) + quietest * WINDOW + WINDOW // 2


def _samples(file: BinaryIO) -> Iterator[Any]:
    """The sound as one channel of numbers between -1 and 1."""
    import av  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with opened(file) as container:
        if not container.streams.audio:
            raise RefusedError("there is no sound in it")
        frames = container.decode(audio=0)
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                break
            except av.error.InvalidDataError:
                continue  # a damaged second does not cost the hour
            frame.pts = None
            for part in resampler.resample(frame):
                yield part.to_ndarray().reshape(-1).astype(np.float32) / 32768
        for part in resampler.resample(None):
            yield part.to_ndarray().reshape(-1).astype(np.float32) / 32768


def heard(file: BinaryIO, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything that is said, as it is understood."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # where a model is not where it should be, none is fetched
    from faster_whisper import WhisperModel  # noqa: PLC0415 - only this process needs it

    with contextlib.suppress(OSError):  # searches come first
        os.nice(10)
    model = WhisperModel(
        options["model"],
        device="cpu",
        compute_type="int8",
        cpu_threads=options["threads"],
        local_files_only=True,
    )
    try:
        for start, sound in pieces(file, options["max_seconds"]):
            segments, _ = model.transcribe(
                sound,
                language=options["language"] or None,
                beam_size=5,
                vad_filter=True,
                condition_on_previous_text=False,  # one mistake would be repeated for minutes
            )
            for segment in segments:
                yield {
                    "start": round(start + segment.start, 2),
                    "end": round(start + segment.end, 2),
                    "text": segment.text,
                }
    except (RefusedError, MemoryError):
        raise
    except Exception as error:
        raise RefusedError(f"its sound cannot be read ({type(error).__name__})") from None
