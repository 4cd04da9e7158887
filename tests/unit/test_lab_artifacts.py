"""What the lab fetches is what artifacts.yml says, byte for byte."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from lab import fetch_artifacts
from lab.fetch_artifacts import Artifact, FetchError, fetch, repack, rewritten, wanted

DESCRIPTOR = "# version=0.1\nversion=3.4.0.0\nname=x\nopensearch.version=3.4.0\n"


def plugin(path: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in (
            ("plugin-descriptor.properties", DESCRIPTOR),
            ("plugin.jar", "jar" * 100),
            ("bc-fips-2.1.2.jar", "fips"),
        ):
            archive.writestr(zipfile.ZipInfo(name, (1980, 2, 1, 0, 0, 0)), content)
    return path


def artifact(sha512: str = "", **more: object) -> Artifact:
    values = {"file": "x-3.5.0.0.zip", "maven": "org.example:x:3.4.0.0:zip", "sha512": sha512}
    return Artifact(**{**values, **more})  # type: ignore[arg-type]


def test_rewrites_only_the_properties_named() -> None:
    text = rewritten(DESCRIPTOR, {"version": "3.5.0.0", "opensearch.version": "3.5.0"})
    assert text == "# version=0.1\nversion=3.5.0.0\nname=x\nopensearch.version=3.5.0\n"


def test_refuses_a_property_that_is_not_there() -> None:
    with pytest.raises(FetchError, match="no property colour"):
        rewritten(DESCRIPTOR, {"colour": "red"})


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    entry = artifact(descriptor={"version": "3.5.0.0"}, leave_out=["bc*-fips-*.jar"])
    targets = []
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        source = plugin(tmp_path / f"{compression}.zip", compression)
        targets.append(tmp_path / f"{compression}.out")
        repack(source, targets[-1], entry)
    assert targets[0].read_bytes() == targets[1].read_bytes()
    with zipfile.ZipFile(targets[0]) as archive:
        assert archive.namelist() == ["plugin-descriptor.properties", "plugin.jar"]
        assert b"\nversion=3.5.0.0\n" in archive.read("plugin-descriptor.properties")


def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts a plugin in place of Maven's answer; the list collects what was asked for."""
    asked: list[str] = []

    def download(wanted: Artifact, folder: Path, _: Path) -> Path:
        asked.append(wanted.maven)
        return plugin(folder / wanted.download_name)

    monkeypatch.setattr(fetch_artifacts, "download", download)
    return asked


def test_fetches_once_what_has_the_checksum(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = served(monkeypatch)
    right = hashlib.sha512(plugin(tmp_path / "right").read_bytes()).hexdigest()
    folder = tmp_path / "artifacts"
    folder.mkdir()
    assert fetch(artifact(right), folder)
    assert not fetch(artifact(right), folder)
    assert asked == ["org.example:x:3.4.0.0:zip"]
    assert [path.name for path in folder.iterdir()] == ["x-3.5.0.0.zip"]


@pytest.mark.parametrize(
    "entry",
    [artifact("0" * 128), artifact("0" * 128, maven_sha512="1" * 128, descriptor={"name": "y"})],
    ids=["the file", "what it is made from"],
)
def test_keeps_nothing_with_another_checksum(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entry: Artifact
) -> None:
    served(monkeypatch)
    with pytest.raises(FetchError, match=r"artifacts\.yml expects"):
        fetch(entry, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_builds_a_go_program_that_has_the_checksum(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(command: list[str], env: dict[str, str], **_: object) -> SimpleNamespace:
        assert command[-3:] == ["go", "install", "example.org/logs/app/logs@v1.2.3"]
        assert "-trimpath" in env["GOFLAGS"]
        (Path(env["GOBIN"]) / "logs").write_bytes(b"program")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    right = hashlib.sha512(b"program").hexdigest()
    entry = Artifact(file="logs-1.2.3", go="example.org/logs/app/logs@v1.2.3", sha512=right)
    assert fetch(entry, tmp_path)
    assert (tmp_path / "logs-1.2.3").read_bytes() == b"program"
    assert not fetch(entry, tmp_path)


def test_says_what_go_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failed = SimpleNamespace(returncode=1, stdout="no matching versions")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    entry = Artifact(file="logs-1.2.3", go="example.org/logs@v1.2.3", sha512="0" * 128)
    with pytest.raises(FetchError, match="no matching versions"):
        fetch(entry, tmp_path)


def test_the_inventories_deploy_what_is_fetched(project: Path) -> None:
    listed = yaml.safe_load((project / "lab" / "artifacts.yml").read_text())
    checksums = {entry.file: entry.sha512 for entry in wanted(listed, "cluster")}
    inventories = project / "inventories"
    paths = [inventories / name / "group_vars/all/opensearch.yml" for name in ("lab", "single")]
    for path in [*paths, project / "tests/cluster/next_version.yml"]:
        variables = yaml.safe_load(path.read_text())
        plugins = variables["opensearch_plugins"]
        deployed = {Path(item["source"]).name: item["sha512"] for item in plugins}
        archive = Path(variables["opensearch_archive"]).name
        deployed[archive] = variables["opensearch_archive_sha512"]
        assert deployed.items() <= checksums.items()


@pytest.mark.parametrize("inventory", ["lab", "single"])
def test_the_inventories_run_the_programs_that_are_built(project: Path, inventory: str) -> None:
    listed = yaml.safe_load((project / "lab" / "artifacts.yml").read_text())
    checksums = {entry.file: entry.sha512 for entry in wanted(listed, inventory)}
    path = project / "inventories" / inventory / "group_vars/all/logs.yml"
    variables = yaml.safe_load(path.read_text())
    for name in ("log_store_program", "metrics_history_program"):
        assert checksums[Path(variables[name]).name] == variables[f"{name}_sha512"]
