"""Kernel settings and swap: what is, what is wanted, and what can be done on this host."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADER = "# Managed by Ansible (role base).\n"


class KernelError(Exception):
    """A setting that is needed cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Wish:
    """A setting: a value that is wanted, or a minimum that is needed."""

    name: str
    value: str
    is_minimum: bool

    @classmethod
    def from_params(cls, name: str, value: Any) -> Wish:
        """Build from one entry of the module's option ``sysctl``.

        :param name: name of the setting
        :param value: the value, or a dictionary with ``minimum``
        :raises KernelError: where it is neither
        """
        if not isinstance(value, Mapping):
            return cls(name, " ".join(str(value).split()), False)
        minimum = str(value.get("minimum", ""))
        if set(value) != {"minimum"} or not minimum.isdigit():
            raise KernelError(f"{name}: write a value or {{minimum: NUMBER}}, not {dict(value)}")
        return cls(name, minimum, True)


@dataclass(frozen=True)
class Decision:
    """What to write to the kernel and to the file; None for nothing."""

    kernel: str | None
    file: str | None
    note: str = ""


def decide(wish: Wish, current: str, in_file: str | None, writable: bool) -> Decision:
    """Return what is to be done about a setting.

    :param wish: what is wanted
    :param current: the kernel's value
    :param in_file: the value that an earlier run wrote to the file, if any
    :param writable: whether the kernel's value can be changed from here
    :raises KernelError: where a minimum is not met and cannot be
    """
    if wish.is_minimum:
        enough = int(current) >= int(wish.value)
        # A value from elsewhere that is high enough is left alone, a file could only lower it.
        keep = in_file is not None and int(in_file) >= int(wish.value)
        file = in_file if keep or (enough and in_file is None) else wish.value
    else:
        enough, file = current == wish.value, wish.value
    if enough or writable:
        return Decision(None if enough else wish.value, file)
    if wish.is_minimum:
        raise KernelError(
            f"{wish.name} is {current} and must be at least {wish.value}, and it cannot be changed "
            f"from inside this container: set it on the machine that carries it "
            f"('sysctl -w {wish.name}={wish.value}')"
        )
    note = f"{wish.name} stays {current} instead of {wish.value}: it is the carrying machine's"
    return Decision(None, file, note)


def parse_sysctl_file(text: str) -> dict[str, str]:
    """Return the settings in a file of /etc/sysctl.d.

    :param text: its content
    """
    pairs = (line.split("=", 1) for line in text.splitlines() if re.match(r"\s*[\w./-]+\s*=", line))
    return {name.strip(): " ".join(value.split()) for name, value in pairs}


def render_sysctl_file(values: Mapping[str, str]) -> str:
    """Return the content of a file of /etc/sysctl.d, empty where there is nothing to set.

    :param values: name -> value
    """
    return HEADER + "".join(f"{k} = {v}\n" for k, v in sorted(values.items())) if values else ""


def fstab_without_swap(text: str) -> str:
    """Return an fstab in which swap is commented out.

    :param text: its content
    """
    return re.sub(r"(?m)^(?=[^#\s]\S*\s+\S+\s+swap\s)", "# off, Ansible (role base): ", text)


class Kernel:
    """The settings of this host's kernel."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def in_container(self) -> bool:
        """Return whether the kernel is another machine's."""
        return any(
            (self._root / p).exists() for p in ("run/systemd/container", "run/.containerenv")
        )

    def has(self, name: str) -> bool:
        """Return whether this kernel has a setting.

        :param name: its name, with dots
        """
        return self._path(name).exists()

    def read(self, name: str) -> str:
        """Return a setting's value.

        :param name: its name, with dots
        :raises KernelError: where this kernel does not have it
        """
        try:
            return " ".join(self._path(name).read_text().split())
        except OSError as error:
            raise KernelError(f"this kernel has no setting {name} ({error.strerror})") from None

    def writable(self, name: str) -> bool:
        """Return whether a setting can be changed from here.

        :param name: its name
        """
        return os.access(self._path(name), os.W_OK)

    def write(self, name: str, value: str) -> None:
        """Change a setting.

        :param name: its name
        :param value: its new value
        :raises KernelError: where the kernel refuses
        """
        try:
            self._path(name).write_text(value)
        except OSError as error:
            raise KernelError(f"{name} = {value}: {error.strerror}") from None

    def swaps(self) -> list[str]:
        """Return the devices and files that are swapped to."""
        try:
            lines = (self._root / "proc/swaps").read_text().splitlines()[1:]
        except OSError:
            return []
        return [line.split()[0] for line in lines]

    def _path(self, name: str) -> Path:
        return self._root / "proc/sys" / name.replace(".", "/")
