from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from research_app import settings
from research_app.settings import Credentials, SettingsError

EXAMPLE = Path(__file__).parents[1] / "settings.example.toml"
GOOD: dict[str, Any] = {
    "server": {"tls": False},
    "opensearch": {"urls": ["https://os1:9200"]},
}

MISTAKES = [
    ({"opensearch": {}}, "opensearch.urls: required"),
    ({"opensearch": {"urls": []}}, "opensearch.urls"),
    ({"opensearch": {"urls": ["os1:9200"]}}, "write it as https://HOST:PORT"),
    ({"opensearch": {"urls": ["http://os1:9200"]}}, "plain http"),
    ({"opensearch": {"urls": ["https://me:secret@os1:9200"]}}, "no user or password"),
    ({"opensearch": {"urls": ["https://os1"], "user": "app"}}, "opensearch_password"),
    ({"opensearch": {"urls": ["https://os1"], "index": "../x"}}, "opensearch.index"),
    ({"opensearch": {"urls": ["https://os1"], "pool_maxsize": 0}}, "opensearch.pool_maxsize"),
    ({"opensearch": {"urls": ["https://os1"], "pool_size": 9}}, "pool_size: unknown key"),
    ({"serber": {}}, "serber: unknown key"),
    ({"server": {"tls": False, "host": "0.0.0.0"}}, "loopback host only"),
    ({"server": {"tls": False, "port": 70000}}, "server.port"),
    ({"server": {"tls": False, "drain_seconds": -1}}, "server.drain_seconds"),
    ({"cache": {}}, "either sentinels or url"),
    ({"cache": {"sentinels": ["a:1"], "url": "redis://b"}}, "either sentinels or url"),
    ({"cache": {"sentinels": ["cache1"]}}, "HOST:PORT"),
    ({"cache": {"sentinels": ["cache1:99999"]}}, "HOST:PORT"),
    ({"cache": {"url": "redis://b", "user": "app"}}, "cache_password"),
    ({"logging": {"level": "LOUD"}}, "logging.level"),
    ({"credentials": {"signing_key": "x"}}, "secrets are files"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_a_mistake_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.parse(GOOD | change, Credentials(), Path("settings.toml"))
    assert message in str(caught.value)
    assert "secret" not in str(caught.value) or "secrets are files" in str(caught.value)


@pytest.mark.parametrize("section", ["opensearch", "cache", "fetch", "answer", "oidc"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        ("-----BEGIN NOTHING-----", "holds no certificate that can be read"),
    ],
)
def test_a_bundle_of_certificates_that_cannot_be_used(
    tmp_path: Path, section: str, content: str | None, reason: str
) -> None:
    bundle, path = tmp_path / "ca.pem", tmp_path / "settings.toml"
    if content is not None:
        bundle.write_text(content)
    sections = {
        "opensearch": 'urls = ["https://os1:9200"]',
        "server": "tls = false",
        "cache": "enabled = false",
    }
    sections[section] = f'{sections.get(section, "")}\ntls_ca = "{bundle}"'
    path.write_text("\n".join(f"[{name}]\n{keys}" for name, keys in sections.items()))
    with pytest.raises(SettingsError) as caught:
        settings.load(path)
    assert str(caught.value) == f"{path}: {section}.tls_ca: {bundle} {reason}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"server": {"tls": True}}, "tls_certificate"),
        ({"oidc": {"issuer": "https://sso", "client_id": "x"}}, "oidc_client_secret"),
        ({"answer": {"provider": "gemini", "model": "x"}}, "answer_key"),
    ],
)
def test_what_faces_readers_needs_more_secrets_than_a_worker(
    change: dict[str, Any], message: str
) -> None:
    loaded = settings.parse(GOOD | change, Credentials(), Path("settings.toml"))
    with pytest.raises(SettingsError, match=message):
        loaded.check_serving()


def test_the_example_is_complete_and_true() -> None:
    """Every key is in the example, with its default where the comment claims one."""
    example = tomllib.loads(EXAMPLE.read_text())
    parsed = settings.parse(
        example,
        Credentials(tls_certificate=Path("c"), tls_key=Path("k")),
        EXAMPLE,
    )
    for section, values in example.items():
        model = type(getattr(parsed, section))
        names = {field.alias or name for name, field in model.model_fields.items()}
        assert set(values) == names, section
    minimal = settings.parse(GOOD, Credentials(), EXAMPLE)
    for section in ("site", "search", "fetch", "speech", "health", "logging"):
        assert getattr(parsed, section) == getattr(minimal, section)


def test_secrets_come_from_files_and_stay_out_of_sight(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[server]\ntls = false\n[opensearch]\nurls = ["https://os1:9200"]\nuser = "app"\n'
    )
    (tmp_path / "opensearch_password").write_text("hunter2\n")
    (tmp_path / "tls_key").write_text("KEY")
    loaded = settings.load(tmp_path / "settings.toml", tmp_path)
    password = loaded.credentials.opensearch_password
    assert password is not None
    assert password.get_secret_value() == "hunter2"
    assert loaded.credentials.tls_key == tmp_path / "tls_key"
    assert "hunter2" not in repr(loaded)
    assert "hunter2" not in loaded.model_dump_json()


@pytest.mark.parametrize(
    ("given", "library", "accounts"),
    [
        (("opensearch",), "web", None),
        (("opensearch", "opensearch_accounts"), "web", "accounts"),
        (("opensearch_worker",), "worker", None),
        (("opensearch_worker", "opensearch_accounts"), "worker", "accounts"),
    ],
)
def test_a_process_is_who_its_credentials_say(
    given: tuple[str, ...], library: str, accounts: str | None
) -> None:
    users = {"user": "web", "worker_user": "worker", "accounts_user": "accounts"}
    secrets = Credentials.model_validate({f"{name}_password": "hunter2" for name in given})
    loaded = settings.parse(
        GOOD | {"opensearch": GOOD["opensearch"] | users}, secrets, Path("settings.toml")
    )
    logins = (loaded.library_login, loaded.accounts_login)
    assert [login and login.user for login in logins] == [library, accounts]
    assert "hunter2" not in repr(logins)


def test_accounts_without_a_user_of_their_own() -> None:
    one = GOOD | {"opensearch": GOOD["opensearch"] | {"user": "web"}}
    loaded = settings.parse(one, Credentials(opensearch_password=SecretStr("x")), Path("s.toml"))
    assert loaded.accounts_login == loaded.library_login


def test_where_settings_are_read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[server]\ntls = false\n[opensearch]\nurls = ["https://os1:9200"]\n')
    monkeypatch.setenv("RESEARCH_APP_SETTINGS", str(path))
    assert settings.load().opensearch.urls == ("https://os1:9200",)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[server", "not TOML"), (b"\xff", "cannot be read"), (None, "cannot")],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "settings.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        settings.load(path)


def test_an_empty_credential_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "cache_password").write_text("\n")
    with pytest.raises(SettingsError, match="empty"):
        settings.read_credentials(tmp_path)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("app1", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert settings.is_loopback(host) is loopback
