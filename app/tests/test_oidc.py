"""Sign-in with an OpenID provider: a real one, which the tests start."""

from __future__ import annotations

import asyncio
import dataclasses
import html
import re
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from conftest import Site, make_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from oidc_provider import CLIENT, SECRET, WRONG_USERINFO, Provider
from pydantic import SecretStr

from research_app.auth import Role, oidc
from research_app.auth.oidc_claims import account_name, role_of, shown_name
from research_app.auth.provider_tokens import ProviderTokens
from research_app.auth.tokens import Claims
from research_app.settings import Oidc, Settings, SettingsError

GROUPS = {"admin": ["library-admins"], "curator": ["library-staff"], "reader": ["members"]}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    made.start()
    yield made
    made.stop()


class University(Site):
    """A site whose readers have accounts at the provider."""

    def __init__(self, issuer: str, auth: dict[str, Any] | None = None, **section: Any) -> None:
        super().__init__(auth=auth or {})
        self.issuer = issuer
        self.given = oidc_settings(issuer, **section)
        oidc.install(self.app, self.given, self.auth)
        mount = self.app.routes.pop()  # before the assistant and whatever else was mounted
        self.app.routes.insert(0, mount)

    def reset(self) -> None:
        super().reset()
        service = self.app.state.sign_in_service
        service._provider.__init__(self.given)

    def go(self, address: str, **options: Any) -> Any:
        return self.client.get(address, follow_redirects=False, **options)

    def start(self, back: str = "/?q=zebra") -> str:
        """Where the browser is sent to."""
        found = self.go("/auth/oidc", params={"next": back})
        assert found.status_code == 302, found.text
        return str(found.headers["location"])

    def callback(self, back: str = "/?q=zebra") -> str:
        """Where the provider sends it back to."""
        answer = httpx.get(self.start(back))
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    def sign_in_there(self, back: str = "/?q=zebra") -> Any:
        """All of it: the page that the browser gets in the end."""
        return self.go(self.callback(back))


def oidc_settings(issuer: str, **section: Any) -> Settings:
    """Settings with a provider; its secret is a credential."""
    given = {"client_id": CLIENT, "title": "Example University"} | GROUPS | section
    settings = make_settings()
    return settings.model_copy(
        update={
            "oidc": Oidc.model_validate({"issuer": issuer} | given),
            "credentials": settings.credentials.model_copy(
                update={"oidc_client_secret": SecretStr(SECRET)}
            ),
        }
    )


@pytest.fixture(scope="module")
def _university(provider: Provider) -> University:
    return University(provider.issuer)


@pytest.fixture
def university(provider: Provider, _university: University) -> University:
    provider.reset()
    provider.claims["groups"] = ["members"]
    _university.reset()
    return _university


def test_somebody_of_the_university_signs_in(provider: Provider, university: University) -> None:
    assert "Sign in with Example University" in university.get("/login").text
    provider.claims["groups"] = ["members", "library-staff"]
    found = university.sign_in_there()
    assert (found.status_code, found.headers["location"]) == (303, "/?q=zebra")
    me = university.get("/api/me").json()
    assert (me["shown"], me["role"]) == ("ana", "curator")
    assert me["name"] == account_name(provider.issuer, "248289")
    account = university.accounts.stored[me["name"]]
    assert (account.origin, account.password) == ("oidc", None)


def test_the_request_is_as_the_specification_asks(university: University) -> None:
    address = urlsplit(university.start())
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert asked["redirect_uri"] == "http://testserver/auth/oidc/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 16
    assert SECRET not in address.query


def test_a_user_has_one_account_and_the_role_of_today(
    provider: Provider, university: University
) -> None:
    provider.claims["groups"] = ["library-admins"]
    university.sign_in_there()
    university.client.cookies.clear()
    provider.claims |= {"groups": ["members"], "preferred_username": "ana.m"}
    university.sign_in_there()
    assert len(university.accounts.stored) == 1
    me = university.get("/api/me").json()
    assert (me["shown"], me["role"]) == ("ana.m", "reader")


def test_nobody_becomes_somebody_by_their_name(provider: Provider, university: University) -> None:
    """A local administrator and a student who calls himself so are two."""
    university.headers("admin", "admin")
    provider.claims["preferred_username"] = "admin"
    university.sign_in_there()
    me = university.get("/api/me").json()
    assert (me["role"], me["name"] != "admin") == ("reader", True)


