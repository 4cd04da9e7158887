"""The name of a release: the same for the same contents, another for others."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

Version = Callable[[list[Path], Path | None], str]


@pytest.fixture
def release_version(project: Path) -> Version:
    path = project / "lookup_plugins" / "python_release_version.py"
    spec = importlib.util.spec_from_file_location("python_release_version", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    version: Version = module.release_version
    return version


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    (folder / "src" / "demo").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "1.2"\n')
    (folder / "src" / "demo" / "__init__.py").write_text("")
    (folder / "requirements.txt").write_text("a==1\n")
    return folder


def test_it_starts_with_the_projects_version(release_version: Version, source: Path) -> None:
    version = release_version([source / "requirements.txt"], source)
    assert version.startswith("1.2-") and len(version) == len("1.2-") + 10
    assert release_version([source / "requirements.txt"], None).startswith("locked-")


@pytest.mark.parametrize(
    "changed", ["src/demo/__init__.py", "src/demo/page.html", "requirements.txt", "pyproject.toml"]
)
def test_changed_contents_are_another_release(
    release_version: Version, source: Path, changed: str
) -> None:
    before = release_version([source / "requirements.txt"], source)
    with (source / changed).open("a") as stream:
        stream.write("# changed\n")
    assert release_version([source / "requirements.txt"], source) != before


@pytest.mark.parametrize(
    "ignored", ["tests/test_demo.py", "src/demo/__pycache__/x.pyc", ".venv/x", "dist/x", "uv.lock"]
)
def test_what_no_wheel_holds_makes_no_release(
    release_version: Version, source: Path, ignored: str
) -> None:
    before = release_version([source / "requirements.txt"], source)
    (source / ignored).parent.mkdir(parents=True, exist_ok=True)
    (source / ignored).write_text("changed")
    assert release_version([source / "requirements.txt"], source) == before


@pytest.mark.parametrize(
    ("file", "extras"),
    [
        (f"requirements{name}{traces}.txt", f"{extras}{'--extra traces ' if traces else ''}")
        for name, extras in {
            "": "",
            "-media": "--extra speech --extra youtube ",
            "-meaning": "--extra meaning ",
            "-media-meaning": "--extra speech --extra youtube --extra meaning ",
        }.items()
        for traces in ("", "-traces")
    ],
)
def test_the_applications_lock_files_agree(project: Path, file: str, extras: str) -> None:
    """What hosts install is what uv.lock pins: the files are exported from it."""
    import tomllib

    lock = tomllib.loads((project / "app" / "uv.lock").read_text())
    pinned = {(package["name"], package["version"]) for package in lock["package"]}
    lines = (project / "app" / file).read_text().splitlines()
    exported = [line.split()[0].split("==") for line in lines if "==" in line.split(" ;")[0]]
    assert exported
    for name, version in exported:
        assert (name.split("[")[0], version) in pinned, (
            f"{name} {version} is in {file} and not in uv.lock: run"
            f" 'uv export --no-dev --no-emit-project {extras}-o {file}' in app/"
        )
    sends = {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"}
    assert sends & {name for name, _ in exported} == (sends if "traces" in file else set())
