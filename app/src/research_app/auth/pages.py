"""Sign in, sign out, and who one is."""

from __future__ import annotations

import hashlib
import logging
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from research_app.auth import CHALLENGE, User, current_user, require
from research_app.auth.local import local_path
from research_app.auth.oidc import OidcSignIn
from research_app.auth.passwords import BusyError
from research_app.auth.service import Auth
from research_app.auth.tokens import Claims, Token
from research_app.auth.user import Role
from research_app.forms import form_of
from research_app.limits.middleware import origin
from research_app.web.pages import page

logger = logging.getLogger(__name__)
router = APIRouter()

UNCACHED = {"Cache-Control": "no-store"}
WRONG = "The name or the password is not right."
TOO_OFTEN = "This account was tried too often. Please try again later."
BUSY = "Many people sign in at this moment. Please try again shortly."


class Login(BaseModel):
    """A name and its password."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[
        str, Field(min_length=1, max_length=256, json_schema_extra={"format": "password"})
    ]


class Access(BaseModel):
    """A token for the Authorization header."""

    access_token: str
    token_type: str
    expires_in: int


class Me(BaseModel):
    """Who one is."""

    name: str
    shown: str
    role: Role


def _auth(request: Request) -> Auth:
    found: Auth = request.app.state.services.auth
    return found


async def _signed_in(request: Request, name: str, password: str) -> tuple[User, Token] | None:
    name = name.strip().lower()
    await _count_try(request, name)
    try:
        found = await _auth(request).sign_in(name, password)
    except BusyError:
        raise HTTPException(503, BUSY, {"Retry-After": "2"}) from None
    # not the name that was typed: some type their password there
    client = request.client.host if request.client else None
    who = found[0].name if found else None
    logger.info("signed in" if found else "sign-in refused", extra={"client": client, "user": who})
    return found


async def _count_try(request: Request, name: str) -> None:
    """Slow down whoever guesses, from one address or from many, and let the account's own in.

    What is refused for its address does not count for the account, or one stranger could use up
    what is for all.
    """
    rates = request.app.state.services.rates
    account = hashlib.sha256(name.encode()).hexdigest()[:32]  # what was typed is kept nowhere
    sender = origin(request.client.host if request.client else None)
    for what, who in (("account", f"{account}:{sender}"), ("account_in_all", account)):
        seconds = await rates.hit(what, who)
        if seconds is not None:
            raise HTTPException(429, TOO_OFTEN, {"Retry-After": str(seconds)})


def login_page(
    request: Request, back: str, status: int = 200, problem: str = "", name: str = ""
) -> Response:
    """The sign-in page."""
    values = {"back": back, "problem": problem, "typed": name}
    return page(request, "login.html", values, status, UNCACHED)


@router.get("/login", include_in_schema=False)
async def login_form(request: Request) -> Response:
    """The sign-in page, or on to where it leads for those who are signed in."""
    back = local_path(request.query_params.get("next"))
    if current_user(request) is not None:
        return RedirectResponse(back, 303, UNCACHED)
    return login_page(request, back)


@router.post("/login", include_in_schema=False)
async def login(request: Request) -> Response:
    """Sign a browser in."""
    async with form_of(request, max_files=0, max_fields=8) as form:
        name, password, back = (str(form.get(key, "")) for key in ("name", "password", "next"))
    back = local_path(back)
    found = await _signed_in(request, name, password)
    if found is None:
        return login_page(request, back, 401, WRONG, name[:64])
    response = RedirectResponse(back, 303, UNCACHED)
    _auth(request).cookie.give(response, found[1])
    return response


@router.post("/logout", include_in_schema=False)
async def logout(request: Request) -> Response:
    """Sign a browser out; its token counts no more, wherever it was kept besides."""
    claims: Claims | None = request.state.claims
    address = None
    if claims is not None:
        await _auth(request).sign_out(claims)
        address = await _sign_out_address(request, claims)
    # to another site leads a page of its own: browsers follow no redirect from a form to there,
    # as our policy says where forms may go
    response: Response = RedirectResponse("/", 303, UNCACHED)
    if address is not None:
        request.state.user = None
        response = page(request, "signed_out.html", {"address": address}, headers=UNCACHED)
    _auth(request).cookie.take(response)
    return response


async def _sign_out_address(request: Request, claims: Claims) -> str | None:
    service: OidcSignIn | None = request.app.state.sign_in_service
    return await service.sign_out_address(request, claims) if service else None


@router.post("/api/token", tags=["sign-in"], response_model=Access, responses={401: {}, 503: {}})
async def token(request: Request, given: Login) -> Response:
    """A token for a program, in exchange for a name and its password."""
    found = await _signed_in(request, given.name, given.password)
    if found is None:
        raise HTTPException(401, WRONG, CHALLENGE)
    made = found[1]
    answer = Access(access_token=made.text, token_type="Bearer", expires_in=made.seconds)  # noqa: S106
    return JSONResponse(answer.model_dump(), headers=UNCACHED)


@router.get("/api/me", tags=["sign-in"], response_model=Me, responses={401: {}})
async def me(user: Annotated[User, Depends(require())]) -> Response:
    """Who one is."""
    found = Me(name=user.name, shown=user.title, role=user.role)
    return JSONResponse(found.model_dump(), headers={"Cache-Control": "private, no-store"})
