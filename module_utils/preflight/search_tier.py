"""OpenSearch: memory, versions, roles of nodes, copies of documents, settings that it refuses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.preflight.model import Host, Inventory, Mistake, items, strings
from ansible.module_utils.preflight.sizes import GIB, parse_size, size

HEAP = "opensearch_heap"
MEMORY = "opensearch_memory_max"
# the application searches with combined_fields, which came with it
OLDEST = (3, 2)
LARGEST_HEAP = 31 * GIB
SMALLEST_HEAP = 256 * 2**20

NODE_ROLES = {
    "cluster_manager", "data", "ingest", "ml", "remote_cluster_client", "search", "warm",
    "coordinating_only",
}  # fmt: skip
BUILT_IN_ROLES = {
    "all_access", "kibana_server", "kibana_user", "logstash", "manage_snapshots", "own_index",
    "readall", "readall_and_monitor", "security_manager", "security_rest_api_access",
}  # fmt: skip

# The official bundle brings its plugins; the minimal distribution has none.
BUNDLE = re.compile(r"/opensearch-\d[\w.]*-linux-\w+\.(tar\.gz|deb|rpm)$")

# A node with one of these does not start, or ignores what was meant.
REFUSED_SETTINGS = (
    (re.compile(r"index\."), "is refused in opensearch.yml", "put it into an index template"),
    (
        re.compile(r"(thread_pool\.bulk\.|bulk\.queue_size)"),
        "no longer exists, so the node would not start",
        "use thread_pool.write.queue_size (opensearch_write_queue)",
    ),
    (
        re.compile(r"cluster\.initial_(cluster_manager|master)_nodes"),
        "must not outlive the first start of a cluster",
        "remove it: the role sets it once and forgets it",
    ),
    (
        re.compile(r"node\.master|node\.data|node\.ingest|discovery\.zen\."),
        "belongs to another age of the product",
        "use opensearch_node_roles and opensearch_nodes",
    ),
)


def heap(inventory: Inventory) -> Iterator[Mistake]:
    """The heap fits the memory, and its pointers stay small."""
    for host in inventory.group("opensearch"):
        text = host.get(HEAP, "")
        memory = parse_size(host.get(MEMORY, "")) if host.get(MEMORY) else None
        if host.get(MEMORY) and memory is None:
            yield Mistake(
                host.name, MEMORY, str(host.get(MEMORY)), "is no size", "write it such as 8g"
            )
        if text == "":
            continue
        wanted = parse_size(text)
        if wanted is None:
            problem, remedy = "is no size", "write it such as 4g or 512m, or leave it empty"
        elif wanted > LARGEST_HEAP:
            problem = "is over 31g, where the JVM loses its short pointers and holds less"
            remedy = "write 31g or less, and leave the rest of the memory to the file cache"
        elif wanted < SMALLEST_HEAP:
            problem, remedy = "is too little to start with", "write 512m or more (with its unit)"
        elif memory and wanted * 2 > memory:
            problem = f"is more than half of {MEMORY} ({host.get(MEMORY)})"
            remedy = f"write {size(memory / 2)} or less: the other half is the file cache"
        else:
            continue
        yield Mistake(host.name, HEAP, str(text), problem, remedy)


def one_cluster(inventory: Inventory) -> Iterator[Mistake]:
    """All nodes are of one cluster and of one version."""
    nodes = inventory.group("opensearch")
    for name in ("opensearch_cluster_name", "opensearch_version", "pki_organization"):
        found = sorted({str(host.get(name, "")) for host in nodes})
        if len(found) > 1:
            yield Mistake(
                "group opensearch",
                name,
                ", ".join(found),
                "differs among the nodes of one cluster",
                "set it once, in group_vars/all or group_vars/opensearch.yml",
            )


def organization(inventory: Inventory) -> Iterator[Mistake]:
    """Nodes are known by the whole subject of their certificates, organization included."""
    for host in inventory.group("opensearch"):
        expected = str(host.get("opensearch_tls_organization", ""))
        issued = str(host.get("pki_organization", ""))
        if expected and issued and expected != issued:
            yield Mistake(
                host.name,
                "opensearch_tls_organization",
                expected,
                f"is not in the certificates, which have pki_organization = {issued}",
                "remove it, so that group_vars/all/wiring.yml makes the two one value",
            )


def age(inventory: Inventory) -> Iterator[Mistake]:
    """The server knows the queries that the application asks."""
    for host in inventory.group("opensearch"):
        version = str(host.get("opensearch_version", ""))
        found = re.match(r"(\d+)\.(\d+)", version)
        if found and (int(found[1]), int(found[2])) < OLDEST:
            yield Mistake(
                host.name,
                "opensearch_version",
                version,
                "lacks the query combined_fields, with which the application searches",
                "take 3.2.0 or a later one",
            )


def plugins(inventory: Inventory) -> Iterator[Mistake]:
    """A plugin is made for exactly one version of the server."""
    for host in inventory.group("opensearch"):
        version = str(host.get("opensearch_version", ""))
        listed = items(host.get("opensearch_plugins", []))
        for plugin in listed:
            name, own = plugin.get("name", ""), str(plugin.get("version") or "")
            if version and own and own != version and not own.startswith(version + "."):
                yield Mistake(
                    host.name,
                    f"opensearch_plugins[{name}].version",
                    own,
                    f"is not made for OpenSearch {version}, which would not start",
                    f"take the plugin's release {version}.0",
                )
        names = [str(plugin.get("name", "")) for plugin in listed]
        archive = str(host.get("opensearch_archive", ""))
        if archive and not BUNDLE.search(archive) and "opensearch-security" not in names:
            close = difflib.get_close_matches("opensearch-security", names, n=1)
            yield Mistake(
                host.name,
                "opensearch_plugins",
                ", ".join(names) or "[]",
                "lacks opensearch-security, which this archive does not bring and without which "
                "everybody reads and writes everything",
                f"correct {close[0]}" if close else "add opensearch-security",
            )


def node_roles(inventory: Inventory) -> Iterator[Mistake]:
    """A node has roles that exist, and those that its groups promise."""
    managers = {host.name for host in inventory.group("opensearch_manager")}
    for host in inventory.group("opensearch"):
        roles = strings(host.get("opensearch_node_roles", []))
        for role in roles:
            if role not in NODE_ROLES:
                close = difflib.get_close_matches(role, NODE_ROLES, n=1)
                known = "cluster_manager, data, ingest"
                meant = "cluster_manager" if role == "master" else close[0] if close else ""
                yield Mistake(
                    host.name,
                    "opensearch_node_roles",
                    role,
                    "is no role of a node",
                    f"write {meant}" if meant else f"write some of {known}",
                )
        if roles and host.name in managers and "cluster_manager" not in roles:
            yield Mistake(
                host.name,
                "opensearch_node_roles",
                ", ".join(roles),
                "lacks cluster_manager although the host is in opensearch_manager",
                "add cluster_manager, or take the host out of the group",
            )


def data_hosts(inventory: Inventory) -> list[Host]:
    """Return the hosts that hold the documents of new indices."""
    named = inventory.group("opensearch_hot")
    return named or [
        host
        for host in inventory.group("opensearch")
        if "data" in strings(host.get("opensearch_node_roles", ["data"]))
    ]


def copies(inventory: Inventory) -> Iterator[Mistake]:
    """Each copy of a document needs a node of its own."""
    count = len(data_hosts(inventory))
    for host in inventory.group("opensearch"):
        for name, replicas, shards in index_numbers(host):
            if replicas is not None and count and number(replicas) >= count:
                yield Mistake(
                    host.name,
                    name if "." in name else f"{name}_replicas",
                    str(replicas),
                    f"asks for {number(replicas) + 1} copies on {count} data "
                    f"node{'' if count == 1 else 's'}, so the cluster never turns green",
                    f"write {count - 1}" + ("" if count == 1 else " or less"),
                )
            if shards is not None and number(shards) < (1 if "." in name else 0):
                yield Mistake(
                    host.name,
                    name if "." in name else f"{name}_shards",
                    str(shards),
                    "leaves the index without a shard",
                    "write 1 or more" + ("" if "." in name else ", or 0 for one a data node"),
                )


def index_numbers(host: Host) -> Iterator[tuple[str, Any, Any]]:
    """Return where replicas and shards are set: the name, the replicas and the shards."""
    replicas, shards = host.get("opensearch_index_replicas"), host.get("opensearch_index_shards")
    yield "opensearch_index", replicas, shards
    templates = host.get("opensearch_index_templates", {})
    for name, template in (templates if isinstance(templates, Mapping) else {}).items():
        for key, value in flat(template):
            if key.endswith("number_of_replicas"):
                yield f"opensearch_index_templates.{name}.number_of_replicas", value, None
            if key.endswith("number_of_shards"):
                yield f"opensearch_index_templates.{name}.number_of_shards", None, value


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return the leaves of nested mappings with their dotted names."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def number(value: Any) -> int:
    """Return a whole number; text that is none counts as 0, another check refuses it."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def watermarks(inventory: Inventory) -> Iterator[Mistake]:
    """A disk fills past low, then high, then the flood stage."""
    names = ("opensearch_disk_low", "opensearch_disk_high", "opensearch_disk_flood")
    for host in inventory.group("opensearch"):
        texts = [str(host.get(name, "")) for name in names]
        if not all(texts):
            continue
        levels = [fullness(text) for text in texts]
        for name, text, level in zip(names, texts, levels, strict=True):
            if level is None:
                remedy = "write how full the disk may be, such as 85%, or what stays free, as 50gb"
                yield Mistake(host.name, name, text, "is neither a share nor a size", remedy)
        found = [level for level in levels if level is not None]
        if len(found) < len(names):
            continue
        if len({kind for kind, _ in found}) > 1:
            remedy = "write all three in % or all three as what stays free"
            yield Mistake(host.name, names[0], ", ".join(texts), "mixes shares and sizes", remedy)
        elif not found[0][1] < found[1][1] < found[2][1]:
            yield Mistake(
                host.name,
                ", ".join(names),
                ", ".join(texts),
                "are out of order: low is passed first, flood last",
                "write them rising, such as 85%, 90%, 95%",
            )


