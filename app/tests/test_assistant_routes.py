"""Every route that Gradio brings: reachable only if the assistant needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Site

from research_app.assistant import PATH
from research_app.auth.assistant_gate import is_needed

# what the page asks for; see research_app.auth.assistant_gate
REACHABLE = {
    "GET /",
    "GET /config",
    "GET /theme.css",
    "GET /favicon.ico",
    "GET /manifest.json",
    "GET /robots.txt",
    "GET /assets/{path:path}",
    "GET /static/{path:path}",
    "GET /svelte/{path:path}",
    "GET /gradio_api/info",
    "GET /gradio_api/app_id",
    "GET /gradio_api/theme.css",
    "GET /gradio_api/startup-events",
    "GET /gradio_api/queue/data",
    "GET /gradio_api/heartbeat/{session_hash}",
    "POST /gradio_api/queue/join",
}
# some that would do harm: the table above must never grow by them unnoticed
DANGEROUS = (
    "/gradio_api/cancel",
    "/gradio_api/upload",
    "/gradio_api/component_server",
    "/gradio_api/file={path_or_url:path}",
    "/gradio_api/proxy={url_path:path}",
    "/gradio_api/stream/{event_id}",
    "/gradio_api/vibe-edit/",
    "/gradio_api/process_recording",
    "/monitoring",
    "/login",
)


def _walk(routes: Any, before: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        included = getattr(route, "original_router", None)
        inner = included or getattr(route, "app", None)
        if getattr(route, "methods", None):
            for method in route.methods:
                yield method, before + route.path
        elif hasattr(inner, "routes"):
            prefix = "" if included else getattr(route, "path", "")
            yield from _walk(inner.routes, before + prefix)


def gradio_routes(site: Site) -> list[tuple[str, str]]:
    mounted = next(r for r in site.app.routes if getattr(r, "path", "") == PATH)
    return sorted(set(_walk(mounted.app.routes)))  # type: ignore[attr-defined]


def filled(path: str) -> str:
    """The path with its parameters filled in."""
    return re.sub(r"\{(\w+)(:path)?\}", "abc123", path)


def _name(method: str, path: str) -> str:
    path = path if path.startswith("/") else f"/{path}"
    return f"{'GET' if method == 'HEAD' else method} {path}"


def test_each_route_is_open_or_closed_on_purpose(site: Site) -> None:
    found = gradio_routes(site)
    assert len(found) > 60  # Gradio's, not ours alone
    paths = {path for _, path in found}
    assert set(DANGEROUS) <= paths | {"/gradio_api/component_server"}
    closed = 0
    for method, path in found:
        name = _name(method, path)
        reachable = is_needed("GET" if method == "HEAD" else method, filled(path))
        assert reachable is (name in REACHABLE), name
        if not reachable:
            answer = site.client.request(method, PATH + filled(path))
            assert answer.status_code == 404, name
            assert "gradio" not in answer.text.lower()
            closed += 1
    assert closed > 40
    missing = REACHABLE - {_name(method, path) for method, path in found}
    assert not missing, "the table names routes that Gradio no longer has"


def test_where_reading_needs_an_account_all_of_it_does() -> None:
    site = Site(auth={"public_read": False})
    for method, path in gradio_routes(site):
        answer = site.client.request(method, PATH + filled(path), follow_redirects=False)
        assert answer.status_code in (401, 303), (method, path)


@pytest.mark.parametrize(
    "path",
    [
        "/assistant/gradio_api/file=/etc/passwd",
        "/assistant/gradio_api/../gradio_api/cancel",
        "/assistant//gradio_api/cancel",
        "/assistant/gradio_api/cancel/",
        "/assistant/gradio_api/heartbeat/" + "a" * 100,
        "/assistant/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assistant/gradio_api/queue/join/",
        "/assistantx/gradio_api/cancel",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_no_way_around(site: Site, method: str, path: str) -> None:
    assert site.client.request(method, path).status_code == 404


def test_the_assistant_still_answers(site: Site) -> None:
    page = site.get("/assistant/")
    assert page.status_code == 200
    for asset in re.findall(r'"\./(assets/[\w.-]+)"', page.text)[:4]:
        assert site.get(f"/assistant/{asset}").status_code == 200, asset
    question = {"data": ["zebra stripes", "Everything"], "fn_index": 0, "session_hash": "abc123"}
    joined = site.client.post("/assistant/gradio_api/queue/join", json=question)
    assert joined.status_code == 200, joined.text
