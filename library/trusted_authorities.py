#!/usr/bin/python
"""Trust exactly these certificate authorities of the installation."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.certificates import (
    TRUST_DIRECTORY,
    bundle_text,
    read_trust,
    reasons_to_trust,
    trust_files,
)

DOCUMENTATION = r"""
module: trusted_authorities
short_description: Trust exactly these certificate authorities of the installation
description:
  - Writes one bundle for services that trust nothing else, and adds the authorities to the
    system's trust store.
  - Authorities that an earlier call added and that are no longer listed are distrusted; all others
    are left alone.
options:
  bundle:
    description: File that holds all the authorities. Its directory is created.
    type: path
    required: true
  certificates:
    description: The authorities as PEM text.
    type: list
    elements: str
    required: true
author: research-stack
attributes:
  check_mode: {description: Says what would change., support: full}
  diff_mode: {description: Shows the files that change., support: full}
"""

EXAMPLES = r"""
- name: Trust the internal authority
  trusted_authorities:
    bundle: /etc/research-pki/ca.pem
    certificates: ["{{ lookup('ansible.builtin.file', 'pki/ca.pem') }}"]
"""

RETURN = r"""
reasons:
  description: What was not as wanted.
  type: list
  elements: str
  returned: always
"""


def write_file(module: AnsibleModule, path: Path, text: str) -> None:
    """Replace a public file atomically."""
    descriptor, temporary = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).chmod(0o644)
    module.atomic_move(temporary, str(path))


def write_trust(module: AnsibleModule, bundle: Path, authorities: list[str]) -> None:
    """Bring bundle and trust store to the wanted state."""
    for directory in (bundle.parent, TRUST_DIRECTORY):
        if not directory.is_dir():
            directory.mkdir(parents=True)
            directory.chmod(0o755)  # whatever the umask is
    write_file(module, bundle, bundle_text(authorities))
    wanted, found = trust_files(authorities), read_trust()
    for name in set(found) - set(wanted):
        (TRUST_DIRECTORY / name).unlink()
    for name, text in wanted.items():
        write_file(module, TRUST_DIRECTORY / name, text)
    module.run_command(["/usr/sbin/update-ca-certificates"], check_rc=True)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "bundle": {"type": "path", "required": True},
            "certificates": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    bundle, authorities = Path(module.params["bundle"]), module.params["certificates"]
    try:
        reasons = reasons_to_trust(authorities, bundle)
        if reasons and not module.check_mode:
            write_trust(module, bundle, authorities)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"cannot write the trusted authorities: {error}")
    lines = "".join(f"{reason}\n" for reason in reasons)
    module.exit_json(changed=bool(reasons), reasons=reasons, diff={"before": lines, "after": ""})


if __name__ == "__main__":
    main()
