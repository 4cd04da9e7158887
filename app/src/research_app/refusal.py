"""The one error of everything that reads what others wrote."""

from __future__ import annotations


class RefusedError(Exception):
    """This document cannot be taken; the message is for a librarian."""