def test_groups_may_be_told_elsewhere(provider: Provider, university: University) -> None:
    del provider.claims["groups"]
    provider.userinfo = {"groups": ["library-staff"]}
    university.sign_in_there()
    assert university.get("/api/me").json()["role"] == "curator"
    university.reset()
    provider.userinfo = {"groups": ["library-admins"], "sub": "somebody else"}
    assert university.sign_in_there().status_code == 403


def test_the_provider_may_change_its_keys(provider: Provider, university: University) -> None:
    university.sign_in_there()
    university.client.cookies.clear()
    provider.new_key("second")
    assert university.sign_in_there().status_code == 303


UNPROVED = [
    "wrong nonce",
    "no nonce",
    "wrong audience",
    "wrong issuer",
    "expired",
    "no subject",
    "wrong key",
    "unknown key",
    "unsigned",
    "signed with the client's secret",
    "no id token",
    "garbage",
]


def refused(university: University, answer: Any, status: int, words: str) -> None:
    assert answer.status_code == status
    assert words in answer.text
    assert university.auth.cookie.name not in answer.headers.get("set-cookie", "")
    assert university.get("/api/me").status_code == 401
    assert not university.accounts.stored
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("fault", UNPROVED)
def test_an_answer_that_proves_nothing_signs_nobody_in(
    provider: Provider, university: University, fault: str
) -> None:
    provider.fault = fault
    refused(university, university.sign_in_there(), 403, "proves nothing")


def test_whoever_cancels_is_told_so(provider: Provider, university: University) -> None:
    provider.fault = "cancelled"
    answer = university.sign_in_there()
    refused(university, answer, 403, "The sign-in was cancelled.")
    assert "<b>no</b>" not in answer.text


def test_somebody_without_a_role_stays_outside(provider: Provider, university: University) -> None:
    provider.claims["groups"] = ["alumni"]
    refused(university, university.sign_in_there(), 403, "no access to this library")


def test_a_disabled_account_stays_outside(provider: Provider, university: University) -> None:
    university.sign_in_there()
    name, account = university.accounts.stored.popitem()
    disabled = dataclasses.replace(account, disabled=True)
    university.accounts.stored[name] = disabled
    university.client.cookies.clear()
    answer = university.sign_in_there()
    assert (answer.status_code, "disabled in this library" in answer.text) == (403, True)


def test_the_way_back_fits_the_way_there(university: University) -> None:
    """Another browser's answer, an answer twice, and no answer at all."""
    address = university.callback()
    cookies = dict(university.client.cookies)
    university.client.cookies.clear()
    refused(university, university.go(address), 400, "in another window")
    for forged in ("?code=x&state=y", "?code=x", "?error=login_required"):
        answer = university.go(f"/auth/oidc/callback{forged}")
        refused(university, answer, 400, "in another window")
    university.client.cookies.update(cookies)
    assert university.go(address).status_code == 303
    university.client.cookies.clear()
    university.client.cookies.update(cookies)
    assert university.go(address).status_code == 403  # the provider takes a code once


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/login"])
def test_the_way_leads_nowhere_else(university: University, back: str) -> None:
    assert university.sign_in_there(back).headers["location"] == "/"


def test_a_provider_of_another_name_is_not_used(provider: Provider) -> None:
    provider.reset()
    provider.fault = "another issuer"
    site = University(provider.issuer)
    answer = site.go("/auth/oidc")
    refused(site, answer, 503, "does not answer")
    provider.fault = ""
    assert site.go("/auth/oidc").status_code == 302  # it recovers by itself


def test_a_provider_that_is_down_is_a_polite_page() -> None:
    gone = Provider()
    gone.start()
    site = University(gone.issuer)
    gone.stop()
    answer = site.go("/auth/oidc")
    refused(site, answer, 503, "The sign-in service does not answer.")
    assert answer.headers["retry-after"]


def test_without_a_provider_there_is_no_such_way(site: Site) -> None:
    assert site.get("/auth/oidc").status_code == 404
    assert "Sign in with" not in site.get("/login").text


ROLES = [
    ({"groups": ["library-admins", "members"]}, "groups", Role.ADMIN),
    ({"groups": "library-staff"}, "groups", Role.CURATOR),
    ({"groups": ["members"]}, "groups", Role.READER),
    ({"groups": []}, "groups", None),
    ({"groups": None}, "groups", None),
    ({"groups": {"library-admins": True}}, "groups", None),
    ({"groups": [["library-admins"]]}, "groups", None),
    ({}, "groups", None),
    ({"realm_access": {"roles": ["library-staff"]}}, "realm_access.roles", Role.CURATOR),
    ({"realm_access": "library-staff"}, "realm_access.roles", None),
    ({"https://example.edu/groups": ["members"]}, "https://example.edu/groups", Role.READER),
]


