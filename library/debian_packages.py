#!/usr/bin/python
"""Documentation of the action plugin debian_packages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_packages
short_description: Install Debian packages, asking apt only where one is missing
description:
  - Does what M(ansible.builtin.apt) does with O(name), and in the case in which there is nothing to
    do it does it without opening apt's cache.
  - Names alone. A version, an architecture or a pattern goes to M(ansible.builtin.apt) at once.
options:
  name:
    description: Packages that are to be there.
    type: list
    elements: str
    required: true
  install_recommends:
    description: Whether packages that these recommend are installed too.
    type: bool
  update_cache:
    description: Whether the lists are fetched before something is installed.
    type: bool
  cache_valid_time:
    description: Age in seconds up to which the lists count as fresh.
    type: int
  policy_rc_d:
    description: What a service is answered that wants to start while it is installed (101 is no).
    type: int
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
seealso:
  - module: ansible.builtin.apt
author: research-stack
"""

EXAMPLES = r"""
- name: Install | Install the packages
  debian_packages:
    name: [ufw]
    cache_valid_time: 86400
"""

RETURN = r"""
changed:
  description: Whether a package was installed.
  returned: always
  type: bool
"""
