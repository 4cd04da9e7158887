"""Every host's lines reach the store whatever stops meanwhile; administrators alone see them."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra

FIGURES = "/var/lib/prometheus/node-exporter/research_log_shipper.prom"
# Says numbered lines, some a second. journald's own limit of lines by unit is out of the way.
SAY = """
import sys, time
start = time.time()
for number in range({count}):
    print(f"number {{number}} of {name}")
    if number % 50 == 0:
        sys.stdout.flush()
        time.sleep(max(0, start + number / {rate} - time.time()))
"""


@pytest.fixture(scope="module")
def host() -> Any:
    """The host that keeps the lines."""
    return testinfra.get_host("podman://logs-ops")


@pytest.fixture(scope="module")
def app() -> Any:
    """The host that sends to all receivers."""
    return testinfra.get_host("podman://logs-app")


@pytest.fixture(autouse=True)
def receivers_run(host: Any) -> Iterator[None]:
    """Begin and end with everything up."""
    units = "victoria-logs research-ops-page receiver"
    host.run(f"systemctl daemon-reload; systemctl start {units}")
    yield
    host.run(f"systemctl start {units}")


def wait(condition: Callable[[], Any], seconds: float) -> Any:
    """Wait for a condition and return what it returned."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.5)
    return value


def query(host: Any, text: str) -> list[dict[str, str]]:
    """Ask the store."""
    ask = "curl -s http://127.0.0.1:9428/select/logsql/query --data-urlencode query="
    answer = host.run(ask + shlex.quote(text))
    # Nothing where the store is just being started.
    return [json.loads(line) for line in answer.stdout.splitlines()] if answer.rc == 0 else []


def say(host: Any, name: str, count: int, rate: int) -> None:
    """Have a unit say numbered lines; it goes on in the background."""
    unit = f"systemd-run --quiet --unit=say-{name} -p SyslogIdentifier={name}"
    limits = "-p LogRateLimitIntervalSec=1s -p LogRateLimitBurst=1000000"
    code = shlex.quote(SAY.format(name=name, count=count, rate=rate))
    host.check_output(f"{unit} {limits} python3 -c {code}")


def arrived(host: Any, name: str) -> Counter[int]:
    """Return how often each numbered line is in the store."""
    lines = query(host, f"identifier:={name} | fields _msg")
    return Counter(int(line["_msg"].split()[1]) for line in lines)


def expect_all(host: Any, name: str, count: int, seconds: float = 60) -> int:
    """Wait until every line is there, and return how many are there twice."""
    wait(lambda: len(arrived(host, name)) == count, seconds)
    found = arrived(host, name)
    duplicates = found.total() - len(found)
    print(f"{name}: 0 of {count} lost, {duplicates} duplicates")
    return duplicates


def figure(host: Any, name: str, to: str = "store-logs-ops") -> float:
    """Return one of the figures that node-exporter tells."""
    content = host.check_output(f"cat {FIGURES} || true")
    found = re.search(rf'^research_log_{name}{{to="{to}"}} (\S+)$', content, re.MULTILINE)
    return float(found[1]) if found else -1


def test_a_line_comes_with_its_host_unit_level_and_time(host: Any, app: Any) -> None:
    app.run("systemd-run --wait --unit=patient systemd-cat -t patient -p err echo I am unwell")
    line = wait(lambda: query(host, 'identifier:=patient "unwell"'), 20)[0]
    assert {key: line[key] for key in ("host", "unit", "level", "stack")} == {
        "host": "logs-app", "unit": "patient.service", "level": "error", "stack": "yes",
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["_time"])


def test_json_keeps_its_fields_and_cannot_speak_for_another(host: Any, app: Any) -> None:
    said = {
        "time": "2020-01-01",
        "level": "ERROR",
        "message": "it\nfailed",
        "request_id": "id-json-1",
    }
    said |= {"seconds": "0.25", "host": "other", "unit": "other.service", "stack": "yes"}
    app.run(f"systemd-run --wait --unit=talker echo {shlex.quote(json.dumps(said))}")
    line = wait(lambda: query(host, 'request_id:="id-json-1"'), 20)[0]
    assert line["_msg"] == "it\nfailed"
    assert (line["level"], line["seconds"]) == ("error", "0.25")
    assert (line["host"], line["unit"]) == ("logs-app", "talker.service")
    assert "stack" not in line
    assert not line["_time"].startswith("2020")


def test_a_request_is_found_at_the_edge_the_application_and_opensearch(host: Any, app: Any) -> None:
    """The query of docs/runbooks/logs.md and of the page."""
    access = 'client=192.0.2.1 request_id=id-42 method=GET path="/api/search" status=500'
    served = json.dumps({"level": "INFO", "message": "served", "request_id": "id-42"})
    slow = "[2026-11-28T23:00:00,000][WARN ][i.s.s.query] [os1] took[2s], id[id-42]"
    for unit, text in (("haproxy", access), ("research-app", served), ("opensearch", slow)):
        app.run(f"systemd-run --wait --unit={unit} echo {shlex.quote(text)}")
    wanted = '(request_id:="id-42" or "id-42") !identifier:=systemd | sort by (_time)'
    lines = wait(lambda: len(f := query(host, wanted)) == 3 and f, 60)
    units = [line["unit"].removesuffix(".service") for line in lines]
    assert units == ["haproxy", "research-app", "opensearch"]
    assert lines[0]["request_id"] == lines[1]["request_id"] == "id-42"
    assert lines[2]["level"] == "warning"


