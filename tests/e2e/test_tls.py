"""Every hop is TLS with a certificate that its caller verifies; another CA is refused."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import SERVICE_NAME, VIP, Host, Lab, Reader

# hop: (caller's group, callee's group, port)
HOPS = {
    "edge to application": ("edge", "app", 7860),
    "application to OpenSearch": ("app", "opensearch", 9200),
    "OpenSearch to OpenSearch": ("opensearch", "opensearch", 9300),
    "application to cache": ("app", "cache", 6379),
    "application to Sentinel": ("app", "cache", 26379),
    "cache to cache": ("cache", "cache", 6379),
}
HANDSHAKE = (
    "timeout 10 openssl s_client -connect {callee}:{port} -verify_hostname {callee} "
    "-verify_return_error -CAfile {ca} </dev/null 2>&1"
)


def caller_and_callee(lab: Lab, hop: str) -> tuple[Host, Host, int]:
    caller, callee, port = HOPS[hop]
    return lab.group(caller)[0], lab.group(callee)[-1], port


@pytest.mark.parametrize("hop", HOPS)
def test_certificate_chain_and_name_are_verified(lab: Lab, hop: str) -> None:
    caller, callee, port = caller_and_callee(lab, hop)
    said = caller.run(
        HANDSHAKE.format(callee=callee.name, port=port, ca="/etc/research-pki/ca.pem")
    ).out
    assert "Verify return code: 0 (ok)" in said or "Verification: OK" in said, said[-1500:]


@pytest.mark.parametrize("hop", HOPS)
def test_a_wrong_authority_is_refused(lab: Lab, hop: str) -> None:
    caller, callee, port = caller_and_callee(lab, hop)
    caller.check(
        "test -f /tmp/other-ca.pem || openssl req -x509 -newkey ec -pkeyopt "
        "ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 1 "
        "-keyout /dev/null -out /tmp/other-ca.pem 2>/dev/null"
    )
    done = caller.run(HANDSHAKE.format(callee=callee.name, port=port, ca="/tmp/other-ca.pem"))
    assert done.code != 0 and "verify error" in done.out, done.out[-1500:]


def test_readers_verify_the_service_by_its_name(reader: Reader) -> None:
    assert reader.get("/live").status == 200


def test_readers_with_another_authority_are_warned(tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=other", "-days", "1", "-keyout", "/dev/null"),
            *("-out", str(other)),
        ],
        check=True,
        capture_output=True,
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        Reader(other).get("/live")


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_tls_is_refused(version: str) -> None:
    done = subprocess.run(
        [
            *("openssl", "s_client", "-connect", f"{VIP}:443", "-servername", SERVICE_NAME),
            *(version, "-cipher", "ALL:@SECLEVEL=0"),
        ],
        input="",
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert "Cipher is (NONE)" in done.stdout + done.stderr


@pytest.mark.parametrize(("host", "port"), [("app1", 7860), ("cache1", 6379), ("os1", 9200)])
@pytest.mark.parametrize(
    ("group", "accepted"), [("P-256", True), ("X448", False), ("P-521", False)]
)
def test_unusual_curves_are_refused_between_hosts(
    lab: Lab, host: str, port: int, group: str, accepted: bool
) -> None:
    """On each of these ports as on the edge: those of Mozilla's intermediate guideline alone."""
    done = lab[host].run(f"openssl s_client -connect {host}:{port} -groups {group} </dev/null")
    assert ("Cipher is (NONE)" not in done.out) is accepted


def test_plain_http_is_redirected(authority: Path) -> None:
    import http.client

    connection = http.client.HTTPConnection(VIP, 80, timeout=5)
    connection.request("GET", "/?q=parsing", headers={"Host": SERVICE_NAME})
    answer = connection.getresponse()
    assert answer.status in (301, 308)
    assert answer.getheader("Location") == f"https://{SERVICE_NAME}/?q=parsing"


def test_plain_http_is_not_spoken_behind_the_edge(lab: Lab) -> None:
    for caller, callee, port in (("edge1", "app1", 7860), ("app1", "os1", 9200)):
        done = lab[caller].run(f"curl -s -m 5 http://{callee}:{port}/")
        assert done.code != 0 or not done.out.strip().startswith("{"), (
            f"{callee}:{port}: {done.out}"
        )
