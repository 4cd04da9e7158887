"""scripts/secrets: every secret once, never changed unasked, never readable."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from scripts import vault_file
from scripts.vault_file import KEPT, LENGTHS, SecretsError, completed, main


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    password = tmp_path / "password"
    password.write_text("for the test\n")
    monkeypatch.setenv("RESEARCH_VAULT_PASSWORD_FILE", str(password))
    folder = tmp_path / "inventory"
    folder.mkdir()
    return folder


def values(inventory: Path) -> dict[str, object]:
    path = inventory / "group_vars" / "all" / "vault.yml"
    return vault_file.read(path, vault_file.vault())


def test_makes_every_secret_and_encrypts_them(inventory: Path) -> None:
    assert main([str(inventory)]) == 0
    made = values(inventory)
    assert {name: len(str(value)) for name, value in made.items()} == LENGTHS
    assert len(set(made.values())) == len(LENGTHS)
    path = inventory / "group_vars" / "all" / "vault.yml"
    text = path.read_text()
    assert text.startswith("$ANSIBLE_VAULT;1.1;AES256\n")
    assert not any(str(value) in text for value in made.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_run_changes_nothing(inventory: Path) -> None:
    main([str(inventory)])
    path = inventory / "group_vars" / "all" / "vault.yml"
    before = path.read_bytes()
    assert main([str(inventory)]) == 0
    assert path.read_bytes() == before


def test_rotates_one(inventory: Path) -> None:
    main([str(inventory)])
    before = values(inventory)
    assert main([str(inventory), "--rotate", "vault_cache_app_password"]) == 0
    after = values(inventory)
    changed = [name for name in LENGTHS if before[name] != after[name]]
    assert changed == ["vault_cache_app_password"]


def test_keeps_what_the_site_added() -> None:
    kept = completed({"vault_ours": "x", "vault_app_signing_key": "y"})
    assert (kept["vault_ours"], kept["vault_app_signing_key"]) == ("x", "y")


def test_refuses_a_name_that_it_does_not_know() -> None:
    with pytest.raises(SecretsError, match="vault_typo is not a secret of the stack"):
        completed({}, ["vault_typo"])


def test_refuses_another_password(
    inventory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(inventory)])
    (tmp_path / "password").write_text("another\n")
    assert main([str(inventory)]) == 1
    assert "cannot be decrypted" in capsys.readouterr().err


def test_refuses_a_folder_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == 1
    assert "is not the folder of an inventory" in capsys.readouterr().err


def test_the_wiring_uses_no_other_names(project: Path) -> None:
    wiring = (project / "group_vars" / "all" / "wiring.yml").read_text()
    assert set(re.findall(r"vault_\w+", wiring)) <= LENGTHS.keys() | set(KEPT.values())


def password(script: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    told = {name: value for name, value in os.environ.items() if not name.startswith("RESEARCH_")}
    return subprocess.run(
        [script], env={**told, **environment}, capture_output=True, text=True, check=False
    )


def test_the_vault_password_is_made_once_and_is_private(project: Path, tmp_path: Path) -> None:
    script = tmp_path / "scripts" / "vault-password"
    script.parent.mkdir()
    script.write_bytes((project / "scripts" / "vault-password").read_bytes())
    script.chmod(0o755)
    first, second = password(script), password(script)
    assert first.returncode == 0
    assert len(first.stdout) >= 40
    assert first.stdout == second.stdout
    assert stat.S_IMODE((tmp_path / ".vault-password").stat().st_mode) == 0o600


def test_a_password_file_that_is_named_must_be_there(project: Path, tmp_path: Path) -> None:
    script = project / "scripts" / "vault-password"
    missing = password(script, RESEARCH_VAULT_PASSWORD_FILE=str(tmp_path / "none"))
    assert missing.returncode == 1
    assert "is missing or empty" in missing.stderr


def test_keeps_the_signing_key_that_it_replaces() -> None:
    rotated = completed({"vault_app_signing_key": "before"}, ["vault_app_signing_key"])
    assert rotated["vault_app_signing_key_previous"] == "before"
    assert rotated["vault_app_signing_key"] != "before"
    assert "vault_app_signing_key_previous" not in completed({})
