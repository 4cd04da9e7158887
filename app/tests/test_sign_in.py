"""Sign in and out: passwords, pages, the command line; the last part with a real OpenSearch."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import statistics
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from argon2 import PasswordHasher
from conftest import FakeAccounts, Site, make_settings
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from research_app.auth import Role
from research_app.auth.accounts import Account, AccountError, Accounts
from research_app.auth.passwords import WAITING, BusyError, PasswordError, Passwords, checked
from research_app.auth.service import Auth
from research_app.auth.sign_outs import SignOuts
from research_app.auth.tokens import Claims
from research_app.cli import app
from research_app.factory import create_app
from research_app.services import build
from research_app.settings import Credentials, load, parse

PASSWORD = "correct horse battery"
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("short", "at least 12"),
        ("x" * 257, "at most 256"),
        ("abababababababab", "different characters"),
        ("", "at least 12"),
    ],
)
def test_a_weak_password_is_refused(password: str, problem: str) -> None:
    with pytest.raises(PasswordError, match=problem):
        checked(password)


async def _verify() -> None:
    passwords = Passwords(FAST)
    stored = await passwords.hash("Fußgängerübergang")
    assert stored.startswith("$argon2id$")
    assert await passwords.verify(stored, "Fußgängerübergang")
    assert await passwords.verify(stored, "Fußga\u0308ngeru\u0308bergang")  # another keyboard
    for wrong in ("", "fußgängerübergang", "x" * 100_000, "\x00"):
        assert not await passwords.verify(stored, wrong)
    assert not await passwords.verify(None, "anything")
    assert not await passwords.verify("not a hash", "anything")


def test_passwords_are_verified() -> None:
    asyncio.run(_verify())


def test_an_unknown_name_takes_as_long_as_a_known_one() -> None:
    async def seconds(passwords: Passwords, stored: str | None) -> float:
        taken = []
        for _ in range(5):
            start = time.perf_counter()
            await passwords.verify(stored, "wrong")
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)

    async def run() -> tuple[float, float]:
        passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1))
        stored = await passwords.hash(PASSWORD)
        await passwords.verify(None, "wrong")
        return await seconds(passwords, stored), await seconds(passwords, None)

    known, unknown = asyncio.run(run())
    assert 0.4 < unknown / known < 2.5, (known, unknown)


def test_a_crowd_at_the_sign_in_is_told_to_wait() -> None:
    async def run() -> list[Any]:
        passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1))
        work = (passwords.verify(None, "x") for _ in range(WAITING + 5))
        return await asyncio.gather(*work, return_exceptions=True)

    outcomes = asyncio.run(run())
    assert sum(isinstance(outcome, BusyError) for outcome in outcomes) == 5
    assert sum(outcome is False for outcome in outcomes) == WAITING


@pytest.fixture(scope="module")
def _site() -> Site:
    return Site(limits={"login": ""})  # the tests sign in more often than one address may


@pytest.fixture
def home(_site: Site) -> Site:
    _site.reset()
    _site.auth.passwords = Passwords(FAST)
    account = Account("ana", Role.CURATOR, shown="Ana M.", password=FAST.hash(PASSWORD))
    asyncio.run(_site.accounts.add(account))
    return _site


def login(site: Site, **fields: str) -> Any:
    given = {"name": "ana", "password": PASSWORD, "next": "/?q=zebra"} | fields
    return site.client.post("/login", data=given, follow_redirects=False)


def test_somebody_signs_in_and_out(home: Site) -> None:
    assert "/login" in home.get("/").text
    found = login(home)
    assert (found.status_code, found.headers["location"]) == (303, "/?q=zebra")
    cookie = found.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/", "max-age=43200"))
    page = home.get("/")
    assert "Ana M." in page.text
    assert page.headers["cache-control"].startswith("private")
    assert home.get("/api/me").json() == {"name": "ana", "shown": "Ana M.", "role": "curator"}
    assert home.get("/login", follow_redirects=False).headers["location"] == "/"
    out = home.client.post("/logout", follow_redirects=False)
    assert (out.status_code, out.headers["location"]) == (303, "/")
    assert home.get("/api/me").status_code == 401


def test_a_sign_out_ends_every_token_of_the_sign_in(
    home: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours_ago = SimpleNamespace(time=lambda: time.time() - 7 * 3600, monotonic=time.monotonic)
    with monkeypatch.context() as patch:
        patch.setattr("research_app.auth.tokens.time", hours_ago)
        login(home)
    kept = {home.client.cookies[home.auth.cookie.name]}
    home.get("/")
    kept.add(home.client.cookies[home.auth.cookie.name])
    assert len(kept) == 2  # it was renewed
    login_elsewhere = login(home).cookies[home.auth.cookie.name]
    home.client.cookies.clear()

    def me(token: str) -> int:
        status: int = home.get("/api/me", headers=bearer(token)).status_code
        return status

    assert [me(token) for token in kept] == [200, 200]
    home.client.post("/logout", headers=bearer(kept.copy().pop()))
    assert [me(token) for token in kept] == [401, 401]
    assert me(login_elsewhere) == 200


DECOMPOSED = "cafe\u0301 horse battery"
TYPED = ("café horse battery", DECOMPOSED)


@pytest.mark.parametrize("typed", TYPED)
def test_the_first_administrator_signs_in_from_any_keyboard(home: Site, typed: str) -> None:
    """The password comes from a file, in whichever form its editor wrote it."""
    asyncio.run(home.auth.bootstrap(DECOMPOSED))
    assert login(home, name="admin", password=typed).status_code == 303


def test_a_hash_of_other_parameters_is_renewed_and_stays_good(home: Site) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
    account = Account("eve", Role.READER, password=asyncio.run(Passwords(old).hash(TYPED[0])))
    asyncio.run(home.accounts.add(account))
    signed_in = [login(home, name="eve", password=typed).status_code for typed in TYPED[::-1] * 2]
    assert signed_in == [303] * 4
    renewed = home.accounts.stored["eve"]
    assert not home.auth.passwords.outdated(renewed.password or "")
    assert renewed.stamp == account.stamp  # nobody is signed out by it


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.integration
def test_a_sign_out_is_known_to_all_nodes(redis_url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex[:12]}:"
    shared = make_settings(cache={"enabled": True, "url": redis_url, "prefix": prefix})

    async def run() -> None:
        one, two = SignOuts(shared), SignOuts(shared)
        assert not await two.has("a")
        await one.note("a", 60)
        two._going_on.clear()  # or three seconds
        assert [await node.has("a") for node in (one, two)] == [True, True]
        assert not await two.has("b")
        assert two._redis is not None
        (key,) = [key async for key in two._redis.scan_iter(f"{prefix}*")]
        assert 0 < await two._redis.ttl(key) <= 60
        for node in (one, two):
            await node.close()

    asyncio.run(run())


def test_without_a_cache_a_sign_out_counts_where_it_was_made() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    down = {"enabled": True, "url": f"redis://127.0.0.1:{port}", "timeout_seconds": 0.2}

    async def run() -> tuple[bool, bool]:
        node = SignOuts(make_settings(cache=down))
        await node.note("a", 60)
        found = await node.has("a"), await node.has("b")
        await node.close()
        return found

    assert asyncio.run(run()) == (True, False)


@pytest.mark.integration
def test_a_sign_out_while_the_cache_is_away_is_made_good(redis_url: str) -> None:
    real = urlsplit(redis_url)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    prefix = f"test-{uuid.uuid4().hex[:12]}:"
    shared = {"enabled": True, "prefix": prefix, "timeout_seconds": 1.0}
    away = make_settings(cache={**shared, "url": f"redis://127.0.0.1:{port}"})
    there = make_settings(cache={**shared, "url": redis_url})

    async def to_the_cache(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, commands = await asyncio.open_connection(real.hostname, real.port)

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pass_on(reader, commands), pass_on(answers, writer))

    async def run() -> tuple[bool, bool]:
        node, other = SignOuts(away), SignOuts(there)
        await node.note("a", 60)
        before = await other.has("a")
        other._going_on.clear()  # or three seconds
        async with await asyncio.start_server(to_the_cache, "127.0.0.1", port):
            await node.tell()
            after = await other.has("a")
            for each in (node, other):
                await each.close()
        return before, after

    assert asyncio.run(run()) == (False, True)


def test_sign_out_is_not_a_link(home: Site) -> None:
    assert home.get("/logout").status_code == 405


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "wrong"},
        {"name": "bo"},
        {"name": ""},
        {"password": ""},
        {"name": "../ana"},
        {"name": "x" * 5000},
        {"name": "<script>alert(1)</script>"},
    ],
)
def test_a_wrong_name_or_password_says_the_same(home: Site, fields: dict[str, str]) -> None:
    found = login(home, **fields)
    assert found.status_code == 401
    assert "The name or the password is not right." in found.text
    assert "<script>alert" not in found.text
    assert "set-cookie" not in found.headers
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("charset", ["raw_unicode_escape", "undefined", "utf-16", "\0", "utf-8"])
def test_a_form_in_another_encoding_is_refused(home: Site, charset: str) -> None:
    lines = ("--x", 'Content-Disposition: form-data; name="name"', "", "\\ud800", "--x--", "")
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    found = home.client.post("/login", content="\r\n".join(lines), headers={"Content-Type": kind})
    assert found.status_code == (401 if charset == "utf-8" else 400)


def test_a_name_is_written_as_people_write_it(home: Site) -> None:
    assert login(home, name=" Ana ").status_code == 303


def test_a_disabled_account_cannot_be_used(home: Site) -> None:
    account = home.accounts.stored["ana"]
    home.accounts.stored["ana"] = dataclasses.replace(account, disabled=True)
    assert login(home).status_code == 401


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/\\evil.example", ""])
def test_the_sign_in_leads_nowhere_else(home: Site, back: str) -> None:
    assert login(home, next=back).headers["location"] == "/"
    home.client.cookies.clear()
    assert "evil" not in home.get("/login", params={"next": back}).text


def test_the_sign_in_page_keeps_where_one_was_going(home: Site) -> None:
    page = home.get("/login", params={"next": '/?q="x"&page=2'}).text
    assert 'value="/?q=&#34;x&#34;&amp;page=2"' in page
    assert 'autocomplete="current-password"' in page


def test_another_site_cannot_sign_somebody_in(home: Site) -> None:
    found = home.client.post(
        "/login",
        data={"name": "ana", "password": PASSWORD},
        headers={"Origin": "https://evil.example"},
        follow_redirects=False,
    )
    assert found.status_code == 403
    assert "set-cookie" not in found.headers


def test_a_hash_of_old_parameters_is_renewed(home: Site) -> None:
    home.auth.passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    before = home.accounts.stored["ana"]
    login(home)
    after = home.accounts.stored["ana"]
    assert "m=16,t=2" in (after.password or "")
    assert after.stamp == before.stamp  # nobody is signed out by it
    assert home.get("/api/me").is_success


def test_a_program_gets_a_token(home: Site) -> None:
    found = home.client.post("/api/token", json={"name": "ana", "password": PASSWORD})
    assert (found.status_code, found.headers["cache-control"]) == (200, "no-store")
    body = found.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 43200)
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert home.get("/api/me", headers=headers).json()["name"] == "ana"
    wrong = home.client.post("/api/token", json={"name": "ana", "password": "wrong"})
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, "Bearer")


def test_no_password_is_in_a_log_or_a_repr(home: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    login(home)
    login(home, name=PASSWORD, password="hunter2hunter2")
    assert PASSWORD not in caplog.text
    assert "hunter2" not in caplog.text
    assert not any(PASSWORD in str(vars(record)) for record in caplog.records)
    assert "argon2" not in repr(home.accounts.stored["ana"])


def test_a_cookie_is_renewed_in_time(home: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    login(home)
    assert "set-cookie" not in home.get("/").headers
    hours_ago = SimpleNamespace(time=lambda: time.time() - 7 * 3600, monotonic=time.monotonic)
    with monkeypatch.context() as patch:
        patch.setattr("research_app.auth.tokens.time", hours_ago)
        home.sign_in("reader", "ana")
    assert home.auth.cookie.name in home.get("/").headers["set-cookie"]
    assert "set-cookie" not in home.get("/").headers


@pytest.mark.parametrize(
    ("issued", "signed_in", "current", "renewed"),
    [
        (-1, -1, True, False),
        (-7, -7, True, True),
        (-1, -1, False, True),
        (-7, -24 * 6, True, True),
        (-7, -24 * 8, True, False),
    ],
)
def test_when_a_token_is_renewed(
    home: Site, issued: float, signed_in: float, current: bool, renewed: bool
) -> None:
    now, hour = time.time(), 3600
    claims = Claims(
        name="ana",
        stamp="s",
        issued=now + issued * hour,
        expires=now + (issued + 12) * hour,
        signed_in=now + signed_in * hour,
        identity="x",
        current=current,
    )
    token = home.auth.renewed(claims)
    assert (token is not None) is renewed
    if token is not None:  # the limit counts from the sign-in on
        assert home.auth.tokens.read(token.text).signed_in == int(claims.signed_in)


class Hosts:
    """Some application hosts with one set of accounts, and the browser of somebody."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._accounts = FakeAccounts()
        account = Account("ana", Role.READER, password=FAST.hash(PASSWORD), seen=(0, 1))
        self._accounts.stored["ana"] = account
        self._cookie = ""
        self._ago = self._passed = 0.0
        clock = SimpleNamespace(
            time=lambda: time.time() - self._ago,
            monotonic=lambda: time.monotonic() + self._passed,
        )
        monkeypatch.setattr("research_app.auth.tokens.time", clock)

    def start(self, current: str, previous: str | None = None) -> TestClient:
        """A host that has just started with these keys."""
        keys = {"signing_key": current * 64, "signing_key_previous": (previous or "") * 64 or None}
        data: dict[str, Any] = {
            "server": {"tls": False},
            "opensearch": {"urls": ["http://127.0.0.1:9"]},
            "cache": {"enabled": False},
            "auth": {"public_read": False},
        }
        parts = build(parse(data, Credentials.model_validate(keys), Path("s")))
        auth = Auth(parts.settings, self._accounts)  # type: ignore[arg-type]
        auth.passwords = Passwords(FAST)
        return TestClient(create_app(parts.settings, dataclasses.replace(parts, auth=auth)))

    def later(self, hours: float) -> None:
        """Let the hosts run for a while."""
        self._passed += 3600 * hours

    def sign_in(self, host: TestClient, hours_ago: float = 0) -> None:
        """Sign in there."""
        self._ago = 3600 * hours_ago
        given = {"name": "ana", "password": PASSWORD}
        self._keep(host.post("/login", data=given, follow_redirects=False))
        self._ago = 0
        assert self._cookie

    def is_signed_in(self, host: TestClient) -> bool:
        """Whether that host knows the browser, which takes the cookie that it is given."""
        headers = {"Cookie": f"research-session={self._cookie}"}
        answer = host.get("/api/me", headers=headers)
        self._keep(answer)
        return bool(answer.is_success)

    def _keep(self, answer: Any) -> None:
        self._cookie = answer.cookies.get("research-session", self._cookie)
        answer.close()


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    return Hosts(monkeypatch)


