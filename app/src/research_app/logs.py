"""Logs: one JSON object a line, each with the id of its request."""

from __future__ import annotations

import hmac
import logging
import secrets
import sys
from contextvars import ContextVar

from pythonjsonlogger.json import JsonFormatter

from research_app.settings import Credentials, Logging

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class _RequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if (identity := request_id.get()) is not None:
            record.request_id = identity
        return True


def hash_key(credentials: Credentials) -> bytes:
    """The key for hashes of queries: the same on all nodes that share their signing key."""
    if credentials.signing_key is None:
        return secrets.token_bytes(32)
    key = credentials.signing_key.get_secret_value()
    return hmac.digest(key.encode(), b"hashes of queries in logs", "sha256")


def configure(section: Logging) -> None:
    """Set up the root logger of this process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_RequestId())
    if section.as_json:
        handler.setFormatter(
            JsonFormatter(
                "{asctime}{levelname}{name}{message}",
                style="{",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
                datefmt="%Y-%m-%dT%H:%M:%S%z",
            )
        )
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=section.level, handlers=[handler], force=True)
    # these log bodies and addresses of requests, in which a reader's words are
    for name in ("opensearch", "opensearchpy", "httpx", "httpcore", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # and this what proves a sign-in
    logging.getLogger("authlib").setLevel(logging.CRITICAL)
    # these say of every task what the jobs say themselves
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
