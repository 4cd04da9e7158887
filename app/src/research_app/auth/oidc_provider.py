"""The sign-in service itself: what it says of itself, of people, and of their groups today."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import oauth2_client  # type: ignore[import-untyped]
from authlib.integrations.starlette_client import OAuth  # type: ignore[import-untyped]
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from research_app.auth.oidc_claims import claim, subject
from research_app.settings import Settings, check_url

logger = logging.getLogger(__name__)

LEEWAY_SECONDS = 30
DESCRIBED_SECONDS = 600.0  # then it is asked again for its addresses and its keys
HEARD_SECONDS = 30.0  # it is there, who answered a moment ago
REST_SECONDS = 30.0  # after it did not, so that not every page waits for it
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
OPTIONAL = ("userinfo_endpoint", "end_session_endpoint")
LONGEST_HINT = 6000  # of an ID token in an address
# What a service answers to a refresh token that is good no more, and to prompt=none where it would
# have to ask the person,
ENDED = (
    *("invalid_grant", "access_denied", "login_required", "interaction_required"),
    *("consent_required", "account_selection_required"),
)
# and what says nothing of the person: it has trouble, or we have, as while our secret is changed.
TROUBLE = ("temporarily_unavailable", "server_error", "invalid_client", "unauthorized_client")
# of the client that Authlib has chosen
NO_ANSWER: tuple[type[Exception], ...] = (oauth2_client.httpx2.HTTPError, OSError)
NO_SENSE = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError)

AWAY = "The sign-in service does not answer. Please try again in a moment."
CANCELLED = "The sign-in was cancelled."
EXPIRED = "The sign-in took too long, or began in another window. Please sign in again."
UNPROVED = "The sign-in service sent an answer that proves nothing. Please sign in again."


class RefusedError(Exception):
    """Nobody is signed in; the message is for the reader, the reason for the log."""

    def __init__(self, status: int, message: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.message = message


class AwayError(RefusedError):
    """The service does not answer, or says that it cannot now."""

    def __init__(self, reason: str) -> None:
        super().__init__(503, AWAY, reason)


class EndedError(RefusedError):
    """The service says that this person's sign-in there is over."""


@dataclass(frozen=True)
class Proof:
    """Who somebody is, and what proves it again later."""

    claims: dict[str, Any]
    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


def _endpoint(address: Any) -> str:
    """An address that the service names: browsers, the secret and tokens are sent there."""
    if not isinstance(address, str) or not address.isprintable() or {" ", "#"} & set(address):
        raise ValueError("it names an address that is none")
    check_url(address)
    return address


def _described(found: Any, issuer: str) -> dict[str, Any]:
    """Of a description what is used here."""
    if not isinstance(found, Mapping):
        raise ValueError("the description is no object")
    if str(found.get("issuer", "")).rstrip("/") != issuer:
        raise ValueError("the service calls itself by another name")
    kept: dict[str, Any] = {"issuer": found["issuer"]}
    kept |= {name: _endpoint(found.get(name)) for name in NEEDED}
    for name in OPTIONAL:
        with suppress(ValueError):
            kept[name] = _endpoint(found.get(name))
    offered = found.get("id_token_signing_alg_values_supported")
    safe = [name for name in offered if name in ALGORITHMS] if isinstance(offered, list) else []
    kept["id_token_signing_alg_values_supported"] = safe or ["RS256"]
    return kept


@contextmanager
def _told() -> Iterator[None]:
    """Whatever goes wrong with the service, as a RefusedError."""
    try:
        yield
    except AuthlibBaseError as error:
        # both are its own words: they are neither shown nor logged at any length
        reason = f"{type(error).__name__} {str(error.error)[:60]!r}"
        if error.error in ENDED:
            message = CANCELLED if error.error == "access_denied" else UNPROVED
            raise EndedError(403, message, reason) from None
        if error.error in TROUBLE:
            raise AwayError(reason) from None
        raise RefusedError(403, UNPROVED, reason) from None
    except JoseError as error:
        raise RefusedError(403, UNPROVED, f"{type(error).__name__} {error}") from None
    except NO_ANSWER as error:  # a time-out too
        raise AwayError(type(error).__name__) from None
    except NO_SENSE as error:
        raise RefusedError(403, UNPROVED, type(error).__name__) from None


