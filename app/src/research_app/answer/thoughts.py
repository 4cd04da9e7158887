"""Leaves out what a reasoning model thinks aloud, between <think> and </think>, before it answers.

An endpoint may give the thoughts apart (then they never come here) or in the text. They may hold
whatever is in the passages, and are for nobody.
"""

from __future__ import annotations

import re

NAMES = ("think", "thinking", "thought", "thoughts", "reasoning")
# a longer tag is none
LONGEST = 200
_SPACE = r"\s{0,8}"
_TAG = re.compile(
    rf"<{_SPACE}(?P<end>/?){_SPACE}(?:{'|'.join(NAMES)})(?![\w-])[^<>]{{0,{LONGEST}}}>"
    r"|\[(?P<end_in_brackets>/?)THINK\]",
    re.I,
)
_BEGUN = re.compile(rf"<{_SPACE}/?{_SPACE}(?P<name>[a-z]*)(?P<rest>[^<>]*)", re.I)
_BRACKETS = ("[THINK]", "[/THINK]")


class ThoughtFilter:
    """A text that comes in bits, however they are cut; thoughts may hold thoughts.

    `open` is whether a thought has begun and not ended. `late` counts those that ended and never
    began, as with models whose prompt begins it: then all that was given before was thought too.
    """

    def __init__(self, *, thinking: bool = False) -> None:
        self._depth = int(thinking)
        self._held = ""
        self.late = 0

    @property
    def open(self) -> bool:
        """Whether what comes next is thought."""
        return self._depth > 0

    def feed(self, text: str) -> str:
        """What can be shown by now."""
        held = self._held + text
        shown: list[str] = []
        position = 0
        for tag in _TAG.finditer(held):
            if not self.open:
                shown.append(held[position : tag.start()])
            position = tag.end()
            self._pass(tag, shown)
        cut = max(position, _pending(held, position))
        if not self.open:
            shown.append(held[position:cut])
        self._held = held[cut:]
        return "".join(shown)

    def _pass(self, tag: re.Match[str], shown: list[str]) -> None:
        """Count what begins and ends."""
        if not (tag["end"] or tag["end_in_brackets"]):
            self._depth += not tag[0].endswith("/>")
        elif self.open:
            self._depth -= 1
        else:
            self.late += 1
            shown.clear()

    def end(self) -> str:
        """The rest: what began like a tag and is none, or nothing within a thought."""
        rest, self._held = self._held, ""
        return "" if self.open or _is_begun_with_its_name(rest) else rest


def _pending(text: str, start: int) -> int:
    """Where that begins which may become a tag with more text."""
    for mark in "<[":
        at = text.rfind(mark, start)
        if at >= 0 and len(text) - at <= LONGEST + 30 and _may_become(text[at:]):
            return at
    return len(text)


def _may_become(text: str) -> bool:
    if text.startswith("["):
        return any(tag.startswith(text.upper()) for tag in _BRACKETS)
    found = _BEGUN.fullmatch(text)
    if found is None:
        return False
    name = found["name"].lower()
    return name in NAMES if found["rest"] else any(each.startswith(name) for each in NAMES)


def _is_begun_with_its_name(text: str) -> bool:
    """Whether a text ends within a tag whose name is whole: that is no words of an answer."""
    found = _BEGUN.fullmatch(text)
    return found is not None and found["name"].lower() in NAMES
