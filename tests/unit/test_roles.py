"""What every role has in common, so that who knows one knows all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent.parent
ROLES = sorted(path for path in (PROJECT / "roles").iterdir() if (path / "tasks").is_dir())
OWN_MODULES = {
    path.stem
    for folder in ("library", "action_plugins")
    for path in (PROJECT / folder).glob("*.py")
}
BLOCKS = ("block", "rescue", "always")
# Keys of a task that are no module.
KEYWORDS = {
    "any_errors_fatal", "args", "async", "become", "become_user", "changed_when", "check_mode",
    "connection", "delay", "delegate_facts", "delegate_to", "diff", "environment", "failed_when",
    "loop", "loop_control", "name", "no_log", "notify", "poll", "register", "retries", "run_once",
    "tags", "throttle", "until", "vars", "when", "listen", "ignore_unreachable", "become_flags",
    "become_method", "module_defaults", "timeout", *BLOCKS,
}  # fmt: skip
FQCN = re.compile(r"[a-z_]+\.[a-z_]+\.[a-z_0-9]+")
PLATFORMS = {"Debian": {"trixie", "bookworm"}, "Ubuntu": {"noble"}}

# Units without a list of whom they may exchange packets with, as roles/base/meta/exports.yml says.
UNLISTED = {"ssh.service", "cron.service"}

pytestmark = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


class Loader(yaml.SafeLoader):
    """Reads Ansible's own tags as plain values."""


Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_object(node))


def load(path: Path) -> Any:
    """Return a YAML file, or None where it is missing."""
    return yaml.load(path.read_text(), Loader) if path.is_file() else None  # noqa: S506


def options(role: Path) -> dict[str, dict[str, Any]]:
    """Return the role's variables as it describes them."""
    specs = load(role / "meta/argument_specs.yml")
    assert specs, f"roles/{role.name}/meta/argument_specs.yml is missing"
    found: dict[str, dict[str, Any]] = specs["argument_specs"]["main"].get("options", {})
    return found


def tasks(role: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every task and handler of a role, with the name of its file."""
    for path in sorted([*role.glob("tasks/**/*.yml"), *role.glob("handlers/*.yml")]):
        yield from ((str(path.relative_to(role)), task) for task in unpacked(load(path) or []))


def unpacked(listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return tasks and those within blocks."""
    for task in listed:
        yield task
        for key in BLOCKS:
            yield from unpacked(task.get(key) or [])


def module_of(task: dict[str, Any]) -> str:
    """Return the module that a task runs; a block has none."""
    names = [key for key in task if key not in KEYWORDS and not key.startswith("with_")]
    return names[0] if names else ""


def test_each_default_is_described_once(role: Path) -> None:
    defaults = load(role / "defaults/main.yml") or {}
    described = options(role)
    required = {name for name, option in described.items() if option.get("required")}
    assert set(defaults) | required == set(described)
    assert not set(defaults) & required


def test_described_defaults_are_the_real_ones(role: Path) -> None:
    defaults = load(role / "defaults/main.yml") or {}
    described = {name: option for name, option in options(role).items() if "default" in option}
    assert {name: option["default"] for name, option in described.items()} == {
        name: defaults[name] for name in described
    }


def test_each_variable_has_type_and_reason(role: Path) -> None:
    for name, option in options(role).items():
        assert option.get("type"), name
        assert len(str(option.get("description", ""))) >= 10, name


def test_variables_begin_with_the_role(role: Path) -> None:
    names = set(load(role / "defaults/main.yml") or {}) | set(options(role))
    for path in role.glob("vars/*.yml"):
        names |= set(load(path) or {})
    for _, task in tasks(role):
        names.add(task.get("register") or role.name + "_")
        names.add((task.get("loop_control") or {}).get("loop_var") or role.name + "_")
        if module_of(task).endswith("set_fact"):
            names |= set(task[module_of(task)]) - {"cacheable"}
        if not module_of(task).endswith(("include_role", "import_role")):
            # What a task passes to a role has the name of that role.
            names |= {name for name in task.get("vars") or {} if not name.startswith("ansible_")}
    assert not {name for name in names if not name.startswith(f"{role.name}_")}


def test_loops_name_their_variable(role: Path) -> None:
    unnamed = [
        (file, task["name"])
        for file, task in tasks(role)
        if "loop" in task and "loop_var" not in (task.get("loop_control") or {})
    ]
    assert not unnamed


def test_tasks_use_full_names(role: Path) -> None:
    used = {(file, module_of(task)) for file, task in tasks(role) if module_of(task)}
    assert not {
        (file, name) for file, name in used if name not in OWN_MODULES and not FQCN.fullmatch(name)
    }


def test_tasks_have_names(role: Path) -> None:
    assert not [(file, module_of(task)) for file, task in tasks(role) if not task.get("name")]


def test_errors_are_not_ignored(role: Path) -> None:
    assert not [task["name"] for _, task in tasks(role) if task.get("ignore_errors")]


def test_modes_are_quoted(role: Path) -> None:
    for _, task in tasks(role):
        arguments = task.get(module_of(task)) if module_of(task) else None
        if isinstance(arguments, dict) and "mode" in arguments:
            assert isinstance(arguments["mode"], str), task["name"]


def test_the_role_says_what_it_is(role: Path) -> None:
    meta = load(role / "meta/main.yml")
    assert meta, f"roles/{role.name}/meta/main.yml is missing"
    assert meta["dependencies"] == []
    info = meta["galaxy_info"]
    assert info["license"] == "Apache-2.0"
    assert tuple(map(int, str(info["min_ansible_version"]).split("."))) >= (2, 18)
    found = {platform["name"]: set(platform["versions"]) for platform in info["platforms"]}
    assert found == PLATFORMS


def test_exports_are_data(role: Path) -> None:
    exports = load(role / "meta/exports.yml") or {}
    assert isinstance(exports, dict)
    for rule in exports.get("firewall_rules", []):
        if isinstance(rule, dict):
            assert set(rule) <= {"name", "port", "proto", "from"}
            assert {"name", "from"} <= set(rule)
            assert "port" in rule or rule.get("proto") == "vrrp"


def test_a_service_names_its_units(role: Path) -> None:
    """Whoever opens a port says which systemd units may hold it, so that a stranger is found."""
    exports = load(role / "meta/exports.yml") or {}
    if exports.get("firewall_rules"):
        units = exports.get("units")
        assert units, f"roles/{role.name}/meta/exports.yml lacks units: [NAME.service, …]"
        assert all(unit.endswith(".service") for unit in units)


def test_each_unit_says_with_whom_it_works(role: Path) -> None:
    """So that no unit is forgotten: its address list is in it, or made from the role's exports."""
    files = [path for path in role.glob("templates/**/*.service*/**/*") if path.is_file()]
    files += [path for path in role.glob("templates/**/*.service*") if path.is_file()]
    written = {
        next(part for part in reversed(path.parts) if ".service" in part).partition(".service")[0]
        for path in files
        if "IPAddressDeny=any" not in path.read_text()
    }
    listed = (load(role / "meta/exports.yml") or {}).get("unit_peers", [])
    named = {unit for entry in listed for unit in entry["units"]}
    assert {f"{name}.service" for name in written} <= named | UNLISTED
