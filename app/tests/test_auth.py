"""Who may do what: tokens, the dependency, and what the middleware lets through."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any

import jwt
import pytest
from conftest import Site, make_settings
from fastapi import Depends, Request
from hypothesis import given
from hypothesis import strategies as st

from research_app.auth import Role, User, current_user, require
from research_app.auth.accounts import Account
from research_app.auth.local import HOME, local_path, login_address
from research_app.auth.service import LOOK_SECONDS, REST_SECONDS, STALE_SECONDS
from research_app.auth.tokens import (
    ALGORITHM,
    ROLLOUT_SECONDS,
    InvalidTokenError,
    Tokens,
    derived,
)
from research_app.index.client import IndexUnavailableError
from research_app.services import build

KEY, OTHER = "k" * 64, "o" * 64


def tokens(current: str = KEY, previous: str | None = None, seconds: int = 3600) -> Tokens:
    return Tokens(current, previous, seconds)


def forged(key: bytes | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token with some claims changed; None takes one away."""
    good = jwt.decode(tokens().issue("ana", "s").text, options={"verify_signature": False})
    kid = jwt.get_unverified_header(tokens().issue("ana", "s").text)["kid"]
    changed = {k: v for k, v in (good | claims).items() if v is not None}
    signing = derived(KEY, "token signature") if key is None else key
    return jwt.encode(changed, signing, ALGORITHM, {"kid": kid} | (header or {}))


def unsigned() -> str:
    head, body, _ = forged().split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": "none"}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{head}.{body}."


def tampered() -> str:
    head, body, signature = forged().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = "admin"
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


BAD = {
    "empty": "",
    "not a token": "a.b.c",
    "expired": forged(exp=1_000_000_000),
    "from the future": forged(iat=9_000_000_000, exp=9_000_000_100),
    "another key": forged(key=derived(OTHER, "token signature")),
    "another key, named": tokens(OTHER).issue("ana", "s").text,
    "no key named": jwt.encode({"sub": "ana"}, KEY, ALGORITHM),
    "an empty name of the key": forged(header={"kid": ""}),
    "alg none": unsigned(),
    "another algorithm": jwt.encode({"sub": "ana"}, KEY, "HS512", {"kid": "x"}),
    "wrong audience": forged(aud="another"),
    "wrong issuer": forged(iss="another"),
    "tampered": tampered(),
    **{f"no {name}": forged(**{name: None}) for name in ("exp", "iat", "iss", "aud", "jti", "sub")},
    "no stamp": forged(stamp=None),
    "no sign-in time": forged(auth_time=None),
}


