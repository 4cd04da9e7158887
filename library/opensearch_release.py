#!/usr/bin/python
"""Install a release of OpenSearch with its plugins."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_node import read_release
from ansible.module_utils.opensearch_release import (
    Installer,
    Release,
    ReleaseError,
    bundles_java,
    read_plugins,
    staged,
)

DOCUMENTATION = r"""
module: opensearch_release
short_description: Install a release of OpenSearch with its plugins from local archives
description:
  - Unpacks the archive into its own directory below C(ROOT/releases), adds the plugins, moves the
    whole into place when it is complete and points C(ROOT/current) at it. A running node keeps the
    release that it started with.
  - Checksums are verified before anything is unpacked, and the versions of the plugins after.
options:
  root:
    description: Directory that holds the releases.
    type: path
    default: /opt/opensearch
  version:
    description: Version of the server.
    type: str
    required: true
  archive:
    description: Path or URL that the archive was fetched from; its name counts.
    type: str
    required: true
  staging:
    description: Directory on the host where the archives lie while they are installed.
    type: path
    required: true
  sha512:
    description: Checksum of the archive.
    type: str
    required: true
  plugins:
    description: The plugins. One that the archive holds already is left as it is.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name of the plugin., type: str, required: true}
      version: {description: Its version., type: str, required: true}
      sha512: {description: Checksum of its archive., type: str, required: true}
      source: {description: Path or URL that it was fetched from., type: str, required: true}
  java_home:
    description: Java runtime for the plugin installer, where the archive brings none.
    type: path
    default: ""
  keep:
    description: How many releases stay, the current and the previous one among them.
    type: int
    default: 2
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: research-stack
"""

EXAMPLES = r"""
- name: Install | Install the release
  opensearch_release:
    version: 3.5.0
    archive: /srv/artifacts/opensearch-3.5.0.zip
    staging: /var/tmp
    sha512: "{{ opensearch_archive_sha512 }}"
"""

RETURN = r"""
home:
  description: Directory of the release.
  returned: always
  type: str
bundled_java:
  description: Whether the archive brings a Java runtime.
  returned: when the release is installed or its archive is on the host
  type: bool
"""

PLUGIN_SPEC = {
    "name": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "sha512": {"type": "str", "required": True},
    "source": {"type": "str", "required": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/opensearch"},
            "version": {"type": "str", "required": True},
            "archive": {"type": "str", "required": True},
            "staging": {"type": "path", "required": True},
            "sha512": {"type": "str", "required": True},
            "plugins": {"type": "list", "elements": "dict", "default": [], "options": PLUGIN_SPEC},
            "java_home": {"type": "path", "default": ""},
            "keep": {"type": "int", "default": 2},
        },
        supports_check_mode=True,
    )
    params = module.params
    staging = Path(params["staging"])
    archive = staged(params["archive"], staging)
    plugins = read_plugins(params["plugins"], staging)
    release = Release(params["version"], params["sha512"], plugins)
    installer = Installer(Path(params["root"]), params["java_home"])
    current = Path(params["root"]) / "current"
    before = current.resolve().name if current.exists() else ""
    changed = not installer.is_current(release)
    result = {"changed": changed, "home": str(installer.home(release))}
    try:
        if installer.is_installed(release):
            result["bundled_java"] = read_release(installer.home(release))["bundled_jdk"]
        elif archive.is_file():
            result["bundled_java"] = bundles_java(archive)
        if changed and not module.check_mode:
            if not installer.is_installed(release):
                installer.install(release, archive)
            installer.activate(release, params["keep"])
    except (ReleaseError, OSError) as error:
        module.fail_json(msg=f"opensearch_release: {error}")
    module.exit_json(
        **result,
        diff={"before": f"{before}\n" if before else "", "after": f"{release.directory}\n"},
    )


if __name__ == "__main__":
    main()
