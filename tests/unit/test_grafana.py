"""The role grafana, as far as it can be held against anything without Grafana: its files."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent.parent
ROLE = PROJECT / "roles/grafana"
FILES = ROLE / "templates/config"
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
DERIVED = yaml.safe_load((ROLE / "vars/main.yml").read_text())
PASSWORD = "hX7kf0aLongOne"


def rendered(name: str, **settings: Any) -> str:
    """Return a file as the role makes it."""
    environment = jinja2.Environment(  # noqa: S701 - settings, not pages
        loader=jinja2.FileSystemLoader(FILES), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["to_json"] = json.dumps
    known = {**DEFAULTS, **DERIVED, "grafana_domain": "ops1", "grafana_admin_password": PASSWORD}
    return environment.get_template(name).render({**known, **settings})


def settings() -> configparser.RawConfigParser:
    """Return Grafana's settings."""
    found = configparser.RawConfigParser(strict=True)
    found.read_string(rendered("etc/grafana/grafana.ini.j2"))
    return found


def test_it_is_reached_by_its_name_over_tls() -> None:
    server = settings()["server"]
    assert server["protocol"] == "https"
    assert server["root_url"] == "https://ops1:3000/"
    assert server["cert_file"] == "/run/credentials/grafana-server.service/host.pem"


def test_nobody_looks_without_a_sign_in() -> None:
    found = settings()
    assert found["auth.anonymous"]["enabled"] == "false"
    assert found["users"]["allow_sign_up"] == "false"


def test_the_password_is_in_no_file_but_its_own() -> None:
    for path in FILES.rglob("*.j2"):
        assert PASSWORD not in rendered(str(path.relative_to(FILES)))
    file = "/run/credentials/grafana-server.service/admin-password"
    assert settings()["security"]["admin_password"] == f"$__file{{{file}}}"
    unit = rendered("etc/systemd/system/grafana-server.service.d/research.conf.j2")
    assert f"LoadCredential=admin-password:{DERIVED['grafana_password_file']}" in unit.splitlines()


def test_it_asks_prometheus_on_the_same_host() -> None:
    written = rendered("etc/grafana/provisioning/datasources/research.yml.j2")
    (source,) = yaml.safe_load(written)["datasources"]
    assert source["url"] == "http://127.0.0.1:9090" and source["type"] == "prometheus"
    assert source["isDefault"] is True
    assert source["jsonData"]["timeInterval"] == "15s"


def test_it_shows_the_folder_of_the_dashboards_and_begins_with_the_overview() -> None:
    written = rendered("etc/grafana/provisioning/dashboards/research.yml.j2")
    (provider,) = yaml.safe_load(written)["providers"]
    folder = provider["options"]["path"]
    assert folder == DEFAULTS["grafana_dashboards_folder"]
    assert settings()["dashboards"]["default_home_dashboard_path"] == f"{folder}/1-overview.json"


@pytest.mark.parametrize("name", ["meta/main.yml", "meta/argument_specs.yml"])
def test_it_says_that_it_was_not_run(name: str) -> None:
    assert "not run against a real Grafana" in (ROLE / name).read_text().replace(
        "Not run", "not run"
    )
