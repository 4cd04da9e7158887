"""Each kind of mistake that an inventory may hold: it is told once, with the value and a remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible.module_utils.preflight.checks import inventory_mistakes
from ansible.module_utils.preflight.model import Controller, Unreadable
from ansible.module_utils.preflight.report import refusal, sentences

from tests.unit.preflight_site import SHA512, build

# A monitoring host, and the roles that the wiring runs there.
OPS = """\
groups: {ops: [ops1]}
ops: {site_roles: [prometheus, alertmanager], alertmanager_receivers: []}
"""

# What is laid over the good site, and what the one sentence about it must say: the thing, its value
# and what to write instead.
MISTAKES = {
    "nobody to be told of alerts": (
        OPS + "ops1: {alertmanager_receivers: null}",
        ["ops1", "alertmanager_receivers", "is not set", "or [] where nobody is"],
    ),
    "pager without a key": (
        OPS + "ops1: {alertmanager_receivers: [{name: pager, kind: pagerduty}]}",
        ["alertmanager_receivers[pager].secret", "is missing", "routing key"],
    ),
    "mail without a server": (
        OPS + "ops1: {alertmanager_receivers: [{name: mail, kind: mail, to: a@b.c, from: d@b.c}]}",
        ["alertmanager_receivers[mail].smarthost", "such as mail.example.org:25"],
    ),
    "receiver of no kind": (
        OPS + "ops1: {alertmanager_receivers: [{name: a, kind: pager, secret: hX7kf0aLongOne}]}",
        ["alertmanager_receivers", "does not fit", "pagerduty"],
    ),
    "two receivers of one name": (
        OPS
        + "ops1: {alertmanager_receivers: [{name: a, kind: webhook, secret: 'http://10.0.0.1/a'}, "
        "{name: a, kind: webhook, secret: 'http://10.0.0.1/b'}]}",
        ["alertmanager_receivers.name = a", "listed twice"],
    ),
    "size that Prometheus cannot read": (
        OPS + "ops1: {prometheus_retention_size: 8 gigs}",
        ["prometheus_retention_size = 8 gigs", "such as 512MB or 8GB"],
    ),
    "no patience at all": (
        OPS + "ops1: {prometheus_patience: 0}",
        ["prometheus_patience = 0", "write 1, or less"],
    ),
    "figures that are read too rarely": (
        OPS + "ops1: {prometheus_probe_seconds: 600}",
        ["prometheus_probe_seconds = 600", "write 120 or less"],
    ),
    "even number of managers": (
        "groups: {opensearch_manager: [os1, os2]}",
        ["opensearch_manager", "os1, os2", "name 1 or 3 hosts"],
    ),
    "no manager": (
        "groups: {opensearch_manager: []}",
        ["opensearch_manager", "[]", "put 3 of its hosts into opensearch_manager"],
    ),
    "no data node": (
        "groups: {opensearch_hot: []}\nos1: {opensearch_index_replicas: 0}",
        ["opensearch_hot", "[]", "put the hosts that hold data into opensearch_hot"],
    ),
    "warm without hot": (
        "groups: {opensearch_hot: [], opensearch_warm: [os3]}",
        ["opensearch_warm", "os3", "put at least one host into opensearch_hot"],
    ),
    "host in no group": (
        "groups: {spare: [spare1]}",
        ["spare1", "groups = spare", "put it into one of edge, app"],
    ),
    "misspelt group": (
        "groups: {opensearch_managers: [os1]}",
        ["opensearch_managers", "write opensearch_manager"],
    ),
    "tier with nothing behind it": (
        "groups: {cache: []}",
        ["group app", "group cache", "put at least one host into cache"],
    ),
    "name that is no hostname": (
        "groups: {edge: [edge1, edge_2]}\n"
        "app: {app_edges: [edge1, edge_2]}\nedge: {edge_vrrp_peers: "
        "[{name: edge1, address: 10.0.0.10}, {name: edge_2, address: 10.0.0.11}]}",
        ["inventory_hostname = edge_2", "lower-case letters, digits and hyphens"],
    ),
    "address that is no IP": (
        "os1: {base_address: os1.example.org}",
        ["base_address = os1.example.org", "such as 10.0.0.11"],
    ),
    "two hosts with one address": (
        "app2: {base_address: 10.0.0.40}\napp1: {base_address: 10.0.0.40}",
        ["app2", "base_address = 10.0.0.40", "of app1 too", "give each host its own"],
    ),
    "loopback address": (
        "os1: {base_address: 127.0.0.1}",
        ["base_address = 127.0.0.1", "network that the hosts share"],
    ),
    "virtual address without prefix": (
        "edge: {edge_vip_address: 10.0.0.100}",
        ["edge_vip_address = 10.0.0.100", "write 10.0.0.100/24"],
    ),
    "virtual address outside of the network": (
        "edge1: {base_address: 10.0.0.10}\nedge2: {base_address: 10.0.9.11}",
        ["edge2", "edge_vip_address = 10.0.0.100/24", "beside 10.0.9.11"],
    ),
    "virtual address of a host": (
        "edge: {edge_vip_address: 10.0.0.12/24}",
        ["edge_vip_address = 10.0.0.12/24", "of app1", "that no host has"],
    ),
    "virtual address that is the network's": (
        "edge: {edge_vip_address: 10.0.0.255/24}",
        ["edge_vip_address = 10.0.0.255/24", "inside 10.0.0.0/24"],
    ),
    "virtual address that is none": (
        "edge: {edge_vip_address: library/24}",
        ["edge_vip_address = library/24", "such as 10.0.0.254/24"],
    ),
    "virtual address that differs": (
        "edge2: {edge_vip_address: 10.0.0.101/24}",
        ["edge_vip_address = 10.0.0.100/24, 10.0.0.101/24", "set it once"],
    ),
    "service name with a scheme": (
        "edge: {edge_service_name: 'https://library.example.org'}",
        ["edge_service_name = https://library.example.org", "without https://"],
    ),
    "another name of the service with a port": (
        "edge: {edge_service_aliases: [library.example.com, 'papers.example.org:443']}",
        ["edge_service_aliases = papers.example.org:443", "without https:// and port"],
    ),
    "a name for browsers' lists without its sub-domains": (
        "edge: {edge_hsts_preload: true}",
        ["edge_hsts_preload = true", "set edge_hsts_subdomains to true"],
    ),
    "a name for browsers' lists for an hour": (
        "edge: {edge_hsts_preload: true, edge_hsts_subdomains: true, edge_hsts_seconds: 3600}",
        ["edge_hsts_seconds = 3600", "31536000 or more"],
    ),
    "VRRP router id": (
        "edge: {edge_vrrp_router_id: 300}",
        ["edge_vrrp_router_id = 300", "1 to 255"],
    ),
    "VRRP peer missing": (
        "edge: {edge_vrrp_peers: [{name: edge1, address: 10.0.0.10, priority: 100}]}",
        ["edge_vrrp_peers = edge1", "lacks edge2", "list every edge host"],
    ),
    "VRRP priorities alike": (
        "edge: {edge_vrrp_peers: [{name: edge1, address: 10.0.0.10, priority: 100}, "
        "{name: edge2, address: 10.0.0.11, priority: 100}]}",
        ["edge_vrrp_peers = 100", "of edge1 and of edge2", "give each its own"],
    ),
    "edge without upstreams": (
        "edge: {edge_upstreams: []}",
        ["edge_upstreams = []", "list the application hosts"],
    ),
    "edge that the application hosts do not know": (
        "app1: {app_edges: [EDGE1]}",
        ["app_edges = edge1", "does not have edge2", "list every edge host by its name"],
    ),
    "proxies known by address": (
        "app2: {app_settings: {server: {trusted_proxies: [10.0.0.10]}}}",
        ["app_settings.server.trusted_proxies = 10.0.0.10", "by certificate", "app_edges"],
    ),
    "nodes of another organization than their certificates": (
        "all: {pki_organization: University of Examples}\n"
        "opensearch: {opensearch_tls_organization: research-stack}",
        ["opensearch_tls_organization = research-stack is not in the certificates", "remove it"],
    ),
    "nodes of two organizations": (
        "os1: {pki_organization: Library, opensearch_tls_organization: Library}",
        ["pki_organization = Library, research-stack", "differs among the nodes", "set it once"],
    ),
    "no search at a time": (
        "app: {app_settings: {search: {max_at_once: 0}}}",
        ["group app: app_settings.search.max_at_once = 0 is not accepted", "write 1 to 10000"],
    ),
    "no job at a time": (
        "app2: {app_jobs_at_once: 0}",
        ["app2: app_jobs_at_once = 0 is not accepted by the application", "write 1 to 64"],
    ),
    "limit that is no rate": (
        "app: {app_settings: {limits: {search: 60 each minute}}}",
        ["app_settings.limits.search = 60 each minute is no rate", 'write it as "60/minute"'],
    ),
    "setting that the application has not": (
        "app: {app_settings: {search: {max_at_one: 8}}}",
        ["app_settings.search.max_at_one is no setting", "write max_at_once"],
    ),
    "section that the application has not": (
        "app: {app_settings: {serch: {max_at_once: 8}}}",
        ["app_settings.serch is no setting of the application", "write search"],
    ),
    "setting of another type": (
        "app: {app_settings: {jobs: {keep_days: a month}}}",
        ["app_settings.jobs.keep_days = a month is no number", "write 1 to 3650"],
    ),
    "level that the application has not": (
        "app: {app_settings: {logging: {level: debug}}}",
        ["app_settings.logging.level = debug", "write one of DEBUG, INFO, WARNING, ERROR"],
    ),
    "language that is none": (
        "app: {app_settings: {ocr: {languages: [english]}}}",
        ["app_settings.ocr.languages", "has an entry (english) that is not accepted"],
    ),
    "edge that is called as every host": (
        "groups: {edge: [localhost]}\napp: {app_edges: [localhost]}\nedge: {edge_vrrp_peers: []}",
        ["inventory_hostname = localhost", "certificate of every host", "a name of its own"],
    ),
    "variable of an earlier release": (
        "app: {app_trusted_proxies: [10.0.0.10]}",
        ["app_trusted_proxies", "10.0.0.10"],
    ),
    "unknown proxy": (
        "edge: {edge_proxy: ngnix}",
        ["edge_proxy = ngnix", "write nginx"],
    ),
    "heap over half of the memory": (
        "os1: {opensearch_heap: 6g}",
        ["os1: opensearch_heap = 6g", "opensearch_memory_max (8g)", "write 4g or less"],
    ),
    "heap over 31g": (
        "os1: {opensearch_heap: 40g, opensearch_memory_max: 128g}",
        ["opensearch_heap = 40g", "write 31g or less"],
    ),
    "heap of an unknown unit": (
        "os1: {opensearch_heap: 4 gigs}",
        ["opensearch_heap = 4 gigs", "such as 4g or 512m"],
    ),
    "heap without unit": (
        "os1: {opensearch_heap: '4096'}",
        ["opensearch_heap = 4096", "write 512m or more (with its unit)"],
    ),
    "replicas for more nodes than there are": (
        "opensearch: {opensearch_index_replicas: 3}",
        ["opensearch_index_replicas = 3", "4 copies on 3 data nodes", "write 2 or less"],
    ),
    "replicas in a template": (
        "opensearch: {opensearch_index_templates: "
        "{logs: {template: {settings: {number_of_replicas: 5}}}}}",
        ["opensearch_index_templates.logs.number_of_replicas = 5", "write 2 or less"],
    ),
    "no shard": (
        "opensearch: {opensearch_index_shards: -1}",
        ["opensearch_index_shards = -1", "write 1 or more"],
    ),
    "checksum cut short": (
        f"opensearch: {{opensearch_archive_sha512: '{SHA512[:-2]}'}}",
        ["opensearch_archive_sha512 = 0123456789…", "126 characters", "as sha512sum prints it"],
    ),
    "checksum that is no number": (
        f"opensearch: {{opensearch_archive_sha512: '{SHA512[:-1]}x'}}",
        ["opensearch_archive_sha512", "'x'", "copy it whole"],
    ),
    "archive that is not there": (
        "opensearch: {opensearch_archive: /srv/nowhere/opensearch.tar.gz}",
        ["opensearch_archive = /srv/nowhere/opensearch.tar.gz", "correct the path"],
    ),
    "archive without TLS": (
        "opensearch: {opensearch_archive: 'http://mirror.example.org/o.tar.gz'}",
        ["opensearch_archive = http://mirror", "write https://mirror.example.org/o.tar.gz"],
    ),
    "plugin of another version": (
        "opensearch: {opensearch_plugins: [{name: opensearch-security, version: 3.4.0.0, "
        f"source: 'https://mirror.example.org/s.zip', sha512: {SHA512}}}]}}",
        ["opensearch_plugins[opensearch-security].version = 3.4.0.0", "release 3.5.0.0"],
    ),
    "security plugin missing": (
        "opensearch: {opensearch_plugins: [{name: analysis-icu, version: 3.5.0, "
        f"source: 'https://mirror.example.org/i.zip', sha512: {SHA512}}}]}}",
        ["opensearch_plugins = analysis-icu", "add opensearch-security"],
    ),
    "version too old": (
        "opensearch: {opensearch_version: 3.1.0, opensearch_plugins: [{name: opensearch-security, "
        f"version: 3.1.0.0, source: 'https://mirror.example.org/s.zip', sha512: {SHA512}}}]}}",
        ["opensearch_version = 3.1.0", "combined_fields", "3.2.0"],
    ),
    "versions that differ": (
        "os1: {opensearch_version: 3.6.0, opensearch_plugins: [{name: opensearch-security, "
        f"version: 3.6.0.0, source: 'https://mirror.example.org/s.zip', sha512: {SHA512}}}]}}",
        ["opensearch_version = 3.5.0, 3.6.0", "set it once"],
    ),
    "role of a node that does not exist": (
        "os1: {opensearch_node_roles: [cluster_manager, dta]}",
        ["opensearch_node_roles = dta", "write data"],
    ),
    "manager without the role": (
        "os1: {opensearch_node_roles: [data]}",
        ["opensearch_node_roles = data", "add cluster_manager"],
    ),
    "watermarks out of order": (
        "opensearch: {opensearch_disk_low: 95%, opensearch_disk_flood: 85%}",
        ["opensearch_disk_low", "95%, 90%, 85%", "such as 85%, 90%, 95%"],
    ),
    "watermark that is none": (
        "opensearch: {opensearch_disk_low: '85'}",
        ["opensearch_disk_low = 85", "such as 85%"],
    ),
    "setting that opensearch.yml refuses": (
        "opensearch: {opensearch_settings: {index.number_of_shards: 2}}",
        ["opensearch_settings.index.number_of_shards = 2", "into an index template"],
    ),
    "setting that is gone": (
        "opensearch: {opensearch_settings: {thread_pool: {bulk: {queue_size: 500}}}}",
        ["opensearch_settings.thread_pool.bulk.queue_size = 500", "opensearch_write_queue"],
    ),
    "user with an unknown role": (
        "opensearch: {opensearch_users: [{name: a, password: ALongPassword1, roles: [al_access]}]}",
        ["opensearch_users[a].roles = al_access", "write all_access"],
    ),
    "rack on some nodes only": (
        "os1: {opensearch_rack: a}",
        ["opensearch_rack", "os2, os3", "on every data node, or on none"],
    ),
    "two cache hosts": (
        "groups: {cache: [cache1, cache2]}\ncache: {cache_min_replicas: 0}",
        ["group cache = cache1, cache2", "name 1 or 3 hosts"],
    ),
    "more replicas than cache hosts": (
        "cache: {cache_min_replicas: 3}",
        ["cache_min_replicas = 3", "write 1"],
    ),
    "cache larger than its limit": (
        "cache: {cache_maxmemory: 1gb}",
        ["cache_maxmemory = 1gb", "cache_memory_limit (768M)", "write 256mb"],
    ),
    "primary that is no cache host": (
        "cache: {cache_primary: redis1}",
        ["cache_primary = redis1", "cache1, cache2, cache3"],
    ),
    "default cache user": (
        "cache: {cache_acl_users: [{name: default, password: ALongPassword1, rules: []}]}",
        ["cache_acl_users = default", "another name"],
    ),
    "unknown variable of a role": (
        "os1: {opensearch_verison: 3.5.0}",
        ["opensearch_verison = 3.5.0", "write opensearch_version"],
    ),
    "misspelt prefix": (
        "os1: {opensarch_heap: 4g}",
        ["opensarch_heap = 4g", "write opensearch_heap"],
    ),
    "required variable missing": (
        "edge: {edge_service_name: null}",
        ["edge_service_name", "is not set", "set it to a text: DNS name"],
    ),
    "wrong type": (
        "edge: {edge_http_port: eighty}",
        ["edge_http_port = eighty", "write a whole number"],
    ),
    "missing key in a list": (
        "edge: {edge_upstreams: [{name: app1, port: 7860}]}",
        ["edge_upstreams", "address", "write a list of mappings with name, address, port"],
    ),
    "placeholder left": (
        "app: {app_site_title: CHANGE ME}",
        ["app_site_title = CHANGE ME", "write your own value"],
    ),
    "relative path": (
        "all: {pki_dir: pki}",
        ["pki_dir = pki", "such as /pki"],
    ),
    "nothing kept": (
        "opensearch: {opensearch_releases_kept: 0}",
        ["opensearch_releases_kept = 0", "write 1 or more"],
    ),
    "certificate that outlives its authority": (
        "all: {pki_valid_for: 20y}",
        ["pki_valid_for = 20y", "(3650d)", "less than pki_ca_valid_for"],
    ),
    "empty password": (
        "edge: {edge_stats_password: ''}",
        ["edge_stats_password", "is empty", "scripts/secrets"],
    ),
    "default password": (
        "edge: {edge_stats_password: changeme123}",
        ["edge_stats_password = (secret, 11 characters)", "everyone tries first", "random one"],
    ),
    "short password": (
        "app: {app_signing_key: hX7kf0}",
        ["app_signing_key = (secret, 6 characters)", "shorter than 12", "random one"],
    ),
    "short password of a user": (
        "opensearch: {opensearch_users: [{name: a, password: kX1, roles: [all_access]}]}",
        ["opensearch_users[a].password = (secret, 3 characters)", "random one"],
    ),
    "two users with one password": (
        "opensearch: {opensearch_users: [{name: a, password: TheSameForBoth1, roles: []}, "
        "{name: b, password: TheSameForBoth1, roles: []}]}",
        ["opensearch_users[b].password", "of opensearch_users[a].password too", "each its own"],
    ),
    "two secrets of the vault alike": (
        "all: {vault_a_password: TheSameForBoth1, vault_b_password: TheSameForBoth1}",
        ["vault_b_password", "of vault_a_password too", "give each its own"],
    ),
    "admin network that is none": (
        "all: {base_admin_networks: [10.0.0.5/24]}",
        ["base_admin_networks = 10.0.0.5/24", "write 10.0.0.0/24"],
    ),
    "admin network of the whole world": (
        "all: {base_admin_networks: [0.0.0.0/0]}",
        ["base_admin_networks = 0.0.0.0/0", "such as 10.0.0.0/24"],
    ),
    "no admin network": (
        "all: {base_admin_networks: []}",
        ["base_admin_networks = []", "such as [10.0.0.0/24]"],
    ),
    "firewall rule for an unknown group": (
        "all: {firewall_rules: [{name: x, port: 1, from: [opensarch]}]}",
        ["firewall_rules[x].from = opensarch", "write opensearch"],
    ),
    "no port": (
        "app: {app_port: 70000}",
        ["app_port = 70000", "1 to 65535"],
    ),
    "certificate that is not there": (
        "app1: {pki_provided_certificate: /nowhere.pem, pki_provided_key: /nowhere.key}",
        ["pki_provided_certificate = /nowhere.pem", "No such file", "the file here"],
    ),
}


@pytest.mark.parametrize(("change", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_once_with_its_remedy(change: str, said: list[str]) -> None:
    inventory = build(change)
    lines = sentences(inventory_mistakes(inventory), inventory.groups)
    assert len(lines) == 1, "\n".join(lines)
    for part in said:
        assert part in lines[0]


def test_a_site_without_mistake_passes() -> None:
    inventory = build()
    assert sentences(inventory_mistakes(inventory), inventory.groups) == []


def test_one_host_in_every_group_passes() -> None:
    every = ["edge", "app", "opensearch", "opensearch_manager", "opensearch_hot", "cache"]
    groups = ", ".join(f"{group}: [single]" for group in every)
    inventory = build(
        f"groups: {{{groups}}}\n"
        "single: {edge_vip_address: '', edge_vrrp_peers: [], app_edges: [single], "
        "cache_primary: single, "
        "opensearch_index_replicas: 0, cache_min_replicas: 0}"
    )
    assert sentences(inventory_mistakes(inventory), inventory.groups) == []


def test_the_official_bundle_brings_the_security_plugin() -> None:
    archive = "https://mirror.example.org/opensearch-3.5.0-linux-x64.tar.gz"
    inventory = build(f"opensearch: {{opensearch_archive: '{archive}', opensearch_plugins: []}}")
    assert inventory_mistakes(inventory) == []


def test_two_services_of_one_host_on_one_port() -> None:
    rules = {
        "opensearch": [{"name": "http", "port": 7860, "from": ["app"]}],
        "app": [{"name": "app", "port": 7860, "from": ["edge"]}],
    }
    inventory = build("groups: {app: [os1]}\nopensearch: {opensearch_http_port: 7860}", rules)
    (line,) = sentences(inventory_mistakes(inventory), inventory.groups)
    assert line.startswith("os1: opensearch_http_port = 7860 is the port of app_port")
    assert "give one of them another port" in line


def test_an_old_controller_is_refused() -> None:
    inventory = replace(build(), controller=Controller(python=(3, 11), ansible=(2, 17)))
    lines = sentences(inventory_mistakes(inventory), inventory.groups)
    assert [line.partition(";")[0] for line in lines] == [
        "this machine: Python = 3.11 is older than 3.12",
        "this machine: ansible-core = 2.17 is older than 2.18",
    ]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"edge_stats_password": Unreadable("'vault_edge_stats_password' is undefined")},
            "inventory: vault_edge_stats_password is not defined, and edge_stats_password needs "
            "it; run scripts/secrets",
        ),
        (
            {
                "edge_stats_password": Unreadable("'vault_edge_stats_password' is undefined"),
                "vault_edge_stats_pasword": "ALongEnoughPassword1",
            },
            "correct vault_edge_stats_pasword, which the inventory has",
        ),
        (
            {"edge_support_text": Unreadable("'library_phone' is undefined")},
            "edge1: library_phone is not defined, and edge_support_text needs it",
        ),
        (
            {"edge_support_text": Unreadable("template error: unexpected '}'")},
            "edge_support_text cannot be worked out (template error: unexpected '}')",
        ),
    ],
)
def test_a_template_that_cannot_be_worked_out(variables: dict[str, object], said: str) -> None:
    inventory = build()
    old = inventory.hosts["edge1"]
    host = replace(
        old, variables={**old.variables, **variables}, given=old.given | frozenset(variables)
    )
    inventory = replace(inventory, hosts={**inventory.hosts, "edge1": host})
    (line,) = sentences(inventory_mistakes(inventory), inventory.groups)
    assert said in line


def test_what_only_facts_can_tell_is_no_mistake() -> None:
    inventory = build()
    old = inventory.hosts["os1"]
    unknown = Unreadable("'ansible_facts' is undefined", needs_facts=True)
    host = replace(old, variables={**old.variables, "opensearch_heap": unknown})
    inventory = replace(inventory, hosts={**inventory.hosts, "os1": host})
    assert inventory_mistakes(inventory) == []


def test_a_mistake_of_many_hosts_is_told_once() -> None:
    inventory = build("all: {opensearch_verison: 3.5.0}")
    (line,) = sentences(inventory_mistakes(inventory), inventory.groups)
    assert line.startswith("all 10 hosts: ")


def test_secrets_are_never_shown() -> None:
    secret = "hunter2"
    inventory = build(
        f"all: {{edge_stats_pasword: {secret}, app_signing_key: {secret}, "
        f"opensearch_users: [{{name: a, password: {secret}}}], pki_ca_passphrase: {secret}}}"
    )
    lines = sentences(inventory_mistakes(inventory), inventory.groups)
    assert len(lines) >= 3
    assert secret not in "\n".join(lines)


def test_the_refusal_counts_and_numbers() -> None:
    assert refusal(["a", "b"], "the inventory").splitlines() == [
        "2 mistakes in the inventory; nothing was changed.",
        "  1. a",
        "  2. b",
    ]
