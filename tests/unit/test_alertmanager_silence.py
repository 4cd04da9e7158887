"""alertmanager_silence: found again by whose it is and what it is for, prolonged, lifted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible.module_utils.alertmanager_silences import (
    Plan,
    SilenceError,
    Wanted,
    parse_matcher,
    plan_absent,
    plan_present,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
HOST = parse_matcher("host=os1")
WANTED = Wanted([HOST], "research-stack", "restart of os1", 3600)


def silence(**differences: Any) -> dict[str, Any]:
    """Return one that holds for another hour, as Alertmanager lists it."""
    return {
        "id": "one",
        "status": {"state": "active"},
        "createdBy": "research-stack",
        "comment": "restart of os1",
        "matchers": [HOST],
        "startsAt": "2026-01-01T11:00:00.123Z",
        "endsAt": "2026-01-01T13:00:00.000Z",
        **differences,
    }


@pytest.mark.parametrize(
    ("text", "name", "value", "equal", "regex"),
    [
        ("host=os1", "host", "os1", True, False),
        ("severity!=page", "severity", "page", False, False),
        ("subject=~search_.*|host", "subject", "search_.*|host", True, True),
        ("subject!~a=~b", "subject", "a=~b", False, True),
        ("comment=a!=b", "comment", "a!=b", True, False),
    ],
)
def test_a_matcher_is_written_as_in_a_rule(
    text: str, name: str, value: str, equal: bool, regex: bool
) -> None:
    wanted = {"name": name, "value": value, "isEqual": equal, "isRegex": regex}
    assert parse_matcher(text) == wanted


@pytest.mark.parametrize("text", ["host", "=os1", "host=", ""])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(SilenceError, match="is no matcher"):
        parse_matcher(text)


@pytest.mark.parametrize(
    "found",
    [
        [],
        [silence(status={"state": "expired"})],
        [silence(createdBy="somebody")],
        [silence(comment="something else")],
        [silence(matchers=[parse_matcher("host=os2")])],
    ],
    ids=["none", "over", "of somebody else", "for something else", "of another host"],
)
def test_it_is_made_where_there_is_none(found: list[dict[str, Any]]) -> None:
    made = plan_present(found, WANTED, NOW).made
    assert made
    assert "id" not in made
    assert (made["startsAt"], made["endsAt"]) == ("2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z")


def test_one_that_lasts_is_left_alone() -> None:
    assert plan_present([silence()], WANTED, NOW) == Plan()


def test_one_that_ends_too_soon_is_prolonged() -> None:
    found = [silence(endsAt="2026-01-01T12:20:00.000Z")]
    made = plan_present(found, WANTED, NOW).made
    assert made
    assert (made["id"], made["endsAt"]) == ("one", "2026-01-01T13:00:00Z")


@pytest.mark.parametrize(
    ("matchers", "ended"),
    [([], ("one", "two")), ([HOST], ("one",))],
    ids=["all that were made for it", "one of them"],
)
def test_its_own_are_lifted(matchers: list[Any], ended: tuple[str, ...]) -> None:
    found = [
        silence(),
        silence(id="two", matchers=[parse_matcher("subject=search_shards")]),
        silence(id="three", createdBy="somebody"),
        silence(id="four", status={"state": "expired"}),
    ]
    wanted = Wanted(matchers, "research-stack", "restart of os1", 0)
    assert plan_absent(found, wanted).ended == ended


def test_there_is_nothing_to_lift_twice() -> None:
    assert not plan_absent([silence(status={"state": "expired"})], WANTED).changed
