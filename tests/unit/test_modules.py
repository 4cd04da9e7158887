"""What every module has in common: documentation, check mode, and a main() that fits the screen."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent.parent
DOCUMENTED = sorted((PROJECT / "library").glob("*.py"))
# An action plugin without a module is documented in a file of its name that has no main().
MODULES = [path for path in DOCUMENTED if "\ndef main()" in path.read_text()]
ACTIONS = sorted((PROJECT / "action_plugins").glob("*.py"))
FILTERS = sorted((PROJECT / "filter_plugins").glob("*.py"))
LOOKUPS = sorted((PROJECT / "lookup_plugins").glob("*.py"))
LONGEST_MAIN = 50


def constants(path: Path) -> dict[str, str]:
    """Return the strings that a module assigns at its top level."""
    tree = ast.parse(path.read_text())
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }


def documentation(path: Path) -> dict[str, Any]:
    """Return what a module says of itself."""
    found: dict[str, Any] = yaml.safe_load(constants(path)["DOCUMENTATION"])
    return found


each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


@pytest.mark.parametrize("path", [*DOCUMENTED, *LOOKUPS], ids=lambda path: path.stem)
def test_it_is_documented(path: Path) -> None:
    texts = constants(path)
    assert {"DOCUMENTATION", "EXAMPLES", "RETURN"} <= set(texts)
    said = documentation(path)
    assert said.get("module", said.get("name")) == path.stem
    assert said["short_description"]
    assert yaml.safe_load(texts["EXAMPLES"])
    for name, option in (said.get("options") or {}).items():
        assert option.get("description"), name


def test_each_module_runs_or_documents_an_action() -> None:
    actions = {path.stem for path in ACTIONS}
    names = {path.stem for path in DOCUMENTED}
    assert {path.stem for path in DOCUMENTED if path not in MODULES} <= actions
    assert actions <= names


@each_module
def test_main_fits_the_screen(path: Path) -> None:
    functions = {
        node.name: node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    main = functions["main"]
    assert (main.end_lineno or 0) - main.lineno + 1 <= LONGEST_MAIN


@each_module
def test_it_supports_check_mode(path: Path) -> None:
    assert "supports_check_mode=True" in path.read_text()
    attributes = documentation(path)["attributes"]
    assert attributes["check_mode"]["support"] == "full"


@each_module
def test_it_runs_on_python_3_11(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 11))


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: path.stem)
def test_a_filter_file_is_typed_and_described(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None, node.name
