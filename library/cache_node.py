#!/usr/bin/python
"""Inspect a node of the cache, apply what needs no restart, hand over its role, wait for it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.cache_node import (
    CONFIG_KEY,
    Access,
    CacheError,
    Connection,
    Process,
    acl_fingerprint,
    find_primary,
    knows_authorities,
    leaf_der,
    pairs,
    read_file,
    reasons_no_standby,
    reasons_not_ready,
    reasons_to_restart,
    title_template,
    title_value,
    wait_for,
)

DOCUMENTATION = r"""
module: cache_node
short_description: Inspect and operate one node of the cache
description:
  - Runs on a host with a Valkey or Redis server and its Sentinel, and speaks with them over
    verified TLS. The password is in no argument list and no output.
  - What has to be done is found by comparing what runs with what is wanted, so an interrupted
    run is resumed by the next one. A server shows the fingerprint of the configuration that it
    started with in its process title, and that of its ACL file as the name of a disabled user.
options:
  state:
    description:
      - V(inspected) changes nothing and says what has to be done.
      - V(reloaded) applies what needs no restart, which are users, certificates and the quorum.
      - V(standby) hands the primary's role to a replica if this node has it, so that the node
        may stop. It fails where no replica could take over. A node without peers is left alone.
      - V(ready) waits until server and Sentinel do their part.
    type: str
    choices: [inspected, reloaded, standby, ready]
    required: true
  name:
    description: Name of this node, in its certificate and in O(nodes).
    type: str
    required: true
  nodes:
    description: Names of all nodes, this one included.
    type: list
    elements: str
    required: true
  port:
    description: Port of the server.
    type: int
    default: 6379
  sentinel_port:
    description: Port of the Sentinel.
    type: int
    default: 26379
  service_name:
    description: Name of the service that the Sentinels watch.
    type: str
    required: true
  username:
    description: ACL user that manages servers and Sentinels.
    type: str
    required: true
  password:
    description: Its password.
    type: str
    required: true
  ca:
    description: File of the authorities that signed the nodes' certificates.
    type: path
    required: true
  tls:
    description: Files of certificate and key that are copied for the service, as source and target.
    type: list
    elements: dict
    default: []
    suboptions:
      source: {description: The original., type: path, required: true}
      target: {description: What the service reads., type: path, required: true}
  seeds:
    description: Files that server and Sentinel write themselves, made once before their start.
    type: list
    elements: path
    default: []
  server_unit:
    description: Unit of the server.
    type: str
    required: true
  sentinel_unit:
    description: Unit of the Sentinel.
    type: str
    required: true
  binaries:
    description: Programs that the packages bring.
    type: list
    elements: path
    default: []
  server_fingerprint:
    description: Fingerprint of the configuration that the server should have started with.
    type: str
    required: true
  sentinel_fingerprint:
    description: Fingerprint of the configuration that the Sentinel should have started with.
    type: str
    required: true
  acl_fingerprint:
    description: Fingerprint of the server's ACL file.
    type: str
    required: true
  timeout:
    description: Seconds to wait in V(standby) and V(ready).
    type: int
    default: 60
attributes:
  check_mode: {support: full, description: Only V(inspected) does something in check mode.}
  diff_mode: {support: full, description: Shows what has to be done and why.}
author: research-stack
"""

EXAMPLES = r"""
- name: Wait until the node does its part
  cache_node:
    state: ready
    name: cache1
    nodes: [cache1, cache2, cache3]
    service_name: research
    username: sentinel
    password: "{{ cache_sentinel_password }}"
    ca: /etc/research-pki/ca.pem
    server_unit: valkey-server.service
    sentinel_unit: valkey-sentinel.service
    server_fingerprint: 0123456789ab
    sentinel_fingerprint: 0123456789ab
    acl_fingerprint: 0123456789ab
"""

RETURN = r"""
primary:
  description: Name or address of the current primary, empty where no Sentinel knows.
  type: str
  returned: when inspected
role:
  description: What this node is, V(primary), V(replica) or empty where it does not run.
  type: str
  returned: when inspected
todo:
  description: Whether anything of what follows is to be done.
  type: bool
  returned: when inspected
install:
  description: Whether programs are missing.
  type: bool
  returned: when inspected
copies:
  description: Files of O(tls) whose target differs.
  type: list
  elements: str
  returned: when inspected
seed:
  description: Files of O(seeds) that are missing.
  type: list
  elements: str
  returned: when inspected
start:
  description: Units that do not run or are not enabled.
  type: list
  elements: str
  returned: when inspected
reload:
  description: What V(reloaded) would apply.
  type: list
  elements: str
  returned: when inspected
restart:
  description: For each unit that has to be started anew, the reasons.
  type: dict
  returned: when inspected
