"""Variables as the checks see them: templated when asked for, over the defaults of the roles."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.preflight.model import Unreadable
from ansible.module_utils.preflight.reader import HostVariables
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template


def variables(**raw: Any) -> HostVariables:
    """Return a host's variables."""
    trusted = {
        name: trust_as_template(value) if isinstance(value, str) else value
        for name, value in raw.items()
    }
    return HostVariables(trusted, {"app_project": "/srv/roles/app"}, Templar(DataLoader()))


def test_values_are_templated_over_one_another() -> None:
    found = variables(base_address="10.0.0.{{ last }}", last=7, plain="{{ base_address }}/24")
    assert found["plain"] == "10.0.0.7/24"


def test_a_default_knows_its_role() -> None:
    found = variables(app_project="{{ role_path | dirname }}/app", other="{{ role_path }}")
    assert found["app_project"] == "/srv/roles/app"
    assert found["other"] == ""


@pytest.mark.parametrize(
    ("raw", "waits"),
    [
        ({"heap": "{{ ansible_facts.memtotal_mb // 2 }}m"}, True),
        ({"heap": "{{ half }}m", "half": "{{ ansible_facts['memtotal_mb'] // 2 }}"}, True),
        ({"heap": "{{ ansible_memtotal_mb }}m"}, True),
        ({"heap": "{{ vault_heap }}"}, False),
        ({"heap": "{{ half }}", "half": "{{ nowhere }}"}, False),
    ],
)
def test_a_value_that_waits_for_facts_is_told_from_a_mistake(
    raw: dict[str, str], waits: bool
) -> None:
    found = variables(**raw)["heap"]
    assert isinstance(found, Unreadable)
    assert found.needs_facts is waits


def test_what_is_missing_is_named() -> None:
    found = variables(password="{{ vault_password }}")["password"]
    assert isinstance(found, Unreadable)
    assert "'vault_password' is undefined" in found.reason


def test_hosts_that_differ_in_their_name_alone_share_what_does_not_lead_to_it() -> None:
    """So a hundred hosts of a kind take little longer than one."""
    raw = {
        "shared": "{{ size }} GB",
        "size": "{{ 2 * 2 }}",
        "own": "{{ address }}:80",
        "address": "{{ ansible_host }}",
    }
    alike: dict[str, Any] = {}
    first, second = (
        HostVariables(
            {
                **{name: trust_as_template(value) for name, value in raw.items()},
                "ansible_host": host,
            },
            {},
            Templar(DataLoader()),
            alike,
        )
        for host in ("10.0.0.1", "10.0.0.2")
    )
    assert [first["shared"], first["own"]] == ["4 GB", "10.0.0.1:80"]
    assert set(alike) == {"shared"}
    alike["shared"] = "of the first"
    assert [second["shared"], second["own"]] == ["of the first", "10.0.0.2:80"]
