#!/usr/bin/python
"""Set sysctls and turn swap off, as far as this host is the one to do so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kernel_settings import (
    Decision,
    Kernel,
    KernelError,
    Wish,
    decide,
    fstab_without_swap,
    parse_sysctl_file,
    render_sysctl_file,
)

DOCUMENTATION = r"""
module: kernel_settings
short_description: Set sysctls and turn swap off
description:
  - Reads the kernel's values first and writes only those that are not as wanted, to the kernel and
    to a file in /etc/sysctl.d.
  - In a container the kernel is the machine's. A value that cannot be changed there is reported in
    RV(notes), a minimum that is not met is a failure which names the command for the machine.
options:
  sysctl:
    description: >-
      Name of the setting to its value, or to C({minimum: NUMBER}) where any higher value is as
      good.
    type: dict
    default: {}
  optional:
    description: Names of settings that this kernel may not have. They are passed over then.
    type: list
    elements: str
    default: []
  path:
    description: File that keeps the settings over a reboot. Removed where nothing is to be kept.
    type: path
    required: true
  swap:
    description: V(true) leaves swap as it is, V(false) turns it off now and in /etc/fstab.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: research-stack
"""

EXAMPLES = r"""
- name: Configure | Set the kernel
  kernel_settings:
    sysctl:
      vm.max_map_count: {minimum: 262144}
      vm.swappiness: 1
    path: /etc/sysctl.d/90-search.conf
    swap: false
"""

RETURN = r"""
notes:
  description: What is not as wished, and why that is no failure.
  returned: always
  type: list
  elements: str
"""


class Settings:
    """Carries the module's run, and collects what changed."""

    def __init__(self, module: AnsibleModule, kernel: Kernel) -> None:
        self._module = module
        self.kernel = kernel
        self.notes: list[str] = []
        self.diff: list[dict[str, str]] = []

    def set_sysctl(self, sysctl: dict[str, Any], path: Path) -> None:
        """Set the kernel's values and the file."""
        old = path.read_text() if path.exists() else ""
        kept = parse_sysctl_file(old)
        decisions: dict[str, Decision] = {}
        for name, value in sysctl.items():
            wish = Wish.from_params(name, value)
            current, writable = self.kernel.read(name), self.kernel.writable(name)
            decision = decide(wish, current, kept.get(name), writable)
            decisions[name] = decision
            self.notes += [decision.note] if decision.note else []
            if decision.kernel is not None:
                self._differs(f"/proc/sys: {name}", f"{current}\n", f"{decision.kernel}\n")
        values = {name: d.file for name, d in decisions.items() if d.file is not None}
        new = render_sysctl_file(values)
        self._write(path, old, new)
        if not self._module.check_mode:
            for name, decision in decisions.items():
                if decision.kernel is not None:
                    self.kernel.write(name, decision.kernel)

    def turn_swap_off(self) -> None:
        """Turn swap off, now and for the next boot."""
        fstab = Path("/etc/fstab")
        old = fstab.read_text() if fstab.exists() else ""
        self._write(fstab, old, fstab_without_swap(old))
        swaps = self.kernel.swaps()
        if swaps and self.kernel.in_container():
            self.notes.append(f"swap ({', '.join(swaps)}) stays on: it is the carrying machine's")
        elif swaps:
            self._differs("swap", "\n".join(swaps) + "\n", "")
            if not self._module.check_mode:
                self._module.run_command(["swapoff", "-a"], check_rc=True)

    def _write(self, path: Path, old: str, new: str) -> None:
        if old == new:
            return
        self._differs(str(path), old, new)
        if self._module.check_mode:
            return
        if not new:
            path.unlink()
            return
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(new)
        temporary.chmod(0o644)
        temporary.replace(path)

    def _differs(self, what: str, before: str, after: str) -> None:
        headers = {"before_header": what, "after_header": what}
        self.diff.append({"before": before, "after": after, **headers})


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "sysctl": {"type": "dict", "default": {}},
            "optional": {"type": "list", "elements": "str", "default": []},
            "path": {"type": "path", "required": True},
            "swap": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    settings = Settings(module, Kernel())
    try:
        wanted = dict(module.params["sysctl"])
        for name in module.params["optional"]:
            if name in wanted and not settings.kernel.has(name):
                settings.notes.append(f"this kernel has no setting {name}")
                del wanted[name]
        settings.set_sysctl(wanted, Path(module.params["path"]))
        if not module.params["swap"]:
            settings.turn_swap_off()
    except KernelError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(settings.diff), notes=settings.notes, diff=settings.diff)


if __name__ == "__main__":
    main()
