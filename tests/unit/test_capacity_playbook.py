"""scripts/capacity with the real Ansible: what it refuses without a connection, and its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from capacity.__main__ import CapacityError, made

RECORDER = '#!/bin/sh\necho "$0 $*" >> "$CONNECTIONS"\nexit 255\n'
INSTALLED = "#!/bin/sh\necho installed\n"
REMOTE = """\
all:
  children:
    app: {hosts: {app1: {ansible_host: 10.99.0.21, SETTING}}}
    ops: {hosts: {OPS}}
"""
LOCAL = """\
all:
  vars:
    ansible_python_interpreter: PYTHON
    ansible_become: false
    base_admin_networks: [10.99.0.0/24]
    edge_service_name: library.example.org
    capacity_price: 0.3
    capacity_currency: CHF
    capacity_seconds: 1
  children:
    app:
      hosts:
        app1: {ansible_connection: local, capacity_watts_idle: 40, capacity_watts_busy: 100}
        app2: {ansible_host: 10.99.0.22}
    opensearch: {hosts: {}}
    cache: {hosts: {}}
    ops:
      hosts:
        ops1: {ansible_connection: local}
"""
# What the wiring has too, so that it wins from here alone.
WIRED = """\
capacity_units: []
capacity_metrics_urls: ["http://127.0.0.1:1"]
capacity_page_folder: FOLDER/reports
"""


def capacity(
    project: Path, folder: Path, inventory: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run scripts/capacity with an ssh that records, and a dpkg that has everything."""
    (folder / "hosts.yml").write_text(inventory)
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, text in (("ssh", RECORDER), ("dpkg-query", INSTALLED)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "ANSIBLE_SSH_EXECUTABLE": str(programs / "ssh"),
        "CONNECTIONS": str(folder / "connections"),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "ANSIBLE_SSH_RETRIES": "0",
    }
    command = [sys.executable, "-m", "capacity", str(folder / "hosts.yml"), *arguments]
    return subprocess.run(
        command, env=environment, cwd=project, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("setting", "ops", "arguments", "sentence"),
    [
        (
            "a: 1", "", (),
            "There is no host in the group ops, which keeps the metrics and shows the report; name"
            " one in the inventory.",
        ),
        (
            "a: 1", "ops1: {}", ("--days", "0"),
            "capacity_days is 0; give the number of days to look back on, at least 1.",
        ),
        (
            "capacity_days: a month", "ops1: {}", (),
            "capacity_days is a month; give the number of days to look back on, at least 1.",
        ),
        (
            "capacity_price: cheap", "ops1: {}", (),
            "capacity_price is cheap; give what a kWh costs as a number such as 0.30, its currency"
            " is capacity_currency.",
        ),
        (
            "capacity_watts_idle: 90, capacity_watts_busy: 40", "ops1: {}", (),
            "capacity_watts_idle is 90 and capacity_watts_busy 40 on app1; give both as numbers of"
            " watts, busy no less than idle.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_reckoned_with_is_refused_in_a_sentence_and_without_a_connection(
    project: Path, tmp_path: Path, setting: str, ops: str, arguments: tuple[str, ...], sentence: str
) -> None:
    inventory = REMOTE.replace("SETTING", setting).replace("OPS", ops)
    done = capacity(project, tmp_path, inventory, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == f"scripts/capacity: {sentence}"
    assert not (tmp_path / "connections").exists()


def test_an_inventory_that_is_not_there_is_named(project: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "capacity", str(tmp_path / "nowhere")],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith(f"there is no inventory {tmp_path / 'nowhere'}\n")


@pytest.mark.slow
def test_every_host_is_in_the_report_and_the_page_is_written(project: Path, tmp_path: Path) -> None:
    inventory = LOCAL.replace("PYTHON", sys.executable)
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text(WIRED.replace("FOLDER", str(tmp_path)))
    done = capacity(project, tmp_path, inventory, "--json")
    assert done.returncode == 1, done.stdout + done.stderr  # app2 was not seen
    report = json.loads(done.stdout)
    hosts = {host["host"]: host for host in report["hosts"]}
    assert set(hosts) == {"app1", "app2", "ops1"}
    assert hosts["app1"]["over"]["source"] == "samples"
    assert hosts["app1"]["groups"] == ["app"]
    assert hosts["app1"]["used"]["memory"]["p95"] > 0
    assert hosts["app1"]["power"]["watts"] >= 40
    assert hosts["app2"]["problem"].startswith("the host cannot be reached: ")
    assert report["power"]["currency"] == "CHF"
    assert report["problems"][0].startswith("http://127.0.0.1:1 does not answer: ")
    page = tmp_path / "reports/capacity.html"
    assert page.stat().st_mode & 0o777 == 0o644
    assert "<th>app1</th>" in page.read_text()


@pytest.mark.slow
def test_the_wiring_tells_of_each_hosts_units_and_of_the_stores(project: Path) -> None:
    told = "[capacity_units, capacity_services, capacity_metrics_urls, capacity_page_folder]"
    environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    command = ["ansible", "-i", "inventories/lab", "-m", "ansible.builtin.debug"]

    def asked(host: str) -> Any:
        done = subprocess.run(
            [*command, "-a", json.dumps({"msg": f"{{{{ {told} }}}}"}), host],
            env=environment, cwd=project, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout[done.stdout.index("{") :])["msg"]

    units, services, urls, folder = asked("ops1")
    assert {each["unit"] for each in services} <= set(units)
    assert {"prometheus.service", "victoria-metrics.service"} <= {each["unit"] for each in services}
    assert urls == ["http://127.0.0.1:9090", "http://127.0.0.1:8428"]
    assert folder == "/var/lib/research-reports"
    search = next(each for each in asked("os1")[1] if each["unit"] == "opensearch.service")
    assert search["disk"] == {"path": "/var/lib/opensearch", "percent": "85%"}


def test_a_host_that_was_not_seen_is_no_reason_for_having_no_report() -> None:
    tasks = [
        {
            "task": {"name": "capacity : Look | See"},
            "hosts": {"a": {"unreachable": True, "msg": "x"}},
        },
        {
            "task": {"name": "capacity : Report | Compare what is used with what there is"},
            "hosts": {"ops1": {"report": {"met": True}, "table": "", "summary": ""}},
        },
    ]
    assert made("warning\n" + json.dumps({"plays": [{"tasks": tasks}]}))["report"] == {"met": True}
    with pytest.raises(CapacityError, match=r"^x$"):
        made(json.dumps({"plays": [{"tasks": tasks[:1]}]}))
    with pytest.raises(CapacityError, match=r"Ansible gave no answer: ERROR! no"):
        made("ERROR! no")


ROLES = sorted(Path(__file__).resolve().parents[2].glob("roles/*/meta/exports.yml"))


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.parts[-3])
def test_the_variables_that_a_report_tells_to_write_exist(path: Path) -> None:
    exports = yaml.safe_load(path.read_text())
    defaults = yaml.safe_load((path.parents[1] / "defaults/main.yml").read_text() or "{}") or {}
    units = set(exports.get("units", [])) | set(exports.get("log_units", []))
    for service in exports.get("capacity", []):
        assert set(service) <= {
            "unit", "memory_variable", "cpu_variable", "memory", "cpu", "pool", "disk",
        }  # fmt: skip
        named = [service.get("memory_variable"), service.get("cpu_variable")]
        named.append((service.get("pool") or {}).get("variable"))
        assert {name for name in named if name} <= set(defaults)
        assert service["unit"] in units, "a unit that nobody looks at"
