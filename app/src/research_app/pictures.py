"""Small pictures of episodes and recordings, made from what their publishers show."""

from __future__ import annotations

import base64
import io
import logging
import threading
from typing import BinaryIO
from urllib.parse import urlsplit

from PIL import Image

from research_app.extract.extraction import OWN, Extraction
from research_app.fetch import Fetcher
from research_app.private_address import shown
from research_app.refusal import ReaderAwayError, RefusedError

logger = logging.getLogger(__name__)

WIDTH = 480
MAX_BYTES = 16 * 2**20
MAX_PIXELS = 64_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


def drawn(file: BinaryIO) -> str:
    """A picture as a small JPEG, in Base64; RefusedError where it is none, or absurdly large."""
    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise RefusedError("the picture is too large")
            picture.draft("RGB", (WIDTH * 2, WIDTH * 2))
            picture.thumbnail((WIDTH, WIDTH * 2))
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, "JPEG", quality=80)
            return base64.b64encode(buffer.getvalue()).decode("ascii")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise RefusedError("not a picture, or a damaged one") from None


def small(content: bytes, extraction: Extraction = OWN) -> bytes:
    """The same, drawn by who reads what strangers made."""
    return base64.b64decode(extraction.ask("picture", content))


class Pictures:
    """Fetches each picture once; a host that does not answer is not asked again.

    A picture is worth no refusal: what cannot be had is left out.
    """

    def __init__(self, fetcher: Fetcher, extraction: Extraction = OWN) -> None:
        self._fetcher = fetcher
        self._extraction = extraction
        self._lock = threading.Lock()
        self._known: dict[str, bytes | None] = {}
        self._silent: set[str] = set()

    def at(self, url: str) -> bytes | None:
        """The picture at an address, small."""
        if not self._fetcher.enabled:
            return None
        with self._lock:
            if url not in self._known:
                if len(self._known) > 100:
                    self._known.clear()
                self._known[url] = self._fetched(url)
            return self._known[url]

    def _fetched(self, url: str) -> bytes | None:
        host = urlsplit(url).netloc
        if host in self._silent:
            return None
        try:
            content = self._fetcher.get(url, max_bytes=MAX_BYTES).content
        except RefusedError as error:
            logger.info("no picture from %s: %s", shown(url), error)
            self._silent.add(host)
            return None
        try:
            return small(content, self._extraction)
        except ReaderAwayError:
            raise
        except RefusedError as error:
            logger.info("no picture from %s: %s", shown(url), error)
            return None