def test_a_token_says_who_it_is() -> None:
    claims = tokens().read(tokens().issue("ana", "stamp").text)
    assert (claims.name, claims.stamp, claims.current) == ("ana", "stamp", True)
    assert claims.expires - claims.issued == 3600
    assert tokens().read(forged()).name == "ana"  # what the table below changes


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_a_bad_token_proves_nothing(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        tokens().read(text)


def test_a_new_key_signs_when_every_host_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    old, rotated, new = tokens(OTHER), tokens(KEY, OTHER), tokens(KEY)
    of_old, of_new = old.issue("ana", "s").text, new.issue("ana", "s").text
    early = rotated.issue("ana", "s").text
    assert old.read(early).name == "ana"
    assert all(rotated.read(text).current for text in (of_old, of_new, early))
    later = SimpleNamespace(time=time.time, monotonic=lambda: time.monotonic() + ROLLOUT_SECONDS)
    monkeypatch.setattr("research_app.auth.tokens.time", later)
    late = rotated.issue("ana", "s").text
    assert new.read(late).name == "ana"
    with pytest.raises(InvalidTokenError):
        old.read(late)
    assert [rotated.read(text).current for text in (of_old, of_new, late)] == [False, True, True]


@given(st.text())
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        tokens().read(text)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_is_overlooked(place: int, change: int) -> None:
    text = bytearray(tokens().issue("ana", "s").text.encode())
    place %= len(text)
    before, text[place] = text[place], text[place] ^ change
    try:
        claims = tokens().read(text.decode("latin-1"))
    except InvalidTokenError:
        return
    # the last letter of base64 has bits that say nothing
    assert claims.name == "ana"
    assert place in (len(text) - 1, *(n - 1 for n, b in enumerate(text) if b == 0x2E)), before


LOCAL = ["/", "/?q=a%20b&page=2", "/items/x", "/assistant/", "/admin/jobs#top"]
FOREIGN = [
    None,
    "",
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "javascript:alert(1)",
    "items/x",
    "/login?next=/login",
    "/logout",
    "/a" * 2000,
]


@pytest.mark.parametrize("address", LOCAL)
def test_a_path_of_ours_is_kept(address: str) -> None:
    assert local_path(address) == address


@pytest.mark.parametrize("address", FOREIGN)
def test_no_address_leads_away(address: str | None) -> None:
    assert local_path(address) == HOME
    assert login_address(address) == "/login"


@given(st.text(alphabet=st.sampled_from("/\\\t\n\r .:@?#%ea"), max_size=12))
def test_whatever_is_asked_the_way_leads_back_here(address: str) -> None:
    path = local_path(address)
    assert path.startswith("/")
    assert path[1:2] not in ("/", "\\")
    assert not set(path) & set("\\\t\r\n")


@pytest.mark.parametrize(
    ("has", "needs", "may"),
    [
        ("reader", "reader", True),
        ("reader", "curator", False),
        ("curator", "reader", True),
        ("curator", "admin", False),
        ("admin", "curator", True),
    ],
)
def test_a_role_covers_those_before_it(has: str, needs: str, may: bool) -> None:
    assert Role(has).covers(Role(needs)) is may


def show_user(request: Request) -> dict[str, str]:
    user = current_user(request)
    return {"name": user.name if user else ""}


def curators_only(user: Annotated[User, Depends(require("curator"))]) -> dict[str, str]:
    return {"name": user.name}


def with_routes(site: Site) -> Site:
    site.app.add_api_route("/api/test/user", show_user, include_in_schema=False)
    for path in ("/api/test/curators", "/test/curators"):
        site.app.add_api_route(
            path, curators_only, methods=["GET", "POST"], include_in_schema=False
        )
    return site


@pytest.fixture(scope="module")
def _open_site() -> Site:
    return with_routes(Site())


@pytest.fixture(scope="module")
def _closed_site() -> Site:
    return with_routes(Site(auth={"public_read": False}))


@pytest.fixture
def open_site(_open_site: Site) -> Site:
    _open_site.reset()
    return _open_site


@pytest.fixture
def closed_site(_closed_site: Site) -> Site:
    _closed_site.reset()
    return _closed_site


def test_a_program_signs_in_with_a_bearer_token(open_site: Site) -> None:
    assert open_site.get("/api/test/user").json() == {"name": ""}
    found = open_site.get("/api/test/user", headers=open_site.headers("reader", "ana"))
    assert found.json() == {"name": "ana"}
    assert found.headers["cache-control"].startswith("private")


def test_a_browser_signs_in_with_its_cookie(open_site: Site) -> None:
    open_site.sign_in("reader", "ana")
    assert open_site.get("/api/test/user").json() == {"name": "ana"}


def test_a_bad_token_is_nobody(open_site: Site) -> None:
    for text in BAD.values():
        if text.isascii():
            found = open_site.get("/api/test/user", headers={"Authorization": f"Bearer {text}"})
            assert found.json() == {"name": ""}, text


def test_a_route_that_needs_a_role(open_site: Site) -> None:
    nobody = open_site.get("/api/test/curators")
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    assert nobody.json() == {"detail": "Please sign in."}
    reader = open_site.get("/api/test/curators", headers=open_site.headers("reader"))
    assert (reader.status_code, reader.json()) == (403, {"detail": "Your account may not do this."})
    assert open_site.get("/api/test/curators", headers=open_site.headers("curator")).is_success


def test_a_page_that_needs_a_role_leads_to_the_sign_in(open_site: Site) -> None:
    found = open_site.get("/test/curators", follow_redirects=False)
    assert (found.status_code, found.headers["location"]) == (303, "/login?next=%2Ftest%2Fcurators")
    found = open_site.get("/test/curators", headers=open_site.headers("reader"))
    assert found.status_code == 403
    assert "text/html" in found.headers["content-type"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://[broken"},
    ],
)
def test_no_other_site_posts_in_somebodys_name(open_site: Site, headers: dict[str, str]) -> None:
    open_site.sign_in("curator")
    found = open_site.client.post("/api/test/curators", headers=headers)
    assert found.status_code == 403
    assert "another site" in found.json()["detail"]
    assert open_site.get("/api/test/curators", headers=headers).is_success  # a link is no form


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}]
)
def test_our_own_pages_post(open_site: Site, headers: dict[str, str]) -> None:
    open_site.sign_in("curator")
    assert open_site.client.post("/api/test/curators", headers=headers).is_success


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass for those who remember accounts and failures."""
    passed = 0.0

    def pass_by(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    clock = SimpleNamespace(time=time.time, monotonic=lambda: time.monotonic() + passed)
    monkeypatch.setattr("research_app.auth.service.time", clock)
    return pass_by


def test_a_changed_account_ends_its_tokens(open_site: Site, later: Callable[[float], None]) -> None:
    headers = open_site.headers("curator", "ana")
    account = open_site.accounts.stored["ana"]
    for changed in (
        account.with_changes(new_stamp=True),
        account.with_changes(new_stamp=False, disabled=True),
    ):
        open_site.accounts.stored["ana"] = account
        later(LOOK_SECONDS)
        assert open_site.get("/api/test/curators", headers=headers).is_success
        open_site.accounts.stored["ana"] = changed
        later(LOOK_SECONDS)
        assert open_site.get("/api/test/curators", headers=headers).status_code == 401


def test_a_role_taken_away_is_taken_away_from_its_tokens(
    open_site: Site, later: Callable[[float], None]
) -> None:
    headers = open_site.headers("curator", "ana")
    account = open_site.accounts.stored["ana"]
    open_site.accounts.stored["ana"] = account.with_changes(new_stamp=False, role=Role.READER)
    later(LOOK_SECONDS)
    assert open_site.get("/api/test/curators", headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/", "/items/x", "/assistant/"])
def test_without_public_reading_a_page_leads_to_the_sign_in(closed_site: Site, path: str) -> None:
    asked = {"follow_redirects": False, "headers": {"Accept": "text/html,*/*"}}
    found = closed_site.get(f"{path}?q=zebra+stripes", **asked)
    assert found.status_code == 303
    back = path.replace("/", "%2F")
    assert found.headers["location"] == f"/login?next={back}%3Fq%3Dzebra%2Bstripes"
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/api/search?q=zebra", "/api/openapi.json", "/api/items/x"])
def test_without_public_reading_a_program_signs_in(closed_site: Site, path: str) -> None:
    assert closed_site.get(path).status_code == 401
    found = closed_site.get(path, headers=closed_site.headers("reader"))
    assert found.status_code != 401
    assert found.headers["cache-control"].startswith("private")


@pytest.mark.parametrize("path", ["/live", "/ready", "/health", "/static/site.css"])
def test_what_monitoring_and_the_sign_in_need_is_open(closed_site: Site, path: str) -> None:
    assert closed_site.get(path).is_success


def test_readers_go_on_for_a_moment_without_opensearch(
    closed_site: Site, later: Callable[[float], None]
) -> None:
    headers = closed_site.headers("reader", "ana")
    closed_site.accounts.failure = IndexUnavailableError("down")
    later(STALE_SECONDS - 10)
    assert closed_site.get("/api/test/user", headers=headers).json() == {"name": "ana"}
    later(10)
    found = closed_site.get("/api/test/user", headers=headers)
    assert (found.status_code, found.headers["retry-after"]) == (503, "5")


def test_a_silent_opensearch_is_asked_once_in_a_while(
    closed_site: Site, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = closed_site.headers("reader", "ana")
    later(STALE_SECONDS)
    asked: list[str] = []

    async def silent(name: str) -> None:
        asked.append(name)
        raise IndexUnavailableError("no answer in time")

    monkeypatch.setattr(closed_site.accounts, "get", silent)
    for _ in range(3):
        assert closed_site.get("/api/test/user", headers=headers).status_code == 503
    assert asked == ["ana"]
    later(REST_SECONDS)
    closed_site.get("/api/test/user", headers=headers)
    assert asked == ["ana", "ana"]


async def silent_node(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def empty_node(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (await reader.readuntil(b"\r\n\r\n")).strip():
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n")
        writer.write(b"Content-Type: application/json\r\n\r\n{}")


def look_up(*nodes: Any) -> Account | None:
    """What a look-up of an account says where the nodes behave so, if it ends soon."""

    async def run() -> Account | None:
        servers = [await asyncio.start_server(node, "127.0.0.1", 0) for node in nodes]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        section = {"urls": [f"http://127.0.0.1:{port}" for port in ports]}
        parts = build(make_settings(opensearch=section))
        try:
            async with parts.connected():
                for _ in nodes:  # each is the first to be asked once
                    found = await asyncio.wait_for(parts.auth.accounts.get("ana"), 4)
                return found
        finally:
            for server in servers:
                server.close()

    return asyncio.run(run())


def test_a_silent_node_is_not_waited_for() -> None:
    assert look_up(silent_node, empty_node) is None


def test_where_all_nodes_are_silent_the_look_up_ends() -> None:
    with pytest.raises(IndexUnavailableError):
        look_up(silent_node, silent_node)
