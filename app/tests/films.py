"""Recordings for tests, made by the library that also reads them."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest


def film(path: Path, seconds: int = 4, sound: bool = True) -> Path:
    """A video whose picture turns from red to blue, with a tone."""
    av = pytest.importorskip("av")
    np = pytest.importorskip("numpy")
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=5)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono") if sound else None
        for number in range(seconds * 5):
            image = np.zeros((48, 64, 3), np.uint8)
            image[:, :, 0 if number < seconds * 5 / 2 else 2] = 200
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode())
        if audio:
            tone = np.sin(np.arange(16_000 * seconds) * 2 * math.pi * 440 / 16_000) * 8000
            frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], "s16", "mono")
            frame.sample_rate, frame.time_base = 16_000, Fraction(1, 16_000)
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path
