"""A fault reaches people: in each receiver's form, once, and with its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

OPS = ("prometheus-1", "prometheus-2")
ALERTS = "amtool --alertmanager.url=http://127.0.0.1:9093 alert query"
Inbox = Any
Converge = Callable[..., Any]
Query = Callable[..., list[dict[str, Any]]]


def secret(name: str) -> str:
    return (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / name).read_text().strip()


def test_a_fault_reaches_every_receiver_once_and_so_does_its_end(
    inbox: Inbox, fault: Callable[[str], None], hosts: dict[str, Any], wait: Callable[..., Any]
) -> None:
    began = time.monotonic()
    fault("page")
    wait(lambda: inbox.events("trigger"), 60)
    print(f"PagerDuty was told after {time.monotonic() - began:.1f} s")
    for path in ("/hooks/chat", "/any", "/v2/alerts"):
        wait(lambda path=path: inbox.at(path, "prometheus-3 has the fault"), 20)
    wait(lambda: [mail for mail in inbox.mails if "prometheus-3 has the fault" in mail], 20)
    event = inbox.events("trigger")[0]
    assert event["routing_key"] == secret("pager")
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["summary"] == "prometheus-3 has the fault of the tests."
    assert event["payload"]["source"] == "prometheus-3"
    assert event["payload"]["custom_details"]["runbook"] == "docs/runbooks/alerts/Fault.md"
    mail = next(mail for mail in inbox.mails if "prometheus-3 has the fault" in mail)
    assert "Subject: prometheus-3 has the fault of the tests." in mail
    assert "What to do: docs/runbooks/alerts/Fault.md" in mail
    time.sleep(5)
    triggered = len(inbox.events("trigger"))
    hosts["prometheus-3"].run("rm /var/lib/prometheus/node-exporter/fault.prom")
    wait(lambda: inbox.events("resolve"), 60)
    wait(lambda: [mail for mail in inbox.mails if "Over: prometheus-3" in mail], 20)
    assert triggered == 1, "two monitoring hosts saw it, and one told of it"


def test_who_is_woken_hears_no_warning_of_the_same(inbox: Inbox) -> None:
    """FaultToCome was true as long as Fault was, and nobody was told."""
    assert not inbox.at("/any", "FaultToCome")


def test_a_warning_wakes_nobody(
    inbox: Inbox, fault: Callable[[str], None], wait: Callable[..., Any]
) -> None:
    before = len(inbox.events("trigger"))
    fault("warning")
    wait(lambda: inbox.at("/any", "FaultToCome"), 60)
    assert len(inbox.events("trigger")) == before


def test_the_watcher_elsewhere_hears_that_all_is_well(
    inbox: Inbox, wait: Callable[..., Any]
) -> None:
    wait(lambda: len(inbox.at("/heartbeat", "Watchdog")) > 2, 30)
    assert not inbox.at("/any", "Watchdog")


def test_one_monitoring_host_suffices(
    inbox: Inbox, fault: Callable[[str], None], hosts: dict[str, Any], wait: Callable[..., Any]
) -> None:
    """The other is told of as any host is."""
    first = hosts[OPS[0]]
    first.check_output("systemctl stop prometheus prometheus-alertmanager prometheus-node-exporter")
    try:
        wait(lambda: inbox.at("/v2/enqueue", "prometheus-1 does not answer."), 60)
    finally:
        first.check_output(
            "systemctl start prometheus prometheus-alertmanager prometheus-node-exporter"
        )


def test_each_alertmanager_hears_of_what_another_host_saw(
    fault: Callable[[str], None], hosts: dict[str, Any], wait: Callable[..., Any]
) -> None:
    """So none of them tells of an end while the other still says that it lasts."""
    second = hosts[OPS[1]]
    second.check_output("systemctl stop prometheus")
    try:
        fault("page")
        wait(lambda: "prometheus-3" in second.check_output(f"{ALERTS} alertname=Fault"), 60)
    finally:
        second.check_output("systemctl start prometheus")


def test_only_a_monitoring_host_says_what_is_wrong(hosts: dict[str, Any]) -> None:
    post = (
        "curl -s -o /dev/null -w '%{http_code}' --cacert /etc/research-pki/ca.pem"
        " --cert /etc/research-pki/host.pem --key /etc/research-pki/host.pem.key"
        " https://10.78.0.152:9481/alerts/api/v2/alerts -H 'content-type: application/json'"
        ' -d \'[{"labels": {"alertname": "Made up"}, "endsAt": "2020-01-01T00:00:00Z"}]\''
    )
    answers = {name: hosts[name].check_output(post) for name in (OPS[0], "prometheus-3")}
    assert answers == {OPS[0]: "200", "prometheus-3": "403"}


def test_no_secret_lies_open(hosts: dict[str, Any]) -> None:
    value = secret("pager")
    host = hosts[OPS[0]]
    found = host.run(f"grep -rlsF {value} /etc /run /var/lib | xargs -r stat -c '%a %U'").stdout
    assert found
    assert set(found.splitlines()) <= {"600 root", "400 prometheus", "400 root", "440 root"}
    seen = host.run("ps -eo args; cat /proc/*/environ | tr '\\0' '\\n'; journalctl").stdout
    assert value not in seen


@pytest.mark.parametrize(
    ("role", "variables", "said"),
    [
        (
            "alertmanager",
            {"alertmanager_receivers": [{"name": "pager", "kind": "pager", "secret": "x"}]},
            "value of kind must be one of: pagerduty, opsgenie, mail, webhook, slack, got: pager",
        ),
        (
            "prometheus",
            {"prometheus_rules": [{"name": "bad", "rules": [{"alert": "Bad", "expr": "up ="}]}]},
            "unexpected",
        ),
    ],
)
def test_what_cannot_work_is_refused_and_changes_nothing(
    converge: Converge, query: Query, role: str, variables: dict[str, Any], said: str
) -> None:
    done = converge("--limit=prometheus-1", f"--tags={role}", **variables)
    assert done.returncode != 0
    assert said in done.stdout
    assert query('ALERTS{alertname="Watchdog"}')


def test_a_new_target_and_a_new_rule_need_no_restart(
    converge: Converge, query: Query, hosts: dict[str, Any], wait: Callable[..., Any]
) -> None:
    show = "systemctl show -p MainPID --value prometheus"
    before = hosts[OPS[0]].check_output(show)
    rules = [{"name": "more", "rules": [{"record": "more", "expr": "vector(7)"}]}]
    done = converge("--limit=prometheus-1", "--tags=prometheus", prometheus_rules=rules)
    assert done.returncode == 0, done.stdout
    wait(lambda: query("more"), 20)
    assert hosts[OPS[0]].check_output(show) == before
    assert converge("--limit=prometheus-1", "--tags=prometheus").returncode == 0


def test_a_silence_holds_everywhere_until_it_is_lifted(
    inbox: Inbox,
    fault: Callable[[str], None],
    hosts: dict[str, Any],
    silence: Callable[..., dict[str, Any]],
    wait: Callable[..., Any],
) -> None:
    """Made by the module on one monitoring host; a second time it is there already."""
    given = {"matchers": ["host=prometheus-3"], "comment": "the tests", "seconds": 600}
    assert silence(given, check=True)["changed"]
    assert silence(given)["changed"]
    assert not silence(given)["changed"]
    before = len(inbox.events("trigger"))
    fault("page")
    firing = f"{ALERTS} -s alertname=Fault"
    for name in OPS:
        wait(lambda name=name: "Fault" in hosts[name].check_output(firing), 30)
    time.sleep(4)
    assert len(inbox.events("trigger")) == before
    lifted = {"state": "absent", "comment": "the tests"}
    assert silence(lifted, check=True)["changed"]
    assert silence(lifted)["changed"]
    assert not silence(lifted)["changed"]
    wait(lambda: len(inbox.events("trigger")) > before, 60)
