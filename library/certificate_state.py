#!/usr/bin/python
"""Find the certificates of a host that are missing, wrong or near their end."""

from __future__ import annotations

import datetime
import importlib.util
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.certificates import (
    CertificateError,
    Wanted,
    normal_san,
    read_certificate,
    read_text,
    reasons_to_issue,
    reasons_to_trust,
    stranger,
)

DOCUMENTATION = r"""
module: certificate_state
short_description: Find certificates that are missing, wrong or near their end
description:
  - Compares the certificates and trusted authorities of a host with those that are wanted, in one
    task, and says for each that has to be issued why. It changes nothing and never returns a key.
options:
  directory:
    description: Directory of C(ca.pem), and C(NAME.pem) and C(NAME.pem.key) of each certificate.
    type: path
    required: true
  organization:
    description: Organization in the subject of every certificate.
    type: str
    required: true
  authorities:
    description: Authorities that the host trusts, as PEM text. The first is the one that signs.
    type: list
    elements: str
    required: true
  site_authorities:
    description: Those of O(authorities) that the site brings, and that sign nothing here.
    type: list
    elements: str
    default: []
  requests:
    description: Certificates that are wanted.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of its files.
        type: str
        required: true
      common_name:
        description: Common name in its subject.
        type: str
        required: true
      sans:
        description: Its names, as C(DNS:NAME) or C(IP:ADDRESS).
        type: list
        elements: str
        default: []
      purposes:
        description: Its extended key usages.
        type: list
        elements: str
        choices: [serverAuth, clientAuth]
        default: []
      provided:
        description: The certificate itself, as PEM text, where the site provides it.
        type: str
        default: ""
      renew_seconds:
        description: Seconds before its end at which it is due.
        type: int
        default: 2592000
      valid_seconds:
        description: Seconds that it may be valid in all; one of longer is due. 0 for any.
        type: int
        default: 0
  revoked:
    description: Certificates that were revoked, as PEM text. One of these is due.
    type: list
    elements: str
    default: []
author: research-stack
attributes:
  check_mode: {description: It only reads., support: full}
  diff_mode: {description: Shows why certificates are due., support: full}
"""

EXAMPLES = r"""
- name: Find certificates to issue
  certificate_state:
    directory: /etc/research-pki
    organization: research-stack
    authorities: ["{{ lookup('ansible.builtin.file', 'pki/ca.pem') }}"]
    requests:
      - name: host
        common_name: app1
        sans: ["DNS:app1", "IP:192.0.2.21"]
        purposes: [serverAuth, clientAuth]
  register: certificates
"""

RETURN = r"""
due:
  description: For each certificate to issue, the reasons.
  type: dict
  returned: always
  sample: {host: ["it ends 2026-12-01"]}
trust:
  description: Why the trusted authorities have to be written.
  type: list
  elements: str
  returned: always
packages:
  description: Packages that are missing for the comparison or for what follows it.
  type: list
  elements: str
  returned: always
"""

REQUEST = {
    "name": {"type": "str", "required": True},
    "common_name": {"type": "str", "required": True},
    "sans": {"type": "list", "elements": "str", "default": []},
    "purposes": {
        "type": "list",
        "elements": "str",
        "choices": ["serverAuth", "clientAuth"],
        "default": [],
    },
    "provided": {"type": "str", "default": ""},
    "renew_seconds": {"type": "int", "default": 2592000},
    "valid_seconds": {"type": "int", "default": 0},
}


def missing_packages() -> list[str]:
    """Packages that issuing and trusting certificates needs."""
    packages = []
    if importlib.util.find_spec("cryptography") is None:
        packages.append("python3-cryptography")
    if not Path("/usr/sbin/update-ca-certificates").exists():
        packages.append("ca-certificates")
    return packages


def find_due(params: dict[str, Any], comparable: bool) -> dict[str, list[str]]:
    """Reasons for each certificate that has to be issued."""
    authority = params["authorities"][0] if params["authorities"] else ""
    now = datetime.datetime.now(datetime.UTC)
    due = {}
    for request in params["requests"]:
        wanted = Wanted(
            name=request["name"],
            common_name=request["common_name"],
            organization=params["organization"],
            sans=frozenset(normal_san(san) for san in request["sans"]),
            purposes=frozenset(request["purposes"]),
            provided=request["provided"],
            renew_seconds=request["renew_seconds"],
            valid_seconds=request["valid_seconds"],
        )
        found = None
        if comparable:
            found = read_certificate(Path(params["directory"]), wanted.name, authority)
        reasons = reasons_to_issue(found, wanted, now, params["revoked"])
        if reasons:
            due[wanted.name] = reasons
    return due


def refuse_another_authority(params: dict[str, Any]) -> None:
    """Leave a host alone that a controller with another authority has set up.

    :raises CertificateError: where there is no authority that the host and the controller share
    """
    bundle = Path(params["directory"]) / "ca.pem"
    if stranger(read_text(bundle) or "", params["authorities"], params["site_authorities"]):
        raise CertificateError(
            f"{bundle} is from another authority than this controller's pki_ca_dir: copy that "
            "folder from the controller that set the host up; where the change is meant, put the "
            f"host's {bundle} into pki_ca_dir/trusted/ for it, or remove it on the host"
        )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "organization": {"type": "str", "required": True},
            "authorities": {"type": "list", "elements": "str", "required": True},
            "site_authorities": {"type": "list", "elements": "str", "default": []},
            "requests": {"type": "list", "elements": "dict", "required": True, "options": REQUEST},
            "revoked": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    packages = missing_packages()
    comparable = "python3-cryptography" not in packages
    try:
        if comparable:
            refuse_another_authority(params)
        due = find_due(params, comparable)
        trust = reasons_to_trust(params["authorities"], Path(params["directory"]) / "ca.pem")
    except (CertificateError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    lines = [f"{name}.pem: {', '.join(reasons)}\n" for name, reasons in due.items()]
    lines += [f"authorities: {reason}\n" for reason in trust]
    module.exit_json(
        changed=False,
        due=due,
        trust=trust,
        packages=packages,
        diff={"before": "".join(lines), "after": ""},
    )


if __name__ == "__main__":
    main()
