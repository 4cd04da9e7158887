"""Makes and completes the encrypted vault.yml of an inventory. Run it as scripts/secrets."""

from __future__ import annotations

import argparse
import os
import secrets
import string
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from ansible.parsing.vault import AnsibleVaultError, VaultLib, VaultSecret

CHECKOUT = Path(__file__).resolve().parent.parent
ALPHABET = string.ascii_letters + string.digits

# Every secret of the stack, with its length. VRRP takes eight characters and ignores the rest.
LENGTHS: Mapping[str, int] = {
    "vault_opensearch_admin_password": 32,
    "vault_opensearch_web_password": 32,
    "vault_opensearch_worker_password": 32,
    "vault_opensearch_accounts_password": 32,
    "vault_opensearch_monitoring_password": 32,
    "vault_opensearch_backup_password": 32,
    "vault_opensearch_logwriter_password": 32,
    "vault_cache_app_password": 32,
    "vault_cache_replication_password": 32,
    "vault_cache_sentinel_password": 32,
    "vault_cache_monitoring_password": 32,
    "vault_app_signing_key": 64,
    "vault_app_admin_password": 24,
    "vault_edge_stats_password": 24,
    "vault_edge_vrrp_password": 8,
    "vault_ops_page_password": 24,
    "vault_pki_ca_passphrase": 32,
}

# What one of these was before stays beside it when it is replaced, and goes on to be accepted.
KEPT: Mapping[str, str] = {"vault_app_signing_key": "vault_app_signing_key_previous"}

HEADER = "# Made by scripts/secrets. Read or change it with ansible-vault view or edit.\n"


class SecretsError(Exception):
    """Something the person who runs the script has to put right."""


def random_value(length: int) -> str:
    """A random value with lower case, upper case and a digit, as password policies ask."""
    while True:
        value = "".join(secrets.choice(ALPHABET) for _ in range(length))
        kinds = (str.islower, str.isupper, str.isdigit)
        if all(any(kind(c) for c in value) for kind in kinds):
            return value


def completed(present: Mapping[str, object], rotate: Sequence[str] = ()) -> dict[str, object]:
    """What the vault should hold: what it holds, the missing names, and new values for rotate."""
    unknown = [name for name in rotate if name not in LENGTHS]
    if unknown:
        raise SecretsError(
            f"{unknown[0]} is not a secret of the stack; the names are: {', '.join(LENGTHS)}"
        )
    result = dict(present)
    for name in set(rotate) & set(KEPT):
        if present.get(name):
            result[KEPT[name]] = present[name]
    for name, length in LENGTHS.items():
        if name in rotate or not result.get(name):
            result[name] = random_value(length)
    return result


def vault() -> VaultLib:
    """Encryption with the password that scripts/vault-password prints, as ansible.cfg has it."""
    printed = subprocess.run(
        [str(CHECKOUT / "scripts" / "vault-password")], stdout=subprocess.PIPE, check=False
    )
    if printed.returncode:
        raise SecretsError("scripts/vault-password gave no password")
    return VaultLib([("default", VaultSecret(printed.stdout.strip()))])


def read(path: Path, lib: VaultLib) -> dict[str, object]:
    """The names and values in the vault file; none where there is no file."""
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(lib.decrypt(path.read_bytes()))
    except AnsibleVaultError as error:
        raise SecretsError(
            f"{path} cannot be decrypted with the password of scripts/vault-password; "
            "put the right one into .vault-password, or move the file away for new secrets"
        ) from error
    if not isinstance(content, dict):
        raise SecretsError(f"{path} does not hold names and values")
    return content


def write(path: Path, values: Mapping[str, object], lib: VaultLib) -> None:
    """Replaces the file in one step, so that an interrupted run leaves the old one."""
    text = HEADER + yaml.safe_dump(dict(values), sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".vault-")
    with os.fdopen(handle, "wb") as file:
        file.write(lib.encrypt(text))
    Path(temporary).replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/secrets", description=__doc__)
    parser.add_argument("inventory", type=Path, help="a folder such as inventories/lab")
    parser.add_argument("--rotate", action="append", default=[], metavar="NAME")
    options = parser.parse_args(arguments)
    path = options.inventory / "group_vars" / "all" / "vault.yml"
    try:
        if not options.inventory.is_dir():
            raise SecretsError(f"{options.inventory} is not the folder of an inventory")
        lib = vault()
        present = read(path, lib)
        wanted = completed(present, options.rotate)
        added = [name for name in wanted if name not in present]
        if wanted != present:
            write(path, wanted, lib)
    except SecretsError as error:
        print(f"scripts/secrets: {error}", file=sys.stderr)
        return 1
    print(f"{path}: {len(wanted)} secrets, {len(added)} new, {len(options.rotate)} rotated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