def test_errors_of_the_last_hour_and_sign_ins_are_found(host: Any, app: Any) -> None:
    """The other two queries of docs/runbooks/logs.md."""
    app.run("logger -t sshd-session 'Accepted publickey for deploy from 192.0.2.7 port 4711 ssh2'")
    text = "[2026-11-28T23:00:00,000][ERROR][o.o.b.Bootstrap] [os1] broken"
    app.run(f"systemd-run --wait --unit=opensearch echo {shlex.quote(text)}")
    wait(lambda: query(host, '_time:1h identifier:~"^sshd" "Accepted"'), 20)
    wait(lambda: query(host, '_time:1h level:in(error,critical,alert,emerg) "broken"'), 20)


def test_a_store_that_is_away_costs_no_line_and_is_seen(host: Any, app: Any) -> None:
    host.run("systemctl stop victoria-logs")
    say(app, "patience", 5000, 1000)
    wait(lambda: figure(app, "spool_bytes") > 500_000, 40)
    behind = time.time() - figure(app, "last_sent_timestamp_seconds")
    sent = figure(app, "lines_sent_total")
    host.run("systemctl start victoria-logs")
    assert expect_all(host, "patience", 5000) <= 1000
    wait(lambda: figure(app, "lines_sent_total") >= sent + 5000, 20)
    wait(lambda: figure(app, "spool_bytes") < 5_000_000, 20)
    print(f"when it came back the newest line that was sent was {behind:.0f} s old")


def test_a_door_that_hangs_or_dies_costs_no_line(host: Any, app: Any) -> None:
    say(app, "door", 5000, 500)
    host.run("systemctl kill -s KILL research-ops-page; sleep 2")
    host.run("systemctl kill -s STOP research-ops-page; sleep 4")
    host.run("systemctl kill -s CONT research-ops-page")
    print(f"{expect_all(host, 'door', 5000)} duplicates")


def test_a_store_that_is_killed_costs_two_seconds_of_lines_at_most(host: Any, app: Any) -> None:
    """What it has taken is not on its disk yet; a shipper that was told so sends it no more."""
    say(app, "crash", 5000, 500)
    time.sleep(5)
    host.run("systemctl kill -s KILL victoria-logs")
    wait(lambda: 4999 in arrived(host, "crash"), 60)
    lost = 5000 - len(arrived(host, "crash"))
    print(f"{lost} of 5000 lines lost, 500 a second")
    assert lost <= 1500


def test_a_shipper_that_is_killed_loses_nothing(host: Any, app: Any) -> None:
    say(app, "killed", 6000, 1000)
    for _ in range(4):
        time.sleep(1.4)
        app.run("systemctl kill -s KILL rsyslog")
    assert expect_all(host, "killed", 6000) <= 4 * 1100


def test_a_flood_of_one_host_loses_no_line_of_another(host: Any, app: Any) -> None:
    say(app, "flood", 25000, 5000)
    say(host, "quiet", 200, 40)
    assert expect_all(host, "quiet", 200) == 0
    expect_all(host, "flood", 25000, 240)


def test_a_receiver_that_is_away_holds_up_no_other_and_its_losses_are_counted(
    host: Any, app: Any
) -> None:
    wait(lambda: host.run("systemctl is-active receiver").rc == 0, 10)
    host.run("systemctl stop receiver")
    say(app, "dropped", 25000, 5000)
    expect_all(host, "dropped", 25000, 240)
    wait(lambda: figure(app, "lines_dropped_total", "opensearch") > 0, 30)
    assert figure(app, "lines_dropped_total") == 0
    assert figure(app, "spool_bytes", "opensearch") < 13_000_000


def test_opensearch_and_a_syslog_server_get_the_same_lines(host: Any, app: Any) -> None:
    app.run("systemctl restart rsyslog")
    say_it = "systemd-cat -t patient -p warning echo for everybody"
    app.run(f"systemd-run --wait --unit=patient {say_it}")
    kept = "grep 'for everybody' /var/lib/receiver/"
    wait(lambda: host.run(f"{kept}opensearch").rc == 0, 180)
    document = json.loads(host.check_output(f"{kept}opensearch | head -n 1"))
    assert re.fullmatch(r"logs-\d{4}\.\d\d\.\d\d", document["_index"])
    assert (document["message"], document["level"]) == ("for everybody", "warning")
    assert (document["host"], document["unit"]) == ("logs-app", "patient.service")
    assert document["@timestamp"]
    wait(lambda: host.run(f"{kept}syslog").rc == 0, 60)
    assert re.match(r"<\d+>1 \S+ logs-app patient ", host.check_output(f"{kept}syslog | head -n 1"))


