"""Render a directory of templates on a host in one task."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

# Options of a single file; the module file_tree describes them.
FILE_OPTIONS = {"owner", "group", "mode", "validate", "secret"}


class ActionModule(ActionBase):
    """Templates each file below ``src`` here and sends them all to the host in one go.

    They go to the module ``file_tree``, which writes them below ``dest``; with ``generation``, its
    arguments, to the module ``generation``, which keeps them beside those that are in use.
    """

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({
        "src", "dest", "owner", "group", "mode", "directory_mode", "exclude", "files", "more",
        "manifest", "generation",
    })  # fmt: skip

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Any:
        """Render the tree and hand it to the module ``file_tree``.

        :param task_vars: the variables that the templates see
        :raises AnsibleActionFail: where the tree, an option or a template is wrong
        """
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        args = self._task.args
        root = self._tree(args["src"])
        defaults = {name: args[name] for name in ("owner", "group", "mode") if name in args}
        special = args.get("files") or {}
        exclude = args.get("exclude") or []
        everything = self._sources(root)
        sources = {
            name: path
            for name, path in everything.items()
            if not any(fnmatch(name, pattern) for pattern in exclude)
        }
        self._check(special, sources)
        generation = args.get("generation")
        dest = Path("" if generation else args["dest"])
        files = [
            {
                "path": str(dest / name),
                "content": self._render(path, task_vars),
                **defaults,
                **special.get(name, {}),
            }
            for name, path in sources.items()
        ] + [{**defaults, **file} for file in args.get("more") or []]
        if generation:
            return self._execute_module(
                module_name="generation",
                module_args={**generation, "files": files},
                task_vars=task_vars,
            )
        return self._execute_module(
            module_name="file_tree",
            module_args={
                "files": files,
                "directory_mode": args.get("directory_mode", "0755"),
                "tree": f"{self._role()}/{args['src']} in {dest}",
                "excluded": [str(dest / name) for name in everything if name not in sources],
                **({"manifest": args["manifest"]} if "manifest" in args else {}),
            },
            task_vars=task_vars,
        )

    def _role(self) -> str:
        """Return the name of the role whose templates these are."""
        role = self._task._role
        return str(role.get_name()) if role else "playbook"

    def _tree(self, src: str) -> Path:
        try:
            found = self._find_needle("templates", src)
        except AnsibleError as error:
            raise AnsibleActionFail(f"template_tree: no directory templates/{src}") from error
        root = Path(found)
        if not root.is_dir():
            raise AnsibleActionFail(f"template_tree: {root} is not a directory")
        return root

    @staticmethod
    def _sources(root: Path) -> dict[str, Path]:
        """Return the files of the tree: target path below dest -> source."""
        found = {}
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            name = name.removesuffix(".j2")
            if path.is_file():
                found[name] = path
        return found

    @staticmethod
    def _check(special: dict[str, dict[str, Any]], sources: dict[str, Path]) -> None:
        for name, options in special.items():
            if name not in sources:
                raise AnsibleActionFail(f"template_tree: files names {name!r}, which src lacks")
            unknown = sorted(set(options) - FILE_OPTIONS)
            if unknown:
                raise AnsibleActionFail(f"template_tree: {name} has no option {unknown[0]!r}")

    def _render(self, path: Path, task_vars: dict[str, Any]) -> str:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".j2":
            return text
        search = [str(path.parent), str(path.parent.parent)]
        variables = {**task_vars, "template_path": str(path)}
        templar = self._templar.copy_with_new_env(searchpath=search, available_variables=variables)
        try:
            rendered = templar.template(
                trust_as_template(text),
                preserve_trailing_newlines=True,
                escape_backslashes=False,
                overrides={"trim_blocks": True, "lstrip_blocks": True},
            )
        except AnsibleError as error:
            raise AnsibleActionFail(f"template_tree: {path.name}: {error}") from error
        return str(rendered)
