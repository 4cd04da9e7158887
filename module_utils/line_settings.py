"""Settings in a file with one name and value a line, such as /etc/login.defs."""

from __future__ import annotations

import re
from collections.abc import Mapping


def with_settings(text: str, settings: Mapping[str, str]) -> str:
    """Return the text with each setting in it once.

    A setting that is there keeps its place, one that is there as a comment stays below it, a new
    one comes at the end.

    :param text: the file's content
    :param settings: name -> value
    """
    for name, value in settings.items():
        pattern = re.compile(rf"(?m)^[ \t]*{re.escape(name)}[ \t]+(.*)$\n?")
        found = pattern.findall(text)
        if [each.strip() for each in found] == [value]:
            continue
        line = f"{name}\t{value}\n"
        if first := pattern.search(text):
            text = text[: first.start()] + line + pattern.sub("", text[first.end() :])
            continue
        text = text if not text or text.endswith("\n") else text + "\n"
        comment = re.search(rf"(?m)^[ \t]*#[ \t]*{re.escape(name)}[ \t].*$\n?", text)
        place = comment.end() if comment else len(text)
        text = text[:place] + line + text[place:]
    return text
