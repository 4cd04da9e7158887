"""Jobs over HTTP, for curators: bring something in, and see how far it is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from research_app.auth import User, require
from research_app.jobs.fitness import check
from research_app.jobs.record import Job, JobsFullError, JobsUnavailableError, UnfitJobError
from research_app.private_address import shown
from research_app.services import Services

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

UNCACHED = {"Cache-Control": "no-store"}
FULL = "Too many jobs wait already. Please try again later."
AWAY = "The queue of jobs does not answer. Please try again in a moment."
Curator = Annotated[User, Depends(require("curator"))]
ANSWERS: dict[int | str, dict[str, Any]] = {401: {}, 403: {}, 503: {}}


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


ServicesOf = Annotated[Services, Depends(_services)]


class NewJob(BaseModel):
    """What somebody wants done."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[str, Field(min_length=1, max_length=50)]
    argument: Annotated[str, Field(min_length=1, max_length=2000)]
    options: Annotated[
        dict[Annotated[str, Field(max_length=50)], Annotated[str, Field(max_length=200)]],
        Field(max_length=20),
    ] = {}


class JobList(BaseModel):
    """The newest jobs, newest first."""

    jobs: list[Job]


def _told(job: Job) -> dict[str, Any]:
    """A job for a librarian, who need not see the secret of a feed."""
    return job.model_dump() | {"argument": shown(job.argument)}


@router.post("", status_code=202, response_model=Job, responses={**ANSWERS, 422: {}})
async def submit(parts: ServicesOf, user: Curator, wanted: NewJob) -> Response:
    """Take a job."""
    check(parts.settings, wanted.kind, wanted.argument, wanted.options)
    job = await parts.jobs.submit(wanted.kind, wanted.argument, user.name, wanted.options)
    headers = {**UNCACHED, "Location": f"/api/jobs/{job.id}"}
    return JSONResponse(_told(job), 202, headers)


@router.get("", response_model=JobList, responses=ANSWERS)
async def newest(
    parts: ServicesOf, _: Curator, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> Response:
    """The newest jobs."""
    jobs = await parts.jobs.list_jobs(limit)
    return JSONResponse({"jobs": [_told(job) for job in jobs]}, headers=UNCACHED)


@router.get("/{identity}", response_model=Job, responses={**ANSWERS, 404: {}})
async def one(parts: ServicesOf, _: Curator, identity: str) -> Response:
    """How far a job is."""
    job = await parts.jobs.job(identity)
    if job is None:
        raise HTTPException(404)
    return JSONResponse(_told(job), headers=UNCACHED)


@router.post("/{identity}/retry", response_model=Job, responses={**ANSWERS, 422: {}})
async def retry(parts: ServicesOf, _: Curator, identity: str) -> Response:
    """Do a job again that failed or was given up."""
    return JSONResponse(_told(await parts.jobs.retry(identity)), headers=UNCACHED)


async def full(_: Request, __: Exception) -> Response:
    """As many jobs wait as may."""
    return JSONResponse({"detail": FULL}, 503, {**UNCACHED, "Retry-After": "60"})


async def away(_: Request, __: Exception) -> Response:
    """There is no queue now."""
    return JSONResponse({"detail": AWAY}, 503, {**UNCACHED, "Retry-After": "10"})


async def unfit(_: Request, error: Exception) -> Response:
    """A job that cannot be taken."""
    return JSONResponse({"detail": str(error)}, 422)


HANDLERS = {JobsFullError: full, JobsUnavailableError: away, UnfitJobError: unfit}