@pytest.mark.parametrize(("claims", "path", "role"), ROLES)
def test_groups_become_a_role(claims: dict[str, Any], path: str, role: Role | None) -> None:
    section = Oidc.model_validate(GROUPS | {"roles_claim": path})
    assert role_of(claims, section) is role


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(["groups", "realm_access", "x"]), json_values))
def test_no_strange_claims_make_a_role(claims: dict[str, Any]) -> None:
    section = Oidc.model_validate(GROUPS | {"roles_claim": "realm_access.roles"})
    assert role_of(claims, section) is None


def test_everybody_may_be_a_reader() -> None:
    section = Oidc.model_validate({"issuer": "https://id.example", "client_id": "x"})
    assert role_of({}, section) is Role.READER


def test_two_people_never_share_an_account() -> None:
    names = {
        account_name("https://a", "b"),
        account_name("https://a", "B"),
        account_name("https://ab", ""),
        account_name("https://", "ab"),
    }
    assert len(names) == 4


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"issuer": "http://id.example", "client_id": "x"}, "plain http"),
        ({"issuer": "id.example", "client_id": "x"}, "https://HOST"),
        ({"issuer": "https://id.example"}, "oidc.client_id is not"),
        ({"issuer": "https://id.example", "client_id": "x"}, "oidc_client_secret"),
    ],
)
def test_a_mistake_in_the_settings_is_named(section: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make_settings(oidc=section).check_serving()


ADFS = {
    "upn": "ana@example.edu",
    "unique_name": "EXAMPLE\\ana",
    "email": "ana@mail.example.edu",
    "groups": "library-staff",
}


@pytest.mark.parametrize(
    "fault",
    sorted(WRONG_USERINFO),
)
def test_an_id_token_does_where_userinfo_fails(
    provider: Provider, university: University, fault: str
) -> None:
    """Everybody may read; what cannot be trusted adds nothing."""
    site = University(provider.issuer, reader=["*"])
    provider.claims = {"sub": "248289", "upn": "ana@example.edu"}
    provider.fault = fault
    assert site.sign_in_there().status_code == 303
    me = site.get("/api/me").json()
    assert (me["shown"], me["role"]) == ("ana@example.edu", "reader")


def test_a_token_of_ad_fs_needs_no_userinfo(provider: Provider, university: University) -> None:
    provider.claims = {"sub": "2Gnq", **ADFS}
    provider.fault = "userinfo is away"
    assert university.sign_in_there().status_code == 303
    me = university.get("/api/me").json()
    assert (me["shown"], me["role"]) == ("ana@example.edu", "curator")


@pytest.mark.parametrize("sub", ["somebody else", "248289 ", 248289, None, ["248289"], {}])
def test_userinfo_of_somebody_else_signs_nobody_in(
    provider: Provider, university: University, sub: Any
) -> None:
    del provider.claims["groups"]
    provider.userinfo = {"groups": ["members"], "sub": sub}
    refused(university, university.sign_in_there(), 403, "proves nothing")


@pytest.mark.parametrize("sub", [None, "", 7, True, ["248289"], {"a": "b"}])
def test_somebody_is_a_string(provider: Provider, university: University, sub: Any) -> None:
    provider.claims["sub"] = sub
    refused(university, university.sign_in_there(), 403, "proves nothing")


NAMES = [
    ({"preferred_username": "ana", "name": "Ana M."}, "ana"),
    ({"name": "Ana M.", "upn": "ana@x"}, "Ana M."),
    (ADFS, "ana@example.edu"),
    ({"unique_name": "EXAMPLE\\ana"}, "EXAMPLE\\ana"),
    ({"email": "ana@x"}, "ana@x"),
    ({"preferred_username": ["ana"], "name": {"first": "Ana"}, "email": "ana@x"}, "ana@x"),
    ({"preferred_username": "  ", "upn": "\x00\n\u202e"}, ""),
    ({"preferred_username": "a\nb\u202ec"}, "abc"),
    ({"preferred_username": "x" * 100_000}, "x" * 100),
    ({"preferred_username": 7}, ""),
    ({}, ""),
]


@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(["preferred_username", "name", "upn"]), json_values))
def test_a_name_is_a_line(claims: dict[str, Any]) -> None:
    name = shown_name(claims, Oidc.model_validate(GROUPS))
    assert len(name) <= 100
    assert name.isprintable()


