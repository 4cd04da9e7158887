"""A small OpenID provider on loopback: discovery, keys, authorize, token, userinfo, end session.

It does what the specification asks of one (PKCE, single use of codes, client secret), signs in
whoever comes as `claims` says, and goes wrong in the way that `fault` names.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import threading
import time
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from jwt.algorithms import RSAAlgorithm

CLIENT = "library"
SECRET = "the secret of the client"
WRONG_USERINFO = {
    "userinfo is away": (500, "<html>"),
    "userinfo is forbidden": (401, '{"error": "invalid_token"}'),
    "userinfo is a page": (200, "<html>"),
    "userinfo is a list": (200, '[{"groups": ["library-admins"]}]'),
    "userinfo of nobody": (200, '{"groups": ["library-admins"]}'),
    "userinfo is deep": (200, '{"sub":' + "[" * 90_000),
}


class Provider:
    """The provider; one thread, one port of its own."""

    def __init__(self) -> None:
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self.new_key("first")
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.fault = ""
        self.description: dict[str, Any] = {}  # what it says of itself besides, or instead
        self.codes: dict[str, dict[str, str]] = {}
        self.refresh_token = ""  # the one that is good; none are given while it is empty
        self.known_here = True  # whether prompt=none finds a session
        self.refreshed = 0
        self.issuer = ""
        self._server = uvicorn.Server(
            uvicorn.Config(self._app(), host="127.0.0.1", port=0, log_config=None, lifespan="off")
        )

    def new_key(self, name: str) -> None:
        """Sign with another key from now on."""
        self._keys = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def reset(self) -> None:
        """Somebody without groups signs in, and nothing goes wrong."""
        self.claims = {"sub": "248289", "preferred_username": "ana", "groups": []}
        self.userinfo = {}
        self.fault = ""
        self.description = {}
        self.codes.clear()
        self.refresh_token = ""
        self.known_here = True
        self.refreshed = 0

    def start(self) -> None:
        """Answer."""
        thread = threading.Thread(target=self._server.run, daemon=True)
        thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.issuer = f"http://127.0.0.1:{port}"
        self._thread = thread

    def stop(self) -> None:
        """Answer no more."""
        self._server.should_exit = True
        self._thread.join(10)

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.add_api_route("/.well-known/openid-configuration", self._discovery)
        app.add_api_route("/keys", self._jwks)
        app.add_api_route("/authorize", self._authorize)
        app.add_api_route("/token", self._token, methods=["POST"])
        app.add_api_route("/userinfo", self._userinfo)
        return app

    def _discovery(self) -> Response:
        if self.fault == "away":
            return Response("<html>", 502, media_type="text/html")
        issuer = "https://other.example" if self.fault == "another issuer" else self.issuer
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                **self.description,
            }
        )

    def _jwks(self) -> Response:
        keys = [
            RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
            | {"kid": name, "alg": "RS256", "use": "sig"}
            for name, key in self._keys.items()
        ]
        return JSONResponse({"keys": keys})

    def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        assert len(asked["nonce"]) >= 16
        answer = {"state": asked["state"]}
        if self.fault == "cancelled":
            answer |= {"error": "access_denied", "error_description": "<b>no</b>"}
        elif self.fault == "busy":
            answer |= {"error": "temporarily_unavailable"}
        elif asked.get("prompt") == "none" and not self.known_here:
            answer |= {"error": "login_required"}
        else:
            answer["code"] = secrets.token_urlsafe(16)
            self.codes[answer["code"]] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def _token(self, request: Request) -> Response:
        async with request.form() as form:
            given = {name: str(value) for name, value in form.items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            return JSONResponse({"error": "invalid_client"}, 401)
        if given.get("grant_type") == "refresh_token":
            return await self._refresh(given)
        asked = self.codes.pop(given.get("code", ""), None)
        verifier = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if (
            asked is None
            or given.get("grant_type") != "authorization_code"
            or given.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return self._tokens(asked["nonce"])

    async def _refresh(self, given: dict[str, str]) -> Response:
        """Each refresh token is good once, as of providers that rotate them."""
        self.refreshed += 1
        match self.fault:
            case "away":
                return Response("<html>", 502, media_type="text/html")
            case "slow":
                await asyncio.sleep(2)
            case "another secret":
                return JSONResponse({"error": "invalid_client"}, 401)
        if not self.refresh_token or given["refresh_token"] != self.refresh_token:
            return JSONResponse({"error": "invalid_grant"}, 400)
        self.refresh_token += "+"
        return self._tokens(None)

    def _tokens(self, nonce: str | None) -> Response:
        answer = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 60}
        if self.refresh_token:
            answer["refresh_token"] = self.refresh_token
        if self.fault == "garbage":
            return Response("<html>", media_type="text/html")
        if self.fault != "no id token":
            answer["id_token"] = self._id_token(nonce)
        return JSONResponse(answer)

    def _id_token(self, nonce: str | None) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            **({"nonce": nonce} if nonce else {}),
            **self.claims,
        }
        name, key = next(iter(self._keys.items()))
        match self.fault:
            case "wrong nonce":
                claims["nonce"] = "x" * 20
            case "no nonce":
                claims.pop("nonce", None)
            case "wrong audience":
                claims["aud"] = "another"
            case "wrong issuer":
                claims["iss"] = "https://other.example"
            case "expired":
                claims["exp"] = now - 600
            case "no subject":
                del claims["sub"]
            case "wrong key":
                key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            case "unknown key":
                name = "nobody's"
            case "unsigned":
                return jwt.encode(claims, None, "none", {"kid": name})
            case "signed with the client's secret":
                return jwt.encode(claims, SECRET * 2, "HS256", {"kid": name})
        return jwt.encode(claims, key, "RS256", {"kid": name})

    def _userinfo(self, request: Request) -> Response:
        if self.fault in WRONG_USERINFO:
            status, text = WRONG_USERINFO[self.fault]
            return Response(text, status, media_type="application/json")
        if request.headers.get("authorization") != "Bearer opaque":
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse({"sub": self.claims.get("sub")} | self.userinfo)
