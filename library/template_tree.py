#!/usr/bin/python
"""Documentation of the action plugin template_tree."""

from __future__ import annotations

DOCUMENTATION = r"""
module: template_tree
short_description: Render a directory of templates on a host in one task
description:
  - Renders every file below a directory of the role's C(templates/) and writes the result below
    C(dest). Names that end in C(.j2) are templated and lose the ending; other files are copied.
  - One task instead of one a file. Files are written atomically, and only after all validators of
    the changed files have accepted them.
  - A file that the role rendered here once and does not render any more, since its template is gone
    or is excluded now, is removed. Never removed is what the role did not make, what is no regular
    file any more, and what a package brought.
  - Blocks are trimmed on both sides (C(trim_blocks), C(lstrip_blocks)).
options:
  src:
    description: Directory below the role's C(templates/).
    type: str
    required: true
  dest:
    description: Directory on the host that mirrors it.
    type: path
    required: true
  owner:
    description: Owner of the files, unless O(files) says otherwise.
    type: str
  group:
    description: Group of the files, unless O(files) says otherwise.
    type: str
  mode:
    description: Mode of the files, unless O(files) says otherwise.
    type: str
  directory_mode:
    description: Mode of directories that have to be made. Those that exist are left alone.
    type: str
    default: "0755"
  exclude:
    description: >-
      Globs of paths below O(src) that are not rendered, and removed where they once were.
    type: list
    elements: str
    default: []
  manifest:
    description: File in which the host keeps what was made.
    type: path
    default: /var/lib/research-stack/files.json
  files:
    description:
      - What is different for single files, by path below O(src) without C(.j2).
      - Keys are C(owner), C(group), C(mode), C(validate) (a command with C(%s), run on the new
        content before anything is replaced) and C(secret) (keep the content out of the diff).
    type: dict
    default: {}
  more:
    description: >-
      Files whose number only the inventory knows, as M(file_tree) takes them: C(path), C(content)
      and what O(files) may say of one. They are written, and removed where they once were,
      together with the others.
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    support: full
    description: Owners and validators that are not there yet are passed over in check mode.
  diff_mode:
    support: full
    description: One diff a file; a secret file says only that it differs.
author: research-stack
"""

EXAMPLES = r"""
- name: Configure | Render the configuration
  template_tree:
    src: config
    dest: /
    owner: root
    group: root
    mode: "0644"
    files:
      etc/haproxy/haproxy.cfg: {mode: "0640", validate: "haproxy -c -f %s"}
  notify: Reload HAProxy
"""

RETURN = r"""
changed_files:
  description: Paths of the files that changed, those that were removed among them.
  returned: always
  type: list
  elements: str
  sample: [/etc/haproxy/haproxy.cfg]
"""
