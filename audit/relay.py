"""Reaches ports that a host's firewall opens to nobody here, from the host itself over ssh.

Forwarding may be off in sshd, so a small program at the other end makes the connections.
"""

from __future__ import annotations

import itertools
import shlex
import socket
import socketserver
import struct
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import IO, cast

PROGRAM = Path(__file__).with_name("relay_on_host.py")
HEAD = struct.Struct("!II")
CONNECT_SECONDS = 10.0


class Relay:
    """Connections of one host, over one ssh."""

    def __init__(self, ssh: Sequence[str]) -> None:
        """Start the program at the other end.

        :param ssh: the command line that runs a command there, without the command
        """
        command = [*ssh, "python3 -u -c " + shlex.quote(PROGRAM.read_text(encoding="utf-8"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._stdin = cast(IO[bytes], self._process.stdin)
        self._stdout = cast(IO[bytes], self._process.stdout)
        self._numbers = itertools.count(1)
        self._arrived: dict[int, Queue[bytes]] = {}
        self._writing = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def open(self, target: str) -> tuple[int, Queue[bytes]] | None:
        """Return a channel to an address and port, and what arrives on it; None where none is."""
        with self._writing:
            channel = next(self._numbers)
        arrived: Queue[bytes] = Queue()
        self._arrived[channel] = arrived
        try:
            self.send(channel, target.encode())
            answer = arrived.get(timeout=CONNECT_SECONDS)
        except (OSError, Empty):
            return None
        return (channel, arrived) if answer else None

    def send(self, channel: int, content: bytes) -> None:
        """Send on a channel; nothing closes it."""
        with self._writing:
            self._stdin.write(HEAD.pack(channel, len(content)) + content)
            self._stdin.flush()

    def close(self) -> None:
        """End the program at the other end."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        while head := self._stdout.read(HEAD.size):
            channel, length = HEAD.unpack(head)
            self._arrived[channel].put(self._stdout.read(length))
        for arrived in list(self._arrived.values()):
            arrived.put(b"")


class Tunnel(socketserver.ThreadingTCPServer):
    """An HTTP proxy on loopback that knows CONNECT, and the given targets alone."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, targets: Mapping[str, tuple[Relay, str]]) -> None:
        """Listen on a free port.

        :param targets: name and port ("os1:9200") to a relay and the address and port there
        """
        super().__init__(("127.0.0.1", 0), Handler)
        self.targets = targets

    def __enter__(self) -> Tunnel:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        """Return the address for clients."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(socketserver.BaseRequestHandler):
    """One connection through the tunnel."""

    def handle(self) -> None:
        """Read CONNECT, open the channel and pass everything on."""
        client: socket.socket = self.request
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            if not (part := client.recv(4096)):
                return
            request += part
        asked = request.split(b" ")[1].decode()
        relay, target = cast(Tunnel, self.server).targets.get(asked, (None, ""))
        channel = relay.open(target) if relay else None
        if relay is None or channel is None:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        number, arrived = channel
        threading.Thread(target=self._answers, args=(client, arrived), daemon=True).start()
        try:
            while content := client.recv(65536):
                relay.send(number, content)
            relay.send(number, b"")
        except OSError:
            return

    @staticmethod
    def _answers(client: socket.socket, arrived: Queue[bytes]) -> None:
        try:
            while content := arrived.get():
                client.sendall(content)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
