"""The process that listens: a request on standard input, a line for each thing that is said."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import orjson

from research_app.extract.media_worker import opened
from research_app.refusal import RefusedError

RATE = 16_000
PIECE = 15 * 60 * RATE  # an hour of sound at once would take a gigabyte
LOOK_BACK = 15 * RATE
WINDOW = RATE // 5


def pieces(path: str, max_seconds: float) -> Iterator[tuple[float, Any]]:
    """The sound in pieces that end where it is quiet, each with the second at which it starts."""
    import numpy as np  # noqa: PLC0415 - it is there with the speech extra only

    collected: list[Any] = []
    length = start = 0
    for samples in _samples(path):
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


def _samples(path: str) -> Iterator[Any]:
    """The sound as one channel of numbers between -1 and 1."""
    import av  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with opened(path) as container:
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


def heard(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything that is said, as it is understood."""
    from faster_whisper import WhisperModel  # noqa: PLC0415 - only this process needs it

    model = WhisperModel(
        request["model"],
        device="cpu",
        compute_type="int8",
        cpu_threads=request["threads"],
        local_files_only=True,
    )
    for start, sound in pieces(request["path"], request["max_seconds"]):
        segments, _ = model.transcribe(
            sound,
            language=request["language"] or None,
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
    yield {"end_of_recording": True}


def main() -> None:
    """Answer one request."""
    with contextlib.suppress(OSError):  # searches come first
        os.nice(10)
    request = orjson.loads(sys.stdin.buffer.read())
    try:
        for answer in heard(request):
            _say(answer)
    except RefusedError as error:
        _say({"refused": str(error)})
    except MemoryError:
        _say({"refused": "it needs more memory than there is"})
    except Exception as error:
        _say({"refused": f"its sound cannot be read ({type(error).__name__})"})


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
