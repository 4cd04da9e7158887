"""Documentation of the option that all modules for OpenSearch share."""

from __future__ import annotations


class ModuleDocFragment:
    """How to reach the cluster."""

    DOCUMENTATION = r"""
options:
  connection:
    description: How to reach the cluster; the same for every opensearch module.
    type: dict
    required: true
    suboptions:
      urls:
        description: Addresses, asked one after the other until one answers.
        type: list
        elements: str
        required: true
      ca: {description: CA certificates that the server is verified by., type: path, required: true}
      client_certificate: {description: Client certificate., type: path}
      client_key: {description: Key of the client certificate., type: path}
      user: {description: User, where no client certificate is given., type: str}
      password_file: {description: File with the user's password., type: path}
      timeout: {description: Seconds for one request., type: int, default: 30}
"""