@pytest.mark.parametrize("age", [0, 5, 7, 11])
def test_while_a_new_key_is_rolled_out_nobody_is_signed_out(hosts: Hosts, age: float) -> None:
    behind = hosts.start("1", "0")
    hosts.later(2)
    hosts.sign_in(behind, age)  # in the second half of its life a session is renewed
    ahead = hosts.start("2", "1")
    for host in (ahead, behind, ahead, behind):
        hosts.later(0.1)
        assert hosts.is_signed_in(host)
    behind = hosts.start("2", "1")
    hosts.later(1)
    assert hosts.is_signed_in(ahead)  # signed with the new key from now on
    assert hosts.is_signed_in(behind)
    assert hosts.is_signed_in(hosts.start("2"))
    assert not hosts.is_signed_in(hosts.start("3"))


def test_a_sign_in_while_a_new_key_is_rolled_out_is_good_on_every_host(hosts: Hosts) -> None:
    behind, ahead = hosts.start("1"), hosts.start("2", "1")
    for first, second in ((ahead, behind), (behind, ahead)):
        hosts.sign_in(first)
        assert hosts.is_signed_in(second)


def test_with_tls_the_cookie_belongs_to_this_host_alone(home: Site) -> None:
    from starlette.responses import Response

    from research_app.auth.cookies import SessionCookie
    from research_app.auth.tokens import Token

    response = Response()
    SessionCookie(secure=True).give(response, Token("x", 60))
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-research-session=x;")
    assert "; Secure" in cookie
    assert "domain" not in cookie.lower()


