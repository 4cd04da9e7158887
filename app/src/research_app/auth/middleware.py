"""Before every request: who sends it, whether its origin may, and whether they may read."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from research_app import errors
from research_app.auth import CHALLENGE, SIGN_IN
from research_app.auth.accounts import Account
from research_app.auth.local import login_address
from research_app.auth.oidc import OidcSignIn
from research_app.auth.service import ROLE_SECONDS, Auth
from research_app.auth.tokens import Claims, Token
from research_app.index.client import IndexUnavailableError

# What anybody may ask where reading needs an account: the way in, and what monitoring asks (the
# edges let nobody else ask /health and /metrics).
OPEN_PATHS = (
    *("/login", "/logout", "/live", "/ready", "/health", "/metrics"),
    *("/favicon.ico", "/robots.txt"),
)
OPEN_FOLDERS = ("/static/", "/auth/")
OPEN_API = ("/api/token",)
# Of these nobody wants to know who asks.
UNASKED = ("/live", "/ready", "/health", "/metrics", "/favicon.ico", "/robots.txt")

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
FOREIGN = "This form was sent by another site."
PRIVATE = "private, no-cache"
BEARER = "bearer "


def is_open(path: str) -> bool:
    """Whether a path is for everybody, even where reading needs an account."""
    return path in OPEN_PATHS or path in OPEN_API or path.startswith(OPEN_FOLDERS)


def is_unasked(path: str) -> bool:
    """Whether it does not matter who asks."""
    return path in UNASKED or path.startswith("/static/")


def same_site(method: str, headers: Headers) -> bool:
    """Whether a request comes from our own pages, or from a program.

    Browsers say where a request comes from and no page can make them lie: all of today send
    Sec-Fetch-Site, and those before it Origin with whatever is not GET.
    """
    if method in SAFE_METHODS:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return bool(urlsplit(origin).netloc) and urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False


class AuthMiddleware:
    """Puts the user into the request's state, or answers in place of the application.

    `user` is who they are, and `claims` what their token says, where there is a good one.
    """

    def __init__(self, app: ASGIApp, auth: Auth) -> None:
        self._app = app
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        state["user"] = None
        if is_unasked(scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        state["claims"], by_cookie = self._claims(request)
        exchange = _Exchange(self._auth, scope, send)
        try:
            account = await self._auth.account_of(state["claims"]) if state["claims"] else None
            if account is not None and account.origin == "oidc":
                account = await self._of_this_hour(request, account, by_cookie, exchange)
            state["user"] = account.user if account else None
        except IndexUnavailableError:
            state["user_unknown"] = True
        exchange.renews = by_cookie
        refusal = state.pop("again", None) or self._refusal(request)
        await (refusal or self._app)(scope, receive, exchange.send)

    async def _of_this_hour(
        self, request: Request, account: Account, by_cookie: bool, exchange: _Exchange
    ) -> Account | None:
        """The account with a role that its sign-in service has confirmed within the hour."""
        service: OidcSignIn | None = getattr(request.app.state, "sign_in_service", None)
        found: Account | None = account
        if service is not None and by_cookie and not is_open(request.url.path):
            exchange.token = await service.renewed(request.state.claims)
            if exchange.token is not None:
                request.state.claims = self._auth.read(exchange.token.text)
            found = await self._auth.account_of(request.state.claims)
            if found is not None:
                request.state.again = await service.again(request, request.state.claims)
        if time.time() <= request.state.claims.confirmed + ROLE_SECONDS:
            return found
        if service is not None and by_cookie and await service.away():
            request.state.user_unknown = True
        return None

    def _claims(self, request: Request) -> tuple[Claims | None, bool]:
        """What the request's token says, and whether a browser sent it by itself."""
        authorization = request.headers.get("authorization", "")
        if authorization.lower().startswith(BEARER):
            return self._auth.read(authorization[len(BEARER) :].strip()), False
        cookie = request.cookies.get(self._auth.cookie.name)
        return (self._auth.read(cookie) if cookie else None), True

    def _refusal(self, request: Request) -> Response | None:
        if not same_site(request.method, request.headers):
            return errors.answer(request, 403, FOREIGN)
        if self._auth.settings.public_read or request.state.user or is_open(request.url.path):
            return None
        if getattr(request.state, "user_unknown", False):
            return errors.answer(request, 503, errors.BUSY, errors.RETRY)
        return sign_in_first(request)


def sign_in_first(request: Request) -> Response:
    """To the sign-in page with a reader, 401 for a program."""
    page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if errors.wants_json(request) or not page:
        return errors.answer(request, 401, SIGN_IN, CHALLENGE)
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(login_address(address), 303, {"Cache-Control": "no-store"})


class _Exchange:
    """The answer on its way out: for whom it is, and the cookie renewed in time."""

    def __init__(self, auth: Auth, scope: Scope, send: Send) -> None:
        self._auth = auth
        self._state = scope["state"]
        self._send = send
        self.renews = False  # whether a browser keeps the token
        self.token: Token | None = None  # that it is to have in any case

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if self._state["user"] is not None or not self._auth.settings.public_read:
                self._keep_private(headers)
            self._renew(headers, message["status"])
        await self._send(message)

    @staticmethod
    def _keep_private(headers: MutableHeaders) -> None:
        """No cache that others use may keep it."""
        control = headers.get("cache-control", "")
        if "no-store" not in control and "private" not in control:
            headers["Cache-Control"] = PRIVATE

    def _renew(self, headers: MutableHeaders, status: int) -> None:
        token = self.token
        if token is None and self.renews and self._state["user"] is not None and status < 400:
            token = self._auth.renewed(self._state["claims"])
        given = any(
            value.startswith(self._auth.cookie.name) for value in headers.getlist("set-cookie")
        )
        if token is not None and not given:
            response = Response()
            self._auth.cookie.give(response, token)
            headers.append("set-cookie", response.headers["set-cookie"])
