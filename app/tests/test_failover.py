"""The cache behind real sentinels: TLS, logins, and a primary that dies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from research_app.cache import CacheUnavailableError, SearchCache, connect
from research_app.settings import Credentials, Settings, parse

pytestmark = pytest.mark.integration

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def worker_rules() -> list[str]:
    """What the stack lets the application do in the cache tier."""
    wiring = Path(__file__).resolve().parents[2] / "group_vars" / "all" / "wiring.yml"
    line = re.search(r'rules: (\["~research.*\])', wiring.read_text())
    assert line is not None
    rules: list[str] = json.loads(line[1])
    return rules


@dataclass
class Tier:
    """Two servers and a sentinel that watches them."""

    folder: Path
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(3)])
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        first, second, sentinel = self.ports
        tls = (
            f"port 0\ntls-cert-file {self.folder}/host.pem\ntls-key-file {self.folder}/key.pem\n"
            f"tls-ca-cert-file {self.folder}/ca.pem\ntls-auth-clients no\ntls-replication yes\n"
            "bind 127.0.0.1\nprotected-mode no\n"
        )
        users = (
            "user default off\n"
            "user app on >apppass ~research:* +get +set +mget +ping +client +hello +auth\n"
            f"user worker on >workerpass {' '.join(worker_rules())}\n"
            "user ops on >opspass ~* &* +@all\n"
        )
        for port in (first, second):
            text = f"{tls}tls-port {port}\n{users}masteruser ops\nmasterauth opspass\nsave ''\n"
            text += f"dir {self.folder}\ndbfilename {port}.rdb\nrepl-diskless-sync-delay 0\n"
            self._run(port, text + (f"replicaof 127.0.0.1 {first}\n" if port == second else ""))
        text = (
            f"{tls}tls-port {sentinel}\ndir {self.folder}\nrequirepass sentinelpass\n"
            f"sentinel monitor research 127.0.0.1 {first} 1\n"
            "sentinel auth-user research ops\nsentinel auth-pass research opspass\n"
            "sentinel down-after-milliseconds research 1000\n"
            "sentinel failover-timeout research 5000\n"
        )
        self._run(sentinel, text, "--sentinel")

    def _run(self, port: int, text: str, *options: str) -> None:
        path = self.folder / f"{port}.conf"
        path.write_text(text)
        assert SERVER is not None
        log = (self.folder / f"{port}.log").open("wb")
        self.processes.append(subprocess.Popen([SERVER, str(path), *options], stdout=log))

    def sentinel_log(self) -> str:
        return (self.folder / f"{self.ports[2]}.log").read_text()

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def tier(tmp_path: Path) -> Iterator[Tier]:
    if SERVER is None:
        if os.environ.get("CI") == "true":
            pytest.fail("neither redis-server nor valkey-server is installed")
        pytest.skip("neither redis-server nor valkey-server is installed")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    for number, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(tmp_path / "host.pem", append=number > 0)
    tier = Tier(tmp_path)
    tier.start()
    yield tier
    tier.stop()


def settings_for(tier: Tier, **changes: str) -> Settings:
    secrets = {"cache_password": "apppass", "cache_sentinel_password": "sentinelpass"} | changes
    ca = secrets.pop("tls_ca", f"{tier.folder}/ca.pem")
    section = {
        "sentinels": [f"localhost:{tier.ports[2]}"],
        "user": "app",
        "tls_ca": ca,
        "timeout_seconds": 1,
    }
    return parse(
        {
            "server": {"tls": False},
            "opensearch": {"urls": ["https://os1:9200"]},
            "cache": section,
        },
        Credentials.model_validate(secrets),
        Path("settings.toml"),
    )


async def edition() -> str:
    return "0" * 32


def cache_of(settings: Settings) -> SearchCache:
    return SearchCache(connect(settings), settings.cache, edition)


async def until(working: float, cache: SearchCache) -> str:
    """Wait until the cache answers."""
    deadline = time.monotonic() + working
    while True:
        try:
            return await cache.ping()
        except CacheUnavailableError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def search() -> tuple[bytes, bool]:
    return b"answer", True


@pytest.mark.timeout(180)
def test_a_primary_that_dies_is_replaced_without_an_error(tier: Tier) -> None:
    async def run() -> None:
        cache = cache_of(settings_for(tier))
        await until(30, cache)
        await cache.new_generation()
        while "+slave slave" not in tier.sentinel_log():
            await asyncio.sleep(0.2)
        assert await cache.get("k", search) == b"answer"
        tier.processes[0].kill()
        start = time.monotonic()
        for _ in range(5):
            assert await cache.get("k", search) == b"answer"
        assert time.monotonic() - start < 5
        await until(60, cache)
        await cache.new_generation()
        await cache.close()

    asyncio.run(run())


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "wrong", [{"cache_password": "x"}, {"cache_sentinel_password": "x"}, {"tls_ca": ""}]
)
def test_a_wrong_login_or_authority_is_no_cache(tier: Tier, wrong: dict[str, str]) -> None:
    async def run() -> None:
        good = cache_of(settings_for(tier))
        await until(30, good)
        await good.close()
        cache = cache_of(settings_for(tier, **wrong))
        with pytest.raises(CacheUnavailableError):
            await cache.ping()
        assert await cache.get("k", search) == b"answer"
        await cache.close()

    asyncio.run(run())
