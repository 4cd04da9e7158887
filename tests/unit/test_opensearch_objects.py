"""Plans: what a cluster holds against what it should hold -> the requests, and their diff."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.opensearch_objects import (
    ALLOCATION_FOUND,
    ENABLE,
    EXCLUDE,
    EXCLUDED,
    NO_NODE,
    SECURITY,
    VOTING,
    Plan,
    User,
    flatten,
    plan_absent,
    plan_allocation,
    plan_cluster_settings,
    plan_exclusion,
    plan_existing,
    plan_mappings,
    plan_nodes,
    plan_purge,
    plan_roles,
    plan_templates,
    plan_users,
    plan_voting,
)


def persistent(**settings: Any) -> dict[str, Any]:
    return {"persistent": settings, "transient": {}}


def body(plan: Plan) -> Any:
    assert len(plan.changes) == 1
    return plan.changes[0].body


def test_flatten_spells_as_the_server_does() -> None:
    nested = {"a": {"b": True, "c.d": 1}, "e": [1, "x"], "f": None}
    assert flatten(nested) == {"a.b": "true", "a.c.d": "1", "e": ["1", "x"], "f": None}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"a.b": "1"}, None),
        ({"a": {"b": 1}}, None),
        ({"a.b": 2}, {"a.b": "2"}),
        ({"a.b": None}, {"a.b": None}),
        ({"absent": None}, None),
        ({"a.b": 1, "new": True}, {"new": "true"}),
    ],
)
def test_cluster_settings(wanted: dict[str, Any], expected: dict[str, Any] | None) -> None:
    plan = plan_cluster_settings(persistent(**{"a.b": "1"}), wanted)
    assert bool(plan.changes) is (expected is not None)
    if expected is not None:
        assert body(plan) == {"persistent": expected}


@pytest.mark.parametrize(
    ("found", "state", "expected"),
    [
        ({}, "held", {ENABLE: "primaries", ALLOCATION_FOUND: "unset"}),
        ({ENABLE: "all"}, "held", {ENABLE: "primaries", ALLOCATION_FOUND: "all"}),
        # What an interrupted run remembered stays remembered.
        ({ENABLE: "primaries", ALLOCATION_FOUND: "unset"}, "held", None),
        ({ENABLE: "all", ALLOCATION_FOUND: "unset"}, "held", {ENABLE: "primaries"}),
        (
            {ENABLE: "primaries", ALLOCATION_FOUND: "unset"},
            "restored",
            {ENABLE: None, ALLOCATION_FOUND: None},
        ),
        (
            {ENABLE: "primaries", ALLOCATION_FOUND: "new_primaries"},
            "restored",
            {ENABLE: "new_primaries", ALLOCATION_FOUND: None},
        ),
        # Somebody else's setting is not ours to undo.
        ({ENABLE: "none"}, "restored", None),
        ({}, "restored", None),
    ],
)
def test_allocation(found: dict[str, Any], state: str, expected: dict[str, Any] | None) -> None:
    plan = plan_allocation(persistent(**found), state)
    assert [change.after for change in plan.changes] == ([expected] if expected else [])


TEMPLATE = {
    "index_patterns": ["research_assistant*"],
    "priority": 100,
    "settings": {"number_of_shards": 3, "translog.durability": "request"},
}
STORED = {
    "index_templates": [
        {
            "name": "library",
            "index_template": {
                "index_patterns": ["research_assistant*"],
                "priority": 100,
                "composed_of": [],
                "template": {
                    "settings": {
                        "index": {"number_of_shards": "3", "translog": {"durability": "request"}}
                    }
                },
            },
        },
        {"name": "other", "index_template": {"index_patterns": ["x"], "template": {}}},
    ]
}


def test_a_stored_template_is_unchanged() -> None:
    assert plan_templates(STORED, {"library": TEMPLATE}).changes == []


@pytest.mark.parametrize("found", [None, {}, {"index_templates": []}])
def test_a_missing_template_is_made(found: Any) -> None:
    plan = plan_templates(found, {"library": TEMPLATE})
    assert body(plan)["template"] == {"settings": TEMPLATE["settings"]}
    assert plan.diff()["before"] == {"library": None}


LIBRARY = {"index_patterns": ["library*"], "settings": {"number_of_replicas": 1}}
SPECIAL = {"index_patterns": ["library_x"], "priority": 9, "settings": {"number_of_replicas": 0}}
SILENT = {"index_patterns": ["library_x"], "priority": 9}


@pytest.mark.parametrize(
    ("index", "replicas", "templates", "change"),
    [
        ("library_1", "0", [LIBRARY], "1"),
        ("library_1", "1", [LIBRARY], None),
        ("library_x", "1", [SPECIAL, LIBRARY], "0"),  # the higher priority counts
        ("library_x", "5", [LIBRARY, SILENT], None),  # and where that says nothing, nobody does
        ("other", "0", [LIBRARY], None),
    ],
)
def test_existing_indices_follow_their_template(
    index: str, replicas: str, templates: list[Any], change: str | None
) -> None:
    found = {index: {"settings": {"index.number_of_replicas": replicas, "index.codec": "x"}}}
    wanted = {str(number): template for number, template in enumerate(templates)}
    plan = plan_existing(found, wanted, ["number_of_replicas"])
    body = {"index.number_of_replicas": change}
    asked = [("PUT", f"/{index}/_settings", body)] if change else []
    assert plan.requests() == asked


def test_a_changed_template_is_replaced_and_an_absent_one_removed() -> None:
    changed = {**TEMPLATE, "settings": {"number_of_shards": 1}}
    plan = plan_templates(STORED, {"library": changed}, absent=["other", "never there"])
    assert [(c.method, c.path) for c in plan.changes] == [
        ("PUT", "/_index_template/library"),
        ("DELETE", "/_index_template/other"),
    ]


APP = User("app", "new-secret", ("reader",), "The application")
FOUND_APP = {
    "description": "The application",
    "backend_roles": ["b"],
    "attributes": {},
    "opendistro_security_roles": [],
    "hash": "",
}


@pytest.mark.parametrize(
    ("found", "fits", "sent"),
    [
        ({}, {}, {"description": "The application", "password": "new-secret"}),
        ({"app": FOUND_APP}, {"app": True}, None),
        (
            {"app": FOUND_APP},
            {"app": False},
            {
                "description": "The application",
                "backend_roles": ["b"],
                "attributes": {},
                "opendistro_security_roles": [],
                "password": "new-secret",
            },
        ),
        (
            {"app": {**FOUND_APP, "description": "old"}},
            {"app": True},
            {
                "description": "The application",
                "backend_roles": ["b"],
                "attributes": {},
                "opendistro_security_roles": [],
            },
        ),
    ],
)
def test_users(found: dict[str, Any], fits: dict[str, bool], sent: Any) -> None:
    plan = plan_users(found, [APP], fits)
    assert [change.body for change in plan.changes] == ([sent] if sent else [])
    assert "new-secret" not in str(plan.diff())


def test_new_users_go_in_one_request_and_known_ones_in_their_own() -> None:
    users = [APP, User("second", "p2"), User("known", "p3")]
    plan = plan_users({"known": {"description": "old"}}, users, {"known": True})
    sent = plan.requests()
    assert [request[:2] for request in sent] == [
        ("PATCH", f"{SECURITY}/internalusers"),
        ("PUT", f"{SECURITY}/internalusers/known"),
    ]
    assert [operation["path"] for operation in sent[0][2]] == ["/app", "/second"]


ROLE = {"cluster_permissions": ["b", "a"], "index_permissions": [{"index_patterns": ["x*"]}]}


def test_roles_are_compared_whatever_their_order_and_defaults() -> None:
    stored = {
        "reserved": False,
        "description": "",
        "cluster_permissions": ["a", "b"],
        "index_permissions": [
            {"index_patterns": ["x*"], "fls": [], "masked_fields": [], "allowed_actions": []}
        ],
        "tenant_permissions": [],
        "static": False,
    }
    assert plan_roles({"r": stored}, {"r": ROLE}).changes == []
    changed = {**ROLE, "cluster_permissions": ["a"]}
    assert body(plan_roles({"r": stored}, {"r": changed}))["cluster_permissions"] == ["a"]


@pytest.mark.parametrize(
    ("found", "purge", "expected"),
    [
        ({}, False, {"reader": ["app"]}),
        ({"reader": {"users": ["app"]}}, False, {}),
        # Somebody whom the inventory does not know stays, unless it is to be purged.
        ({"reader": {"users": ["app", "eve"]}}, False, {}),
        ({"reader": {"users": ["app", "eve"]}}, True, {"reader": ["app"]}),
        # A role that the user no longer has.
        ({"reader": {"users": ["app"]}, "writer": {"users": ["app"]}}, False, {"writer": []}),
        ({"reader": {"users": ["app"]}, "own": {"users": ["app"], "reserved": True}}, False, {}),
    ],
)
def test_mappings(found: dict[str, Any], purge: bool, expected: dict[str, list[str]]) -> None:
    plan = plan_mappings(found, [APP], purge)
    sent = {change.path.rsplit("/", 1)[1]: change.body["users"] for change in plan.changes}
    assert sent == expected


def test_a_mapping_keeps_what_others_put_into_it() -> None:
    plan = plan_mappings({"reader": {"backend_roles": ["ldap"], "hosts": ["h"]}}, [APP])
    assert body(plan) == {
        "users": ["app"],
        "backend_roles": ["ldap"],
        "hosts": ["h"],
        "and_backend_roles": [],
    }


@pytest.mark.parametrize(
    ("found", "sent"),
    [
        ({}, True),
        ({"research": {"nodes_dn": ["CN=os2", NO_NODE, "CN=os1"]}}, False),
        ({"research": {"nodes_dn": ["CN=os1", "CN=os2"]}}, True),
        ({"research": {"nodes_dn": ["CN=os1", "CN=gone", NO_NODE]}}, True),
        ({"remote": {"nodes_dn": ["CN=far"]}}, True),
    ],
)
def test_nodes(found: dict[str, Any], sent: bool) -> None:
    plan = plan_nodes(found, {"research": ["CN=os2", "CN=os1"]})
    listed = ["CN=no-node,OU=differs-from-opensearch.yml", "CN=os1", "CN=os2"]
    assert [change.body["nodes_dn"] for change in plan.changes] == ([listed] if sent else [])


def test_the_nodes_told_to_the_api_are_never_exactly_those_of_the_file() -> None:
    """Equal lists are what the plugin fails at: no node could join any more."""
    names = ["CN=os1", "CN=os2"]
    sent = body(plan_nodes({}, {"research": names}))["nodes_dn"]
    assert set(sent) > set(names)


def test_purge_takes_nobody_out_of_a_mapping_who_is_still_needed() -> None:
    found = {"reader": {"users": ["app", "eve", "earlier"]}}
    assert body(plan_mappings(found, [APP], True, ["earlier"]))["users"] == ["app", "earlier"]


def test_what_is_to_be_absent_goes_with_its_role() -> None:
    found: dict[str, Any] = {
        "internalusers": {"old": {}, "app": {}},
        "rolesmapping": {"old": {}},
        "roles": {"old": {}, "app": {}},
    }
    plan = plan_absent(found, ["old", "never"])
    assert [(c.method, c.path) for c in plan.changes] == [
        ("DELETE", f"{SECURITY}/{kind}/old") for kind in ("internalusers", "rolesmapping", "roles")
    ]


def test_purge_spares_what_is_listed_and_what_the_plugin_owns() -> None:
    found: dict[str, Any] = {
        "app": {},
        "eve": {},
        "builtin": {"static": True},
        "kept": {"reserved": True},
    }
    plan = plan_purge(found, ["app"], "internalusers", "user")
    assert [(c.method, c.path) for c in plan.changes] == [
        ("DELETE", f"{SECURITY}/internalusers/eve")
    ]


@pytest.mark.parametrize(
    ("found", "transient", "state", "expected"),
    [
        ({}, {}, "excluded", [{EXCLUDE: "os4", EXCLUDED: "os4"}]),
        # What others excluded stays, in both directions.
        ({EXCLUDE: "os9"}, {}, "excluded", [{EXCLUDE: "os9,os4", EXCLUDED: "os4"}]),
        (
            {EXCLUDE: "os9,os4", EXCLUDED: "os4"},
            {},
            "included",
            [{EXCLUDE: "os9", EXCLUDED: None}],
        ),
        ({EXCLUDE: "os4", EXCLUDED: "os4"}, {}, "excluded", []),
        ({EXCLUDE: "os4", EXCLUDED: "os4"}, {}, "included", [{EXCLUDE: None, EXCLUDED: None}]),
        # Excluded by somebody else already: not ours to undo.
        ({EXCLUDE: "os4"}, {}, "excluded", []),
        ({EXCLUDE: "os4"}, {}, "included", []),
        ({}, {}, "included", []),
        # Two nodes are drained at once.
        (
            {EXCLUDE: "os3", EXCLUDED: "os3"},
            {},
            "excluded",
            [{EXCLUDE: "os3,os4", EXCLUDED: "os3,os4"}],
        ),
        # A transient value hides the persistent one.
        (
            {},
            {EXCLUDE: "os9"},
            "excluded",
            [{EXCLUDE: "os4", EXCLUDED: "os4"}, {EXCLUDE: "os9,os4"}],
        ),
        (
            {EXCLUDE: "os4", EXCLUDED: "os4"},
            {EXCLUDE: "os9,os4"},
            "included",
            [{EXCLUDE: None, EXCLUDED: None}, {EXCLUDE: "os9"}],
        ),
    ],
)
def test_exclusion(
    found: dict[str, Any], transient: dict[str, Any], state: str, expected: list[Any]
) -> None:
    plan = plan_exclusion({"persistent": found, "transient": transient}, ["os4"], state)
    assert [change.after for change in plan.changes] == expected


OTHER = {"node_id": "i9", "node_name": "os9"}
OURS = {"node_id": "i4", "node_name": "os4"}


@pytest.mark.parametrize(
    ("found", "state", "sent"),
    [
        ([], "excluded", [("POST", f"{VOTING}?node_names=os4&timeout=9s")]),
        ([OTHER], "excluded", [("POST", f"{VOTING}?node_names=os4&timeout=9s")]),
        ([OURS], "excluded", []),
        ([], "cleared", []),
        ([OTHER], "cleared", []),
        ([OURS], "cleared", [("DELETE", f"{VOTING}?wait_for_removal=false")]),
        (
            [OTHER, OURS],
            "cleared",
            [
                ("DELETE", f"{VOTING}?wait_for_removal=false"),
                ("POST", f"{VOTING}?node_ids=i9&timeout=9s"),
            ],
        ),
        (
            [{"node_id": "_absent_", "node_name": "os9"}, OURS],
            "cleared",
            [
                ("DELETE", f"{VOTING}?wait_for_removal=false"),
                ("POST", f"{VOTING}?node_names=os9&timeout=9s"),
            ],
        ),
    ],
)
def test_voting(found: list[Any], state: str, sent: list[Any]) -> None:
    plan = plan_voting(found, ["os4"], state, 9)
    assert [(method, path) for method, path, _ in plan.requests()] == sent
