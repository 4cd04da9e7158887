"""Compare what a cluster holds (settings, templates, users, roles) with what it should hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

INDEX_PERMISSION_KEYS = ("index_patterns", "dls", "fls", "masked_fields", "allowed_actions")
MAPPING_KEYS = ("backend_roles", "hosts", "and_backend_roles")


@dataclass
class Change:
    """One request that brings an object to what it should be, and how that reads in a diff."""

    method: str
    path: str
    body: Any
    name: str
    before: Any = None
    after: Any = None
    # Objects of one kind that can go into one request: the kind's path, and the object's key there.
    bulk: tuple[str, str] | None = None


@dataclass
class Plan:
    """The requests of a run, in the order in which they are safe."""

    changes: list[Change] = field(default_factory=list)

    def add(self, change: Change) -> None:
        """Append a request."""
        self.changes.append(change)

    def requests(self) -> list[tuple[str, str, Any]]:
        """Return method, path and body of what is to be sent; bulk changes in a row become one.

        The security plugin makes every node read its users again after each request.
        """
        sent: list[tuple[str, str, Any]] = []
        for change in self.changes:
            if change.bulk is None:
                sent.append((change.method, change.path, change.body))
                continue
            path, key = change.bulk
            operation = {"op": "add", "path": f"/{key}", "value": change.body}
            if sent and sent[-1][:2] == ("PATCH", path):
                sent[-1][2].append(operation)
            else:
                sent.append(("PATCH", path, [operation]))
        return sent

    def diff(self) -> dict[str, dict[str, Any]]:
        """Return what is before and after, for Ansible's diff."""
        return {
            "before": {change.name: change.before for change in self.changes},
            "after": {change.name: change.after for change in self.changes},
        }


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str | list[str] | None]:
    """Return nested or dotted settings as dotted names with the server's spelling of the values."""
    flat: dict[str, str | list[str] | None] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, (list, tuple)):
            flat[name] = [spell(item) for item in value]
        else:
            flat[name] = None if value is None else spell(value)
    return flat


def spell(value: Any) -> str:
    """Return a value as the server writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def index_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return an index's settings with the prefix that the server adds."""
    flat = flatten(settings)
    return {
        name if name.startswith("index.") else f"index.{name}": value
        for name, value in sorted(flat.items())
    }


