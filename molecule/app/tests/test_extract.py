"""What reads documents of strangers: what it may do, and what a document may do to it."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

UNIT = "research-extract"
PYTHON = "/opt/research-app/current/bin/python"
ASK = """
import json, sys, time
from pathlib import Path
from research_app.extract.extraction import Extraction
from research_app.refusal import RefusedError
reader = Extraction("/run/research-extract/socket")
for path in sys.argv[1:]:
    start = time.monotonic()
    try:
        answer = reader.ask("pdf", Path(path))
    except RefusedError as error:
        answer = {"refused": str(error), "away": type(error).__name__ == "ReaderAwayError"}
    print(json.dumps(answer | {"seconds": time.monotonic() - start}))
"""


def _pdf(content: str, form: str = "") -> bytes:
    """A PDF of one page, without the table that readers do without."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R"
        " /Resources << /Font << /F1 5 0 R >> /XObject << /X 6 0 R >> >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>"
        f" /Length {len(form)} >>\nstream\n{form}\nendstream",
    ]
    numbered = (f"{n} 0 obj\n{each}\nendobj\n" for n, each in enumerate(objects, 1))
    return ("%PDF-1.4\n" + "".join(numbered) + "trailer << /Root 1 0 R >>\n%%EOF").encode()


DOCUMENTS = {
    "good": _pdf("BT /F1 11 Tf 50 750 Td (words of a good paper) Tj ET"),
    "endless": _pdf("BT /F1 11 Tf 50 750 Td (words) Tj ET /X Do", "/X Do " * 9),
}


@pytest.fixture(scope="module")
def host(hosts: dict[str, Any]) -> Any:
    """A host with two documents that only the application's user may read."""
    found = hosts["app-1"]
    found.run_test("install -d -o research-app -m 700 /var/lib/research-app/documents")
    for name, content in DOCUMENTS.items():
        encoded = base64.b64encode(content).decode()
        found.run_test(
            f"cd /var/lib/research-app/documents && echo {encoded} | base64 -d >{name}.pdf"
            f" && chown research-app {name}.pdf && chmod 600 {name}.pdf"
        )
    encoded = base64.b64encode(ASK.encode()).decode()
    found.run_test(f"echo {encoded} | base64 -d >/var/lib/research-app/documents/ask.py")
    yield found
    found.run_test("rm -r /var/lib/research-app/documents")


def asked(host: Any, *documents: str) -> list[dict[str, Any]]:
    """What the service says of documents, when the application asks."""
    folder = "/var/lib/research-app/documents"
    paths = " ".join(f"{folder}/{name}.pdf" for name in documents)
    output = host.check_output(f"runuser -u research-app -- {PYTHON} {folder}/ask.py {paths}")
    return [json.loads(line) for line in output.splitlines()]


def main_pid(host: Any) -> str:
    return str(host.check_output(f"systemctl show {UNIT} --property=MainPID --value"))


def test_a_document_is_read_through_it(host: Any) -> None:
    (found,) = asked(host, "good")
    assert found["passages"] == [{"text": "words of a good paper", "page": 1}]


def test_the_application_and_its_worker_are_told_of_it(host: Any) -> None:
    settings = host.file("/etc/research-app/current/settings.toml").content_string
    assert 'socket = "/run/research-extract/socket"' in settings


def test_who_it_is(host: Any) -> None:
    status = host.check_output(f"cat /proc/{main_pid(host)}/status")
    uid, gid = (
        host.check_output("id -u research-extract"),
        host.check_output("id -g research-extract"),
    )
    assert re.search(rf"Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}\n", status)
    assert re.search(rf"Gid:\s+{gid}\s+{gid}\s+{gid}\s+{gid}\n", status)
    assert re.search(rf"Groups:\s*(?:{gid}\s*)?\n", status), "it is in a group of somebody else"
    assert re.search(r"CapEff:\s+0+\n", status) and re.search(r"NoNewPrivs:\s+1\n", status)
    assert re.search(r"Seccomp:\s+2\n", status)


