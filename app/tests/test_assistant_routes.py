"""Every route that Gradio brings: reachable only if the assistant needs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio
import pytest
from conftest import Site

from research_app.assistant import PATH, SESSIONS
from research_app.auth.assistant_gate import CHOICES, is_needed
from research_app.logs import request_id
from research_app.search.query import MAX_QUERY, SearchQuery

# what the page asks for; see research_app.auth.assistant_gate
REACHABLE = {
    "GET /",
    "GET /theme.css",
    "GET /assets/{path:path}",
    "GET /static/{path:path}",
    "GET /gradio_api/app_id",
    "GET /gradio_api/queue/data",
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
        "/assistant/gradio_api/heartbeat/abc123",
        "/assistant/config",
        "/assistant/assets/" + "a" * 200,
        "/assistant/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assistant/gradio_api/queue/join/",
        "/assistantx/gradio_api/cancel",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_no_way_around(site: Site, method: str, path: str) -> None:
    assert site.client.request(method, path).status_code == 404


def page_config(site: Site) -> Any:
    """What Gradio tells its page about itself."""
    told = re.search(r"window\.gradio_config = (\{.*?\});</script>", site.get("/assistant/").text)
    assert told is not None
    return json.loads(told[1])


def join(site: Site, **changed: Any) -> Any:
    """Send a question as the page does, or with something else in it."""
    question = {
        "data": ["zebra stripes", "Everything"],
        "fn_index": 1,
        "trigger_id": 3,
        "session_hash": "2a1o87m23sq",
    }
    return site.client.post("/assistant/gradio_api/queue/join?", json=question | changed)


def test_the_assistant_still_answers(site: Site) -> None:
    page = site.get("/assistant/")
    assert page.status_code == 200
    for asset in re.findall(r'"\./(assets/[\w.-]+)"', page.text)[:4]:
        assert site.get(f"/assistant/{asset}").status_code == 200, asset
    theme = page_config(site)["theme_hash"]
    assert site.get(f"/assistant/theme.css?v={theme}").status_code == 200
    assert join(site).status_code == 200


def test_what_it_asks_has_the_id_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is done beside the request, in a task of Gradio's."""
    site = Site()
    seen: list[str | None] = []
    results = site.search.results

    async def asked(query: SearchQuery) -> dict[str, Any]:
        seen.append(request_id.get())
        return await results(query)

    monkeypatch.setattr(site.search, "results", asked)
    question = {"data": ["zebra stripes", "Everything"], "fn_index": 1, "trigger_id": 3}
    with site.client as client:
        for number in (1, 2):
            client.post(
                "/assistant/gradio_api/queue/join?",
                json=question | {"session_hash": f"session{number}"},
                headers={"X-Request-ID": f"edge-1234567{number}"},
            )
            client.get(f"/assistant/gradio_api/queue/data?session_hash=session{number}")
    assert seen == ["edge-12345671", "edge-12345672"]


def test_the_gate_knows_the_page_as_it_is(site: Site) -> None:
    config = page_config(site)
    asks = [known for known in config["dependencies"] if known["backend_fn"]]
    assert [known["id"] for known in asks] == [0, 1]
    parts = {part["id"]: part for part in config["components"]}
    assert [parts[number]["type"] for number in asks[0]["inputs"]] == ["textbox", "dropdown"]
    choices = parts[asks[0]["inputs"][1]]["props"]["choices"]
    assert tuple(value for _, value in choices) == CHOICES
    for choice in CHOICES:
        assert join(site, data=["zebra stripes", choice]).status_code == 200
    assert parts[asks[0]["inputs"][0]]["props"]["max_length"] == MAX_QUERY
    longest = join(site, data=["\U0001f993" * MAX_QUERY, "Everything"])
    assert longest.status_code == 200, "the longest question, in its longest spelling"


def test_every_file_of_the_page_passes_the_gate() -> None:
    frontend = Path(gradio.__file__).parent / "templates" / "frontend"
    files = [
        f"/{file.relative_to(frontend)}"
        for folder in ("assets", "static")
        for file in (frontend / folder).rglob("*")
        if file.is_file()
    ]
    assert len(files) > 100
    assert [file for file in files if not is_needed("GET", file)] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"fn_index": 999},
        {"fn_index": True},
        {"fn_index": "0"},
        {"session_hash": "x" * 17},
        {"session_hash": "../x"},
        {"session_hash": "x1\n"},
        {"data": ["zebra stripes"]},
        {"data": ["zebra stripes", "Books"]},
        {"data": ["z" * (MAX_QUERY + 1), "Everything"]},
        {"data": [{"path": "/dev/zero", "meta": {"_type": "gradio.FileData"}}, "Everything"]},
        {"event_data": {"path": "/etc/passwd"}},
        {"batched": True},
    ],
)
def test_what_is_no_question_is_refused(site: Site, changed: dict[str, Any]) -> None:
    refused = join(site, **changed)
    assert refused.status_code == 422
    assert "The assistant does not understand this request." in refused.text


def test_no_other_site_may_read_the_assistant(site: Site) -> None:
    join(site)
    for path in ("/", "/theme.css", "/gradio_api/app_id", "/gradio_api/queue/data?session_hash=x"):
        answer = site.get(f"/assistant{path}", headers={"Origin": "https://evil.example"})
        assert answer.status_code == 200
        shared = [name for name in answer.headers if name.startswith("access-control-")]
        assert shared == [], path


def test_gradio_sees_no_header_that_its_page_can_do_without(site: Site) -> None:
    lies = {"X-Forwarded-Host": "evil.example", "X-Gradio-Server": "http://evil.example"}
    assert "evil.example" not in site.get("/assistant/", headers=lies).text
    assert site.get("/assistant/", headers={"Host": "a b"}).status_code == 422


def test_a_session_of_another_node_is_told_so_and_logged_by_nobody(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    answer = site.get("/assistant/gradio_api/queue/data?session_hash=elsewhere")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert json.loads(answer.text.removeprefix("data: "))["session_not_found"] is True
    assert not [record for record in caplog.records if record.exc_info]


def test_readers_who_leave_are_forgotten() -> None:
    site = Site(limits={"answer": ""})
    mounted = next(r for r in site.app.routes if getattr(r, "path", "") == PATH)
    gradio_app: Any = mounted.app  # type: ignore[attr-defined]
    queue = gradio_app.get_blocks()._queue
    queue.max_size = None
    for number in range(SESSIONS + 5):
        assert join(site, session_hash=f"s{number}").status_code == 200
    assert len(queue.pending_messages_per_session) == SESSIONS
    assert len(gradio_app.state_holder.session_data) <= SESSIONS
