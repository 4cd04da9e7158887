#!/usr/bin/python
"""Copy the host's certificate, key and CA for OpenSearch."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_certificates import CertificateError, Copy, write

DOCUMENTATION = r"""
module: opensearch_certificates
short_description: Copy the host's certificate, key and CA for OpenSearch
description:
  - Copies the four files on the host, the key as PKCS#8, readable by the service alone. The
    server watches the copies and takes new ones over without a restart; the list of
    revoked ones it reads at each request.
options:
  certificate:
    description: Certificate with its chain.
    type: path
    required: true
  key:
    description: Its private key, without a passphrase.
    type: path
    required: true
  ca:
    description: Certificates that peers and clients are verified against.
    type: path
    required: true
  crl:
    description: Certificates that were revoked.
    type: path
    required: true
  dest:
    description: Directory of the copies (C(host.pem), C(host.pem.key), C(ca.pem), C(crl.pem)).
    type: path
    required: true
  owner:
    description: User and group that own them.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Sources that are not there yet count as a change in check mode.
  diff_mode:
    support: partial
    description: Names the files; their content is not shown.
author: research-stack
"""

EXAMPLES = r"""
- name: Configure | Copy the certificates
  opensearch_certificates:
    certificate: /etc/research-pki/host.pem
    key: /etc/research-pki/host.pem.key
    ca: /etc/research-pki/ca.pem
    crl: /etc/research-pki/crl.pem
    dest: /etc/opensearch/certs
    owner: opensearch
"""

RETURN = r"""
changed_files:
  description: Copies that changed, or would.
  returned: always
  type: list
  elements: str
"""

MODE = 0o600


def main() -> None:
    """Run the module."""
    paths = ("certificate", "ca", "crl", "dest")
    options = {name: {"type": "path", "required": True} for name in paths}
    options["key"] = {"type": "path", "required": True, "no_log": False}
    options["owner"] = {"type": "str", "required": True}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    params = module.params
    dest = Path(params["dest"])
    # The key comes first: a certificate without its key is what a watcher must not meet.
    copies = [
        Copy(Path(params["ca"]), dest / "ca.pem"),
        Copy(Path(params["crl"]), dest / "crl.pem"),
        Copy(Path(params["key"]), dest / "host.pem.key", is_key=True),
        Copy(Path(params["certificate"]), dest / "host.pem"),
    ]
    changed = []
    try:
        for copy in copies:
            if module.check_mode and not copy.source.exists():
                changed.append(str(copy.target))
                continue
            wanted = copy.content()
            if copy.differs(wanted, MODE):
                changed.append(str(copy.target))
                if not module.check_mode:
                    write(copy, wanted, params["owner"], MODE)
    except (CertificateError, OSError, LookupError) as error:
        module.fail_json(msg=f"opensearch_certificates: {error}")
    listing = "".join(f"{path}\n" for path in changed)
    diff = {"before": "", "after": listing, "after_header": "certificates that differ"}
    module.exit_json(changed=bool(changed), changed_files=changed, diff=diff)


if __name__ == "__main__":
    main()