def test_its_exposure(host: Any) -> None:
    exposure = host.check_output(f"systemd-analyze security {UNIT} --no-pager")
    level = re.search(rf"exposure level for {UNIT}.service: ([\d.]+)", exposure)
    assert level and float(level[1]) <= 2.0
    print(f"{UNIT}: exposure {level[1]}")


def test_it_has_no_network(host: Any) -> None:
    """Its own loopback and no way out of it, as the kernel shows what a process sees."""
    seen = f"/proc/{main_pid(host)}/net"
    links = host.check_output(f"cut -s -d: -f1 {seen}/dev").split()
    assert links == ["lo"]
    assert host.check_output(f"sed 1d {seen}/route") == ""


@pytest.mark.parametrize(
    "path",
    [
        "/etc/research-app/current/settings.toml",
        "/etc/research-app/current/credentials/signing_key",
        "/etc/research-pki/host.pem.key",
        "/run/credentials",
        "/var/lib/research-app/documents/good.pdf",
        "/etc/shadow",
        "/root",
        "/home",
        "/var/log/journal",
    ],
)
def test_what_it_cannot_read(host: Any, path: str) -> None:
    """Nor could it as root: the paths are not there, except for what permissions alone protect."""
    entered = (
        f"nsenter --mount --target {main_pid(host)} setpriv --reuid research-extract"
        " --regid research-extract --clear-groups"
    )
    host.run_test(f"{entered} test -r /usr/bin/env")
    assert host.run(f"{entered} cat {path}").failed
    assert host.run(f"{entered} ls {path}/").failed or not host.check_output(
        f"{entered} ls -A {path}/"
    )


def test_it_can_write_nowhere(host: Any) -> None:
    entered = (
        f"nsenter --mount --target {main_pid(host)} setpriv --reuid research-extract"
        " --regid research-extract --clear-groups"
    )
    places = "/etc /usr /var /var/lib /opt/research-app /run /run/research-extract /srv /home /root"
    for place in places.split():
        assert host.run(f"{entered} touch {place}/x").failed, place


def test_it_is_given_no_secret(host: Any) -> None:
    unit = host.check_output(f"systemctl cat {UNIT}")
    assert "Credential" not in unit
    environment = host.check_output(f"tr '\\0' '\\n' </proc/{main_pid(host)}/environ")
    assert "CREDENTIALS_DIRECTORY" not in environment


def test_nobody_else_may_ask_it(host: Any) -> None:
    assert host.check_output("stat -c '%U %G %a' /run/research-extract/socket") == (
        "root research-app 660"
    )
    folder = "/var/lib/research-app/documents"
    stranger = host.run(f"setpriv --reuid 65534 --clear-groups {PYTHON} {folder}/ask.py /etc/issue")
    assert stranger.failed or json.loads(stranger.stdout)["away"]


def test_a_service_that_is_killed_is_replaced(host: Any) -> None:
    before = main_pid(host)
    host.run_test(f"kill -9 {before}")
    (found,) = asked(host, "good")
    assert found["pages"] == 1, "a document was refused since its reader was away"
    assert main_pid(host) != before


def test_a_service_that_hangs_is_replaced(host: Any) -> None:
    before = main_pid(host)
    host.run_test(f"kill -STOP {before}")
    (found,) = asked(host, "good")
    assert found["pages"] == 1
    assert found["seconds"] < 60
    assert main_pid(host) != before


def test_a_document_that_is_killed_for_its_cost_costs_itself(host: Any) -> None:
    endless, good = asked(host, "endless", "good")
    assert "over 120 seconds" in endless["refused"] or "crashes" in endless["refused"]
    assert not endless["away"] and endless["seconds"] < 140
    assert good["pages"] == 1
    assert host.check_output(f"pgrep -c -u {UNIT}") == "1", "its reader goes on"
