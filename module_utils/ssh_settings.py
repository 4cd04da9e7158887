"""The configuration of sshd as it would be with a new fragment, and what it lets a user do."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ansible.module_utils.ssh_session import Session, matches_user

Options = Mapping[str, Sequence[str]]
INCLUDE = re.compile(r"^\s*include[\s=]", re.IGNORECASE)
NO_FOLDER = re.compile(r"privilege separation directory:? (\S+)")
NOTHING = ("", "none")
# Any of these lets somebody in whose key is in no file.
OTHER_KEYS = ("authorizedkeyscommand", "trustedusercakeys", "authorizedprincipalscommand")

ROOT_STAYS_OUT = ("no", "forced-commands-only")


class SettingsError(Exception):
    """What sshd says of settings that it would not start with."""


@dataclass(frozen=True)
class Sshd:
    """The ssh server of a host, and where its configuration is."""

    program: str = "/usr/sbin/sshd"
    config: Path = Path("/etc/ssh/sshd_config")

    def options(self, fragment: Path, content: str, session: Session | None) -> Options:
        """Return the options that would count for a session, with a fragment as it is to be.

        :param fragment: the fragment's path, which may not exist yet
        :param content: what is to be in it
        :param session: None for those that count for nobody in particular
        :raises SettingsError: where sshd would not start
        """
        with tempfile.TemporaryDirectory(prefix="sshd-") as folder:
            draft = drafted(self.config, fragment, content, Path(folder))
            self.ask("-t", "-f", str(draft))
            connection = (
                f"user={session.user},host={session.client},addr={session.client},"
                f"laddr={session.address or '127.0.0.1'},lport={session.port}"
                if session
                else "user=root,host=localhost,addr=127.0.0.1"
            )
            return parsed(self.ask("-T", "-f", str(draft), "-C", connection))

    def ask(self, *arguments: str) -> str:
        """Run sshd for a look at its configuration."""
        code, said = run([self.program, *arguments])
        missing = NO_FOLDER.search(said)
        if code and missing:  # it is there while the unit runs, which a socket may start
            Path(missing[1].rstrip(".")).mkdir(mode=0o755, parents=True, exist_ok=True)
            code, said = run([self.program, *arguments])
        if code:
            raise SettingsError("; ".join(line.strip() for line in said.splitlines() if line))
        return said


def run(command: Sequence[str]) -> tuple[int, str]:
    """Run a program; return its code and what it said."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr + done.stdout


def drafted(config: Path, fragment: Path, content: str, folder: Path) -> Path:
    """Copy a configuration with a new fragment in place of the old one.

    A fragment stays a file of its own, since a Match block ends with its file.
    """
    copies = folder / fragment.parent.name
    copies.mkdir(mode=0o700)
    for file in sorted(fragment.parent.glob("*")):
        if file.is_file():
            text = file.read_text(errors="surrogateescape")
            copy = copies / file.name
            copy.write_text(redirected(text, config, fragment, copies), errors="surrogateescape")
    (copies / fragment.name).write_text(content)
    draft = folder / config.name
    text = config.read_text(errors="surrogateescape")
    draft.write_text(redirected(text, config, fragment, copies), errors="surrogateescape")
    shutil.copymode(config, draft)
    return draft


def redirected(text: str, config: Path, fragment: Path, copies: Path) -> str:
    """Return a configuration that includes the copies instead of the fragments."""
    names = (str(fragment.parent), str(fragment.parent.relative_to(config.parent)))
    lines = []
    for line in text.splitlines():
        if INCLUDE.match(line):
            for name in names:
                pattern = rf"(?<![\w./-]){re.escape(name)}/+(?=[^/\s]*(?:\s|\"|$))"
                line = re.sub(pattern, lambda _: f"{copies}/", line)  # noqa: PLW2901
        lines.append(line)
    return "\n".join(lines) + "\n"


def parsed(said: str) -> Options:
    """Return the options that sshd lists, each with its values; one may be listed again."""
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        key, _, values = line.strip().partition(" ")
        if key:
            found.setdefault(key.lower(), []).extend(values.split())
    return found


def key_files(options: Options, user: str, uid: int, home: str) -> list[Path]:
    """Return the files with a user's keys, as AuthorizedKeysFile has them."""
    known = {"%%": "%", "%h": home, "%u": user, "%U": str(uid)}
    found = []
    for given in options.get("authorizedkeysfile", (".ssh/authorized_keys",)):
        if given.lower() != "none":
            path = re.sub("%.", lambda token: known.get(token[0], token[0]), given)
            found.append(Path(home) / path)
    return found


def any_keys(options: Options, files: Sequence[Path]) -> bool:
    """Return whether there is a key to log in with.

    Keys that sshd gets from a command or an authority cannot be seen; that there is one is enough.
    """
    if any(options.get(name, [""])[0] not in NOTHING for name in OTHER_KEYS):
        return True
    lines = (
        line.strip()
        for file in files
        if file.is_file()
        for line in file.read_text(errors="replace").splitlines()
    )
    return any(line and not line.startswith("#") for line in lines)


def shut_out(options: Options, session: Session, groups: Sequence[str], keys: bool) -> str | None:
    """Say why a session's user could not log in again with a key alone, None where they could.

    :param options: what counts for the session
    :param groups: the groups of its user
    :param keys: whether there is a key to log in with
    """
    user = f"{session.user}, as whom this run is connected"
    methods = options.get("authenticationmethods", ["any"])
    if not {"any", "publickey"} & {method.lower() for method in methods}:
        return f"AuthenticationMethods {' '.join(methods)} asks {user}, for more than a key"
    if first(options, "pubkeyauthentication", "yes") == "no":
        return f"PubkeyAuthentication no leaves {user}, without a way in"
    if session.user == "root" and first(options, "permitrootlogin", "yes") in ROOT_STAYS_OUT:
        return f"PermitRootLogin {first(options, 'permitrootlogin', '')} shuts out {user}"
    if not keys:
        files = " ".join(options.get("authorizedkeysfile", ()))
        return f"{user}, has no key in {files or 'AuthorizedKeysFile'}"
    return not_among(options, session, groups, user)


def not_among(options: Options, session: Session, groups: Sequence[str], user: str) -> str | None:
    """Say which list of users or groups is in the way."""
    denied, allowed = options.get("denyusers", ()), options.get("allowusers", ())
    if any(matches_user(pattern, session.user, session.client) for pattern in denied):
        return f"DenyUsers {' '.join(denied)} shuts out {user}"
    if allowed and not any(matches_user(each, session.user, session.client) for each in allowed):
        return f"AllowUsers {' '.join(allowed)} leaves out {user}"
    denied, allowed = options.get("denygroups", ()), options.get("allowgroups", ())
    if in_any(groups, denied):
        return f"DenyGroups {' '.join(denied)} shuts out {user}"
    if allowed and not in_any(groups, allowed):
        return f"AllowGroups {' '.join(allowed)} leaves out {user}"
    return None


def in_any(groups: Sequence[str], patterns: Sequence[str]) -> bool:
    """Return whether one of some groups is meant."""
    return any(fnmatchcase(group, pattern) for group in groups for pattern in patterns)


def first(options: Options, name: str, otherwise: str) -> str:
    """Return the one value of an option."""
    return next(iter(options.get(name, ())), otherwise).lower()
