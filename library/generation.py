#!/usr/bin/python
"""Make a generation of a service beside the others, or make one the current one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.generation import File, GenerationError, Generations, Wanted

DOCUMENTATION = r"""
module: generation
short_description: Make a generation of a service, or make one the current one
description:
  - A generation is everything that decides how a service runs, in one folder
    C(root/generations/ID), named by a hash of its content. The service runs C(root/current).
  - Without O(choose) the generation of O(files), O(copies), O(links) and O(places) is made, or made
    whole again, beside those that are there. Nothing that runs is changed by it, nor what would
    run after a crash or a reboot.
  - With O(choose) a generation becomes the current one in one step. Restarting the units, and
    proving them, is up to the caller, who chooses the one before where the proof fails.
options:
  root:
    description: Folder of the generations, and of the links C(current) and C(previous).
    type: path
    required: true
  files:
    description: Files, their paths below the generation.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Path below the generation., type: str, required: true}
      content: {description: The whole content., type: str, required: true}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Octal mode., type: str, default: "0644"}
      validate:
        description: Command with C(%s) that must accept the file before the generation exists.
        type: str
      secret: {description: Keep the content out of the diff., type: bool, default: false}
  copies:
    description:
      - Files of the host that belong to the generation, certificates for instance, as path below
        the generation -> file. They are copied with their owner, group and mode, as secrets.
    type: dict
    default: {}
  links:
    description: Links inside of the generation, as path -> target.
    type: dict
    default: {}
  places:
    description:
      - Links outside that lead into the current generation, as path -> path below it; or to
        another place, as path -> absolute target or one that begins with C(../).
    type: dict
    default: {}
  units:
    description: The units that run it, and patterns of the paths that each of them reads.
    type: dict
    default: {}
  choose:
    description: A generation to make the current one, by its name; or V(previous), the one before.
    type: str
  keep:
    description: How many of the newest stay when one is chosen, beside those that are in use.
    type: int
    default: 3
attributes:
  check_mode:
    support: full
    description: Validators do not run, as what they are part of may not be installed yet.
  diff_mode:
    support: full
    description: One diff a file, against the current generation.
author: research-stack
"""

EXAMPLES = r"""
- name: Stage | Make the generation
  template_tree:
    src: generation
    generation:
      root: /etc/research-app
      links: {release: /opt/research-app/releases/0.1.0-3f2a90bb12-cp313}
      places: {/etc/systemd/system/research-app.service: units/research-app.service}
      units: {research-app.service: ["*"]}
  register: staged

- name: Turn | Make it the current one
  generation:
    root: /etc/research-app
    choose: "{{ staged.generation }}"
"""

RETURN = r"""
generation: {description: The name of the generation., returned: always, type: str}
current: {description: The name of the current one; empty without., returned: always, type: str}
previous: {description: The name of the one before., returned: always, type: str}
pending:
  description: Whether the generation is still to be chosen.
  returned: always
  type: bool
units:
  description: >-
    For each unit whether it is C(running), with which C(generation), and the C(reasons) for which
    a start or restart is due.
  returned: always
  type: dict
links:
  description: The links inside of the generation that was chosen.
  returned: with O(choose)
  type: dict
linked:
  description: What the links of all generations lead to.
  returned: always
  type: list
  elements: str
"""

FILE_SPEC = {
    "path": {"type": "str", "required": True},
    "content": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0644"},
    "validate": {"type": "str"},
    "secret": {"type": "bool", "default": False, "no_log": False},
}


def wanted_of(params: dict[str, Any], check_mode: bool) -> Wanted:
    """Return the generation that the parameters describe.

    :raises GenerationError: where a mode is not octal, or a file of the host is missing
    """
    files = []
    for item in params["files"]:
        try:
            mode = int(item["mode"], 8)
        except ValueError:
            raise GenerationError(f"{item['path']}: mode {item['mode']!r} is not octal") from None
        content = item["content"].encode()
        known = {name: item[name] for name in ("path", "owner", "group", "secret", "validate")}
        files.append(File(content=content, mode=mode, **known))
    for path, source in params["copies"].items():
        if Path(source).is_file():
            files.append(File.copied(path, Path(source)))
        elif not check_mode:
            raise GenerationError(f"{source} is missing: {path} is a copy of it")
    return Wanted(files, params["links"], params["places"])


def stage(module: AnsibleModule, generations: Generations) -> dict[str, Any]:
    """Make the generation of the parameters where it is not there as it should be."""
    wanted = wanted_of(module.params, module.check_mode)
    damaged = generations.drift(wanted.name)
    missing = generations.manifest(wanted.name) is None
    diff = generations.differences(wanted)
    if (missing or damaged) and not module.check_mode:
        generations.stage(wanted, module.params["units"])
    pending = generations.linked("current") != wanted.name or bool(
        generations.misplaced(wanted.name)
    )
    manifest = wanted.manifest()
    units = {
        name: {
            "running": state.running,
            "generation": state.generation,
            "reasons": generations.reasons(state, manifest, module.params["units"][name]),
        }
        for name, state in generations.states(module.params["units"]).items()
    }
    due = module.check_mode and (pending or any(unit["reasons"] for unit in units.values()))
    return {
        "changed": bool(missing or damaged or due),
        "generation": wanted.name,
        "pending": pending,
        "units": units,
        "diff": diff,
    }


def choose(module: AnsibleModule, generations: Generations) -> dict[str, Any]:
    """Make the named generation the current one, and remove old ones."""
    name, before = module.params["choose"], generations.linked("current")
    if name == "previous":
        name = generations.linked("previous")
    if not name:
        raise GenerationError(f"{generations.root} has no generation before the current one")
    pending = before != name or bool(generations.misplaced(name))
    if pending and not module.check_mode:
        generations.choose(name)
    if not module.check_mode:
        generations.prune(module.params["keep"])
    diff = {"before": f"current: {before}\n", "after": f"current: {name}\n"}
    links = (generations.manifest(name) or {}).get("links", {})
    return {
        "changed": pending,
        "generation": name,
        "links": links,
        "pending": False,
        "units": {},
        "diff": diff,
    }


def main() -> None:
    """Run the module."""
    spec: dict[str, Any] = {
        "root": {"type": "path", "required": True},
        # no_log: the log of the host must not hold the content of secret files.
        "files": {"type": "list", "elements": "dict", "default": [], "no_log": True,
                  "options": FILE_SPEC},
        "choose": {"type": "str"},
        "keep": {"type": "int", "default": 3},
    }  # fmt: skip
    spec |= {
        name: {"type": "dict", "default": {}} for name in ("copies", "links", "places", "units")
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    # Nothing more is masked in the result: what of it is secret is decided for each file.
    module.no_log_values = set()
    generations = Generations(Path(module.params["root"]), module.run_command)
    try:
        result = (choose if module.params["choose"] else stage)(module, generations)
    except GenerationError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        current=generations.linked("current"),
        previous=generations.linked("previous"),
        linked=generations.targets(),
        invocation={"module_args": {"files": [item["path"] for item in module.params["files"]]}},
        **result,
    )


if __name__ == "__main__":
    main()
