"""Celery over the cache tier: the same servers, user and authority as the cache."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import quote

from celery import Celery

from research_app.cache import tls_options
from research_app.jobs.store import QUEUE
from research_app.settings import Settings

RUN = "research_app.run_job"
# A lost message is sent again by the keeper, long before this; and a job may run for hours.
VISIBILITY_SECONDS = 86400
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0


def urls(settings: Settings) -> str:
    """Where the broker is, as Celery wants it."""
    section, secrets = settings.cache, settings.credentials
    login = ""
    if section.user and secrets.cache_password:
        password = quote(secrets.cache_password.get_secret_value(), safe="")
        login = f"{quote(section.user, safe='')}:{password}@"
    if section.url:
        scheme, _, rest = section.url.partition("://")
        return f"{scheme}://{login}{rest}"
    return ";".join(f"sentinel://{login}{address}" for address in section.sentinels)


def options(settings: Settings) -> dict[str, Any]:
    """How the transport reaches the primary, and how soon it notices that it is gone."""
    section, secrets = settings.cache, settings.credentials
    timing = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": CONNECT_SECONDS}
    found: dict[str, Any] = {
        **timing,
        "global_keyprefix": section.prefix + "jobs:",
        "visibility_timeout": VISIBILITY_SECONDS,
        "health_check_interval": 5,
        "socket_keepalive": True,
        "retry_on_timeout": False,
    }
    if section.sentinels:
        login: dict[str, Any] = {}
        if secrets.cache_sentinel_password:
            login["password"] = secrets.cache_sentinel_password.get_secret_value()
            if section.sentinel_user:
                login["username"] = section.sentinel_user
        found["master_name"] = section.service_name
        found["sentinel_kwargs"] = {**timing, **tls_options(section), **login}
    return found


def make_celery(settings: Settings) -> Celery:
    """A Celery of these settings; nothing is contacted yet."""
    section = settings.cache
    celery = Celery("research_app", set_as_current=False)
    celery.conf.update(
        broker_url=urls(settings),
        broker_transport_options=options(settings),
        broker_connection_timeout=CONNECT_SECONDS,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_pool_limit=4,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_concurrency=settings.jobs.concurrency,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_max": 0.5},
    )
    if (section.sentinels and section.tls) or section.url.startswith("rediss://"):
        tls = tls_options(section)
        tls.pop("ssl", None)
        celery.conf.broker_use_ssl = {**tls, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return celery


def send(celery: Celery, identity: str) -> None:
    """Tell the workers that a job waits."""
    celery.send_task(RUN, args=(identity,), ignore_result=True)
