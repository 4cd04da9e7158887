"""The pages."""

from __future__ import annotations

from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import ValidationError

from research_app.auth import current_user
from research_app.citation import bibtex
from research_app.search.query import MAX_QUERY, MIN_QUERY, SearchQuery, first_problem
from research_app.services import Services
from research_app.settings import Settings
from research_app.stages import stage
from research_app.web import item_view, library_view, views
from research_app.web.addresses import search_address
from research_app.web.static_files import PREFIX, VersionedFiles

router = APIRouter(include_in_schema=False)

SHOWN_SIMILAR = 6
MOST_DIGITS = 7
# Items and the first pages are for crawlers; answers, searches and what needs an account are not.
UNCRAWLED = (
    "/answer",
    "/assistant",
    "/api/",
    "/?q=",
    "/login",
    "/auth/",
    "/upload",
    "/jobs",
    "/admin",
)
SHARED = {"Cache-Control": "no-cache"}


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


ServicesOf = Annotated[Services, Depends(_services)]


def install(app: FastAPI, settings: Settings) -> None:
    """Add pages and static files to an application."""
    files = VersionedFiles()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("research_app.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        site=settings.site,
        static=files.address,
        limits={"least": MIN_QUERY, "most": MAX_QUERY},
        kind_names=views.KIND_NAMES,
        query=None,
        user=None,
        sign_in_by="",
        words="",
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    app.state.templates = environment
    app.state.static = files
    app.mount(PREFIX, files, name="static")
    app.include_router(router)


def page(
    request: Request,
    name: str,
    values: dict[str, Any],
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """A page of a template, with what every page shows."""
    with stage("rendering"):
        template = request.app.state.templates.get_template(name)
        shown = {"user": current_user(request)} | values
        return HTMLResponse(template.render(shown), status, headers or SHARED)


def error_page(
    request: Request, status: int, message: str, headers: dict[str, str] | None = None
) -> Response:
    """A page that says what is wrong, with the search box and the reader's words in it."""
    words = request.query_params.get("q", "")[:MAX_QUERY]
    values = {"message": message, "status": status, "words": words}
    return page(request, "error.html", values, status, headers)


@router.get("/")
async def home(request: Request, parts: ServicesOf) -> Response:
    """The search page, or its beginning where nothing was asked."""
    if not request.query_params.get("q", "").strip():
        overview = await parts.search.overview()
        values = {"overview": overview, "plot": views.plot(overview["year"], None)}
        return page(request, "home.html", values)
    return await _results(request, parts)


async def _results(request: Request, parts: Services) -> Response:
    parameters = request.query_params
    fields: dict[str, Any] = dict(parameters)
    for name in ("kind", "venue", "author", "year"):
        fields[name] = parameters.getlist(name)
    try:
        query = SearchQuery.model_validate(fields)
    except ValidationError as error:
        message = first_problem(error.errors())
        return error_page(request, 422, f"{message[:1].upper()}{message[1:]}.")
    request.state.log = {"query": query.fingerprint[:16]}
    found = await parts.search.results(query)
    with stage("rendering"):
        values = {**views.search_view(query, found), "words": query.q}
        return page(request, "results.html", values)


@router.get("/favicon.ico")
async def icon(request: Request) -> Response:
    """For browsers on pages that do not say where the icon is."""
    return RedirectResponse(request.app.state.static.address("icon.svg"), 307)


@router.get("/robots.txt")
async def robots() -> Response:
    """Tell crawlers what is not for them: pages without end, and those that cost a model's work."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in UNCRAWLED)]
    return PlainTextResponse("\n".join(lines) + "\n", headers={"Cache-Control": "max-age=86400"})


@router.get("/answer")
async def answer(request: Request, parts: ServicesOf) -> Response:
    """The answer to a question, whole: for browsers without scripts, and to be shared."""
    try:
        query = SearchQuery(q=request.query_params.get("q", ""))
    except ValidationError as error:
        message = first_problem(error.errors())
        return error_page(request, 422, f"{message[:1].upper()}{message[1:]}.")
    request.state.log = {"query": query.fingerprint[:16]}
    if request.state.head_only:  # no model writes for nobody
        return HTMLResponse("", headers=SHARED)
    found = await parts.answers.answer(query.q)
    values = {
        **views.answer_view(found),
        "search": search_address(query),
        "words": query.q,
    }
    return page(request, "answer.html", values)


@router.get("/library")
async def library(request: Request, parts: ServicesOf) -> Response:
    """What the library holds, by kind and year."""
    overview = await parts.search.overview()
    values = {
        "overview": overview,
        "plot": library_view.stack(overview),
        "rows": library_view.rows(overview),
        "kinds": library_view.kinds_of(overview),
    }
    return page(request, "library.html", values)


@router.get("/items/{identity:path}")
async def item(request: Request, parts: ServicesOf, identity: str) -> Response:
    """One document."""
    found = await parts.search.item(identity)
    if found is None:
        return error_page(request, 404, "There is no such item in the library.")
    passages = await parts.search.contents(identity)
    similar = await parts.search.similar(identity, SHOWN_SIMILAR)
    parts.usage.used(identity)
    with stage("rendering"):
        values = {
            **item_view.item_view(
                found,
                passages,
                _number(request.query_params.get("page"), 1),
                _number(request.query_params.get("t"), 0),
            ),
            "bibtex": bibtex(found),
            "similar": [views.brief_view(other) for other in similar],
        }
        return page(request, "item.html", values)


def _number(text: str | None, least: int) -> int | None:
    """A place in an address; one that is none is as good as no place."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > MOST_DIGITS:
        return None
    return int(text) if int(text) >= least else None
