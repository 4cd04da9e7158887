"""What scripts/lab shows: progress of a playbook, hosts, units, health."""

from __future__ import annotations

import json
from itertools import repeat
from pathlib import Path

from lab.progress import shown
from lab.site import parsed
from lab.status import Seen, table, unit_states

OUTPUT = """
PLAY [Search tier] *********************
Tuesday 24 November 2026 07:05:10 +0000 (0:00:00.097)

TASK [opensearch : Install] ************
ok: [os1]
fatal: [os2]: FAILED! =>
    msg: no space left

TASK [opensearch : Next] ***************
changed: [os1]

PLAY RECAP *****************************
os1    : ok=1    changed=0    unreachable=0    failed=0
"""

UNITS = """
Id=haproxy.service
LoadState=loaded
ActiveState=active

Id=nginx.service
LoadState=not-found
ActiveState=inactive
"""

LISTING = {
    "_meta": {
        "hostvars": {
            name: {
                "ansible_host": address,
                "edge_service_name": "library.test",
                "edge_vip_address": "10.77.0.10/24",
            }
            for name, address in (("edge1", "10.77.0.11"), ("os1", "10.77.0.31"))
        }
    },
    "all": {"children": ["ungrouped", "edge", "opensearch"]},
    "edge": {"hosts": ["edge1"]},
    "opensearch": {"children": ["opensearch_hot"]},
    "opensearch_hot": {"hosts": ["os1"]},
}


def test_progress_shows_plays_tasks_and_errors() -> None:
    assert list(shown(OUTPUT.splitlines(), repeat("0:00"))) == [
        ("play", "  0:00  Search tier"),
        ("task", "  0:00  opensearch : Install"),
        ("text", "fatal: [os2]: FAILED! =>"),
        ("text", "    msg: no space left"),
        ("task", "  0:00  opensearch : Next"),
        ("text", "os1    : ok=1    changed=0    unreachable=0    failed=0"),
    ]


def test_reads_groups_of_groups() -> None:
    site = parsed(json.dumps(LISTING), Path("/inventory"))
    assert [host.name for host in site.group("opensearch")] == ["os1"]
    assert (site.service_name, site.vip) == ("library.test", "10.77.0.10")
    assert site.authority == Path("/inventory/pki/ca.pem")


def test_knows_only_units_that_exist() -> None:
    assert unit_states(UNITS) == {"haproxy": "active"}
    assert unit_states("") == {}


def test_a_host_is_well_when_all_of_it_runs() -> None:
    seen = Seen("edge1", "10.77.0.11", ["edge"], running=True, units={"haproxy": "active"})
    assert seen.well
    seen.units["keepalived"] = "failed"
    assert not seen.well
    assert not Seen("edge1", "10.77.0.11", ["edge"]).well


def test_the_table_names_what_is_wrong() -> None:
    stopped = Seen("edge2", "10.77.0.12", ["edge"])
    edge = Seen("edge1", "10.77.0.11", ["edge"], running=True, system="degraded", vip=True)
    edge.units, edge.failed = {"haproxy": "active"}, ["x.service"]
    text = table([edge, stopped], {"status": "no answer"})
    assert "edge1     10.77.0.11   degraded  haproxy active (VIP); failed: x.service" in text
    assert "edge2     10.77.0.12   stopped" in text
    assert text.endswith("cluster: no answer")
