"""Silences of Alertmanager: which there are, and what is to be done to have those wanted."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

TIMEOUT = 10


class SilenceError(Exception):
    """Alertmanager does not do what it is asked for; the message says what and why."""


@dataclass(frozen=True)
class Wanted:
    """What is to be silent. Whose it is and what it is for is how it is found again."""

    matchers: Sequence[Mapping[str, Any]]
    owner: str
    comment: str
    seconds: int


@dataclass(frozen=True)
class Plan:
    """Silences to end, and one to make or to prolong."""

    ended: tuple[str, ...] = ()
    made: Mapping[str, Any] | None = None

    @property
    def changed(self) -> bool:
        """Tell whether there is something to do."""
        return bool(self.ended or self.made)


def parse_matcher(text: str) -> dict[str, Any]:
    """Return a matcher as the interface has it.

    :param text: C(host=os1), C(severity!=page), C(subject=~search_.*) or C(subject!~search_.*)
    :raises SilenceError: where it is none
    """
    for sign, equal, regex in (("=~", True, True), ("!~", False, True), ("!=", False, False)):
        name, found, value = text.partition(sign)
        if found and "=" not in name and "~" not in name:
            return _matcher(text, name, value, equal, regex)
    name, found, value = text.partition("=")
    if not found:
        raise SilenceError(
            f"{text!r} is no matcher: write it such as host=os1 or subject=~search_.*"
        )
    return _matcher(text, name, value, True, False)


def _matcher(text: str, name: str, value: str, equal: bool, regex: bool) -> dict[str, Any]:
    if not name.strip() or not value:
        raise SilenceError(f"{text!r} is no matcher: it lacks a label or a value")
    return {"name": name.strip(), "value": value, "isEqual": equal, "isRegex": regex}


def plan_present(found: Iterable[Mapping[str, Any]], wanted: Wanted, now: datetime) -> Plan:
    """Return what makes the wanted silence hold for as long as is asked for.

    One that lasts at least half as long is left alone, so that a run that is repeated at once
    changes nothing; a shorter one is prolonged.

    :param found: silences as Alertmanager lists them
    :param wanted: what is to be silent
    :param now: the time
    """
    same = [each for each in own(found, wanted) if alike(each["matchers"], wanted.matchers)]
    last = max(same, key=lambda each: moment(each["endsAt"]), default=None)
    if last and moment(last["endsAt"]) - now >= timedelta(seconds=wanted.seconds / 2):
        return Plan()
    body = {
        "matchers": list(wanted.matchers),
        "createdBy": wanted.owner,
        "comment": wanted.comment,
        "startsAt": last["startsAt"] if last else written(now),
        "endsAt": written(now + timedelta(seconds=wanted.seconds)),
    }
    return Plan(made={**body, "id": last["id"]} if last else body)


def plan_absent(found: Iterable[Mapping[str, Any]], wanted: Wanted) -> Plan:
    """Return what ends the silences that were made for this; with matchers, those alone.

    :param found: silences as Alertmanager lists them
    :param wanted: whose, what for and perhaps what
    """
    return Plan(
        ended=tuple(
            str(each["id"])
            for each in own(found, wanted)
            if not wanted.matchers or alike(each["matchers"], wanted.matchers)
        )
    )


def own(found: Iterable[Mapping[str, Any]], wanted: Wanted) -> list[Mapping[str, Any]]:
    """Return the silences of this owner and comment that still hold."""
    return [
        each
        for each in found
        if each["status"]["state"] != "expired"
        and (each["createdBy"], each["comment"]) == (wanted.owner, wanted.comment)
    ]


def alike(one: Iterable[Mapping[str, Any]], other: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether two lists of matchers are the same, in whatever order."""

    def key(matchers: Iterable[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
        return {
            (each["name"], each["value"], each.get("isEqual", True), each["isRegex"])
            for each in matchers
        }

    return key(one) == key(other)


def moment(text: str) -> datetime:
    """Return a time as Alertmanager writes it, to the second."""
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)


def written(time: datetime) -> str:
    """Return a time as Alertmanager reads it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Alertmanager:
    """The programming interface, as far as silences go."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") + "/api/v2"

    def silences(self) -> list[dict[str, Any]]:
        """Return all silences.

        :raises SilenceError: where Alertmanager does not answer
        """
        found: list[dict[str, Any]] = self._ask("GET", "/silences")
        return found

    def apply(self, plan: Plan) -> str:
        """Do what is planned, and return the identity of the silence that was made.

        :raises SilenceError: where it is refused
        """
        for identity in plan.ended:
            self._ask("DELETE", f"/silence/{identity}")
        return str(self._ask("POST", "/silences", plan.made)["silenceID"]) if plan.made else ""

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is the administrator's
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            said = error.read(300).decode(errors="replace").strip()
            raise SilenceError(f"{method} {self.url}{path}: {error.code} {said}") from error
        except OSError as error:
            raise SilenceError(f"Alertmanager does not answer at {self.url}: {error}") from error
        return json.loads(text) if text else None
