"""The machine that runs Ansible."""

from __future__ import annotations

from collections.abc import Iterator

from ansible.module_utils.preflight.model import Inventory, Mistake

OLDEST_PYTHON = (3, 12)
OLDEST_ANSIBLE = (2, 18)


def versions(inventory: Inventory) -> Iterator[Mistake]:
    """The plugins need what these versions brought."""
    controller = inventory.controller
    remedy = "source scripts/activate, which brings the versions that are tested"
    if controller.python < OLDEST_PYTHON:
        yield Mistake(
            "this machine",
            "Python",
            dotted(controller.python),
            f"is older than {dotted(OLDEST_PYTHON)}",
            remedy,
        )
    if controller.ansible < OLDEST_ANSIBLE:
        yield Mistake(
            "this machine",
            "ansible-core",
            dotted(controller.ansible),
            f"is older than {dotted(OLDEST_ANSIBLE)}",
            remedy,
        )


def dotted(version: tuple[int, int]) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, version))