@pytest.mark.parametrize(("claims", "name"), NAMES)
def test_what_people_are_called(claims: dict[str, Any], name: str) -> None:
    assert shown_name(claims, Oidc.model_validate(GROUPS)) == name


def aged(site: University, minutes: float, **changes: Any) -> None:
    """The provider has said that long ago what role it is."""
    claims = claims_of(site)
    token = site.auth.tokens.issue(
        claims.name,
        claims.stamp,
        changes.get("signed_in", claims.signed_in),
        claims.identity,
        time.time() - 60 * minutes,
    )
    site.client.cookies.clear()
    site.client.cookies.set(site.auth.cookie.name, token.text, "testserver.local", "/")


def claims_of(site: University) -> Claims:
    found = site.auth.read(site.client.cookies[site.auth.cookie.name])
    assert found is not None
    return found


def role_now(site: University) -> str:
    """What a script of a page is told."""
    answer = site.get("/api/me")
    return str(answer.json()["role"]) if answer.is_success else f"nobody ({answer.status_code})"


PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def visit(site: University, address: str = "/?q=zebra", **headers: str) -> Any:
    """A person opens a page; the provider is passed through without a word, if they are sent."""
    answer = site.go(address, headers=PAGE | headers)
    if answer.status_code == 303 and answer.headers["location"].startswith("/auth/oidc?silent"):
        sent = site.go(answer.headers["location"])
        if sent.status_code != 302:
            return sent
        answer = site.go(httpx.get(sent.headers["location"]).headers["location"])
    return answer


@pytest.fixture
def curator(provider: Provider, university: University) -> University:
    """Somebody who was a curator when she signed in; the group is taken from her since."""
    provider.claims["groups"] = ["library-staff"]
    provider.refresh_token = "r"
    university.sign_in_there()
    provider.claims["groups"] = ["members"]
    return university


# minutes since the provider was asked; what it does now; the role of a request in the background
REFRESHED = [
    (14, "", "curator", 0),
    (16, "", "reader", 1),
    (61, "", "reader", 1),
    (600, "", "reader", 1),
    (16, "away", "curator", 1),
    (59, "away", "curator", 1),
    (61, "away", "nobody (503)", 1),
    (16, "slow", "curator", 1),
    (61, "slow", "nobody (503)", 1),
    (16, "another secret", "curator", 1),
    (61, "another secret", "nobody (503)", 1),
    (16, "expired", "curator", 1),
    (16, "unsigned", "curator", 1),
    (16, "wrong issuer", "curator", 1),
    (16, "wrong audience", "curator", 1),
    (16, "wrong key", "curator", 1),
    (61, "unsigned", "nobody (401)", 1),
    (61, "no id token", "nobody (503)", 1),
]


@pytest.mark.parametrize(("minutes", "fault", "role", "asked"), REFRESHED)
def test_a_group_that_is_taken_away_is_gone_within_the_hour(
    provider: Provider,
    curator: University,
    monkeypatch: pytest.MonkeyPatch,
    *,
    minutes: float,
    fault: str,
    role: str,
    asked: int,
) -> None:
    monkeypatch.setattr(oidc, "REFRESH_WAIT_SECONDS", 0.5)
    provider.fault = fault
    aged(curator, minutes)
    assert (role_now(curator), provider.refreshed) == (role, asked)


def test_a_refreshed_role_is_asked_for_again_in_time(
    provider: Provider, curator: University
) -> None:
    """With the refresh token that the provider gave in place of the first."""
    for times in (1, 2, 3):
        aged(curator, 20)
        assert role_now(curator) == role_now(curator) == "reader"
        assert provider.refreshed == times
    assert time.time() - claims_of(curator).confirmed < 60


def test_a_service_that_does_not_answer_is_left_alone(
    provider: Provider, curator: University
) -> None:
    aged(curator, 20)
    provider.fault = "away"
    assert [role_now(curator) for _ in range(5)] == ["curator"] * 5
    assert provider.refreshed == 1
    provider.fault = ""
    curator.app.state.sign_in_service._provider._rest_until = 0.0  # or half a minute
    assert role_now(curator) == "reader"


def test_groups_of_userinfo_do_in_place_of_an_id_token(
    provider: Provider, curator: University
) -> None:
    aged(curator, 20)
    provider.fault, provider.userinfo = "no id token", {"groups": ["library-admins"]}
    assert role_now(curator) == "admin"
    aged(curator, 20)
    provider.userinfo = {"groups": ["library-admins"], "sub": "somebody else"}
    assert role_now(curator) == "admin"
    aged(curator, 61)
    assert role_now(curator) == "nobody (401)"


