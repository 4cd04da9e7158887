"""Filter that turns what roles say of their figures into what Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: scrape_targets
short_description: Make Prometheus' lists of targets from what the roles export
description:
  - A role says on which port of its host figures are read, and how (C(access)). This filter returns
    for each job the list that Prometheus reads from a file, so that a new host needs no restart.
options:
  _input:
    description:
      - List of hosts, each with C(name), C(address) and C(targets). A target has C(job), C(port),
        C(path) (default C(/metrics)) and C(access).
      - C(certificate) and C(password) are asked over TLS, with the certificate of the asking host
        or with the user and password of the job. C(loopback) is plain HTTP on the monitoring host,
        and left out for other hosts. C(redis) is asked by way of the exporter of Valkey and Redis.
      - C(tls) and C(page) are looked at from outside, by the blackbox exporter. C(tls) connects to
        the port. C(page) fetches C(path) of the readers' service, and is left out without one.
    type: list
    elements: dict
    required: true
  host:
    description: The monitoring host that asks.
    type: str
    required: true
  service:
    description: The readers' service, C(name), C(address) and C(port), or nothing.
    type: dict
    default: {}
  exporters:
    description: Addresses of the exporters on the monitoring host, C(redis) and C(blackbox).
    type: dict
    required: true
"""

EXAMPLES = r"""
# {node: [{targets: ['10.0.0.21:9100'], labels: {host: app1, instance: 'app1:9100', …}}]}
lists: >-
  {{ [{'name': 'app1', 'address': '10.0.0.21',
       'targets': [{'job': 'node', 'port': 9100, 'access': 'certificate'}]}]
     | scrape_targets(inventory_hostname,
                      exporters={'redis': '127.0.0.1:9121', 'blackbox': '127.0.0.1:9115'}) }}
"""

RETURN = r"""
_value:
  description: Lists of targets by job, with C(access) for how the job is asked.
  type: dict
"""

KEYS = {"job", "port", "path", "access"}


def scrape_targets(
    hosts: Iterable[Mapping[str, Any]],
    host: str,
    service: Mapping[str, Any] | None = None,
    exporters: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return for each job how it is asked and its targets.

    :param hosts: C(name), C(address) and C(targets) of each host
    :param host: the monitoring host that asks
    :param service: the readers' service
    :param exporters: addresses of the exporters beside Prometheus
    :raises AnsibleFilterError: where a target cannot be understood
    """
    jobs: dict[str, dict[str, Any]] = {}
    for each in hosts:
        for target in each["targets"]:
            access = _checked(each["name"], target)
            made = MAKERS[access](each, target, host, service or {}, exporters or {})
            if made is None:
                continue
            job = jobs.setdefault(target["job"], {"access": access, "targets": []})
            if job["access"] != access:
                raise AnsibleFilterError(
                    f"scrape target {target['job']}: is asked as {job['access']} of one host and "
                    f"as {access} of {each['name']}; a job is asked in one way"
                )
            if made not in job["targets"]:
                job["targets"].append(made)
    return jobs


def _checked(name: str, target: Mapping[str, Any]) -> str:
    """Return how a target is asked, after making sure that it can be understood."""
    unknown = sorted(set(target) - KEYS)
    missing = sorted({"job", "access"} - set(target))
    if unknown or missing:
        raise AnsibleFilterError(
            f"scrape target of {name}: "
            + (f"unknown key {unknown[0]!r}" if unknown else f"lacks {missing[0]!r}")
            + f", a target has {', '.join(sorted(KEYS))}"
        )
    access = str(target["access"])
    if access not in MAKERS:
        raise AnsibleFilterError(
            f"scrape target {target['job']} of {name}: access {access!r} is none of "
            f"{', '.join(MAKERS)}"
        )
    return access


Maker = Callable[
    [Mapping[str, Any], Mapping[str, Any], str, Mapping[str, Any], Mapping[str, str]],
    dict[str, Any] | None,
]


def _direct(
    each: Mapping[str, Any], target: Mapping[str, Any], *_: object
) -> dict[str, Any] | None:
    return _entry(
        f"{each['address']}:{target['port']}", each["name"], target["port"], _path(target)
    )


def _loopback(
    each: Mapping[str, Any], target: Mapping[str, Any], host: str, *_: object
) -> dict[str, Any] | None:
    if each["name"] != host:
        return None
    return _entry(f"127.0.0.1:{target['port']}", host, target["port"], _path(target))


def _redis(
    each: Mapping[str, Any],
    target: Mapping[str, Any],
    _host: str,
    _service: Mapping[str, Any],
    exporters: Mapping[str, str],
) -> dict[str, Any] | None:
    asked = {
        "__metrics_path__": "/scrape",
        "__param_target": f"rediss://{each['address']}:{target['port']}",
    }
    return _entry(exporters["redis"], each["name"], target["port"], asked)


def _tls(
    each: Mapping[str, Any],
    target: Mapping[str, Any],
    _host: str,
    _service: Mapping[str, Any],
    exporters: Mapping[str, str],
) -> dict[str, Any] | None:
    asked = {
        "__metrics_path__": "/probe",
        "__param_module": "tls",
        "__param_target": f"{each['address']}:{target['port']}",
        "port": str(target["port"]),
    }
    return _entry(exporters["blackbox"], each["name"], target["port"], asked)


def _page(
    _each: Mapping[str, Any],
    target: Mapping[str, Any],
    _host: str,
    service: Mapping[str, Any],
    exporters: Mapping[str, str],
) -> dict[str, Any] | None:
    if not service:
        return None
    path = target.get("path", "/")
    asked = {
        "__metrics_path__": "/probe",
        "__param_module": "page",
        "__param_target": f"https://{service['address']}:{service['port']}{path}",
        "path": path.partition("?")[0],
    }
    return _entry(exporters["blackbox"], service["name"], service["port"], asked)


MAKERS: Mapping[str, Maker] = {
    "certificate": _direct,
    "password": _direct,
    "loopback": _loopback,
    "redis": _redis,
    "tls": _tls,
    "page": _page,
}


def _path(target: Mapping[str, Any]) -> dict[str, str]:
    return {"__metrics_path__": target["path"]} if "path" in target else {}


def _entry(address: str, host: str, port: object, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "targets": [address],
        "labels": {"host": host, "instance": f"{host}:{port}", **labels},
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"scrape_targets": scrape_targets}