"""


TODO = ("install", "copies", "seed", "start", "reload", "restart")


def argument_spec() -> dict[str, Any]:
    """Return the module's arguments."""
    text: dict[str, Any] = {"type": "str", "required": True}
    names: dict[str, Any] = {"type": "list", "elements": "str", "required": True}
    paths: dict[str, Any] = {"type": "list", "elements": "path", "default": []}
    path: dict[str, Any] = {"type": "path", "required": True}
    states = ["inspected", "reloaded", "standby", "ready"]
    return {
        "state": {**text, "choices": states},
        "name": text,
        "nodes": names,
        "port": {"type": "int", "default": 6379},
        "sentinel_port": {"type": "int", "default": 26379},
        "service_name": text,
        "username": text,
        "password": {**text, "no_log": True},
        "ca": path,
        "tls": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {"source": path, "target": path},
        },
        "seeds": paths,
        "server_unit": text,
        "sentinel_unit": text,
        "binaries": paths,
        "server_fingerprint": text,
        "sentinel_fingerprint": text,
        "acl_fingerprint": text,
        "timeout": {"type": "int", "default": 60},
    }


def show_unit(unit: str) -> dict[str, str]:
    """Return what systemd knows of a unit."""
    properties = "ActiveState,UnitFileState,MainPID,ExecMainStartTimestamp"
    shown = subprocess.run(
        ["systemctl", "show", "--timestamp=unix", "--property", properties, unit],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (line.partition("=") for line in shown.stdout.splitlines())
    return {key: value for key, _, value in lines}


def read_process(shown: dict[str, str]) -> Process:
    """Return what runs in a unit, with an empty title where it is gone."""
    started = int(shown.get("ExecMainStartTimestamp", "").removeprefix("@") or 0)
    try:
        title = Path(f"/proc/{shown['MainPID']}/cmdline").read_bytes()
    except OSError:
        title = b""
    return Process(title.replace(b"\0", b" ").decode(errors="replace"), started)


class Node:
    """One node, as the module's parameters describe it."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.access = Access(params["ca"], params["username"], params["password"])
        self.authorities = read_file(Path(params["ca"]))
        self.quorum = len(params["nodes"]) // 2 + 1

    def server(self) -> Connection:
        """Connect to the server."""
        return Connection(self.params["name"], self.params["port"], self.access)

    def sentinel(self) -> Connection:
        """Connect to the Sentinel."""
        return Connection(self.params["name"], self.params["sentinel_port"], self.access)

    def inspect(self) -> dict[str, Any]:
        """Say what has to be done on this node."""
        params = self.params
        units = [params["server_unit"], params["sentinel_unit"]]
        shown = {unit: show_unit(unit) for unit in units}
        running = {
            unit: read_process(shown[unit])
            for unit in units
            if shown[unit].get("ActiveState") == "active"
        }
        role, server_reload, server_restart = self._ask_server(running.get(units[0]))
        sentinel_reload, sentinel_restart = self._ask_sentinel(running.get(units[1]))
        restart = {units[0]: server_restart, units[1]: sentinel_restart}
        return {
            "install": any(not Path(path).exists() for path in params["binaries"]),
            "copies": [pair["target"] for pair in params["tls"] if self._copy_differs(pair)],
            "seed": [path for path in params["seeds"] if not Path(path).exists()],
            "start": [
                unit
                for unit in units
                if unit not in running or shown[unit].get("UnitFileState") != "enabled"
            ],
            "restart": {unit: reasons for unit, reasons in restart.items() if reasons},
            "reload": server_reload + sentinel_reload,
            "role": role,
            "primary": self._primary(),
        }

    def _ask_server(self, process: Process | None) -> tuple[str, list[str], list[str]]:
        """Return the server's role, what to reload, and why to restart it."""
        if process is None:
            return "", [], []
        role, reload = "", []
        restart = reasons_to_restart(process, self.params["server_fingerprint"], self._installed())
        try:
            with self.server() as server:
                role = server.info("replication").get("role", "")
                if acl_fingerprint(server.call("ACL", "USERS")) != self.params["acl_fingerprint"]:
                    reload.append("users")
                if self._shows_other_certificate(server):
                    reload.append("certificate")
        except CacheError as error:
            restart.append(str(error))
        if not knows_authorities(process, self.authorities):
            reload.append("authorities")
        return {"master": "primary", "slave": "replica"}.get(role, ""), reload, restart

    def _ask_sentinel(self, process: Process | None) -> tuple[list[str], list[str]]:
        """Return what to reload in the Sentinel, and why to restart it."""
        if process is None:
            return [], []
        reload = []
        restart = reasons_to_restart(
            process, self.params["sentinel_fingerprint"], self._installed()
        )
        if not knows_authorities(process, self.authorities):
            restart.append("its authorities are others")
        try:
            with self.sentinel() as sentinel:
                if self._shows_other_certificate(sentinel):
                    restart.append("its certificate is another one")
                if self._watched(sentinel).get("quorum") != str(self.quorum):
                    reload.append("quorum")
        except CacheError as error:
            restart.append(str(error))
        return reload, restart

    def _shows_other_certificate(self, connection: Connection) -> bool:
        if not self.params["tls"]:
            return False
        leaf = leaf_der(Path(self.params["tls"][0]["source"]))
        return leaf != b"" and connection.certificate() != leaf

    def _installed(self) -> int:
        paths = [Path(path) for path in self.params["binaries"]]
        return max((int(path.stat().st_ctime) for path in paths if path.exists()), default=0)

    def _primary(self) -> str:
        names = sorted(self.params["nodes"], key=lambda name: name != self.params["name"])
        sentinels = [(name, self.params["sentinel_port"]) for name in names]
        return find_primary(self.params["service_name"], sentinels, self.access)

    def _copy_differs(self, pair: dict[str, str]) -> bool:
        source, copy = Path(pair["source"]), Path(pair["target"])
        if not source.exists():
            return not copy.exists()
        return not copy.exists() or source.read_bytes() != copy.read_bytes()

    def _watched(self, sentinel: Connection) -> dict[str, str]:
        return pairs(sentinel.call("SENTINEL", "master", self.params["service_name"]))

    def reload(self) -> bool:
        """Apply users, certificates, authorities and quorum."""
        process = read_process(show_unit(self.params["server_unit"]))
        config = title_value(process.title, CONFIG_KEY)
        options = {
            "tls-ca-cert-file": self.params["ca"],
            "proc-title-template": title_template(config, self.authorities.fingerprint),
        }
        for option, pair in zip(
            ("tls-cert-file", "tls-key-file"), self.params["tls"], strict=False
        ):
            options[option] = pair["target"]
        with self.server() as server:
            server.call("ACL", "LOAD")
            server.call("CONFIG", "SET", *(word for item in options.items() for word in item))
        with self.sentinel() as sentinel:
            service = self.params["service_name"]
            sentinel.call("SENTINEL", "SET", service, "quorum", str(self.quorum))
        return True

    def stand_by(self) -> bool:
        """Hand the primary's role to a replica; say whether there was something to hand over."""
        if len(self.params["nodes"]) == 1:
            return False
        with self.server() as server, self.sentinel() as sentinel:
            replication = server.info("replication")
            if replication.get("role") == "slave":
                return False
            reasons = reasons_no_standby(replication)
            if reasons:
                raise CacheError(f"{self.params['name']} must stay primary: {'; '.join(reasons)}")
            sentinel.call("SENTINEL", "CKQUORUM", self.params["service_name"])
            self._hand_over(server, sentinel)
        return True

    def _hand_over(self, server: Connection, sentinel: Connection) -> None:
        """Let a replica take over while writes wait, so that none is acknowledged and lost."""

        def reasons_behind() -> list[str]:
            server.call("CLIENT", "PAUSE", "5000", "WRITE")
            return reasons_no_standby(server.info("replication"), exact=True)

        def reasons_not_promoted() -> list[str]:
            server.call("CLIENT", "PAUSE", "5000", "WRITE")
            return [] if self._promoted() else ["no replica was promoted"]

        try:
            wait_for(reasons_behind, 10, pause=0.05)
            sentinel.call("SENTINEL", "FAILOVER", self.params["service_name"])
            wait_for(reasons_not_promoted, self.params["timeout"], pause=0.1)
            # Sentinel would say so as well, in a second or two. Who waits is now sent there.
            server.call("REPLICAOF", self._promoted(), str(self.params["port"]))
        finally:
            server.call("CLIENT", "UNPAUSE")

    def _promoted(self) -> str:
        """Return another node that is primary, empty where there is none."""
        for name in self.params["nodes"]:
            if name == self.params["name"]:
                continue
            try:
                with Connection(name, self.params["port"], self.access) as other:
                    if other.info("replication").get("role") == "master":
                        return str(name)
            except CacheError:
                continue
        return ""

    def reasons_not_ready(self) -> list[str]:
        """Say what this node still lacks."""
        with self.server() as server:
            reasons = reasons_not_ready(server.info("replication"), server.info("persistence"))
        with self.sentinel() as sentinel:
            sentinel.call("SENTINEL", "CKQUORUM", self.params["service_name"])
            if self._watched(sentinel).get("flags") != "master":
                reasons.append("its Sentinel does not reach the primary")
        return reasons


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    node = Node(module.params)
    state = module.params["state"]
    result: dict[str, Any] = {"changed": False}
    try:
        if state == "inspected":
            result |= node.inspect()
            lines = [f"{key}: {result[key]}\n" for key in TODO if result[key]]
            result |= {"todo": bool(lines), "diff": {"before": "".join(lines), "after": ""}}
        elif module.check_mode:
            pass
        elif state == "reloaded":
            result["changed"] = node.reload()
        elif state == "standby":
            result["changed"] = node.stand_by()
        else:
            wait_for(node.reasons_not_ready, module.params["timeout"])
    except (CacheError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