def test_who_has_no_group_any_more_is_signed_out_everywhere(
    provider: Provider, curator: University
) -> None:
    here = dict(curator.client.cookies)
    curator.client.cookies.clear()
    curator.sign_in_there()
    provider.claims["groups"] = []
    aged(curator, 20)
    assert role_now(curator) == "nobody (401)"
    curator.client.cookies.clear()
    curator.client.cookies.update(here)
    curator.auth._known.clear()  # or three seconds
    assert role_now(curator) == "nobody (401)"


def test_a_refresh_token_of_somebody_else_confirms_nobody(
    provider: Provider, curator: University
) -> None:
    provider.claims |= {"sub": "another", "groups": ["library-admins"]}
    aged(curator, 20)
    assert role_now(curator) == "curator"
    assert visit(curator).status_code == 303
    assert role_now(curator) == "nobody (401)"


def test_a_refused_refresh_leads_through_the_provider_with_the_next_page(
    provider: Provider, curator: University
) -> None:
    provider.refresh_token = "another"
    aged(curator, 16)
    assert role_now(curator) == "curator"  # nothing that runs is broken off
    assert 45 * 60 <= time.time() - claims_of(curator).confirmed < 46 * 60
    answer = visit(curator)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?q=zebra")
    assert role_now(curator) == "reader"


# without a refresh token: minutes, what the provider does; where the page leads, the role after it
SILENT = [
    (44, "", 200, "curator"),
    (46, "", 303, "reader"),
    (61, "", 303, "reader"),
    (46, "not known", 303, "nobody (401)"),
    (61, "not known", 303, "nobody (401)"),
    (46, "cancelled", 303, "nobody (401)"),
    (46, "busy", 303, "curator"),
    (61, "busy", 503, "nobody (503)"),
    (46, "away", 200, "curator"),
    (61, "away", 200, "nobody (503)"),
    (46, "another issuer", 200, "curator"),
    (61, "another issuer", 200, "nobody (503)"),
    (46, "unsigned", 303, "curator"),
    (61, "unsigned", 403, "nobody (503)"),
]


@pytest.mark.parametrize(("minutes", "fault", "status", "role"), SILENT)
def test_a_page_leads_through_the_provider_where_it_gave_no_refresh_token(
    provider: Provider,
    university: University,
    *,
    minutes: float,
    fault: str,
    status: int,
    role: str,
) -> None:
    provider.claims["groups"] = ["library-staff"]
    university.sign_in_there()
    provider.claims["groups"] = ["members"]
    provider.fault = fault
    provider.known_here = fault != "not known"
    aged(university, minutes)
    university.app.state.sign_in_service._provider._heard = 0.0  # or half a minute
    answer = visit(university)
    assert answer.status_code == status
    if status == 303:
        assert answer.headers["location"] == "/?q=zebra"
    assert visit(university).status_code in (200, 503), "it leads there again and again"
    assert role_now(university) == role


def test_the_silent_way_keeps_the_sign_in(provider: Provider, university: University) -> None:
    """It is one sign-in, which ends after its days, and all of it by one sign-out."""
    university.sign_in_there()
    aged(university, 50, signed_in=time.time() - 6 * 24 * 3600)
    before = claims_of(university)
    visit(university)
    after = claims_of(university)
    assert (after.identity, after.signed_in) == (before.identity, before.signed_in)
    assert after.confirmed > before.confirmed
    aged(university, 61, signed_in=time.time() - 8 * 24 * 3600)
    assert visit(university).status_code == 200
    assert role_now(university) == "nobody (401)"


NO_PAGES = [
    {"Accept": "application/json"},
    {"Sec-Fetch-Mode": "cors"},
    {"Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Dest": "iframe"},
    {"Sec-Purpose": "prefetch;prerender"},
]


@pytest.mark.parametrize("headers", NO_PAGES)
def test_only_a_person_is_sent_through_the_provider(
    university: University, headers: dict[str, str]
) -> None:
    university.sign_in_there()
    aged(university, 50)
    assert university.go("/?q=zebra", headers=PAGE | headers).status_code == 200
    assert university.client.head("/", headers=PAGE, follow_redirects=False).status_code == 200