class Provider:
    """Asks the service; everything that it does not know comes as a RefusedError."""

    def __init__(self, settings: Settings) -> None:
        self._section = settings.oidc
        secret = settings.credentials.oidc_client_secret
        verify: Any = ssl.create_default_context(cafile=self._section.tls_ca or None)
        oauth: Any = OAuth()
        self._address = f"{self._section.issuer}/.well-known/openid-configuration"
        self._client: Any = oauth.register(
            "site",
            client_id=self._section.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            server_metadata_url=self._address,
            client_kwargs={
                "scope": self._section.scope,
                "code_challenge_method": "S256",
                "timeout": self._section.timeout_seconds,
                "verify": verify,
                "follow_redirects": False,
            },
        )
        self._heard = self._rest_until = float("-inf")

    async def redirect(
        self, request: Request, address: str, state: str, *, silent: bool
    ) -> Response:
        """Send a browser to the service; silent: it is to ask nothing of the person."""
        await self.describe()
        with _told():
            asked = {"state": state} | ({"prompt": "none"} if silent else {})
            answer: Response = await self._client.authorize_redirect(request, address, **asked)
        for kept in request.session.values():  # a cookie has little room, and nobody asks for it
            if isinstance(kept, dict):
                kept.get("data", {}).pop("url", None)
        return answer

    async def redeem(self, request: Request) -> Proof:
        """Who the browser is that the service has sent back."""
        state = request.query_params.get("state")
        if not await self._client.framework.get_state_data(request.session, state):
            raise RefusedError(400, EXPIRED, "the state is not the one that was sent")
        with _told():
            if "error" not in request.query_params:
                await self.describe()
            found = await self._client.authorize_access_token(
                request, leeway=LEEWAY_SECONDS, claims_options=self._expected()
            )
            if "userinfo" not in found:
                raise RefusedError(403, UNPROVED, "there is no ID token")
            return self._proof(found, await self._completed(found, dict(found["userinfo"])))

    async def renew(self, refresh_token: str) -> Proof:
        """Who it is by now; its refresh token may be another one from here on."""
        with _told():
            await self.describe()
            found = await self._client.fetch_access_token(
                grant_type="refresh_token", refresh_token=refresh_token
            )
            claims = await self._client.parse_id_token(
                found, nonce=None, leeway=LEEWAY_SECONDS, claims_options=self._expected()
            )
            if claims is None:  # allowed in an answer to a refresh token
                claims = await self._userinfo(found)
                if claim(claims, self._section.roles_claim) is None:
                    raise AwayError("it tells no groups")
            return self._proof(
                {"refresh_token": refresh_token} | found, await self._completed(found, dict(claims))
            )

    async def answers(self) -> bool:
        """Whether it is there."""
        now = time.monotonic()
        if now < self._rest_until:
            return False
        if now < self._heard + HEARD_SECONDS:
            return True
        try:
            await self._describe_again()
        except RefusedError as error:
            logger.warning("the sign-in service: %s", error)
            self.rest()
            return False
        return True

    def rest(self) -> None:
        """Leave it alone for a while."""
        self._rest_until = time.monotonic() + REST_SECONDS

    @property
    def rests(self) -> bool:
        """Whether it is left alone."""
        return time.monotonic() < self._rest_until

    async def sign_out_address(self, back: str, state: str, id_token: str | None) -> str | None:
        """Where a browser ends its sign-in at the service too, if that has such a place."""
        address = (await self.describe()).get("end_session_endpoint")
        if address is None:
            return None
        asked = {
            "client_id": self._section.client_id,
            "post_logout_redirect_uri": back,
            "state": state,
        }
        if id_token and len(id_token) <= LONGEST_HINT:
            asked["id_token_hint"] = id_token
        joined = "&" if urlsplit(address).query else "?"
        return f"{address}{joined}{urlencode(asked)}"

    async def describe(self) -> dict[str, Any]:
        """What the service says of itself, if it is the one that the settings name."""
        known: dict[str, Any] = self._client.server_metadata
        if time.time() < known.get("_loaded_at", 0) + DESCRIBED_SECONDS:
            return known
        try:
            return await self._describe_again()
        except AwayError:
            if not known:
                raise
            return known  # whether its token endpoint answers is seen there

    async def _describe_again(self) -> dict[str, Any]:
        with _told():
            async with (
                asyncio.timeout(self._section.timeout_seconds),
                self._client._get_session() as session,
            ):
                answer = await session.request("GET", self._address, withhold_token=True)
            answer.raise_for_status()
            try:
                found = _described(answer.json(), self._section.issuer)
            except ValueError as error:
                raise RefusedError(503, AWAY, str(error)[:100]) from None
        self._client.server_metadata = found | {"_loaded_at": time.time()}
        self._heard = time.monotonic()
        return found

    def _expected(self) -> dict[str, Any]:
        issuer = self._client.server_metadata.get("issuer")
        return {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": self._section.client_id},
        }

    @staticmethod
    def _proof(found: Mapping[str, Any], claims: dict[str, Any]) -> Proof:
        texts = {
            name: found[name]
            for name in ("id_token", "refresh_token")
            if isinstance(found.get(name), str) and found[name]
        }
        return Proof(claims, **texts)

    async def _completed(self, found: Mapping[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
        """With the groups that the service tells only at another address.

        The ID token has proved who it is: where that address fails (AD FS), it has to do.
        """
        who = subject(claims)
        if claim(claims, self._section.roles_claim) is not None:
            return claims
        try:
            with _told():
                more = await self._userinfo(found)
        except RefusedError as error:
            logger.warning("the ID token has to do, as userinfo fails: %s", error)
            return claims
        if "sub" not in more:
            return claims
        if more["sub"] != who:
            raise RefusedError(403, UNPROVED, "userinfo is of somebody else")
        return {**more, **claims}

    async def _userinfo(self, found: Mapping[str, Any]) -> dict[str, Any]:
        known = self._client.server_metadata
        if "userinfo_endpoint" not in known or "access_token" not in found:
            return {}
        # just issued: a lifetime under a minute must not count as over
        fresh = {name: found[name] for name in ("access_token", "token_type") if name in found}
        return dict(await self._client.userinfo(token=fresh))
