from __future__ import annotations

import gzip
import ipaddress
import socket
import ssl
import threading
import time
import tracemalloc
import uuid
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import httpcore
import pytest
import trustme
from conftest import make_settings
from hypothesis import given
from hypothesis import strategies as st
from local_web import LocalWeb, answer, fetcher, local_web
from redis import Redis

from research_app.fetch import Fetcher
from research_app.network_guard import Deadline, GuardedBackend, check, special
from research_app.pace import Pace, SharedPace
from research_app.refusal import NotNowError
from research_app.settings import Fetch
from research_app.sources.document import RefusedError


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with local_web() as server:
        yield server


REFUSED_ADDRESSES = [
    "0.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
]
PUBLIC_ADDRESSES = ["1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1", "2a00::1"]


@pytest.mark.parametrize("address", REFUSED_ADDRESSES)
def test_addresses_that_are_not_the_public_internet(address: str) -> None:
    with pytest.raises(RefusedError, match=r"^x\.org leads into .*only public web addresses"):
        check("x.org", [address], [])


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_public_addresses(address: str) -> None:
    assert check("x.org", [address], []) == [ipaddress.ip_address(address)]


@given(st.ip_addresses())
def test_nothing_that_is_not_global_gets_through(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast or address.is_loopback:
        assert special(address)


@given(st.ip_addresses(v=4))
def test_no_disguise_helps_an_address_of_version_4(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for disguised in (
        (0xFFFF << 32) | number,  # mapped
        number,  # compatible
        (0x2002 << 112) | (number << 80),  # 6to4
        (0x64FF9B << 96) | number,  # NAT64
        (0x20010000 << 96) | (number ^ 0xFFFFFFFF),  # Teredo
    ):
        assert special(ipaddress.IPv6Address(disguised))


def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(RefusedError, match="private network"):
        check("x.org", ["8.8.8.8", "10.0.0.1"], [])


def test_a_site_may_permit_its_own_network() -> None:
    networks = Fetch.model_validate({"allow": ["10.20.0.0/24", "fd00::/8"]}).allow
    assert check("media", ["10.20.0.7", "fd00::7"], networks)
    with pytest.raises(RefusedError):
        check("media", ["10.20.1.7"], networks)


URLS = [
    ("ftp://example.org/x", "only http and https"),
    ("file:///etc/passwd", "only http and https"),
    ("gopher://127.0.0.1:6379/_FLUSHALL", "only http and https"),
    ("feed.xml", "only http and https"),
    ("", "only http and https"),
    ("http://", "names no server"),
    ("http:///path", "names no server"),
    ("http://user:secret@example.org/", "user name or a password"),
    ("http://[::1", "cannot be read"),
    ("http://example.org:99999999/", "no such port"),
    ("http://127.0.0.1/", "this machine itself"),
    ("http://localhost:9200/_cat", "this machine itself"),
    ("http://2130706433/", "this machine itself"),
    ("http://0x7f.1/", "this machine itself"),
    ("http://0177.0.0.1/", "cannot be read"),
    ("http://[::ffff:127.0.0.1]/", "disguised"),
    ("http://169.254.169.254/latest/meta-data/", "the local network link"),
    ("https://[fd00::1]/", "a private network"),
    ("http://no-such-name.invalid/", "there is no server called no-such-name.invalid"),
]


@pytest.mark.parametrize(("url", "reason"), URLS)
def test_addresses_that_are_refused(url: str, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        fetcher(allow=[]).get(url)


def test_a_page(web: LocalWeb) -> None:
    web.routes["/a?b=c"] = answer("ä".encode("latin-1"), "Text/Plain; charset=latin-1")
    found = fetcher().get(f"{web.url}/a?b=c#part")
    assert (found.content, found.media_type, found.charset) == (b"\xe4", "text/plain", "latin-1")
    (path, headers) = web.asked[0]
    assert path == "/a?b=c"
    assert headers["Host"] == f"127.0.0.1:{web.port}"
    assert headers["User-Agent"].startswith("research-app/")
    assert "Cookie" not in headers


def test_redirects_are_followed_and_each_is_checked(web: LocalWeb) -> None:
    web.routes["/a"] = answer(status=302, Location="b?x=1")
    web.routes["/b?x=1"] = answer(b"here")
    assert fetcher().get(f"{web.url}/a").url == f"{web.url}/b?x=1"
    for target, reason in (
        ("http://10.0.0.1/", "private network"),
        ("http://[::1]:9200/", "this machine itself"),
        ("file:///etc/passwd", "only http"),
        ("//user@example.org/", "user name"),
    ):
        web.routes["/a"] = answer(status=301, Location=target)
        with pytest.raises(RefusedError, match=reason):
            fetcher().get(f"{web.url}/a")


def test_redirects_end(web: LocalWeb) -> None:
    web.routes["/a"] = answer(status=307, Location="/a")
    with pytest.raises(RefusedError, match="redirects more than 5 times"):
        fetcher().get(f"{web.url}/a")
    assert len(web.asked) == 6


def test_a_name_that_changes_its_mind_is_asked_once(web: LocalWeb) -> None:
    """DNS rebinding: the address that was checked is the address that is contacted."""
    answers = [["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]]
    contacted: list[str] = []

    class Sockets(httpcore.MockBackend):
        def connect_tcp(self, host: str, *args: object, **_: object) -> httpcore.NetworkStream:
            contacted.append(host)
            return super().connect_tcp(host, 80)

    deadline = Deadline()
    deadline.start(5)
    guard = GuardedBackend([], deadline, lambda *_: answers.pop(0), Sockets([b""]))
    guard.connect_tcp("rebind.example.org", 80)
    assert contacted == ["8.8.8.8"]
    with pytest.raises(RefusedError):
        guard.connect_tcp("rebind.example.org", 80)
    assert contacted == ["8.8.8.8"]


def test_a_name_that_cannot_be_looked_up_now() -> None:
    def away(*_: object) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with pytest.raises(NotNowError, match="cannot be looked up now"):
        Fetcher(Fetch(), away).get("http://media.example.org/")


def test_a_resolver_that_takes_too_long() -> None:
    done = threading.Event()

    def slow(*_: object) -> list[str]:
        done.wait(60)
        return ["127.0.0.1"]

    settings = Fetch(seconds=0.2, pause_seconds=0)
    try:
        with pytest.raises(NotNowError, match=r"does not answer within 0\.2 seconds"):
            Fetcher(settings, slow).get("http://media.example.org/")
        assert not done.is_set()
    finally:
        done.set()


def test_the_next_address_is_tried(web: LocalWeb) -> None:
    web.routes["/"] = answer(b"here")
    settings = Fetch.model_validate({"allow": ["127.0.0.0/8"], "pause_seconds": 0})
    found = Fetcher(settings, lambda *_: ["127.0.0.2", "127.0.0.1"]).get(
        f"http://media.example.org:{web.port}/"
    )
    assert found.content == b"here"
    assert web.asked[0][1]["Host"] == f"media.example.org:{web.port}"


def test_limits_of_size(web: LocalWeb) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(1000):
            request.wfile.write(b"x" * 1000)

    web.routes["/announced"] = answer(b"x" * 1001)
    web.routes["/endless"] = endless
    web.routes["/bomb"] = answer(gzip.compress(b"\0" * 10**6), Content_Encoding="gzip")
    web.routes["/fits"] = answer(gzip.compress(b"\0" * 1000), Content_Encoding="gzip")
    for path in ("announced", "endless", "bomb"):
        with pytest.raises(RefusedError, match="sends more than 1000 bytes"):
            fetcher().get(f"{web.url}/{path}", max_bytes=1000)
    assert len(fetcher().get(f"{web.url}/fits", max_bytes=1000).content) == 1000
    web.routes["/large"] = answer(b"x" * (2**20 + 1))
    with pytest.raises(RefusedError, match="more than 1 MiB"):
        fetcher(max_bytes=2**20).get(f"{web.url}/large", max_bytes=2**30)


def test_a_bomb_takes_no_memory(web: LocalWeb) -> None:
    web.routes["/bomb"] = answer(gzip.compress(b"\0" * 2**26), Content_Encoding="gzip")
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match="sends more than 1 MiB"):
            fetcher().get(f"{web.url}/bomb", max_bytes=2**20)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


PACKED = [
    ("gzip", gzip.compress(b"here" * 50_000), b"here" * 50_000),
    ("X-GZIP", gzip.compress(b"here"), b"here"),
    ("deflate", zlib.compress(b"here"), b"here"),
    ("identity", b"here", b"here"),
    ("identity, gzip", gzip.compress(b"here"), b"here"),
    ("gzip", b"", b""),
]


@pytest.mark.parametrize(("encoding", "content", "unpacked"), PACKED)
def test_packed_answers(web: LocalWeb, encoding: str, content: bytes, unpacked: bytes) -> None:
    web.routes["/"] = answer(content, Content_Encoding=encoding)
    assert fetcher().get(f"{web.url}/").content == unpacked
    assert web.asked[0][1]["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "deflate,gzip,gzip"])
def test_answers_packed_as_nobody_asked(web: LocalWeb, encoding: str) -> None:
    web.routes["/"] = answer(gzip.compress(gzip.compress(b"x")), Content_Encoding=encoding)
    with pytest.raises(RefusedError, match="packs its answer in a way that was not asked for"):
        fetcher().get(f"{web.url}/")


def test_limits_of_time(web: LocalWeb) -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(100):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.05)

    web.routes["/drip"] = drip
    web.routes["/silent"] = lambda _: time.sleep(2)
    for path in ("drip", "silent"):
        start = time.monotonic()
        with pytest.raises(NotNowError, match=r"does not answer within 0\.4 seconds"):
            fetcher(seconds=0.4).get(f"{web.url}/{path}")
        assert time.monotonic() - start < 1.5


def test_answers_that_are_none(web: LocalWeb) -> None:
    web.routes["/busy"] = answer(status=429, Retry_After="7")
    web.routes["/short"] = lambda request: (
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx") and None
    )
    web.routes["/noise"] = lambda request: request.wfile.write(b"noise\r\n\r\n") and None
    web.routes["/garbled"] = answer(b"not packed", Content_Encoding="gzip")
    web.routes["/cut"] = answer(gzip.compress(b"here")[:-9], Content_Encoding="gzip")
    with pytest.raises(NotNowError, match="answers 429") as busy:
        fetcher().get(f"{web.url}/busy")
    assert busy.value.seconds == 7
    for asked, seconds in (
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 9915 07:28:00 GMT", 86_400),
        ("9" * 99, 86_400),
        ("soon", None),
    ):
        web.routes["/busy"] = answer(status=503, Retry_After=asked)
        with pytest.raises(NotNowError, match="answers 503") as busy:
            fetcher().get(f"{web.url}/busy")
        assert busy.value.seconds == seconds
    with pytest.raises(RefusedError, match=r"127\.0\.0\.1 answers 404 \(not found\)") as gone:
        fetcher().get(f"{web.url}/none")
    assert not isinstance(gone.value, NotNowError)
    for path in ("short", "noise", "garbled", "cut"):
        with pytest.raises(NotNowError, match="too early or garbles"):
            fetcher().get(f"{web.url}/{path}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotNowError, match=r"127\.0\.0\.1 cannot be reached"):
        fetcher().get(f"http://127.0.0.1:{port}/")


def test_tls_asks_for_the_name_not_the_address(tmp_path: object) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("media.example.org").configure_cert(context)

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _address = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1000)
                    secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            except OSError:
                pass

    with (
        authority.cert_pem.tempfile() as bundle,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        settings = Fetch.model_validate(
            {"allow": ["127.0.0.1/32"], "pause_seconds": 0, "tls_ca": bundle}
        )
        asking = Fetcher(settings, lambda *_: ["127.0.0.1"])
        assert asking.get(f"https://media.example.org:{port}/").content == b"ok"
        with pytest.raises(RefusedError, match=r"the certificate of other\.example\.org is not"):
            asking.get(f"https://other.example.org:{port}/")
        thread.join(5)


def test_requests_to_one_host_keep_their_distance() -> None:
    waits: list[float] = []
    pace = Pace(waits.append)
    for host in ("a", "a", "b", "a"):
        pace.wait(host, 3)
    assert [round(wait) for wait in waits] == [3, 6]


@pytest.mark.integration
def test_the_jobs_of_all_hosts_keep_one_distance(redis_url: str) -> None:
    prefix = f"pace-test-{uuid.uuid4().hex[:8]}:"
    settings = make_settings(
        cache={"enabled": True, "url": redis_url, "tls": False, "prefix": prefix}
    )
    waits: list[float] = []

    def turn_over(seconds: float) -> None:
        waits.append(seconds)
        redis.delete(f"{prefix}turn:arxiv.example")

    with Redis.from_url(redis_url) as redis:
        hosts = [SharedPace(settings, Pace(waits.append), turn_over) for _ in range(3)]
        for pace in hosts:
            pace.wait("arxiv.example", 100)
        hosts[0].wait("other.example", 100)
        assert [round(seconds, -1) for seconds in waits] == [100, 100]
        hosts[0].wait("other.example", 0)
        redis.delete(f"{prefix}turn:arxiv.example", f"{prefix}turn:other.example")
        assert not redis.keys(f"{prefix}*")


@pytest.mark.parametrize("cache", [{}, {"enabled": True, "url": "redis://127.0.0.1:9/0"}])
def test_without_a_cache_tier_the_jobs_of_one_process_keep_their_distance(
    cache: dict[str, object],
) -> None:
    waits: list[float] = []
    own = Pace(waits.append)
    for _ in range(2):
        SharedPace(make_settings(cache=cache), own).wait("arxiv.example", 3)
    assert [round(seconds) for seconds in waits] == [3]


def test_a_fetcher_waits_for_its_turn(web: LocalWeb) -> None:
    web.routes["/a"] = answer(status=302, Location="/b")
    web.routes["/b"] = answer(b"here")
    turns: list[tuple[str, float]] = []
    settings = Fetch.model_validate({"allow": ["127.0.0.0/8"], "pause_seconds": 1})
    asking = Fetcher(settings, wait=lambda *turn: turns.append(turn))
    asking.get(f"{web.url}/a", pause=3)
    assert turns == [("127.0.0.1", 3), ("127.0.0.1", 3)]


def test_threads_share_one(web: LocalWeb) -> None:
    web.routes["/"] = answer(b"here")
    shared, found = fetcher(), []
    threads = [
        threading.Thread(target=lambda: found.append(shared.get(f"{web.url}/").content))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"here"] * 20


def test_a_site_without_the_web() -> None:
    with pytest.raises(RefusedError, match="switched off on this site"):
        fetcher(enabled=False).get("https://example.org/")
