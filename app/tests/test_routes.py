"""Every route of the application: who may use it. One that nobody thought about fails here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Site
from test_assistant_routes import filled

from research_app.assistant import PATH

# What somebody who is not signed in may do, where reading is for everybody ...
CHANGING_FOR_ALL = {("POST", "/login"), ("POST", "/logout"), ("POST", "/api/token")}
# ... and where it is not.
OPEN = {
    *CHANGING_FOR_ALL,
    ("GET", "/login"),
    ("GET", "/live"),
    ("GET", "/ready"),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/favicon.ico"),
    ("GET", "/robots.txt"),
}
# Pages and addresses that need a role even where reading is for everybody.
CURATION = ("/upload", "/jobs", "/admin", "/api/jobs", "/api/upload", "/api/me")


def routes(found: Any) -> Iterator[tuple[str, str]]:
    """Methods and paths, but for the assistant, which has a test of its own."""
    for route in found:
        included = getattr(route, "original_router", None)
        if getattr(route, "path", "") == PATH:
            continue
        if getattr(route, "methods", None):
            yield from ((method, route.path) for method in route.methods if method != "HEAD")
        elif included is not None:
            yield from routes(included.routes)


def all_routes(site: Site) -> list[tuple[str, str]]:
    found = sorted(set(routes(site.app.routes)))
    assert len(found) > 20
    return found


def test_what_changes_something_needs_a_role(site: Site) -> None:
    for method, path in all_routes(site):
        if method == "GET" or (method, path) in CHANGING_FOR_ALL:
            continue
        found = site.client.request(method, filled(path), follow_redirects=False)
        assert found.status_code in (401, 303), (method, path, found.status_code)
        reader = site.client.request(method, filled(path), headers=site.headers("reader"))
        assert reader.status_code == 403, (method, path)


def test_curation_is_not_for_readers(site: Site) -> None:
    for method, path in all_routes(site):
        if method != "GET" or not path.startswith(CURATION):
            continue
        found = site.get(filled(path), follow_redirects=False)
        assert found.status_code in (401, 303), path
        if path != "/api/me":
            assert site.get(filled(path), headers=site.headers("reader")).status_code == 403, path


@pytest.fixture(scope="module")
def closed() -> Site:
    return Site(auth={"public_read": False})


def test_where_reading_needs_an_account_nothing_else_is_open(closed: Site) -> None:
    for method, path in all_routes(closed):
        found = closed.client.request(method, filled(path), follow_redirects=False)
        wanted = (method, path) not in OPEN
        assert (found.status_code == 401) is wanted or path == "/login", (method, path)
        if wanted:
            page = closed.client.request(
                method, filled(path), headers={"Accept": "text/html"}, follow_redirects=False
            )
            assert page.status_code in (401, 303), (method, path)


def test_what_a_reader_gets_is_for_no_shared_cache(closed: Site) -> None:
    headers = closed.headers("reader")
    for method, path in all_routes(closed):
        if method != "GET" or (method, path) in OPEN:
            continue
        found = closed.get(filled(path), headers=headers, params={"q": "zebra"})
        control = found.headers.get("cache-control", "")
        assert "private" in control or "no-store" in control, (path, control)
