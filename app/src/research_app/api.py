"""The JSON API, and what load balancers and operators ask."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from research_app import metrics
from research_app.health import SPARED
from research_app.search.query import SearchQuery
from research_app.search.results import Item, Result, SearchResults
from research_app.services import Services

router = APIRouter()

OPERATORS = "for the monitoring hosts only"
UNCACHED = {"Cache-Control": "no-store"}
# short, so that an edge may answer the same search for a moment, but no browser for long
SHARED = {"Cache-Control": "public, max-age=0, s-maxage=10"}


def services(request: Request) -> Services:
    """The services of the application that got this request."""
    found: Services = request.app.state.services
    return found


ServicesOf = Annotated[Services, Depends(services)]


def operators_only(request: Request, parts: ServicesOf) -> None:
    """Refuse readers what is for those who run the library, whatever an edge let through.

    Programs of this and the neighbouring hosts come without an edge. Raises HTTPException 403.
    """
    asked_by_edge = "x-forwarded-for" in request.headers
    if asked_by_edge and not _operator(request, parts):
        raise HTTPException(403, OPERATORS, UNCACHED)


def _operator(request: Request, parts: Services) -> bool:
    address = request.client.host if request.client else None
    return metrics.allowed(address, parts.settings.server.metrics_networks)


@router.get("/live", tags=["operations"])
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "alive"}


@router.get("/ready", tags=["operations"], responses={503: {}})
async def ready(parts: ServicesOf) -> JSONResponse:
    """This node can answer searches, and is not about to leave."""
    if parts.drain.draining:
        return JSONResponse({"status": "draining"}, 503, UNCACHED)
    check = await parts.health.ready()
    if not check["ok"]:
        return JSONResponse({"status": "not ready", "opensearch": check}, 503, UNCACHED)
    return JSONResponse({"status": "ready"}, 200, UNCACHED)


@router.get(
    "/health",
    tags=["operations"],
    responses={403: {}, 503: {}},
    dependencies=[Depends(operators_only)],
)
async def health(parts: ServicesOf) -> JSONResponse:
    """Every check with its time; 503 where one fails that searches need."""
    checks = await parts.health.all()
    needed = all(check["ok"] for name, check in checks.items() if name not in SPARED)
    status = "healthy" if all(check["ok"] for check in checks.values()) else "unhealthy"
    if needed and status == "unhealthy":
        status = "degraded"
    return JSONResponse({"status": status, **checks}, 200 if needed else 503, UNCACHED)


@router.get("/metrics", include_in_schema=False)
async def prometheus(request: Request, parts: ServicesOf) -> Response:
    """For the monitoring hosts only."""
    if not _operator(request, parts):
        raise HTTPException(403, OPERATORS, UNCACHED)
    return Response(await metrics.page(parts), media_type=metrics.CONTENT_TYPE, headers=UNCACHED)


@router.get("/api/search", tags=["search"], response_model=SearchResults, responses={503: {}})
async def search(
    request: Request, parts: ServicesOf, query: Annotated[SearchQuery, Query()]
) -> Response:
    """Search the library."""
    request.state.log = {"query": query.fingerprint[:16]}
    found = await parts.search.search(query)
    return Response(found, media_type="application/json", headers=SHARED)


@router.get(
    "/api/items/{identity:path}/similar",
    tags=["search"],
    response_model=list[Result],
    responses={404: {}, 503: {}},
)
async def similar(
    parts: ServicesOf, identity: str, size: Annotated[int, Query(ge=1, le=50)] = 10
) -> Any:
    """Documents like one."""
    if await parts.search.item(identity) is None:
        return JSONResponse({"detail": "there is no such item"}, 404)
    return JSONResponse(await parts.search.similar(identity, size))


@router.get(
    "/api/items/{identity:path}",
    tags=["search"],
    response_model=Item,
    responses={404: {}, 503: {}},
)
async def item(parts: ServicesOf, identity: str) -> Any:
    """One document."""
    found = await parts.search.item(identity)
    if found is None:
        return JSONResponse({"detail": "there is no such item"}, 404)
    parts.usage.used(identity)
    return JSONResponse(found)
