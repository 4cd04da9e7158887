"""Connections to the public Internet only: each name is resolved here, and its address checked.

The check is where the connection is made, so a name that means another address a moment later,
a number in disguise (http://2130706433/) or a redirect cannot get round it.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait

import httpcore

from research_app.refusal import NotNowError, RefusedError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

# What the IANA registers for special purposes: of version 4 all that is not global, of version 6
# all but global unicast, and in that what carries an address of version 4 or is no one's.
SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), meaning)
    for network, meaning in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "a provider's internal network"),
        ("127.0.0.0/8", "this machine itself"),
        ("169.254.0.0/16", "the local network link"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "a reserved network"),
        ("192.0.2.0/24", "a network for examples"),
        ("192.88.99.0/24", "a tunnel"),
        ("192.168.0.0/16", "a private network"),
        ("198.18.0.0/15", "a network for measurements"),
        ("198.51.100.0/24", "a network for examples"),
        ("203.0.113.0/24", "a network for examples"),
        ("224.0.0.0/4", "a multicast group"),
        ("240.0.0.0/4", "a reserved network"),
        ("::/128", "this host"),
        ("::1/128", "this machine itself"),
        ("::ffff:0:0/96", "a disguised address"),
        ("64:ff9b::/96", "a disguised address"),
        ("2001::/23", "a tunnel or a reserved network"),
        ("2001:db8::/32", "a network for examples"),
        ("2002::/16", "a tunnel"),
        ("3fff::/20", "a network for examples"),
        ("fc00::/7", "a private network"),
        ("fe80::/10", "the local network link"),
        ("ff00::/8", "a multicast group"),
    )
)
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def special(address: Address) -> str:
    """What an address is, where it is not one of the public Internet; else nothing."""
    for network, meaning in SPECIAL:
        if address in network:
            return meaning
    if address.version == 6 and address not in GLOBAL_UNICAST:
        return "a reserved network"
    return ""


def check(host: str, addresses: Iterable[str], allowed: Sequence[Network]) -> list[Address]:
    """The addresses of a host, if every one may be contacted."""
    checked = [ipaddress.ip_address(address) for address in addresses]
    for address in checked:
        permitted = any(address in network for network in allowed)
        if not permitted and (meaning := special(address)):
            raise RefusedError(
                f"{host} leads into {meaning} ({address}); only public web addresses are fetched"
            )
    return checked


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, version 4 first: it is what works everywhere."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ordered = sorted(found, key=lambda item: item[0] != socket.AF_INET)
    return list(dict.fromkeys(str(item[4][0]) for item in ordered))


class Deadline:
    """The moment at which the fetch of this thread has to be over."""

    def __init__(self) -> None:
        self._local = threading.local()

    def start(self, seconds: float) -> None:
        """Begin a fetch."""
        self._local.end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left; an end to the fetch when there are none."""
        left = float(self._local.end) - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time for the whole fetch is over")
        return left

    def within(self, timeout: float | None) -> float:
        """A time-out of one step that is not longer than what is left."""
        left = self.left()
        return left if timeout is None else min(timeout, left)


class _BoundedStream(httpcore.NetworkStream):
    """A connection on which a server that sends a byte now and then gains nothing."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(
            ssl_context, server_hostname, self._deadline.within(timeout)
        )
        return _BoundedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to the very address that was checked; TLS still asks for the name."""

    def __init__(
        self,
        allowed: Sequence[Network],
        deadline: Deadline,
        resolver: Resolve = resolve,
        sockets: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._allowed = allowed
        self._deadline = deadline
        self._resolve = resolver
        self._sockets = sockets or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        options = list(socket_options or ())
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in self._addresses(host, port, timeout):
            try:
                stream = self._sockets.connect_tcp(
                    str(address), port, self._deadline.within(timeout), local_address, options
                )
                return _BoundedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _addresses(self, host: str, port: int, timeout: float | None) -> list[Address]:
        try:
            found = self._looked_up(host, port, timeout)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise NotNowError(
                    f"there is no server called {host}, or its name cannot be looked up now"
                ) from None
            raise RefusedError(f"there is no server called {host}") from None
        except (OSError, UnicodeError):
            raise RefusedError(f"there is no server called {host}") from None
        return check(host, found, self._allowed)

    def _looked_up(self, host: str, port: int, timeout: float | None) -> Sequence[str]:
        """What the resolver says, which has time-outs of its own, as long as there is time."""
        answer: Future[Sequence[str]] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._resolve(host, port))
            except Exception as error:
                answer.set_exception(error)

        threading.Thread(target=ask, name="resolver", daemon=True).start()
        if wait({answer}, self._deadline.within(timeout)).not_done:
            raise httpcore.ConnectTimeout(f"looking up {host} takes too long")
        return answer.result()
