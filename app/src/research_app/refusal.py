"""The errors of everything that reads what others wrote."""

from __future__ import annotations


class RefusedError(Exception):
    """This document cannot be taken; the message is for a librarian."""


class NotNowError(RefusedError):
    """It was not to be had this time; `seconds` is the wait that the server asks for."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class ReaderAwayError(NotNowError):
    """Nothing is wrong with the document: who reads documents (research-extract) is away."""

    def __init__(self) -> None:
        super().__init__("the reader of documents is away")
