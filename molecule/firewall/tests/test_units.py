"""With whom a unit may exchange packets, as systemd has it."""

from __future__ import annotations

from typing import Any

import pytest

UNIT = "[Service]\\nExecStart=/bin/sleep infinity\\n"
LISTED = {
    "127.0.0.0/8",
    "::1/128",
    "10.78.0.12/32",
    "10.78.0.11/32",
    "10.78.0.13/32",
    "192.0.2.7/32",
    "198.51.100.0/24",
}


@pytest.fixture(scope="module")
def app(hosts: dict[str, Any]) -> Any:
    """Return a host on which the units run."""
    host = hosts["app"]
    for unit in ("listed", "free"):
        host.check_output(f"printf '{UNIT}' >/etc/systemd/system/{unit}.service")
    host.check_output("systemctl daemon-reload; systemctl start listed free")
    return host


def shown(host: Any, unit: str, name: str) -> set[str]:
    return set(host.check_output(f"systemctl show --property={name} --value {unit}").split())


def test_a_unit_has_the_addresses_of_those_that_it_works_with(app: Any) -> None:
    assert shown(app, "listed", "IPAddressDeny") == {"0.0.0.0/0", "::/0"}
    assert shown(app, "listed", "IPAddressAllow") == LISTED


def test_a_unit_that_talks_to_anybody_has_no_list(app: Any) -> None:
    assert shown(app, "free", "IPAddressDeny") == set()
    assert not app.file("/etc/systemd/system/free.service.d").exists