def test_a_copied_cookie_is_good_for_an_hour(provider: Provider, curator: University) -> None:
    """A program cannot be given a new one, and so nothing is asked for it."""
    for minutes, status in ((50, 200), (61, 401)):
        aged(curator, minutes)
        token = curator.client.cookies[curator.auth.cookie.name]
        curator.client.cookies.clear()
        headers = {"Authorization": f"Bearer {token}"}
        assert curator.get("/api/me", headers=headers).status_code == status
        curator.client.cookies.set(curator.auth.cookie.name, token)
    assert provider.refreshed == 0


def test_an_account_of_the_library_needs_no_provider(
    provider: Provider, university: University
) -> None:
    university.sign_in("admin")
    aged(university, 600)
    provider.fault = "away"
    assert role_now(university) == "admin"
    assert visit(university).status_code == 200


def test_where_the_provider_is_set_up_no_more_its_roles_end(curator: University) -> None:
    service, curator.app.state.sign_in_service = curator.app.state.sign_in_service, None
    try:
        aged(curator, 59)
        assert role_now(curator) == "curator"
        aged(curator, 61)
        assert role_now(curator) == "nobody (401)"
    finally:
        curator.app.state.sign_in_service = service


def test_the_answers_of_one_page_ask_once(provider: Provider, curator: University) -> None:
    aged(curator, 20)
    service = curator.app.state.sign_in_service
    claims = claims_of(curator)

    async def run() -> list[Any]:
        return await asyncio.gather(*(service.renewed(claims) for _ in range(5)))

    tokens = asyncio.run(run())
    assert len({token.text for token in tokens}) == 1
    assert provider.refreshed == 1


def test_pages_that_are_opened_at_once_all_come_back(university: University) -> None:
    """As after a night, by a browser that remembers its pages: the last way is the one."""
    university.sign_in_there()
    aged(university, 50)
    ways = {}
    for address in ("/?q=zebra", "/library"):
        sent = university.go(university.go(address, headers=PAGE).headers["location"])
        ways[address] = httpx.get(sent.headers["location"]).headers["location"]
    back = {address: university.go(way).headers["location"] for address, way in ways.items()}
    assert back == {address: address for address in ways}
    assert visit(university).status_code == 200
    aged(university, 50)
    university.client.cookies.clear()
    assert university.go(ways["/library"]).status_code == 400  # a browser that is nobody's


def test_a_long_address_fits_the_cookie_of_the_way(university: University) -> None:
    address = "/?q=" + "ab%20" * 390
    answer = university.go("/auth/oidc", params={"next": address})
    assert max(len(cookie) for cookie in answer.headers.get_list("set-cookie")) < 4096
    assert university.sign_in_there(address).headers["location"] == address


