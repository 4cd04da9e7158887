"""Errors as readers see them: polite, without insides, and in the form that was asked for."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from research_app.auth.local import login_address
from research_app.index.client import IndexUnavailableError
from research_app.jobs import api as jobs_api
from research_app.search.query import first_problem
from research_app.web.pages import error_page

RETRY = {"Retry-After": "5", "Cache-Control": "no-store"}
BUSY = "The library cannot be searched right now. Please try again in a moment."
BROKEN = "Something went wrong on our side. Please try again in a moment."
NO_PAGE = "There is no such page here."
NOT_FOUND = HTTPStatus.NOT_FOUND.phrase  # what is said where nobody knows better


class Problem(BaseModel):
    """What a program is told when a request fails: in words, and which fields are meant."""

    detail: str
    fields: list[str] = []


# what any operation may answer
ANSWERS: dict[int | str, dict[str, Any]] = {422: {"model": Problem}, 429: {"model": Problem}}


def wants_json(request: Request) -> bool:
    """Whether a program asked."""
    return request.url.path.startswith(("/api/", "/live", "/ready", "/health", "/metrics"))


def answer(
    request: Request, status: int, message: str, headers: dict[str, str] | None = None
) -> Response:
    """An error in the form that was asked for."""
    if wants_json(request):
        return JSONResponse({"detail": message}, status, headers)
    return error_page(request, status, message, headers)


async def unavailable(request: Request, _: Exception) -> Response:
    """OpenSearch does not answer."""
    return answer(request, 503, BUSY, RETRY)


async def invalid(request: Request, error: Exception) -> Response:
    """A parameter is wrong."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    message = first_problem(error.errors())
    if wants_json(request):
        fields = [".".join(map(str, problem["loc"][1:])) for problem in error.errors()]
        return JSONResponse({"detail": message, "fields": fields}, 422)
    return error_page(request, 422, message[:1].upper() + message[1:] + ".")


async def http_error(request: Request, error: Exception) -> Response:
    """No such page, a method that it does not know, somebody who may not."""
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 401 and not wants_json(request):
        back = request.url.path if request.method == "GET" else None
        return RedirectResponse(login_address(back), 303, {"Cache-Control": "no-store"})
    message = NO_PAGE if error.detail == NOT_FOUND else str(error.detail)
    return answer(request, error.status_code, message, dict(error.headers or {}))


def broken(request: Request) -> Response:
    """A fault of ours."""
    return answer(request, 500, BROKEN, {"Cache-Control": "no-store"})


def install(app: FastAPI) -> None:
    """Answer errors of this application; of those that nobody expects see middleware.py."""
    app.add_exception_handler(IndexUnavailableError, unavailable)
    app.add_exception_handler(RequestValidationError, invalid)
    for kind, handler in jobs_api.HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(HTTPException, http_error)
