"""Sign-in with an OpenID provider: a real one, which the tests start."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from conftest import Site, make_settings
from hypothesis import given
from hypothesis import strategies as st
from oidc_provider import CLIENT, SECRET, Provider
from pydantic import SecretStr

from research_app.auth import Role, oidc
from research_app.auth.oidc import account_name, role_of
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

    def __init__(self, issuer: str, **section: Any) -> None:
        super().__init__()
        self.issuer = issuer
        oidc.install(self.app, oidc_settings(issuer, **section), self.auth)
        mount = self.app.routes.pop()  # before the assistant and whatever else was mounted
        self.app.routes.insert(0, mount)

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
    for forged in ("?code=x&state=y", "?code=x", ""):
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
        make_settings(oidc=section)