@pytest.mark.parametrize("minutes", [0, 44])
@pytest.mark.parametrize("local", [True, False])
def test_a_link_of_another_site_ends_no_sign_in(
    provider: Provider, university: University, minutes: float, local: bool
) -> None:
    """It says that the service is to be asked, which knows nobody, or somebody else."""
    if local:
        university.sign_in("admin")
    else:
        university.sign_in_there()
    aged(university, minutes)
    provider.known_here = False
    answer = university.go("/auth/oidc", params={"silent": "1", "next": "/library"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/library")
    assert university.get("/api/me").is_success


@pytest.mark.parametrize("groups", [["library-admins"], []])
def test_somebody_else_at_the_provider_takes_no_sign_in_over(
    provider: Provider, university: University, groups: list[str]
) -> None:
    university.sign_in_there()
    aged(university, 50)
    provider.claims |= {"sub": "another", "groups": groups}
    assert visit(university).headers["location"] == "/?q=zebra"
    assert role_now(university) == "nobody (401)"
    assert visit(university).status_code == 200
    assert len(university.accounts.stored) == 1


def test_another_site_ends_no_sign_in(university: University) -> None:
    """By an address that looks as if the provider had sent the browser back."""
    university.sign_in_there()
    for answer in ("?error=login_required", "?error=login_required&state=x", ""):
        university.go(f"/auth/oidc/callback{answer}")
        assert university.get("/api/me").is_success


def test_where_reading_needs_an_account_it_rests_while_the_provider_is_away(
    provider: Provider, university: University
) -> None:
    closed = University(provider.issuer, auth={"public_read": False})
    closed.sign_in_there()
    aged(closed, 61)
    closed.app.state.sign_in_service._provider._heard = 0.0  # or half a minute
    provider.fault = "away"
    answer = visit(closed)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    provider.fault = ""
    closed.app.state.sign_in_service._provider._rest_until = 0.0  # or half a minute
    assert visit(closed).headers["location"] == "/?q=zebra"
    assert visit(closed).status_code == 200


# out


def leave(site: University) -> Any:
    return site.client.post("/logout", follow_redirects=False)


def address_in(page: str) -> str:
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page)
    assert found, page
    return html.unescape(found[1])


def test_who_signs_out_is_signed_out_there_too(provider: Provider, curator: University) -> None:
    provider.description = {"end_session_endpoint": f"{provider.issuer}/leave?realm=x"}
    curator.reset()
    provider.claims["groups"] = ["members"]
    curator.sign_in_there()
    token = curator.client.cookies[curator.auth.cookie.name]
    answer = leave(curator)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "You are signed out of this library." in answer.text
    address = address_in(answer.text)
    assert address.startswith(f"{provider.issuer}/leave?realm=x&")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    hint = jwt.decode(asked["id_token_hint"], options={"verify_signature": False})
    assert (hint["sub"], asked["client_id"]) == ("248289", CLIENT)
    assert asked["post_logout_redirect_uri"] == "http://testserver/auth/oidc/callback"
    back = curator.go(f"/auth/oidc/callback?state={asked['state']}")
    assert (back.status_code, back.headers["location"]) == (303, "/")
    assert curator.get("/api/me").status_code == 401
    old = {"Authorization": f"Bearer {token}"}
    assert curator.get("/api/me", headers=old).status_code == 401
    assert leave(curator).status_code == 303  # there is nothing left to end


BAD_ENDS = [
    None,
    "http://id.example/leave",
    "javascript:alert(1)",
    "data:text/html,x",
    "//id.example/leave",
    "/leave",
    "https://",
    "https://user:word@id.example/leave",
    "https://id.example/leave#x",
    "https://id.example/a b",
    "https://id.example/\n",
    "",
    7,
    ["https://id.example/leave"],
    {"url": "https://id.example/leave"},
]


@pytest.mark.parametrize("end", BAD_ENDS)
def test_a_browser_is_sent_to_no_strange_end(
    provider: Provider, university: University, end: Any
) -> None:
    provider.description = {"end_session_endpoint": end}
    university.sign_in_there()
    answer = leave(university)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert university.get("/api/me").status_code == 401


def test_signing_out_works_while_the_provider_is_away(
    provider: Provider, curator: University
) -> None:
    token = curator.client.cookies[curator.auth.cookie.name]
    provider.fault = "away"
    curator.app.state.sign_in_service._provider.__init__(curator.given)
    answer = leave(curator)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    old = {"Authorization": f"Bearer {token}"}
    assert curator.get("/api/me", headers=old).status_code == 401


def test_who_signed_in_here_is_signed_out_here(provider: Provider, university: University) -> None:
    provider.description = {"end_session_endpoint": f"{provider.issuer}/leave"}
    university.sign_in("curator")
    assert leave(university).status_code == 303


@pytest.mark.parametrize("state", ["sign-out", "sign-out.x.y", "x" * 10_000, "\u0000"])
def test_a_forged_end_is_none(university: University, state: str) -> None:
    answer = university.go("/auth/oidc/callback", params={"state": state})
    refused(university, answer, 400, "in another window")


# what the provider says of itself


def test_the_provider_may_move(provider: Provider, university: University) -> None:
    """Its addresses are asked for again; while that fails the known ones are used."""
    university.sign_in_there()
    service = university.app.state.sign_in_service._provider

    def later() -> str:
        service._client.server_metadata["_loaded_at"] -= 601
        answer = university.go("/auth/oidc")
        return str(answer.headers.get("location", answer.status_code)).partition("?")[0]

    provider.description = {"authorization_endpoint": "https://new.example/authorize"}
    assert later() == "https://new.example/authorize"
    provider.fault = "away"
    assert later() == "https://new.example/authorize"
    provider.fault = "another issuer"
    assert later() == "503"
    provider.fault = ""
    assert later() == "https://new.example/authorize"


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "issuer"])
@pytest.mark.parametrize("value", ["http://id.example/x", "ftp://id.example/x", "", 7, None, []])
def test_a_description_that_leads_astray_is_not_used(
    provider: Provider, university: University, name: str, value: Any
) -> None:
    provider.description = {name: value}
    refused(university, university.go("/auth/oidc"), 503, "does not answer")


