"""Fetch a page, a feed or a transcript from the web, and nothing from the private network."""

from __future__ import annotations

import contextlib
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

import httpcore
import httpx

from research_app import __version__
from research_app.network_guard import Deadline, GuardedBackend, Resolve, resolve
from research_app.pace import OF_THIS_PROCESS
from research_app.refusal import NotNowError, RefusedError
from research_app.settings import Fetch

REDIRECTS = {301, 302, 303, 307, 308}
MAX_REDIRECTS = 5
STEP_SECONDS = 10.0
MAX_WAIT_SECONDS = 86_400.0
CONNECTIONS = 8
LATER = {408, 425, 429, 500, 502, 503, 504}
# deflate was not asked for, but zlib tells it from gzip by itself
ENCODINGS = ("gzip", "x-gzip", "deflate")
PIECE = 64 * 1024


# what becomes of the body of an answer, which comes in pieces
Take = Callable[[Iterator[bytes]], bytes]
# waits for the turn of a request to a host, when they have to be some seconds apart
Wait = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an address gave in the end."""

    url: str
    content: bytes
    media_type: str
    charset: str | None


class Fetcher:
    """Fetches within the limits of the settings; threads may share one."""

    def __init__(
        self, settings: Fetch, resolver: Resolve = resolve, wait: Wait = OF_THIS_PROCESS.wait
    ) -> None:
        self._settings = settings
        self._wait = wait
        self._deadline = Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(cafile=settings.tls_ca or None),
            max_connections=CONNECTIONS,
            max_keepalive_connections=0,
            network_backend=GuardedBackend(settings.allow, self._deadline, resolver),
        )

    def get(self, url: str, *, max_bytes: int | None = None, pause: float | None = None) -> Fetched:
        """The content of an address, or RefusedError with the reason.

        `max_bytes` lowers the settings' limit, `pause` raises the seconds between two requests
        to the same host.
        """
        limit = min(max_bytes or self._settings.max_bytes, self._settings.max_bytes)
        return self._follow(url, pause, self._settings.seconds, limit, b"".join)

    def save(self, url: str, path: Path) -> None:
        """Write a recording that an address names to a file, or raise RefusedError."""

        def write(pieces: Iterator[bytes]) -> bytes:
            with path.open("wb") as file:
                file.writelines(pieces)
            return b""

        settings = self._settings
        self._follow(url, None, settings.recording_seconds, settings.recording_max_bytes, write)

    def _follow(
        self, url: str, pause: float | None, seconds: float, limit: int, take: Take
    ) -> Fetched:
        """What an address gives in the end, its content in the hands of `take`."""
        if not self._settings.enabled:
            raise RefusedError("fetching from the web is switched off on this site")
        seconds_apart = max(pause or 0, self._settings.pause_seconds)
        address = _parsed(url)
        for _ in range(MAX_REDIRECTS + 1):
            self._wait(address.host, seconds_apart)
            answer = self._ask(address, seconds, limit, take)
            if isinstance(answer, Fetched):
                return answer
            address = answer
        raise RefusedError(f"{_parsed(url).host} redirects more than {MAX_REDIRECTS} times")

    @property
    def enabled(self) -> bool:
        """Whether this site fetches anything."""
        return self._settings.enabled

    @property
    def saves_recordings(self) -> bool:
        """Whether this site fetches recordings, to hear what is said in them."""
        return self.enabled and self._settings.recording_max_bytes > 0

    def close(self) -> None:
        """Close what is open."""
        self._pool.close()

    def _ask(self, url: httpx.URL, seconds: float, limit: int, take: Take) -> Fetched | httpx.URL:
        """What an address gives, or where it sends us."""
        self._deadline.start(seconds)
        with _in_words(url.host, seconds), self._response(url) as response:
            if response.status_code in REDIRECTS and "location" in response.headers:
                return _parsed(response.headers["location"], url)
            if response.status_code != HTTPStatus.OK:
                raise _unwanted(url.host, response)
            content = take(_pieces(response, url.host, limit))
            media_type = response.headers.get("content-type", "").partition(";")[0]
            return Fetched(str(url), content, media_type.strip().lower(), response.charset_encoding)

    @contextmanager
    def _response(self, url: httpx.URL) -> Iterator[httpx.Response]:
        step = min(STEP_SECONDS, self._settings.seconds)
        with self._pool.stream(
            "GET",
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers={
                "User-Agent": f"research-app/{__version__}",
                "Accept": "*/*",
                "Accept-Encoding": "gzip",
            },
            extensions={
                "timeout": dict.fromkeys(("connect", "read", "write"), step)
                | {"pool": self._settings.seconds}
            },
        ) as answer:
            yield httpx.Response(
                answer.status, headers=answer.headers, stream=_Body(answer.iter_stream())
            )


class _Body(httpx.SyncByteStream):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """An address that may be asked, perhaps as another one's redirect."""
    try:
        address = base.join(url) if base else httpx.URL(url.strip())
        host, port = address.host, address.port
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise RefusedError("not a web address: it cannot be read") from None
    if address.scheme not in ("http", "https"):
        raise RefusedError("only http and https addresses are fetched")
    if not host:
        raise RefusedError("not a web address: it names no server")
    if port is not None and not 0 < port < 65536:
        raise RefusedError("not a web address: there is no such port")
    if address.userinfo:
        raise RefusedError("the address holds a user name or a password; give it without")
    return address


