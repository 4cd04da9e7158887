"""How a document goes to its reader, and what comes back.

A request is one message on a stream socket: a few words of JSON, and two open files beside it, the
document and the end of a pipe for the answers. On the pipe come frames, a length and that much JSON
each; on the socket a byte when the reading begins and, once it has ended, the verdict. So whoever
asks can tell a document that cannot be read from a reader that is away: that gives no verdict.
"""

from __future__ import annotations

import array
import os
import socket
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

MAX_REQUEST_BYTES = 4096
MAX_FRAME_BYTES = 256 * 2**20
BATCH_BYTES = 256 * 1024
BATCH_SECONDS = 1.0
LENGTH_BYTES = 4
STARTED = b"+"


class MalformedError(Exception):
    """What came is not what was agreed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One document to read."""

    kind: str
    options: dict[str, Any]
    document: int
    answers: int


def send(connection: socket.socket, request: Request) -> None:
    """Hand over a request and its two files."""
    words = orjson.dumps({"kind": request.kind, "options": request.options})
    socket.send_fds(connection, [words], [request.document, request.answers])


def received(connection: socket.socket) -> Request:
    """The request that came; its files are the caller's from now on.

    :raises MalformedError: where it is none; its files are closed
    """
    ancillary = socket.CMSG_LEN(4 * array.array("i").itemsize)
    words, control, flags, _ = connection.recvmsg(
        MAX_REQUEST_BYTES + 1, ancillary, socket.MSG_CMSG_CLOEXEC
    )
    files = array.array("i")
    for level, form, data in control:
        if (level, form) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    try:
        if flags & socket.MSG_CTRUNC or len(files) != 2 or len(words) > MAX_REQUEST_BYTES:
            raise MalformedError
        asked = orjson.loads(words)
        if not isinstance(asked["kind"], str) or not isinstance(asked["options"], dict):
            raise MalformedError
        return Request(asked["kind"], asked["options"], files[0], files[1])
    except (MalformedError, orjson.JSONDecodeError, KeyError, TypeError):
        for file in files:
            os.close(file)
        raise MalformedError from None


def write_frame(pipe: BinaryIO, content: bytes) -> None:
    """Send one frame."""
    pipe.write(len(content).to_bytes(LENGTH_BYTES))
    pipe.write(content)
    pipe.flush()