def door(host: Any, options: str, path: str = "/_bulk", body: str = "") -> str:
    """Ask the door by curl, and return the status; 000 where it ends the connection."""
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' --cacert /etc/research-pki/ca.pem {options} https://logs-ops:9481{path}"
    return str(host.run(f"printf %s {shlex.quote(body)} | {ask}").stdout)


def test_the_door_opens_to_hosts_only_and_for_lines_only(host: Any, app: Any) -> None:
    mine = "--cert /etc/research-pki/host.pem --key /etc/research-pki/host.pem.key"
    line = '{"create":{}}\n{"_time":"0","_msg":"forged","host":"logs-ops","unit":"x"}\n'
    claims = "-H 'VL-Extra-Fields: host=logs-ops' --data-binary @-"
    assert door(app, f"{mine} {claims}", body=line) == "200"
    assert wait(lambda: query(host, '"forged"'), 10)[0]["host"] == "logs-app"
    assert door(app, "--data-binary @-", body=line) == "000"
    for path in ("/", "/select/logsql/query?query=*", "/insert/jsonline", "/internal/force_flush"):
        assert door(app, mine, path) == "403"
    app.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/k -out /tmp/c -subj /CN=logs-app"
    )
    assert door(app, "--cert /tmp/c --key /tmp/k --data-binary @-", body=line) == "000"


def page(host: Any, path: str, options: str = "") -> str:
    """Ask the page by curl, and return the status."""
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' --cacert /etc/research-pki/ca.pem {options} https://logs-ops{path}"
    return str(host.run(ask).stdout)


def test_the_page_is_for_who_signs_in_from_an_administrators_network(host: Any, app: Any) -> None:
    secret = (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "ops").read_text().strip()
    local = "--resolve logs-ops:443:127.0.0.1"
    assert page(host, "/", local) == "401"
    assert page(host, "/", f"{local} -u admin:wrong") == "401"
    signed_in = f"{local} -u admin:{secret}"
    ask = "/prometheus/api/v1/query?query=1"
    for path in ("/", "/page.js", "/page.css", "/select/vmui/", "/vmui/", ask):
        assert page(host, path, signed_in) == "200", path
    delete = "/prometheus/api/v1/admin/tsdb/delete_series"
    for path in ("/insert/jsonline", "/api/v1/import", delete, "/delete/run_task"):
        assert page(host, path, f"{signed_in} -X POST") in {"404", "405"}, path
    assert page(app, "/", f"-u admin:{secret}") == "403"


def test_the_password_is_kept_hashed(host: Any) -> None:
    secret = (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "ops").read_text().strip()
    assert host.run(f"grep -rlF {secret} /etc /run /usr/local").stdout == ""
    assert "$6$" in host.file("/etc/research-ops-page/users").content_string
    assert host.check_output("stat -c '%a %U' /etc/research-ops-page/users") == "600 root"


def test_the_store_has_its_bounds_and_its_host_only(host: Any) -> None:
    unit = host.check_output("systemctl cat victoria-logs")
    assert "-retentionPeriod=90d" in unit
    assert "-retention.maxDiskSpaceUsageBytes=20GB" in unit
    listening = host.check_output("ss -Hltn sport = :9428 or sport = :8428")
    assert set(re.findall(r"(\S+):(?:9428|8428) ", listening)) == {"127.0.0.1"}


UNITS = "victoria-logs victoria-metrics research-ops-page rsyslog research-log-shipper-metrics"


@pytest.mark.parametrize("unit", UNITS.split())
def test_each_unit_can_do_little(host: Any, unit: str) -> None:
    analysed = host.run(f"systemd-analyze security --no-pager {unit}").stdout
    level = float(re.findall(r"exposure level for .*: ([\d.]+)", analysed)[0])
    assert level <= 2.0, analysed


def test_rsyslog_writes_no_log_file(app: Any) -> None:
    assert app.run("ls /var/log/syslog /var/log/auth.log /var/log/messages").stdout == ""


def test_log_files_are_bounded(app: Any) -> None:
    said = app.run("logrotate --debug /etc/logrotate.conf").stderr
    assert "/var/log/patient/*.log" in said
    assert said.count("log files >= 67108864 are rotated earlier") >= 3


def test_at_rest_it_costs_little(app: Any) -> None:
    pid = app.check_output("systemctl show -p MainPID --value rsyslog")
    ticks = f"awk '{{print $14 + $15}}' /proc/{pid}/stat"
    before = int(app.check_output(ticks))
    time.sleep(10)
    percent = (int(app.check_output(ticks)) - before) / 10
    status = app.check_output(f"cat /proc/{pid}/status")
    resident = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024
    print(f"rsyslog at rest: {percent:.1f} % of a core, {resident:.0f} MB")
    assert percent <= 2
    assert resident <= 50
