"""Sign-in with the account of a university: OpenID Connect, authorization code with PKCE.

The claims of the ID token say who it is and in which groups; the groups become a role here. What
the flow has to remember for a few minutes is in a signed cookie, so that any node can finish it.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Mapping
from typing import Any

from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.integrations.base_client.errors import MismatchingStateError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import oauth2_client  # type: ignore[import-untyped]
from authlib.integrations.starlette_client import OAuth  # type: ignore[import-untyped]
from fastapi import FastAPI
from joserfc.errors import JoseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from research_app import errors
from research_app.auth.accounts import OIDC_PREFIX, Account, AccountError
from research_app.auth.local import local_path
from research_app.auth.service import Auth
from research_app.auth.user import Role
from research_app.index.client import IndexUnavailableError
from research_app.settings import Oidc, Settings

logger = logging.getLogger(__name__)

FOLDER = "/auth"
BACK = "next"
FLOW_SECONDS = 600
LEEWAY_SECONDS = 30
ANYBODY = "*"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
# of the client that Authlib has chosen
NO_ANSWER: tuple[type[Exception], ...] = (
    oauth2_client.httpx2.HTTPError,
    OSError,
    ValueError,  # what it sends is no JSON
    RuntimeError,  # or says nothing of where to go
)
UNCACHED = {"Cache-Control": "no-store"}

AWAY = "The sign-in service does not answer. Please try again in a moment."
CANCELLED = "The sign-in was cancelled."
EXPIRED = "The sign-in took too long, or began in another window. Please sign in again."
UNPROVED = "The sign-in service sent an answer that proves nothing. Please sign in again."
NO_ROLE = "You signed in, but your account has no access to this library."
DISABLED = "You signed in, but your account is disabled in this library."


class RefusedError(Exception):
    """Nobody is signed in; the message is for the reader, the reason for the log."""

    def __init__(self, status: int, message: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.message = message


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim, or one inside others: "realm_access.roles"."""
    if path in claims:  # some names are addresses, with dots in them
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def role_of(claims: Mapping[str, Any], section: Oidc) -> Role | None:
    """The highest role that one of the groups has."""
    found = claim(claims, section.roles_claim)
    groups = {found} if isinstance(found, str) else set()
    if isinstance(found, (list, tuple)):
        groups = {group for group in found if isinstance(group, str)}
    for role in reversed(Role):
        wanted = set(getattr(section, role.value))
        if ANYBODY in wanted or groups & wanted:
            return role
    return None


def account_name(issuer: str, subject: str) -> str:
    """The name of an account: nobody else's, whatever people call themselves."""
    return OIDC_PREFIX + hashlib.sha256(f"{issuer}\0{subject}".encode()).hexdigest()[:32]


