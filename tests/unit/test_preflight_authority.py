"""A controller without the site's authority does not replace it by a new one."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.certificates import stranger
from ansible.module_utils.preflight.authority import carried
from ansible.module_utils.preflight.gather import gather
from ansible.module_utils.preflight.hosts import Answer, Site, host_mistakes
from ansible.module_utils.preflight.report import sentences
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.preflight_site import build
from tests.unit.test_preflight_hosts import facts

Key = ec.EllipticCurvePrivateKey
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "research-stack internal CA")])
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
PASSPHRASE = "IsLongEnoughForAll1"


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    """Return the keys of some authorities, all of one name."""
    return {name: ec.generate_private_key(ec.SECP384R1()) for name in ("old", "new", "university")}


def certificate(key: Key, serial: int = 1) -> str:
    """Return an authority's certificate."""
    made = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA384())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def encrypted(key: Key) -> bytes:
    """Return a key as the role pki keeps it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSPHRASE.encode()),
    )


@pytest.fixture
def refused(tmp_path: Path, keys: dict[str, Key]) -> Callable[[str, str], list[str]]:
    """Return what is said of a controller's files and of what the hosts carry."""

    def check(controller: str, hosts: str) -> list[str]:
        folder = tmp_path / "pki"
        for named in controller.split():
            file, _, name = named.partition("=")
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            content = encrypted(keys[name]) if file == "ca.key" else b""
            (folder / file).write_bytes(content or certificate(keys[name], serial=2).encode())
        given = f"pki_provided_ca: {folder}/university.pem"
        inventory = build(f"all: {{pki_ca_dir: {folder}, pki_dir: /etc/research-pki, {given}}}")
        carried = "".join(certificate(keys[name]) for name in hosts.split())
        answers = {
            name: Answer(
                facts=facts(host.address, authorities=carried if name != "os1" else ""),
                asked=999.5,
                answered=1000.5,
            )
            for name, host in inventory.hosts.items()
            if name.startswith(("os", "edge"))
        }
        site = Site(inventory, answers)
        return [
            line for line in sentences(host_mistakes(site), inventory.groups) if "pki_ca" in line
        ]

    return check


@pytest.mark.parametrize(
    ("controller", "hosts"),
    [
        pytest.param("", "", id="a new site"),
        pytest.param("ca.pem=old", "", id="hosts that have none yet"),
        pytest.param("ca.pem=old", "old", id="the same, with a certificate of its own renewed"),
        pytest.param("ca.key=old", "old", id="a certificate that is about to be renewed"),
        pytest.param("ca.pem=old trusted/new.pem=new", "old", id="rotation: both are trusted"),
        pytest.param("ca.pem=new trusted/old.pem=old", "old", id="rotation: a host missed that"),
        pytest.param("ca.pem=new trusted/old.pem=old", "old new", id="rotation: the next signs"),
        pytest.param("ca.pem=new", "new old", id="rotation: the old one goes"),
        pytest.param("university.pem=university", "university", id="only the site's own"),
    ],
)
def test_an_authority_that_is_the_hosts_passes(
    refused: Callable[[str, str], list[str]], controller: str, hosts: str
) -> None:
    assert refused(controller, hosts) == []


@pytest.mark.parametrize(
    ("controller", "hosts", "said"),
    [
        ("", "old", "holds no authority, and /etc/research-pki/ca.pem on the host is from one"),
        ("ca.pem=new", "old", "is another authority than the one that /etc/research-pki/ca.pem"),
        ("ca.key=new", "old", "is another authority than the one that"),
        (
            "ca.pem=new university.pem=university",
            "old university",
            "is another authority than the one",
        ),
    ],
)
def test_another_authority_is_refused_in_one_sentence(
    refused: Callable[[str, str], list[str]],
    tmp_path: Path,
    controller: str,
    hosts: str,
    said: str,
) -> None:
    (line,) = refused(controller, hosts)
    assert f"pki_ca_dir = {tmp_path}/pki {said}" in line
    assert "from the controller that set the host up" in line
    assert line.startswith("edge1, edge2, os2, os3")


@pytest.mark.parametrize(
    ("controller", "hosts", "refused"),
    [
        ("old", "", False),
        ("old", "old", False),
        ("new old", "old", False),
        ("new", "new old", False),
        ("new", "old", True),
        ("", "old", True),
        ("new university", "university old", True),
        ("new university", "university", False),
    ],
)
def test_the_role_refuses_it_too_where_preflight_is_not_run(
    keys: dict[str, Key], controller: str, hosts: str, refused: bool
) -> None:
    bundle = "".join(certificate(keys[name]) for name in hosts.split())
    ours = [certificate(keys[name], serial=2) for name in controller.split()]
    assert stranger(bundle, ours, [certificate(keys["university"])]) == refused


PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: pki}
"""


@pytest.mark.slow
def test_no_authority_is_made_for_hosts_that_have_one(
    project: Path, tmp_path: Path, keys: dict[str, Key]
) -> None:
    for name in ("app1", "new1"):
        (tmp_path / name).mkdir()
    (tmp_path / "app1/ca.pem").write_text(certificate(keys["old"]))
    given = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "pki_dir": f"{tmp_path}/{{{{ inventory_hostname }}}}",
        "pki_ca_passphrase": PASSPHRASE,
    }
    hosts = {"all": {"vars": given, "hosts": {"new1": {}, "app1": {}}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(hosts))
    (tmp_path / "play.yml").write_text(PLAY)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml")]
    done = subprocess.run(
        command, env=environment, cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert f"{tmp_path}/pki holds no authority" in said, said
    assert "of app1 is from one: copy the whole folder" in said
    assert not (tmp_path / "pki").exists()


def test_a_host_tells_the_authorities_that_it_trusts(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    assert gather([], [], str(bundle))["authorities"] == ""
    bundle.write_text("two certificates\n")
    assert gather([], [], str(bundle))["authorities"] == "two certificates\n"
    assert gather([], [])["authorities"] == ""


def test_a_bundle_that_cannot_be_read_is_none() -> None:
    assert carried("-----BEGIN CERTIFICATE-----\nbad\n-----END CERTIFICATE-----\n") == frozenset()
    assert carried("") == frozenset()
