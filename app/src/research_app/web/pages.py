"""The pages."""

from __future__ import annotations

from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from research_app.auth import current_user
from research_app.citation import bibtex
from research_app.search.query import MAX_QUERY, MIN_QUERY, SearchQuery, first_problem
from research_app.services import Services
from research_app.settings import Settings
from research_app.web import views
from research_app.web.static_files import PREFIX, VersionedFiles

router = APIRouter(include_in_schema=False)

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
    for name in ("kind", "venue", "author"):
        fields[name] = parameters.getlist(name)
    try:
        query = SearchQuery.model_validate(fields)
    except ValidationError as error:
        message = first_problem(error.errors())
        return error_page(request, 422, f"{message[:1].upper()}{message[1:]}.")
    request.state.log = {"query": query.fingerprint[:16]}
    found = await parts.search.results(query)
    return page(request, "results.html", {**views.search_view(query, found), "words": query.q})


@router.get("/favicon.ico")
async def icon(request: Request) -> Response:
    """For browsers on pages that do not say where the icon is."""
    return RedirectResponse(request.app.state.static.address("icon.svg"), 307)


@router.get("/items/{identity:path}")
async def item(request: Request, parts: ServicesOf, identity: str) -> Response:
    """One document."""
    found = await parts.search.item(identity)
    if found is None:
        return error_page(request, 404, "There is no such item in the library.")
    values = {
        "item": found,
        "kind_name": views.KIND_NAME.get(found["kind"], found["kind"]),
        "bibtex": bibtex(found),
    }
    return page(request, "item.html", values)
