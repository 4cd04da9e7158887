"""All mistakes at once, each said once however many hosts share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ansible.module_utils.preflight.model import Mistake

NAMED_HOSTS = 4


def sentences(mistakes: Iterable[Mistake], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one sentence for each mistake; hosts that share one are named together.

    :param groups: the inventory's groups, one of which may be all the hosts of a mistake
    """
    shared: dict[tuple[str, str, str, str], list[Mistake]] = {}
    for mistake in mistakes:
        key = (mistake.variable, mistake.value, mistake.problem, mistake.remedy)
        shared.setdefault(key, []).append(mistake)
    return [
        same[0].sentence(together(list(dict.fromkeys(m.where for m in same)), groups))
        for same in shared.values()
    ]


def together(names: list[str], groups: Mapping[str, Sequence[str]]) -> str:
    """Name some hosts as shortly as is clear: a group that is exactly them, or the first few."""
    if len(names) == 1:
        return names[0]
    for group in ("all", *groups):
        if set(groups.get(group, ())) == set(names):
            return f"all {len(names)} hosts" if group == "all" else f"group {group}"
    named = ", ".join(names[:NAMED_HOSTS])
    more = len(names) - NAMED_HOSTS
    return f"{named} and {more} more" if more > 0 else named


def counted(lines: Sequence[str]) -> str:
    """Say how many mistakes there are."""
    return "One mistake" if len(lines) == 1 else f"{len(lines)} mistakes"


def hosts(count: int) -> str:
    """Say how many hosts there are."""
    return "one host" if count == 1 else f"{count} hosts"


def refusal(lines: Sequence[str], about: str) -> str:
    """Return the whole message of a refusal.

    :param about: what was checked, such as "the inventory"
    """
    listed = "\n".join(f"{number:3}. {line}" for number, line in enumerate(lines, start=1))
    return f"{counted(lines)} in {about}; nothing was changed.\n{listed}"