# with a real OpenSearch


@pytest.fixture
def index(opensearch_url: str) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    settings = make_settings(opensearch={"urls": [opensearch_url]})

    async def remove() -> None:
        client = build(settings).client
        await client.indices.delete(index=f"{name}*", ignore_unavailable=True)
        await client.close()

    asyncio.run(remove())


@pytest.mark.integration
def test_accounts_are_kept(opensearch_url: str, index: str) -> None:
    async def run() -> None:
        client = build(make_settings(opensearch={"urls": [opensearch_url]})).client
        accounts = Accounts(client, index)
        assert await accounts.list() == []
        assert await accounts.get("ana") is None
        await accounts.create_index()
        assert not await accounts.create_index()
        account = Account("ana", Role.ADMIN, password="$argon2id$x", shown="Ana")
        await accounts.add(account)
        await accounts.add(account)  # asked again, because the answer was late
        with pytest.raises(AccountError, match="already"):
            await accounts.add(Account("ana", Role.READER))
        first, second = await accounts.get("ana"), await accounts.get("ana")
        assert first == account
        assert first is not None
        assert second is not None
        disabled = first.with_changes(new_stamp=True, disabled=True)
        await accounts.replace(disabled)
        await accounts.replace(disabled)
        with pytest.raises(AccountError, match="somebody else"):
            await accounts.replace(second.with_changes(new_stamp=True, role=Role.READER))
        assert [(a.name, a.role, a.disabled) for a in await accounts.list()] == [
            ("ana", Role.ADMIN, True)
        ]
        await client.close()

    asyncio.run(run())


