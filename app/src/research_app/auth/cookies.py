"""The cookie in which a browser keeps its token."""

from __future__ import annotations

from starlette.responses import Response

from research_app.auth.tokens import Token


class SessionCookie:
    """Read by no script, sent by no other site's form, and by no plain connection where TLS is."""

    def __init__(self, secure: bool) -> None:
        self.secure = secure
        # with this prefix browsers take it from this very host and over TLS alone
        self.name = "__Host-research-session" if secure else "research-session"

    def give(self, response: Response, token: Token) -> None:
        """Sign a browser in."""
        self._set(response, token.text, token.seconds)

    def take(self, response: Response) -> None:
        """Sign a browser out."""
        self._set(response, "", 0)

    def _set(self, response: Response, value: str, seconds: int) -> None:
        response.set_cookie(
            self.name,
            value,
            max_age=seconds,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )
