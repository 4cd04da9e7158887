"""Makes the application from settings; importing this contacts nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from research_app import __version__, api, assistant, errors, logs, uploads
from research_app.answer import api as answer_api
from research_app.auth import assistant_gate, client_certificates, oidc
from research_app.auth import pages as sign_in
from research_app.auth.middleware import AuthMiddleware
from research_app.drain import DrainMiddleware
from research_app.jobs import api as jobs_api
from research_app.limits.bodies import BodyLimit
from research_app.limits.middleware import RatesMiddleware
from research_app.middleware import RequestMiddleware
from research_app.services import Services, build
from research_app.settings import Settings
from research_app.web import desk, media, pages

if TYPE_CHECKING:
    from research_app.traces import Traces

# Its spans would have the query string in them, wherever something of the process records spans.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def _traces(settings: Settings) -> Traces | None:
    if not settings.traces.endpoint:
        return None
    from research_app.traces import Traces  # noqa: PLC0415 - an extra, and nobody else pays for it

    return Traces(settings.traces)


def create_app(settings: Settings, services: Services | None = None) -> FastAPI:
    """The whole application: pages, API, assistant."""
    parts = services or build(settings)
    traces = _traces(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with parts.running():
            yield
        if traces:
            await traces.close()

    app = FastAPI(
        title=settings.site.title,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses=errors.ANSWERS,
        telemetry=NO_TELEMETRY,
    )
    app.state.services = parts
    app.include_router(api.router)
    app.include_router(jobs_api.router)
    app.include_router(media.router)
    app.include_router(answer_api.router)
    app.include_router(sign_in.router)
    app.include_router(uploads.router)
    app.include_router(desk.router)
    pages.install(app, settings)
    oidc.install(app, settings, parts.auth)
    errors.install(app)
    assistant.mount(app, parts)
    largest = settings.limits.upload_bytes + uploads.FORM_BYTES
    limits = {
        uploads.PATH: largest,
        desk.UPLOAD: largest,
        assistant.PATH + assistant_gate.JOIN: assistant_gate.LARGEST,
    }
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(RatesMiddleware, rates=parts.rates, unlimited=settings.limits.unlimited)
    app.add_middleware(AuthMiddleware, auth=parts.auth)
    app.add_middleware(DrainMiddleware, drain=parts.drain)
    app.add_middleware(client_certificates.OperationsFromOthers)
    app.add_middleware(
        RequestMiddleware,
        access_log=settings.server.access_log,
        without_policy=(assistant.PATH,),
        active=parts.active,
        hash_key=logs.hash_key(settings.credentials),
        traces=traces,
    )
    return app
