"""What a host knows about its node: data, fingerprint, certificate, and what a start lays out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils import opensearch_node
from ansible.module_utils.opensearch_node import (
    Layout,
    commit_state,
    data_state,
    differences,
    fingerprint,
    leaf,
    log_paths,
    running_record,
)

KEY = b"last_accepted_version"
UNIT = """[Service]
Environment=OPENSEARCH_JAVA_HOME={root}/java
ExecStart={root}/opt/releases/3.5.0-1/bin/opensearch $OPENSEARCH_BOOTSTRAP
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return a host with a release and a configuration."""
    found = Layout(
        root=tmp_path / "opt",
        config=tmp_path / "etc",
        data=tmp_path / "data",
        units=tmp_path / "units",
        running=tmp_path / "run/fingerprint.json",
        bootstrap=tmp_path / "run/bootstrap",
    )
    for path, content in {
        "units/opensearch.service": UNIT.format(root=tmp_path),
        "units/opensearch.service.d/10-limits.conf": "[Service]\n",
        "opt/releases/3.5.0-1/.release.json": '{"version": "3.5.0"}',
        "java/release": "JAVA_VERSION=21.0.1",
        "etc/opensearch.yml": "path.logs: /srv/logs\nhttp.port: 9200\n",
        "etc/jvm.options.d/research.options": "-Xms1g",
        "etc/opensearch.keystore": "secret",
        "etc/certs/ca.pem": "ca",
        "etc/certs/host.pem": "host",
        "run/keep": "",
    }.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return found


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ("release", "opt/releases/3.5.0-1/.release.json"),
        ("java", "java/release"),
        ("unit", "units/opensearch.service.d/10-limits.conf"),
        ("config", "etc/opensearch.yml"),
        ("jvm", "etc/jvm.options.d/research.options"),
        ("keystore", "etc/opensearch.keystore"),
        ("ca", "etc/certs/ca.pem"),
    ],
)
def test_a_changed_file_names_its_part(
    layout: Layout, tmp_path: Path, part: str, path: str
) -> None:
    running = fingerprint(layout)
    assert differences(running, fingerprint(layout)) == []
    (tmp_path / path).write_text("other")
    assert differences(running, fingerprint(layout)) == [part]
    (tmp_path / path).unlink()
    assert differences(running, fingerprint(layout)) == [part]


def test_what_takes_effect_without_a_restart_is_no_difference(layout: Layout) -> None:
    running = fingerprint(layout)
    (layout.config / "certs/host.pem").write_text("renewed")
    (layout.config / "unicast_hosts.txt").write_text("10.0.0.9:9300")
    layout.bootstrap.write_text("OPENSEARCH_BOOTSTRAP=…")
    assert differences(running, fingerprint(layout)) == []


NODES_DN = """path.logs: /srv/logs
plugins.security.nodes_dn:
  - "CN=os1,O=x"
{more}http.port: 9200
"""


def test_another_peer_is_no_difference_and_all_else_in_the_file_is(layout: Layout) -> None:
    config = layout.config / "opensearch.yml"
    config.write_text(NODES_DN.format(more=""))
    running = fingerprint(layout)
    config.write_text(NODES_DN.format(more='  - "CN=os2,O=x"\n'))
    assert differences(running, fingerprint(layout)) == []
    config.write_text(NODES_DN.format(more="discovery.type: single-node\n"))
    assert differences(running, fingerprint(layout)) == ["config"]


def test_a_process_without_a_record_must_restart(layout: Layout) -> None:
    assert differences(None, fingerprint(layout)) == ["unknown"]


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_a_record_that_cannot_be_read_is_none(layout: Layout, content: str | None) -> None:
    if content is not None:
        layout.running.write_text(content)
    assert running_record(layout) is None


@pytest.mark.parametrize(
    ("commit", "expected"),
    [
        (b"\x3f" + KEY + b"\x010" + b"\x07node_id", "unformed"),
        (b"\x3f" + KEY + b"\x011" + b"\x07node_id", "formed"),
        (b"\x3f" + KEY + b"\x041234" + b"\x07node_id", "formed"),
        (b"\x3f" + KEY + b"\x04", "unreadable"),
        (b"\x3f" + KEY + b"\x02-1", "unreadable"),
        (b"\x3f" + KEY, "unreadable"),
        (b"", "unreadable"),
    ],
)
def test_commit_state(commit: bytes, expected: str) -> None:
    assert commit_state(commit) == expected


def test_data_state_follows_the_newest_commit(tmp_path: Path) -> None:
    assert data_state(tmp_path / "nowhere") == "blank"
    node = tmp_path / "nodes/0"
    node.mkdir(parents=True)
    assert data_state(tmp_path) == "blank"
    (node / "node.lock").touch()
    assert data_state(tmp_path) == "unformed"
    (node / "_state").mkdir()
    (node / "_state/segments_9").write_bytes(KEY + b"\x010")
    assert data_state(tmp_path) == "unformed"
    (node / "_state/segments_a").write_bytes(KEY + b"\x012")
    assert data_state(tmp_path) == "formed"
    (node / "_state/segments_10").write_bytes(b"damaged")
    assert data_state(tmp_path) == "unreadable"
    (node / "indices/abc").mkdir(parents=True)
    assert data_state(tmp_path) == "formed"


def test_log_paths_lead_to_the_logs(layout: Layout) -> None:
    options = "-XX:ErrorFile=logs/hs_err.log\n-Xlog:gc*:file=logs/gc.log:utctime\n-Dx=y\n"
    assert log_paths(options, layout) == (
        "-XX:ErrorFile=/srv/logs/hs_err.log\n-Xlog:gc*:file=/srv/logs/gc.log:utctime\n-Dx=y\n"
    )


def test_a_start_records_itself(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opensearch_node, "_own", lambda path, mode: path.chmod(mode))
    home = layout.root / "releases/3.5.0-1"
    (home / "config").mkdir()
    (home / "config/jvm.options").write_text("-XX:ErrorFile=logs/x\n")
    (layout.config / "jvm.options").write_text("of an older release")
    layout.bootstrap.write_text("")
    opensearch_node.prepare(layout)
    record = json.loads(layout.running.read_text())
    assert record["version"] == "3.5.0"
    assert record["bootstrap"] is True
    assert differences(record["parts"], fingerprint(layout)) == []
    assert (layout.config / "jvm.options").read_text() == "-XX:ErrorFile=/srv/logs/x\n"


PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("served", "same"), [(PEM.format("QUJD"), True), (PEM.format("WFla"), False), (None, True)]
)
def test_the_served_certificate_is_compared(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, served: str | None, same: bool
) -> None:
    (layout.config / "certs/host.pem").write_text(PEM.format("QU\nJD") + PEM.format("Q0E="))
    monkeypatch.setattr(opensearch_node, "certificate_served", lambda _layout: served)
    assert opensearch_node.certificate_reloaded(layout, wait=0) is same


def test_leaf_of_nothing() -> None:
    assert leaf("") == ""
