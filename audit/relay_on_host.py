"""Runs on a host: opens connections to its own ports, many over one pair of pipes.

Each frame is a channel's number, the length of its content, and the content. The first frame of a
channel names the address and port; the answer is "+", or empty where there is no connection. An
empty frame closes a channel.
"""

import socket
import struct
import sys
import threading

HEAD = struct.Struct("!II")
channels: dict[int, socket.socket] = {}
seen: set[int] = set()
writing = threading.Lock()


def send(channel: int, content: bytes) -> None:
    """Write a frame."""
    with writing:
        sys.stdout.buffer.write(HEAD.pack(channel, len(content)) + content)
        sys.stdout.buffer.flush()


def serve(channel: int, target: str) -> None:
    """Connect, and pass on what arrives until the end."""
    address, _, port = target.rpartition(":")
    try:
        with socket.create_connection((address, int(port)), timeout=5) as connection:
            connection.settimeout(60)
            channels[channel] = connection
            send(channel, b"+")
            while content := connection.recv(65536):
                send(channel, content)
    except OSError:
        pass
    channels.pop(channel, None)
    send(channel, b"")


while head := sys.stdin.buffer.read(HEAD.size):
    number, length = HEAD.unpack(head)
    received = sys.stdin.buffer.read(length)
    if number not in seen:
        seen.add(number)
        threading.Thread(target=serve, args=(number, received.decode()), daemon=True).start()
    elif connected := channels.get(number):
        try:
            if received:
                connected.sendall(received)
            else:
                connected.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
