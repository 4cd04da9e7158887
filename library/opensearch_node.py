#!/usr/bin/python
"""Report what a host knows about its OpenSearch node."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_node import Layout, report

DOCUMENTATION = r"""
module: opensearch_node
short_description: Report what a host knows about its OpenSearch node
description:
  - Looks at the release, the data directory and the running process without asking the server, and
    compares what the process started with against what is on disk now.
  - Changes nothing.
options:
  data:
    description: Data directory.
    type: path
    default: /var/lib/opensearch
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: research-stack
"""

EXAMPLES = r"""
- name: Service | Find out whether the node must restart
  opensearch_node:
  register: opensearch_node
"""

RETURN = r"""
release:
  description: Version, checksums and plugins of the installed release; empty where there is none.
  returned: always
  type: dict
home:
  description: Directory of the current release.
  returned: always
  type: str
user:
  description: Whether the host has the user that the service runs as.
  returned: always
  type: bool
unit:
  description: Whether the host has the unit.
  returned: always
  type: bool
active:
  description: Whether the service runs.
  returned: always
  type: bool
enabled:
  description: Whether it starts with the host.
  returned: always
  type: bool
needs_reload:
  description: Whether the unit on disk is another than the one that systemd has read.
  returned: always
  type: bool
data:
  description:
    - V(blank) (nothing there), V(unformed) (a node started here and never was in a cluster),
      V(formed), or V(unreadable).
  returned: always
  type: str
bootstrap_pending:
  description: Whether the request to form a new cluster lies there.
  returned: always
  type: bool
started_with_bootstrap:
  description: Whether the running process was asked to form a new cluster.
  returned: always
  type: bool
restart_reasons:
  description:
    - Parts in which the running process differs from the disk (release, java, unit, config, jvm,
      keystore, ca, certificate), or V(unknown) where the process left no record.
  returned: always
  type: list
  elements: str
memory_mb:
  description: Memory of the host.
  returned: always
  type: int
processors:
  description: Processors that the service may use.
  returned: always
  type: int
java_home:
  description: Where the distribution puts the Java runtime.
  returned: always
  type: str
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"data": {"type": "path", "default": "/var/lib/opensearch"}},
        supports_check_mode=True,
    )
    layout = Layout(data=Path(module.params["data"]))
    try:
        module.exit_json(changed=False, **asdict(report(layout)))
    except OSError as error:
        module.fail_json(msg=f"opensearch_node: {error}")


if __name__ == "__main__":
    main()
