"""Sign-in with the account of a university: OpenID Connect, authorization code with PKCE.

The claims of the ID token say who it is and in which groups; the groups become a role here, for an
hour at most. From a quarter of an hour on the service is asked again with the refresh token that it
gave. Where it gave none, or takes it no more, the browser is sent through it once more, and the
reader sees nothing of that while they are signed in there. A service that does not answer ends no
sign-in: the role lasts until its hour is over, and is back as soon as the service is.

What the flow has to remember for a few minutes is in a signed cookie, so that any node can finish
it; what the service gave us is kept by provider_tokens.py.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from research_app import errors
from research_app.auth.accounts import OIDC_PREFIX, Account, AccountError
from research_app.auth.local import local_path
from research_app.auth.oidc_claims import account_name, role_of, shown_name, subject
from research_app.auth.oidc_provider import (
    AWAY,
    AwayError,
    EndedError,
    Proof,
    Provider,
    RefusedError,
)
from research_app.auth.service import ROLE_SECONDS, Auth
from research_app.auth.tokens import Claims, Token
from research_app.auth.user import Role
from research_app.index.client import IndexUnavailableError
from research_app.settings import Settings

logger = logging.getLogger(__name__)

FOLDER = "/auth"
START, CALLBACK = "/oidc", "/oidc/callback"
BACK, SILENT = "next", "silent"
FLOW_SECONDS = 600
LONGEST_BACK = 300  # of an address in a state
# A service that ends sign-ins after half an hour without a word hears of this one before that.
REFRESH_SECONDS = 900.0
# Later than that, as the reader's browser does the work.
SILENT_SECONDS = 2700.0
REFRESH_WAIT_SECONDS = 5.0  # a page waits for it
SIGN_OUT_WAIT_SECONDS = 2.0
SIGN_OUT = "sign-out"
UNCACHED = {"Cache-Control": "no-store"}

NO_ROLE = "You signed in, but your account has no access to this library."
DISABLED = "You signed in, but your account is disabled in this library."


def _is_page(method: str, path: str, headers: Headers) -> bool:
    """Whether a person waits for a page: only they can be sent elsewhere and come back."""
    return (
        method == "GET"
        and not path.startswith((FOLDER + "/", "/api/", "/login"))
        and "text/html" in headers.get("accept", "")
        and headers.get("sec-fetch-mode", "navigate") == "navigate"
        and headers.get("sec-fetch-dest", "document") == "document"
        and "prefetch" not in headers.get("sec-purpose", headers.get("purpose", ""))
    )


class OidcSignIn:
    """To the sign-in service and back, once and again; and out of it."""

    def __init__(self, settings: Settings, auth: Auth) -> None:
        self._section = settings.oidc
        self._auth = auth
        self._provider = Provider(settings)
        self._states = URLSafeTimedSerializer(auth.key("state of ways"))
        self._renewing: dict[str, asyncio.Task[Token | None]] = {}

    async def start(self, request: Request) -> Response:
        """Send a browser to the sign-in service."""
        back = local_path(request.query_params.get(BACK))
        silent = SILENT in request.query_params
        if silent and not self._is_due(request.state.claims):
            return RedirectResponse(back, 303, UNCACHED)
        request.session[BACK] = back
        request.session[SILENT] = silent
        told = back if len(back) <= LONGEST_BACK else "/"
        state = self._states.dumps([secrets.token_urlsafe(16), told])
        try:
            response = await self._provider.redirect(
                request, self._callback(request), state, silent=silent
            )
        except RefusedError as error:
            return self._refused(request, error)
        response.headers["Cache-Control"] = "no-store"
        return response

    async def finish(self, request: Request) -> Response:
        """Sign a browser in that the sign-in service has sent back."""
        ours = self._state(request)
        if ours == SIGN_OUT or not request.query_params:  # some services bring no state back
            return RedirectResponse("/", 303, UNCACHED)
        back = local_path(request.session.get(BACK))
        before: Claims | None = request.state.claims if request.session.get(SILENT) else None
        try:
            proof = await self._provider.redeem(request)
            if before is not None and self._name(proof) != before.name:
                request.session.clear()
                return await self._ended(before, back, "somebody else is signed in there")
            account = await self._account(proof)
        except RefusedError as error:
            if error.status == 400:  # the way that the cookie is for may not be over
                return self._lost(request, error, ours)
            request.session.clear()
            if before is not None:
                return await self._not_confirmed(request, error, before, back)
            return self._refused(request, error)
        request.session.clear()
        logger.info("signed in" if before is None else "confirmed", extra={"user": account.name})
        response = RedirectResponse(back, 303, UNCACHED)
        await self._give(response, account, proof, before)
        return response

    def _lost(self, request: Request, error: RefusedError, ours: Any) -> Response:
        """Another page of this browser has gone the same way since, and that one counts."""
        claims: Claims | None = request.state.claims
        if isinstance(ours, list) and claims and claims.name.startswith(OIDC_PREFIX):
            return RedirectResponse(local_path(ours[-1]), 303, UNCACHED)
        return self._refused(request, error)

    async def _give(
        self, response: Response, account: Account, proof: Proof, before: Claims | None
    ) -> None:
        token = self._auth.token(account, before)
        claims = self._auth.read(token.text)
        if claims is not None:
            await self._keep(claims, proof)
        self._auth.cookie.give(response, token)

    async def _keep(self, claims: Claims, proof: Proof) -> None:
        seconds = round(self._auth.longest_seconds)
        kept = self._auth.provider_tokens
        await kept.keep("refresh", claims.identity, proof.refresh_token, seconds)
        await kept.keep("id", claims.identity, proof.id_token, seconds)

    async def _not_confirmed(
        self, request: Request, error: RefusedError, before: Claims, back: str
    ) -> Response:
        """The service was asked without a word to the person, and did not sign them in."""
        if isinstance(error, EndedError):
            return await self._ended(before, back, str(error))
        if error.message in (NO_ROLE, DISABLED):
            return self._refused(request, error)
        self._provider.rest()  # or the page would lead there again
        if time.time() > before.confirmed + ROLE_SECONDS:
            return self._refused(request, error)
        logger.warning("not confirmed: %s", error, extra={"user": before.name})
        return RedirectResponse(back, 303, UNCACHED)

    async def _ended(self, before: Claims, back: str, reason: str) -> Response:
        logger.info("signed out: %s", reason, extra={"user": before.name})
        await self._auth.sign_out(before)
        response = RedirectResponse(back, 303, UNCACHED)
        self._auth.cookie.take(response)
        return response

    @staticmethod
    def _refused(request: Request, error: RefusedError) -> Response:
        logger.warning("sign-in refused: %s", error)
        headers = errors.RETRY if error.status == 503 else UNCACHED
        return errors.answer(request, error.status, error.message, headers)

    @staticmethod
    def _callback(request: Request) -> str:
        return f"{request.url.scheme}://{request.url.netloc}{FOLDER}{CALLBACK}"

    def _state(self, request: Request) -> Any:
        """What a state says that was made here a moment ago; that proves nothing of the browser."""
        try:
            return self._states.loads(request.query_params.get("state", ""), FLOW_SECONDS)
        except BadData:
            return None

    # a role that is not of this hour

    @staticmethod
    def _is_due(claims: Claims | None) -> bool:
        """Whether a browser is to be sent through the service; no other site's link does that."""
        if claims is None or not claims.name.startswith(OIDC_PREFIX):
            return False
        return time.time() >= claims.confirmed + SILENT_SECONDS

    async def renewed(self, claims: Claims) -> Token | None:
        """A token with the role of now, if it is time to ask and the service answers."""
        now = time.time()
        if now < claims.confirmed + REFRESH_SECONDS or self._provider.rests:
            return None
        if now > claims.signed_in + self._auth.longest_seconds:
            return None
        identity = claims.identity
        task = self._renewing.get(identity)  # a page comes with its parts at once
        if task is None:
            task = self._renewing[identity] = asyncio.create_task(self._renew(claims))
            task.add_done_callback(lambda _: self._renewing.pop(identity, None))
        return await asyncio.shield(task)

    async def _renew(self, claims: Claims) -> Token | None:
        kept = self._auth.provider_tokens
        refresh_token = await kept.take("refresh", claims.identity)
        if refresh_token is None:
            return None
        try:
            proof = await self._asked(refresh_token)
        except AwayError as error:
            logger.warning("not confirmed: %s", error, extra={"user": claims.name})
            self._provider.rest()
            proof = Proof({}, refresh_token=refresh_token)
        except RefusedError as error:
            logger.info("refresh refused: %s", error, extra={"user": claims.name})
            return self._doubted(claims)
        await self._keep(claims, proof)
        return await self._confirmed(claims, proof) if proof.claims else None

    async def _asked(self, refresh_token: str) -> Proof:
        try:
            async with asyncio.timeout(min(REFRESH_WAIT_SECONDS, self._section.timeout_seconds)):
                return await self._provider.renew(refresh_token)
        except TimeoutError:
            raise AwayError("no answer in time") from None

    def _doubted(self, claims: Claims) -> Token:
        """A token that sends the browser through the service with its next page."""
        confirmed = min(claims.confirmed, time.time() - SILENT_SECONDS)
        return self._auth.tokens.issue(
            claims.name, claims.stamp, claims.signed_in, claims.identity, confirmed
        )

    async def _confirmed(self, claims: Claims, proof: Proof) -> Token | None:
        if self._name(proof) != claims.name:
            return self._doubted(claims)
        try:
            account = await self._account(proof)
        except RefusedError as error:
            logger.warning("not confirmed: %s", error, extra={"user": claims.name})
            return None
        if account.stamp != claims.stamp:
            return None
        return self._auth.token(account, claims)

    async def again(self, request: Request, claims: Claims) -> Response | None:
        """Send a browser through the service, where a person waits for a page."""
        if not self._is_due(claims) or getattr(request.state, "head_only", False):
            return None
        if time.time() > claims.signed_in + self._auth.longest_seconds:
            return None
        if not _is_page(request.method, request.url.path, request.headers):
            return None
        if not await self._provider.answers():
            return None
        query = f"?{request.url.query}" if request.url.query else ""
        back = quote(local_path(request.url.path + query), safe="")
        return RedirectResponse(f"{FOLDER}{START}?{SILENT}=1&{BACK}={back}", 303, UNCACHED)

    async def away(self) -> bool:
        """Whether the service does not answer, and so nobody can be confirmed."""
        return not await self._provider.answers()

    # out

    async def sign_out_address(self, request: Request, claims: Claims) -> str | None:
        """Where a browser that is signed out here ends its sign-in at the service too.

        It comes back by the address of sign-ins, as most services send nobody to another one.
        """
        if not claims.name.startswith(OIDC_PREFIX):
            return None
        kept = self._auth.provider_tokens
        await kept.take("refresh", claims.identity)
        id_token = await kept.take("id", claims.identity)
        state = self._states.dumps(SIGN_OUT)
        try:
            async with asyncio.timeout(SIGN_OUT_WAIT_SECONDS):
                return await self._provider.sign_out_address(
                    self._callback(request), state, id_token
                )
        except (RefusedError, TimeoutError) as error:
            logger.warning("signed out here alone: %s", str(error) or "no answer in time")
            return None

    # accounts

    def _name(self, proof: Proof) -> str:
        return account_name(self._section.issuer, subject(proof.claims))

    async def _account(self, proof: Proof) -> Account:
        """Their account here, as the claims of today say it should be."""
        role = role_of(proof.claims, self._section)
        name = self._name(proof)
        shown = shown_name(proof.claims, self._section)
        try:
            for _ in range(2):  # another node may write it at the same time
                try:
                    return await self._written(name, role, shown)
                except AccountError as error:
                    reason = str(error)
        except IndexUnavailableError as error:
            raise RefusedError(503, errors.BUSY, str(error)) from None
        raise RefusedError(503, AWAY, reason)

    async def _written(self, name: str, role: Role | None, shown: str) -> Account:
        accounts = self._auth.accounts
        account = await accounts.get(name)
        if role is None:
            if account is not None:  # wherever else they are signed in
                await accounts.replace(account.with_changes(new_stamp=True))
                self._auth.forget(name)
            raise RefusedError(403, NO_ROLE, f"no group of {name} has a role")
        if account is None:
            account = Account(name, role, origin="oidc", shown=shown)
            await accounts.add(account)
            return account
        if account.disabled:
            self._auth.forget(name)
            raise RefusedError(403, DISABLED, f"{name} is disabled")
        if (account.role, account.shown) != (role, shown):
            changed = account.with_changes(new_stamp=False, role=role, shown=shown)
            await accounts.replace(changed)
            return changed
        return account


def install(app: FastAPI, settings: Settings, auth: Auth) -> None:
    """Add the two addresses of the way, where a sign-in service is set up."""
    app.state.sign_in_service = None
    if not settings.oidc.issuer:
        return
    sign_in = OidcSignIn(settings, auth)
    app.state.sign_in_service = sign_in
    name = "__Host-research-sign-in" if auth.cookie.secure else "research-sign-in"
    session = Middleware(
        SessionMiddleware,
        secret_key=auth.key("sign-in state").hex(),
        session_cookie=name,
        max_age=FLOW_SECONDS,
        same_site="lax",
        https_only=auth.cookie.secure,
    )
    routes = [Route(START, sign_in.start), Route(CALLBACK, sign_in.finish)]
    part = Starlette(routes=routes, middleware=[session])
    part.state = app.state
    app.mount(FOLDER, part)
    app.state.templates.globals["sign_in_by"] = settings.oidc.title
