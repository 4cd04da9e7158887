"""The pages of those who keep the library: sending files, jobs, and what needs a look."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from research_app import uploads
from research_app.auth import User, require
from research_app.index.client import IndexUnavailableError
from research_app.index.figures import figures
from research_app.index.quarantine import Listing, Quarantine
from research_app.jobs.record import ENDED, Job, JobsFullError, JobsUnavailableError, UnfitJobError
from research_app.private_address import shown
from research_app.services import Services
from research_app.web.pages import page
from research_app.web.views import KIND_NAMES

router = APIRouter(include_in_schema=False)

UPLOAD = "/upload"
UNCACHED = {"Cache-Control": "no-store"}
SHOWN_JOBS = 50
SHOWN_REFUSALS = 100
AWAY = "The queue of jobs does not answer. Please try again in a moment."
STATES = {
    "queued": "waiting",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "dead": "given up",
}
UNITS = ("bytes", "kB", "MB", "GB", "TB")
KILO = 1000


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


ServicesOf = Annotated[Services, Depends(_services)]
Curator = Annotated[User, Depends(require("curator"))]
Admin = Annotated[User, Depends(require("admin"))]


def size(count: int) -> str:
    """A number of bytes, to be read."""
    value, unit = float(count), 0
    while value >= KILO and unit < len(UNITS) - 1:
        value, unit = value / KILO, unit + 1
    return (
        f"{value:.0f} {UNITS[unit]}" if not unit or value >= 100 else f"{value:.1f} {UNITS[unit]}"
    )


def job_view(job: Job) -> dict[str, Any]:
    """A job as a row or a page shows it."""
    argument = shown(job.argument).rstrip("/")
    return {
        **job.model_dump(),
        "unread_files": sum(job.unread.values()),
        "address": f"/jobs/{job.id}",
        "what": argument.rpartition("/")[2] if argument.startswith("/") else argument,
        "state_name": STATES.get(job.state, job.state),
        "ended": job.state in ENDED,
        "again": job.state in ("failed", "dead"),
        "when": datetime.fromtimestamp(job.created, UTC),
    }


async def _jobs(parts: Services) -> tuple[list[dict[str, Any]], str]:
    """The newest jobs, or why they cannot be shown."""
    try:
        return [job_view(job) for job in await parts.jobs.list_jobs(SHOWN_JOBS)], ""
    except JobsUnavailableError:
        return [], AWAY


async def _upload_page(request: Request, problem: str = "", status: int = 200) -> Response:
    jobs, away = await _jobs(_services(request))
    values = {
        "kinds": {kind: name[:-1] for kind, name in KIND_NAMES.items()},
        "accepted": uploads.ACCEPTED,
        "problem": problem,
        "jobs": jobs[:10],
        "away": away,
    }
    return page(request, "upload.html", values, status, UNCACHED)


@router.get(UPLOAD)
async def upload_form(request: Request, _: Curator) -> Response:
    """Send a file."""
    return await _upload_page(request)


@router.post(UPLOAD)
async def upload(request: Request, user: Curator) -> Response:
    """Take a file, and show its job; or say why not, on the page that it came from."""
    try:
        taken = await uploads.upload(request, user)
    except HTTPException as error:
        return await _upload_page(request, str(error.detail), error.status_code)
    address = taken.headers["location"].removeprefix("/api")
    return RedirectResponse(address, 303, UNCACHED)


@router.get("/jobs")
async def jobs(request: Request, parts: ServicesOf, _: Curator) -> Response:
    """The newest jobs."""
    found, away = await _jobs(parts)
    return page(request, "jobs.html", {"jobs": found, "away": away}, headers=UNCACHED)


@router.get("/jobs/{identity}")
async def job(request: Request, parts: ServicesOf, _: Curator, identity: str) -> Response:
    """How far a job is."""
    try:
        found = await parts.jobs.job(identity)
    except JobsUnavailableError:
        raise HTTPException(503, AWAY, {"Retry-After": "5"}) from None
    if found is None:
        raise HTTPException(404)
    return page(request, "job.html", {"job": job_view(found)}, headers=UNCACHED)


@router.post("/jobs/{identity}/retry")
async def retry(parts: ServicesOf, _: Curator, identity: str) -> Response:
    """Do a job again."""
    try:
        await parts.jobs.retry(identity)
    except UnfitJobError as error:
        raise HTTPException(409, f"{error}.") from None
    except (JobsUnavailableError, JobsFullError):
        raise HTTPException(503, AWAY, {"Retry-After": "5"}) from None
    return RedirectResponse(f"/jobs/{identity}", 303, UNCACHED)


def _quarantine(parts: Services) -> Quarantine:
    return Quarantine(parts.client, parts.settings.opensearch.index)


async def _refused(parts: Services) -> tuple[Listing, str]:
    """What was refused last, or why it cannot be shown."""
    try:
        return await _quarantine(parts).listing(SHOWN_REFUSALS), ""
    except IndexUnavailableError as error:
        return Listing(total=0, entries=[]), f"The quarantine cannot be read: {error}."


@router.post("/admin/quarantine/{identity}/dismiss")
async def dismiss(parts: ServicesOf, _: Admin, identity: str) -> Response:
    """Drop what was refused and is of no interest any more."""
    await _quarantine(parts).dismiss(identity)
    return RedirectResponse("/admin#quarantine", 303, UNCACHED)


@router.get("/admin")
async def admin(request: Request, parts: ServicesOf, _: Admin) -> Response:
    """What an administrator looks at: whether all is well, jobs, refusals, sizes."""
    index = parts.settings.opensearch.index
    checks, (found, away), (refused, unread), sizes = await asyncio.gather(
        parts.health.all(),
        _jobs(parts),
        _refused(parts),
        figures(parts.client, index),
        return_exceptions=False,
    )
    values = {
        "checks": checks,
        "jobs": found,
        "away": away,
        "refused": refused,
        "unread": unread,
        "sizes": {
            "Documents": f"{sizes.documents:,}",
            "Index": size(sizes.bytes_once),
            "Index with its copies": size(sizes.bytes_with_copies),
        },
        "index": index,
    }
    return page(request, "admin.html", values, headers=UNCACHED)