def _unwanted(host: str, response: httpx.Response) -> RefusedError:
    status = response.status_code
    phrase = f" ({response.reason_phrase.lower()})" if response.reason_phrase else ""
    message = f"{host} answers {status}{phrase}"
    if status not in LATER:
        return RefusedError(message)
    return NotNowError(message, _wait(response.headers.get("retry-after", "")))


def _wait(asked: str) -> float | None:
    """The seconds that a server asks for, as a number or as a date."""
    if asked.isascii() and asked.isdecimal():
        return min(float(asked[:12]), MAX_WAIT_SECONDS)
    with contextlib.suppress(ValueError, OverflowError):
        until = parsedate_to_datetime(asked).timestamp()
        return min(max(0.0, until - time.time()), MAX_WAIT_SECONDS)
    return None


def _pieces(response: httpx.Response, host: str, limit: int) -> Iterator[bytes]:
    """The body, unpacked, while it stays below the limit."""
    too_large = RefusedError(f"{host} sends more than {_size(limit)}")
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    count = 0
    for piece in _unpacked(response, host):
        count += len(piece)
        if count > limit:
            raise too_large
        yield piece


def _unpacked(response: httpx.Response, host: str) -> Iterator[bytes]:
    """The body in pieces of a bounded size, however much a server packs into how little."""
    named = response.headers.get_list("content-encoding", split_commas=True)
    encodings = [name.strip().lower() for name in named if name.strip()]
    encodings = [name for name in encodings if name != "identity"]
    if not encodings:
        return response.iter_raw()
    if len(encodings) > 1 or encodings[0] not in ENCODINGS:
        raise RefusedError(
            f"{host} packs its answer in a way that was not asked for: {', '.join(encodings)[:100]}"
        )
    return _inflated(response.iter_raw())


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    begun = False
    for piece in packed:
        begun, rest = True, piece
        while rest and not unpacker.eof:
            yield unpacker.decompress(rest, PIECE)
            rest = unpacker.unconsumed_tail
        if unpacker.eof:
            return
    while begun and (last := unpacker.decompress(b"", PIECE)):
        yield last
    if begun and not unpacker.eof:
        raise zlib.error("the stream has no end")


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count} bytes"


@contextmanager
def _in_words(host: str, seconds: float) -> Iterator[None]:
    """Faults of the network as sentences."""
    try:
        yield
    except httpcore.TimeoutException:
        raise NotNowError(f"{host} does not answer within {seconds:g} seconds") from None
    except httpcore.ConnectError as error:
        if isinstance(cause := _cause(error), ssl.SSLCertVerificationError):
            raise RefusedError(
                f"the certificate of {host} is not valid: {cause.verify_message}"
            ) from None
        raise NotNowError(f"{host} cannot be reached") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, zlib.error):
        raise NotNowError(f"{host} ends the answer too early or garbles it") from None


def _cause(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
