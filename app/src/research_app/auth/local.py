"""Addresses on this site, to send somebody on to after the sign-in."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

LONGEST = 2000
HOME = "/"
NEVER = ("/login", "/logout", "/auth/")


def local_path(address: str | None) -> str:
    """The address if it is a path on this site, and the first page if it is anything else."""
    if not address or len(address) > LONGEST or not address.startswith("/"):
        return HOME
    # browsers take "\" for "/", and drop tabs and line ends: "/\t/evil" is "//evil"
    if address.startswith("//") or "\\" in address or not address.isprintable():
        return HOME
    if address.startswith(NEVER):
        return HOME
    try:
        parts = urlsplit(address)
    except ValueError:
        return HOME
    return HOME if parts.scheme or parts.netloc else address


def login_address(next_address: str | None = None) -> str:
    """The sign-in page, and where it leads afterwards."""
    path = local_path(next_address)
    return "/login" if path == HOME else f"/login?next={quote(path, safe='')}"