def plan_cluster_settings(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Plan:
    """Plan the persistent settings; a value of None resets one to the server's default.

    :param found: the answer of _cluster/settings with flat settings
    """
    plan = Plan()
    persistent = flatten(found.get("persistent", {}))
    differing = {
        name: value
        for name, value in sorted(flatten(wanted).items())
        if persistent.get(name) != value
    }
    if differing:
        before = {name: persistent.get(name) for name in differing}
        body = {"persistent": differing}
        plan.add(Change("PUT", "/_cluster/settings", body, "persistent", before, differing))
    return plan


ENABLE = "cluster.routing.allocation.enable"
# Present while the rolling path holds allocation at primaries: the value that it found.
ALLOCATION_FOUND = "cluster.metadata.research_stack_allocation"
UNSET = "unset"


def plan_allocation(found: Mapping[str, Any], state: str) -> Plan:
    """Plan to hold allocation at primaries, or to put back what was found then.

    :param state: held or restored
    """
    persistent = flatten(found.get("persistent", {}))
    remembered = persistent.get(ALLOCATION_FOUND)
    if state == "held":
        kept = remembered if remembered is not None else persistent.get(ENABLE) or UNSET
        return plan_cluster_settings(found, {ENABLE: "primaries", ALLOCATION_FOUND: kept})
    if remembered is None:
        return Plan()
    value = None if remembered == UNSET else remembered
    return plan_cluster_settings(found, {ENABLE: value, ALLOCATION_FOUND: None})


EXCLUDE = "cluster.routing.allocation.exclude._name"
# The names that the stack put there: what others excluded is not ours to include again.
EXCLUDED = "cluster.metadata.research_stack_excluded"


def plan_exclusion(found: Mapping[str, Any], names: Sequence[str], state: str) -> Plan:
    """Plan to keep shards off nodes, or to let them back, beside what others have excluded.

    :param found: the answer of _cluster/settings with flat settings
    :param state: excluded or included
    """
    # A transient value hides the persistent one, so that is where the names must go then.
    levels = ["persistent"]
    if (found.get("transient") or {}).get(EXCLUDE) is not None:
        levels.append("transient")
    ours = words((found.get("persistent") or {}).get(EXCLUDED))
    kept = [*ours, *(name for name in names if name not in ours)]
    if state == "included":
        kept = [name for name in ours if name not in names]
    plan = Plan()
    for level in levels:
        before = words((found.get(level) or {}).get(EXCLUDE))
        after = [*before, *(name for name in names if name not in before)]
        if state == "included":
            after = [name for name in before if name not in names or name not in ours]
        wanted = {EXCLUDE: ",".join(after) or None}
        found_here = {EXCLUDE: ",".join(before) or None}
        if level == "persistent":
            # A node that somebody else excluded before stays excluded when ours are let back.
            foreign = [name for name in before if name not in ours]
            remembered = [name for name in kept if name not in foreign]
            wanted[EXCLUDED] = ",".join(remembered) or None
            found_here[EXCLUDED] = ",".join(ours) or None
        differing = {key: value for key, value in wanted.items() if found_here[key] != value}
        if differing:
            earlier = {key: found_here[key] for key in differing}
            body = {level: differing}
            plan.add(Change("PUT", "/_cluster/settings", body, level, earlier, differing))
    return plan


def words(value: Any) -> list[str]:
    """Return the parts of a setting that is a list or a text with commas."""
    listed = value if isinstance(value, (list, tuple)) else str(value or "").split(",")
    return [str(item).strip() for item in listed if str(item).strip()]


VOTING = "/_cluster/voting_config_exclusions"


def plan_voting(found: Any, names: Sequence[str], state: str, timeout: int) -> Plan:
    """Plan to take the vote from nodes, or to give it back; exclusions of others stay.

    :param found: the voting_config_exclusions of the cluster's state
    :param state: excluded or cleared
    """
    before = [(entry["node_name"], entry["node_id"]) for entry in found or []]
    present = [name for name, _ in before]
    plan = Plan()
    if state == "excluded":
        missing = [name for name in names if name not in present]
        if missing:
            path = f"{VOTING}?node_names={','.join(missing)}&timeout={timeout}s"
            after = [*present, *missing]
            plan.add(Change("POST", path, None, "voting exclusions", present, after))
        return plan
    kept = [(name, identity) for name, identity in before if name not in names]
    if len(kept) == len(before):
        return plan
    after = [name for name, _ in kept]
    # The server can only forget all of them.
    path = f"{VOTING}?wait_for_removal=false"
    plan.add(Change("DELETE", path, None, "voting exclusions", present, after))
    # A node that was away when its vote was taken is known by its name alone.
    away = [name for name, identity in kept if identity == "_absent_"]
    here = [identity for _, identity in kept if identity != "_absent_"]
    for key, values in (("node_ids", here), ("node_names", away)):
        if values:
            path = f"{VOTING}?{key}={','.join(values)}&timeout={timeout}s"
            plan.add(Change("POST", path, None, "voting exclusions", after, after))
    return plan


def normal_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an index template matters, spelt in one way."""
    content = template.get("template") or {}
    return {
        "index_patterns": sorted(template.get("index_patterns") or []),
        "priority": int(template.get("priority") or 0),
        "settings": index_settings(content.get("settings") or {}),
        "mappings": content.get("mappings") or {},
        "aliases": content.get("aliases") or {},
    }


def plan_templates(
    found: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], absent: Sequence[str] = ()
) -> Plan:
    """Plan the index templates.

    :param found: the answer of _index_template, None where there are none
    :param wanted: name -> index_patterns, priority, settings, mappings, aliases
    """
    entries = (found or {}).get("index_templates", [])
    present = {entry["name"]: normal_template(entry["index_template"]) for entry in entries}
    plan = Plan()
    for name, template in sorted(wanted.items()):
        content = {key: template.get(key) or {} for key in ("settings", "mappings", "aliases")}
        body = {
            "index_patterns": template["index_patterns"],
            "priority": int(template.get("priority") or 0),
            "template": {key: value for key, value in content.items() if value},
        }
        after = normal_template(body)
        if present.get(name) != after:
            path = f"/_index_template/{name}"
            plan.add(Change("PUT", path, body, name, present.get(name), after))
    for name in absent:
        if name in present:
            plan.add(Change("DELETE", f"/_index_template/{name}", None, name, present[name], None))
    return plan


def plan_existing(
    found: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> Plan:
    """Plan the settings that indices take over from their template after they were made.

    :param found: the answer of _settings with flat settings, of the templates' indices
    :param wanted: name -> index_patterns, priority, settings; the highest priority counts
    :param names: settings of the templates, without ``index.``
    """
    plan = Plan()
    templates = sorted(wanted.values(), key=lambda template: int(template.get("priority") or 0))
    for index, entry in sorted(found.items()):
        settings: dict[str, Any] = {}
        for template in templates:
            if any(fnmatchcase(index, pattern) for pattern in template["index_patterns"]):
                settings = index_settings(template.get("settings") or {})
        followed = {name: settings.get(f"index.{name}") for name in names}
        after = {f"index.{name}": value for name, value in followed.items() if value is not None}
        before = {name: entry["settings"].get(name) for name in after}
        if before != after:
            plan.add(Change("PUT", f"/{index}/_settings", after, index, before, after))
    return plan


SECURITY = "/_plugins/_security/api"


@dataclass(frozen=True)
class User:
    """An internal user as the inventory describes it."""

    name: str
    password: str
    roles: tuple[str, ...] = ()
    description: str = ""


def normal_role(role: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a role matters, spelt in one way."""
    permissions = []
    for entry in role.get("index_permissions") or []:
        normal = {key: entry.get(key) or [] for key in INDEX_PERMISSION_KEYS}
        normal["dls"] = entry.get("dls") or None
        normal["index_patterns"] = sorted(normal["index_patterns"])
        normal["allowed_actions"] = sorted(normal["allowed_actions"])
        permissions.append(normal)
    return {
        "description": role.get("description") or "",
        "cluster_permissions": sorted(role.get("cluster_permissions") or []),
        "index_permissions": permissions,
        "tenant_permissions": list(role.get("tenant_permissions") or []),
    }


def plan_roles(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Plan:
    """Plan the roles that the inventory defines."""
    plan = Plan()
    for name, role in sorted(wanted.items()):
        after = normal_role(role)
        before = normal_role(found[name]) if name in found else None
        if before != after:
            body = {**after, "index_permissions": [_sent(p) for p in after["index_permissions"]]}
            plan.add(_put("roles", name, body, f"role {name}", before, after))
    return plan


def _put(kind: str, key: str, body: Any, name: str, before: Any, after: Any) -> Change:
    escaped = key.replace("~", "~0").replace("/", "~1")
    bulk = (f"{SECURITY}/{kind}", escaped)
    return Change("PUT", f"{SECURITY}/{kind}/{key}", body, name, before, after, bulk)


def _sent(permission: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in permission.items() if value}


def plan_users(
    found: Mapping[str, Any], wanted: Sequence[User], password_fits: Mapping[str, bool]
) -> Plan:
    """Plan the users.

    :param found: the answer of the API's internalusers
    :param password_fits: for each user that exists, whether it could log in with its password
    """
    plan = Plan()
    for user in wanted:
        existing = found.get(user.name)
        fits = existing is not None and password_fits.get(user.name, False)
        before = None
        if existing is not None:
            text = existing.get("description") or ""
            before = {"description": text, "password": "as wanted" if fits else "another one"}
        after = {"description": user.description, "password": "as wanted"}
        if before == after:
            continue
        body: dict[str, Any] = {"description": user.description}
        if existing is not None:
            for key in ("backend_roles", "attributes", "opendistro_security_roles"):
                body[key] = existing.get(key) or ({} if key == "attributes" else [])
        if not fits:
            body["password"] = user.password
        change = _put("internalusers", user.name, body, f"user {user.name}", before, after)
        if existing is not None:
            change.bulk = None  # only a request of its own keeps a password that is not sent
        plan.add(change)
    return plan


def plan_mappings(
    found: Mapping[str, Any],
    wanted: Sequence[User],
    purge: bool = False,
    kept_users: Sequence[str] = (),
) -> Plan:
    """Plan which users have which roles; users that the inventory does not know keep theirs.

    :param found: the answer of the API's rolesmapping
    :param purge: take unknown users out of the mappings too
    :param kept_users: unknown users that stay even then
    """
    managed = {user.name for user in wanted}
    roles: dict[str, set[str]] = {}
    for user in wanted:
        for role in user.roles:
            roles.setdefault(role, set()).add(user.name)
    plan = Plan()
    for role in sorted(set(found) | set(roles)):
        existing = found.get(role) or {}
        if existing.get("reserved") or existing.get("hidden"):
            continue
        before = set(existing.get("users") or [])
        kept = before & set(kept_users) if purge else before - managed
        after = kept | roles.get(role, set())
        if before == after:
            continue
        body = {key: existing.get(key) or [] for key in MAPPING_KEYS}
        body["users"] = sorted(after)
        name = f"users with role {role}"
        plan.add(_put("rolesmapping", role, body, name, sorted(before), sorted(after)))
    return plan


# The plugin fails every handshake between nodes ("IllegalArgumentException" in
# WildcardMatcher.concat) where this list has exactly the entries of plugins.security.nodes_dn,
# which is the usual state. With an entry of its own, which no certificate carries, it never does.
NO_NODE = "CN=no-node,OU=differs-from-opensearch.yml"


def plan_nodes(found: Mapping[str, Any], wanted: Mapping[str, Sequence[str]]) -> Plan:
    """Plan which nodes may join, by the names in their certificates.

    :param found: the answer of the API's nodesdn
    """
    plan = Plan()
    for cluster, names in sorted(wanted.items()):
        before = sorted((found.get(cluster) or {}).get("nodes_dn") or [])
        after = sorted({*names, NO_NODE})
        if before != after:
            path, label = f"{SECURITY}/nodesdn/{cluster}", f"nodes of {cluster}"
            plan.add(Change("PUT", path, {"nodes_dn": after}, label, before, after))
    return plan


def plan_audit(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Plan:
    """Plan the settings of the audit log; those that are not given stay as they are.

    :param found: the answer of the API's audit
    """
    plan = Plan()
    before = found.get("config") or {}
    after = merged(before, wanted)
    if before != after:
        path = f"{SECURITY}/audit/config"
        plan.add(Change("PUT", path, after, "audit log", before, after))
    return plan


def merged(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with others put over them; the order within a list counts not."""
    result = dict(found)
    for key, value in wanted.items():
        present = found.get(key)
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            result[key] = merged(present, value)
        elif isinstance(value, list) and isinstance(present, list):
            result[key] = present if sorted(present) == sorted(value) else value
        else:
            result[key] = value
    return result


def plan_failure_listeners(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Plan:
    """Plan the limits of failed sign-ins; those that are not wanted go.

    :param found: the answer of the API's authfailurelisteners
    """
    plan = Plan()
    path = f"{SECURITY}/authfailurelisteners"
    for name, listener in sorted(wanted.items()):
        present = found.get(name) or {}
        before = {key: present.get(key) for key in listener}
        after = merged(before, listener)
        if before != after:
            label = f"limit of failed sign-ins {name}"
            plan.add(Change("PUT", f"{path}/{name}", dict(listener), label, before, after))
    for name in sorted(set(found) - set(wanted)):
        label = f"limit of failed sign-ins {name}"
        plan.add(Change("DELETE", f"{path}/{name}", None, label, "present", None))
    return plan


def plan_absent(found: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Plan:
    """Plan the removal of users, and of what they may do under the same name.

    :param found: the answers of the API by kind: internalusers, roles, rolesmapping
    """
    plan = Plan()
    for name in names:
        for kind, label in (
            ("internalusers", "user"),
            ("rolesmapping", "users with role"),
            ("roles", "role"),
        ):
            if name in found[kind]:
                path = f"{SECURITY}/{kind}/{name}"
                plan.add(Change("DELETE", path, None, f"{label} {name}", "present", None))
    return plan


def plan_purge(found: Mapping[str, Any], wanted: Sequence[str], kind: str, label: str) -> Plan:
    """Plan the removal of objects that the inventory does not know and the plugin does not own."""
    plan = Plan()
    for name, content in sorted(found.items()):
        own = any(content.get(flag) for flag in ("reserved", "hidden", "static"))
        if name not in wanted and not own:
            path = f"{SECURITY}/{kind}/{name}"
            plan.add(Change("DELETE", path, None, f"{label} {name}", "present", None))
    return plan