def fullness(text: str) -> tuple[str, float] | None:
    """Return a watermark so that a fuller disk is a larger number, or None."""
    share = re.fullmatch(r"(\d+(?:\.\d+)?)%", text)
    if share:
        return ("share", float(share[1])) if 0 < float(share[1]) < 100 else None
    free = parse_size(text)
    return None if free is None or text.isdigit() else ("free", -float(free))


def settings(inventory: Inventory) -> Iterator[Mistake]:
    """What opensearch.yml does not take."""
    for host in inventory.group("opensearch"):
        for name in ("opensearch_settings", "opensearch_cluster_settings"):
            for key, value in flat(host.get(name, {})):
                for pattern, problem, remedy in REFUSED_SETTINGS:
                    if pattern.match(key):
                        yield Mistake(host.name, f"{name}.{key}", str(value), problem, remedy)


def users(inventory: Inventory) -> Iterator[Mistake]:
    """A user has a name of its own and roles that exist."""
    for host in inventory.group("opensearch"):
        known = {*host.get("opensearch_roles", {}), *BUILT_IN_ROLES}
        seen: set[str] = set()
        for user in items(host.get("opensearch_users", [])):
            name = str(user.get("name", ""))
            if name in seen:
                problem, remedy = "is listed twice", "keep one of the two"
                yield Mistake(host.name, "opensearch_users", name, problem, remedy)
            seen.add(name)
            for role in strings(user.get("roles", [])):
                if role not in known:
                    close = difflib.get_close_matches(role, sorted(known), n=1)
                    yield Mistake(
                        host.name,
                        f"opensearch_users[{name}].roles",
                        role,
                        "is no role of the cluster, so the user may do nothing",
                        f"write {close[0]}" if close else "add it to opensearch_roles",
                    )


def racks(inventory: Inventory) -> Iterator[Mistake]:
    """Copies are spread over racks only where every data node says which is its own."""
    nodes = data_hosts(inventory)
    without = [host.name for host in nodes if not host.get("opensearch_rack")]
    if without and len(without) < len(nodes):
        yield Mistake(
            "group opensearch",
            "opensearch_rack",
            '""',
            f"is empty on {', '.join(without)} and set on other data nodes, "
            "so copies would gather there",
            "set it on every data node, or on none",
        )
    for host in nodes:
        forced = strings(host.get("opensearch_racks_forced", []))
        rack = str(host.get("opensearch_rack", ""))
        if forced and rack and rack not in forced:
            yield Mistake(
                host.name,
                "opensearch_rack",
                rack,
                f"is not among opensearch_racks_forced ({', '.join(forced)})",
                "add it there, or correct it",
            )
