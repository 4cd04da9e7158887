"""template_tree and role_exports as a play sees them, run by the real ansible-playbook."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {{greeting: hello}}
  tasks:
    - name: Render
      template_tree:
        src: config
        dest: {dest}
        manifest: {dest}.json
        {options}
"""


@pytest.fixture
def play(tmp_path: Path) -> Path:
    templates = tmp_path / "templates" / "config" / "etc"
    templates.mkdir(parents=True)
    template = "{% for i in [1, 2] %}\n{{ greeting }} {{ i }}\n{% endfor %}\n"
    (templates / "a.conf.j2").write_text(template)
    (templates / "raw.txt").write_text("{{ untouched }}\n")
    return tmp_path / "play.yml"


def run(play: Path, options: str = "mode: '0600'", *flags: str) -> subprocess.CompletedProcess[str]:
    play.write_text(PLAY.format(dest=play.parent / "out", options=options))
    playbook = shutil.which("ansible-playbook")
    assert playbook, "ansible-playbook is not on PATH: run scripts/test unit"
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    command = [playbook, "-i", "localhost,", "-c", "local", str(play), *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_templates_are_rendered_and_other_files_copied(play: Path) -> None:
    done = run(play)
    out = play.parent / "out" / "etc"
    assert done.returncode == 0, done.stdout + done.stderr
    assert (out / "a.conf").read_text() == "hello 1\nhello 2\n"
    assert (out / "raw.txt").read_text() == "{{ untouched }}\n"
    assert "changed=0" in run(play).stdout, "the second run changed something"


def test_check_mode_shows_the_diff_and_writes_nothing(play: Path) -> None:
    done = run(play, "mode: '0600'", "--check", "--diff")
    assert "+hello 1" in done.stdout, done.stdout + done.stderr
    assert not (play.parent / "out").exists()


def test_a_file_that_is_excluded_now_or_has_no_template_any_more_is_removed(play: Path) -> None:
    run(play)
    out = play.parent / "out" / "etc"
    shown = run(play, "exclude: [etc/raw.txt]", "--check", "--diff").stdout
    assert "-{{ untouched }}" in shown and (out / "raw.txt").exists(), shown
    assert "changed=1" in run(play, "exclude: [etc/raw.txt]").stdout
    assert not (out / "raw.txt").exists()
    (play.parent / "templates/config/etc/a.conf.j2").unlink()
    run(play)
    assert sorted(path.name for path in out.iterdir()) == ["raw.txt"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("files: {etc/b.conf: {mode: '0600'}}", "files names 'etc/b.conf', which src lacks"),
        ("files: {etc/a.conf: {modus: '0600'}}", "etc/a.conf has no option 'modus'"),
        ("moed: '0600'", "Invalid options for template_tree: moed"),
    ],
)
def test_a_misspelt_option_is_named(play: Path, options: str, sentence: str) -> None:
    done = run(play, options)
    assert done.returncode != 0
    assert sentence in " ".join((done.stdout + done.stderr).split())
