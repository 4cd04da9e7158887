"""Runs the application: TLS, systemd's notifications, and leaving without a lost request."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import socket
import ssl
from types import FrameType
from typing import Any

import uvicorn

from research_app.auth import client_certificates
from research_app.factory import create_app
from research_app.services import Services, build
from research_app.settings import Settings
from research_app.systemd import keep_alive, notify

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75  # longer than the proxies keep an idle connection


class Server(uvicorn.Server):
    """uvicorn that drains before it closes, and then exits with 0."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services
        self._leaving: asyncio.Task[None] | None = None
        self._living: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell systemd."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            notify("READY=1")
            self._living = self._loop.create_task(keep_alive())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains; a second one from the keyboard does not wait."""
        if self._loop is None or not self.started:
            self.should_exit = True
        elif self._services.drain.draining:
            self.should_exit = self.force_exit = sig == signal.SIGINT
        else:
            self._services.drain.begin()
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._leaving = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        section = self._services.settings.server
        notify("STOPPING=1")
        logger.info("draining: not ready for %s s", section.drain_seconds)
        await self._services.drain.finish(section.drain_seconds, section.shutdown_seconds)
        self.should_exit = True


def run(settings: Settings) -> None:
    """Serve until told to stop."""
    faulthandler.enable()  # the watchdog's SIGABRT then shows where it hung
    section = settings.server
    services = build(settings)
    options: dict[str, Any] = {"proxy_headers": True}
    app: Any = create_app(settings, services)
    if section.tls:
        options |= {
            "ssl_certfile": settings.certificate_path,
            "ssl_keyfile": settings.credentials.tls_key,
            "ssl_ciphers": ":".join(section.tls_ciphers),
        }
    if section.tls_ca:
        app = client_certificates.ForwardedByEdges(app)
        options |= {
            "ssl_ca_certs": section.tls_ca,
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
            "http": client_certificates.protocol(section.edges, section.clients),
            "proxy_headers": False,
        }
    config = uvicorn.Config(
        app,
        host=section.host,
        port=section.port,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=list(section.trusted_proxies),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(section.shutdown_seconds)),
        **options,
    )
    Server(config, services).run()