def test_a_description_sets_no_option_of_the_client(
    provider: Provider, university: University
) -> None:
    """It is data: it neither turns off the verification nor changes what is asked for."""
    provider.description = {
        "verify": False,
        "proxy": "http://127.0.0.1:9",
        "scope": "x",
        "prompt": "consent",
        "redirect_uri": "https://evil.example",
        "headers": {"x": "y"},
    }
    asked = parse_qs(urlsplit(university.start()).query)
    assert asked["scope"] == ["openid profile email"]
    assert asked["redirect_uri"] == ["http://testserver/auth/oidc/callback"]
    assert "prompt" not in asked
    assert university.sign_in_there().status_code == 303


HUGE = [
    ({"groups": [f"group-{n}" for n in range(3_000)] + ["library-staff"]}, "curator"),
    ({"groups": [f"group-{n}" for n in range(20_000)] + ["library-staff"]}, None),
    ({"groups": ["members", {"name": "library-admins"}, ["library-admins"], None, 7]}, "reader"),
    ({"groups": "members"}, "reader"),
    ({"groups": " members"}, None),
    ({"groups": "members,library-admins"}, None),
]


@pytest.mark.parametrize(("claims", "role"), HUGE)
def test_strange_groups_of_a_good_token(
    provider: Provider, university: University, claims: dict[str, Any], role: str | None
) -> None:
    provider.claims |= claims
    answer = university.sign_in_there()
    assert answer.status_code == (303 if role else 403)
    assert role_now(university) == (role or "nobody (401)")


# secrets


def test_no_token_of_the_provider_is_in_a_cookie_or_a_log(
    provider: Provider, university: University, caplog: pytest.LogCaptureFixture
) -> None:
    provider.refresh_token = "refresh-token-secret"
    seen: list[str] = []
    with caplog.at_level("INFO"):
        seen.append(str(university.sign_in_there().headers))
        for fault in ("", "away", "garbage"):
            aged(university, 20)
            provider.fault = fault
            seen.append(str(university.get("/api/me").headers))
        provider.refresh_token = "another"
        university.app.state.sign_in_service._provider._rest_until = 0.0
        seen.append(str(visit(university).headers))
        leave(university)
    logged = "".join(str(vars(record)) for record in caplog.records)
    for secret in ("refresh-token-secret", "opaque", SECRET, "eyJhbGciOiJSUzI1NiIs"):
        assert secret not in logged
        assert not any(secret in headers for headers in seen)
        assert secret not in repr(university.auth.provider_tokens._here)


@pytest.mark.integration
def test_another_node_asks_again_with_what_one_was_given(redis_url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex[:12]}:"
    settings = oidc_settings("https://id.example").model_copy(
        update={
            "cache": make_settings(
                cache={"enabled": True, "url": redis_url, "prefix": prefix}
            ).cache
        }
    )
    old, new = b"o" * 32, b"n" * 32

    async def run() -> None:
        one, two = ProviderTokens(settings, [old]), ProviderTokens(settings, [new, old])
        stranger = ProviderTokens(settings, [b"s" * 32])
        await one.keep("refresh", "a", "secret", 60)
        assert one._redis is not None
        (key,) = [key async for key in one._redis.scan_iter(f"{prefix}*")]
        sealed = await one._redis.get(key)
        assert isinstance(sealed, bytes)
        assert b"secret" not in sealed
        assert 0 < await one._redis.ttl(key) <= 60
        assert await two.take("refresh", "a") == "secret"
        assert await one.take("refresh", "a") is None  # one asks with it, not two
        await one.keep("refresh", "a", "secret", 60)
        assert await stranger.take("refresh", "a") is None
        await one._redis.set(f"{prefix}provider-token:refresh:b", sealed)
        assert await one.take("refresh", "b") is None  # it was given for another sign-in
        for node in (one, two, stranger):
            await node.close()

    asyncio.run(run())


def test_without_a_cache_a_node_keeps_tokens_for_itself() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    down = {"enabled": True, "url": f"redis://127.0.0.1:{port}", "timeout_seconds": 0.2}
    settings = oidc_settings("https://id.example").model_copy(
        update={"cache": make_settings(cache=down).cache}
    )

    async def run() -> list[str | None]:
        node = ProviderTokens(settings, [b"k" * 32])
        await node.keep("refresh", "a", "one", 60)
        await node.keep("refresh", "a", "two", 60)
        await node.keep("id", "a", "x" * 100_000, 60)
        found = [await node.take("refresh", "a"), await node.take("refresh", "a")]
        found.append(await node.take("id", "a"))
        await node.close()
        return found

    assert asyncio.run(run()) == ["two", None, None]
