"""A site without a mistake, and ways to put one in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.preflight.model import Controller, Host, Inventory, Role, Rule

PROJECT = Path(__file__).resolve().parent.parent.parent
SHA512 = "0123456789abcdef" * 8

GROUPS = {
    "edge": ["edge1", "edge2"],
    "app": ["app1", "app2"],
    "opensearch": ["os1", "os2", "os3"],
    "opensearch_manager": ["os1", "os2", "os3"],
    "opensearch_hot": ["os1", "os2", "os3"],
    "cache": ["cache1", "cache2", "cache3"],
}
SITE = f"""
all:
  base_admin_networks: [10.0.0.1/32]
  firewall_admin_networks: [10.0.0.1/32]
  pki_ca_passphrase: IsLongEnoughForAll1
edge:
  edge_service_name: library.example.org
  edge_vip_address: 10.0.0.100/24
  edge_stats_password: AlsoLongEnoughHere2
  edge_vrrp_password: Vrrp1234
  edge_vrrp_peers:
    - {{name: edge1, address: 10.0.0.10, priority: 150}}
    - {{name: edge2, address: 10.0.0.11, priority: 100}}
  edge_upstreams:
    - {{name: app1, address: 10.0.0.20, port: 7860}}
    - {{name: app2, address: 10.0.0.21, port: 7860}}
app:
  app_edges: [edge1, edge2]
  app_opensearch_urls: ["https://os1:9200"]
  app_opensearch_password: OpensearchOfTheApp4
  app_cache_password: CacheOfTheApplication5
  app_signing_key: SigningKeyOfTheSessions6
opensearch:
  opensearch_version: 3.5.0
  opensearch_archive: https://mirror.example.org/opensearch.tar.gz
  opensearch_archive_sha512: {SHA512}
  opensearch_plugins:
    - name: opensearch-security
      version: 3.5.0.0
      source: https://mirror.example.org/security.zip
      sha512: {SHA512}
  opensearch_heap: 4g
  opensearch_memory_max: 8g
  opensearch_node_roles: [cluster_manager, data, ingest]
  opensearch_users:
    - {{name: research_admin, password: TheAdministrator77, roles: [all_access]}}
    - {{name: research_web, password: OpensearchOfTheApp4, roles: [research_web]}}
cache:
  cache_primary: cache1
  cache_min_replicas: 1
  cache_replication_password: ReplicatesTheData8
  cache_sentinel_password: WatchesThePrimary9
  cache_acl_users:
    - {{name: research_app, password: CacheOfTheApplication5, rules: ["+@all"]}}
"""


def project_roles() -> dict[str, Role]:
    """Return the project's own roles, so that a renamed variable is noticed."""
    roles = {}
    for path in sorted((PROJECT / "roles").glob("*/meta/argument_specs.yml")):
        spec = yaml.safe_load(path.read_text())["argument_specs"]["main"]
        roles[path.parent.parent.name] = Role(path.parent.parent.name, spec.get("options", {}))
    return roles


def literal_defaults() -> dict[str, Any]:
    """Return the roles' defaults that are no templates."""
    values: dict[str, Any] = {}
    for path in sorted((PROJECT / "roles").glob("*/defaults/main.yml")):
        values |= yaml.safe_load(path.read_text()) or {}
    return {name: value for name, value in values.items() if "{{" not in str(value)}


ROLES = project_roles()
DEFAULTS = literal_defaults()


def build(change: str = "", rules: dict[str, list[dict[str, Any]]] | None = None) -> Inventory:
    """Return the site with some YAML laid over it.

    :param change: host or group -> variables, null to remove one; ``groups`` replaces groups
    :param rules: role -> firewall rules that it exports
    """
    site = yaml.safe_load(SITE)
    extra = yaml.safe_load(change) or {}
    groups = {**GROUPS, **(extra.pop("groups", None) or {})}
    names = list(dict.fromkeys(host for group in groups.values() for host in group))
    addresses = {name: f"10.0.0.{number + 10}" for number, name in enumerate(names)}
    hosts = {}
    for name in names:
        member = {group for group, listed in groups.items() if name in listed}
        given: dict[str, Any] = {"base_address": addresses[name]}
        for layer in (site, extra):
            for place in ("all", *sorted(member), name):
                given |= copy.deepcopy(layer.get(place) or {})
        given = {key: value for key, value in given.items() if value is not None}
        exported = [
            Rule(role, rule)
            for role, listed in (rules or {}).items()
            if role in member or role == "base"
            for rule in listed
        ]
        hosts[name] = Host(
            name, frozenset(member), {**DEFAULTS, **given}, frozenset(given), exported
        )
    return Inventory(
        hosts, {**groups, "all": names}, ROLES, Controller(), frozenset({"base_address"})
    )
