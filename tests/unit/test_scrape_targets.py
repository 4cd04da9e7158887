"""scrape_targets: what Prometheus asks, from what the roles export."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from filter_plugins.scrape_targets import scrape_targets

EXPORTERS = {"redis": "127.0.0.1:9121", "blackbox": "127.0.0.1:9115"}
SERVICE = {"name": "library.example.org", "address": "10.0.0.10", "port": 443}


def made(target: dict[str, Any], service: dict[str, Any] | None = None) -> Any:
    """Return what a target of app1 becomes on ops1."""
    hosts = [{"name": "app1", "address": "10.0.0.21", "targets": [target]}]
    return scrape_targets(hosts, "ops1", service, EXPORTERS)


@pytest.mark.parametrize(
    ("target", "asked", "labels"),
    [
        (
            {"job": "node", "port": 9100, "access": "certificate"},
            "10.0.0.21:9100",
            {"host": "app1", "instance": "app1:9100"},
        ),
        (
            {"job": "edge", "port": 8404, "access": "password", "path": "/figures"},
            "10.0.0.21:8404",
            {"host": "app1", "instance": "app1:8404", "__metrics_path__": "/figures"},
        ),
        (
            {"job": "cache", "port": 6379, "access": "redis"},
            "127.0.0.1:9121",
            {
                "host": "app1",
                "instance": "app1:6379",
                "__metrics_path__": "/scrape",
                "__param_target": "rediss://10.0.0.21:6379",
            },
        ),
        (
            {"job": "probe_tls", "port": 443, "access": "tls"},
            "127.0.0.1:9115",
            {
                "host": "app1",
                "instance": "app1:443",
                "__metrics_path__": "/probe",
                "__param_module": "tls",
                "__param_target": "10.0.0.21:443",
                "port": "443",
            },
        ),
    ],
)
def test_each_way_to_ask(target: dict[str, Any], asked: str, labels: dict[str, str]) -> None:
    entry = {"targets": [asked], "labels": labels}
    assert made(target) == {target["job"]: {"access": target["access"], "targets": [entry]}}


def test_a_page_is_the_services_and_asked_for_once() -> None:
    page = {"job": "probe_https", "path": "/api/search?q=x", "access": "page"}
    hosts = [{"name": name, "address": name, "targets": [page]} for name in ("app1", "app2")]
    found = scrape_targets(hosts, "ops1", SERVICE, EXPORTERS)["probe_https"]["targets"]
    assert [each["labels"]["__param_target"] for each in found] == [
        "https://10.0.0.10:443/api/search?q=x"
    ]
    assert found[0]["labels"]["host"] == "library.example.org"
    assert found[0]["labels"]["path"] == "/api/search"


def test_a_page_without_an_edge_is_none() -> None:
    assert made({"job": "probe_https", "path": "/live", "access": "page"}) == {}


def test_what_listens_on_loopback_is_asked_on_its_own_host_alone() -> None:
    target = {"job": "prometheus", "port": 9090, "access": "loopback"}
    hosts = [{"name": name, "address": name, "targets": [target]} for name in ("ops1", "ops2")]
    found = scrape_targets(hosts, "ops2", {}, EXPORTERS)["prometheus"]["targets"]
    assert found == [
        {"targets": ["127.0.0.1:9090"], "labels": {"host": "ops2", "instance": "ops2:9090"}}
    ]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"job": "x", "port": 1, "access": "telnet"}, "access 'telnet' is none of certificate"),
        ({"job": "x", "prot": 1, "access": "tls"}, "unknown key 'prot'"),
        ({"port": 1, "access": "tls"}, "lacks 'job'"),
    ],
)
def test_what_cannot_be_understood_is_refused(target: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        made(target)


def test_a_job_is_asked_in_one_way() -> None:
    ways = [{"job": "edge", "port": 1, "access": each} for each in ("certificate", "password")]
    with pytest.raises(AnsibleFilterError, match="a job is asked in one way"):
        scrape_targets([{"name": "e", "address": "e", "targets": ways}], "ops1", {}, EXPORTERS)
