"""Filter that turns a dashboard of ours into that of a program that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
import yaml
from ansible.errors import AnsibleFilterError

SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if SHARED not in ansible.module_utils.__path__:
    # Modules find module_utils/ of their own accord; plugins do not.
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.dashboards import (  # noqa: E402
    DashboardError,
    grafana,
    read,
    vmui,
)

DOCUMENTATION = r"""
name: rendered_dashboard
short_description: Make a dashboard for Grafana or vmui from how it is written here
description:
  - Panels are written once, in C(roles/dashboards/files/panels). This filter returns what Grafana
    or vmui, the page of VictoriaMetrics, reads from a JSON file.
options:
  _input:
    description:
      - The YAML file, as text.
      - A dashboard has C(name), C(title), C(about) and C(rows), each with C(title) and C(panels).
      - A panel has C(title) and C(queries), and may have C(about), C(unit) and C(kind). A query has
        C(expr), PromQL, and C(legend), in which C({{host}}) stands for a label.
      - In C(expr) C([$window]) is how far a rate looks back, which the program chooses.
    type: str
    required: true
  form:
    description: Which program is to show it.
    type: str
    choices: [grafana, vmui]
    required: true
  values:
    description: Numbers that queries name as C($NAME).
    type: dict
    default: {}
"""

EXAMPLES = r"""
file: >-
  {{ lookup('ansible.builtin.file', 'panels/cache.yml') | rendered_dashboard('vmui') }}
"""

RETURN = r"""
_value:
  description: The content of the JSON file.
  type: str
"""

FORMS = {"grafana": grafana, "vmui": vmui}


def rendered_dashboard(written: str, form: str, values: Mapping[str, float] | None = None) -> str:
    """Return a dashboard as the file that a program reads.

    :param written: how it is written here, YAML
    :param form: C(grafana) or C(vmui)
    :param values: numbers that queries name as C($NAME)
    :raises AnsibleFilterError: where it cannot be understood
    """
    if form not in FORMS:
        raise AnsibleFilterError(f"rendered_dashboard: form {form!r} is none of {', '.join(FORMS)}")
    try:
        # As text: thousands of small values would each be looked at by Ansible.
        dashboard = read(yaml.safe_load(str(written)), values or {})
    except (DashboardError, yaml.YAMLError) as error:
        raise AnsibleFilterError(f"rendered_dashboard: {error}") from error
    return json.dumps(FORMS[form](dashboard), indent=2) + "\n"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"rendered_dashboard": rendered_dashboard}