@pytest.fixture
def settings_file(
    opensearch_url: str, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The settings that commands read: the real OpenSearch, an index of this test."""
    path = tmp_path / "settings.toml"
    path.write_text(
        f'server.tls = false\n[opensearch]\nurls = ["{opensearch_url}"]\nindex = "{index}"\n'
    )
    monkeypatch.setenv("RESEARCH_APP_SETTINGS", str(path))
    monkeypatch.setattr("research_app.logs.configure", lambda _: None)
    return path


@pytest.mark.integration
def test_the_first_administrator_signs_in(settings_file: Path) -> None:
    with settings_file.open("a") as settings:
        settings.write('[auth]\npublic_read = false\nadmin_user = "root"\n')
    for given, said in ((PASSWORD, "added root (admin)\n"), (PASSWORD + "x", "root is there\n")):
        done = CliRunner().invoke(app, ["user", "first"], input=given + "\n")
        assert (done.exit_code, done.output) == (0, said)
    with TestClient(create_app(load(settings_file))) as client:
        found = client.post("/api/token", json={"name": "root", "password": PASSWORD})
        assert found.is_success, found.text
        headers = {"Authorization": f"Bearer {found.json()['access_token']}"}
        assert client.get("/api/me").status_code == 401
        assert client.get("/api/me", headers=headers).json()["role"] == "admin"


@pytest.mark.integration
@pytest.mark.usefixtures("settings_file")
def test_accounts_by_the_command_line() -> None:
    def run(*arguments: str, given: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(app, ["user", *arguments], input=given)
        assert PASSWORD not in done.output
        return done.exit_code, done.output

    assert run("add", "ana", "--role", "curator", given=PASSWORD + "\n") == (
        0,
        "added ana (curator)\n",
    )
    assert run("add", "ana", given=PASSWORD)[0] == 1
    assert run("add", "bo", given="short\n") == (2, "a password has at least 12 characters\n")
    assert run("add", "oidc-bo", given=PASSWORD)[0] == 2
    assert run("role", "nobody", "admin")[0] == 1
    assert run("role", "ana", "admin") == (0, "ana is admin\n")
    assert run("passwd", "ana", given="another " + PASSWORD) == (0, "ana has a new password\n")
    assert run("disable", "ana") == (0, "ana is disabled\n")
    code, listed = run("list")
    assert code == 0
    assert listed.split()[:4] == ["ana", "admin", "local", "disabled"]