class OidcSignIn:
    """Two addresses: to the sign-in service, and back from it."""

    def __init__(self, settings: Settings, auth: Auth) -> None:
        self._section = settings.oidc
        self._auth = auth
        secret = settings.credentials.oidc_client_secret
        verify: Any = ssl.create_default_context(cafile=self._section.tls_ca or None)
        oauth: Any = OAuth()
        self._client: Any = oauth.register(
            "site",
            client_id=self._section.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            server_metadata_url=f"{self._section.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": self._section.scope,
                "code_challenge_method": "S256",
                "timeout": self._section.timeout_seconds,
                "verify": verify,
                "follow_redirects": False,
            },
        )

    async def start(self, request: Request) -> Response:
        """Send a browser to the sign-in service."""
        back = local_path(request.query_params.get(BACK))
        request.session[BACK] = back
        address = f"{request.url.scheme}://{request.url.netloc}{FOLDER}/oidc/callback"
        try:
            await self._metadata()
            response: Response = await self._client.authorize_redirect(request, address)
        except RefusedError as error:
            return self._refused(request, error)
        except NO_ANSWER as error:
            return self._refused(request, RefusedError(503, AWAY, type(error).__name__))
        response.headers["Cache-Control"] = "no-store"
        return response

    async def finish(self, request: Request) -> Response:
        """Sign a browser in that the sign-in service has sent back."""
        back = local_path(request.session.pop(BACK, None))
        try:
            claims = await self._claims(request)
            account = await self._account(claims)
        except RefusedError as error:
            request.session.clear()
            return self._refused(request, error)
        request.session.clear()
        logger.info("signed in", extra={"user": account.name})
        response = RedirectResponse(back, 303, UNCACHED)
        self._auth.cookie.give(response, self._auth.token(account))
        return response

    @staticmethod
    def _refused(request: Request, error: RefusedError) -> Response:
        logger.warning("sign-in refused: %s", error)
        headers = errors.RETRY if error.status == 503 else UNCACHED
        return errors.answer(request, error.status, error.message, headers)

    async def _metadata(self) -> dict[str, Any]:
        """What the service says of itself, if it is the one that the settings name."""
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        if str(metadata.get("issuer", "")).rstrip("/") != self._section.issuer:
            metadata.pop("_loaded_at", None)  # look again the next time
            raise RefusedError(503, AWAY, "the service calls itself by another name")
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        safe = [name for name in offered if name in ALGORITHMS]
        metadata["id_token_signing_alg_values_supported"] = safe or ["RS256"]
        return metadata

    async def _claims(self, request: Request) -> dict[str, Any]:
        """Who it is, proved."""
        try:
            metadata = await self._metadata()
            token = await self._client.authorize_access_token(
                request,
                leeway=LEEWAY_SECONDS,
                claims_options={
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "aud": {"essential": True, "value": self._section.client_id},
                },
            )
            if "userinfo" not in token:
                raise RefusedError(403, UNPROVED, "there is no ID token")
            claims = dict(token["userinfo"])
            if claim(claims, self._section.roles_claim) is None:
                claims = await self._more_claims(metadata, token, claims)
            return claims
        except MismatchingStateError:
            raise RefusedError(400, EXPIRED, "the state is not the one that was sent") from None
        except AuthlibBaseError as error:
            reason = f"{type(error).__name__} {error.error}"
            if error.error == "access_denied":
                raise RefusedError(403, CANCELLED, reason) from None
            raise RefusedError(403, UNPROVED, reason) from None
        except JoseError as error:
            raise RefusedError(403, UNPROVED, f"{type(error).__name__} {error}") from None
        except (oauth2_client.httpx2.HTTPError, OSError) as error:
            raise RefusedError(503, AWAY, type(error).__name__) from None
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise RefusedError(403, UNPROVED, type(error).__name__) from None

    async def _more_claims(
        self, metadata: dict[str, Any], token: dict[str, Any], claims: dict[str, Any]
    ) -> dict[str, Any]:
        """The claims that the service tells only at another address."""
        if "userinfo_endpoint" not in metadata or "access_token" not in token:
            return claims
        # just issued: a lifetime under a minute must not count as over
        fresh = {name: token[name] for name in ("access_token", "token_type") if name in token}
        more = await self._client.userinfo(token=fresh)
        return {**more, **claims} if more.get("sub") == claims["sub"] else claims

    async def _account(self, claims: dict[str, Any]) -> Account:
        """Their account here, as the claims of today say it should be."""
        role = role_of(claims, self._section)
        name = account_name(self._section.issuer, str(claims["sub"]))
        if role is None:
            raise RefusedError(403, NO_ROLE, f"no group of {name} has a role")
        shown = str(claim(claims, self._section.name_claim) or claims.get("name") or "")[:100]
        try:
            for _ in range(2):  # another node may write it at the same time
                try:
                    return await self._written(name, role, shown)
                except AccountError as error:
                    reason = str(error)
        except IndexUnavailableError as error:
            raise RefusedError(503, errors.BUSY, str(error)) from None
        raise RefusedError(503, AWAY, reason)

    async def _written(self, name: str, role: Role, shown: str) -> Account:
        accounts = self._auth.accounts
        account = await accounts.get(name)
        if account is None:
            account = Account(name, role, origin="oidc", shown=shown)
            await accounts.add(account)
            return account
        if account.disabled:
            raise RefusedError(403, DISABLED, f"{name} is disabled")
        if (account.role, account.shown) != (role, shown):
            changed = account.with_changes(new_stamp=False, role=role, shown=shown)
            await accounts.replace(changed)
            return changed
        return account


def install(app: FastAPI, settings: Settings, auth: Auth) -> None:
    """Add the two addresses, where a sign-in service is set up."""
    if not settings.oidc.issuer:
        return
    sign_in = OidcSignIn(settings, auth)
    name = "__Host-research-sign-in" if auth.cookie.secure else "research-sign-in"
    session = Middleware(
        SessionMiddleware,
        secret_key=auth.key("sign-in state").hex(),
        session_cookie=name,
        max_age=FLOW_SECONDS,
        same_site="lax",
        https_only=auth.cookie.secure,
    )
    routes = [Route("/oidc", sign_in.start), Route("/oidc/callback", sign_in.finish)]
    part = Starlette(routes=routes, middleware=[session])
    part.state = app.state
    app.mount(FOLDER, part)
    app.state.templates.globals["sign_in_by"] = settings.oidc.title
