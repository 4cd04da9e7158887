"""What is wrong with a value, in words that need no knowledge of its type in a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXT = "not a text"
WHOLE = "not a whole number"
NUMBER = "not a number"
LIST = "not a list"
OBJECT = "not an object with fields"
SHORT = "too short: at least {min_length:,} needed"

WORDS = {
    "missing": "needed, and not given",
    "extra_forbidden": "not known here",
    "json_invalid": "not JSON",
    "string_type": TEXT,
    "string_too_short": SHORT,
    "too_short": SHORT,
    "string_too_long": "too long: at most {max_length:,} characters",
    "too_long": "too long: {actual_length:,} where at most {max_length:,} are taken",
    "string_pattern_mismatch": "not written as it has to be",
    "int_type": WHOLE,
    "int_parsing": WHOLE,
    "int_parsing_size": WHOLE,
    "int_from_float": WHOLE,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": NUMBER,
    "bool_type": "neither true nor false",
    "bool_parsing": "neither true nor false",
    "greater_than": "has to be above {gt:g}",
    "greater_than_equal": "has to be {ge:g} or more",
    "less_than": "has to be below {lt:g}",
    "less_than_equal": "has to be {le:g} or less",
    "literal_error": "not {expected}",
    "enum": "not {expected}",
    "tuple_type": LIST,
    "list_type": LIST,
    "dict_type": OBJECT,
    "model_type": OBJECT,
    "model_attributes_type": OBJECT,
}
# where the form that a value must have can be said
FORMS = {
    "id": "a space or a control character is in it",
    "file": "not the key of a file in this library",
    "image": "not the key of a file in this library",
    "thumbnail": "not the key of a file in this library",
}


def in_words(problem: Mapping[str, Any]) -> str:
    """One of the problems that pydantic finds, without the place where it is."""
    kind, place = problem["type"], problem["loc"]
    if kind == "string_pattern_mismatch" and place and place[-1] in FORMS:
        return FORMS[place[-1]]
    if kind in WORDS:
        return WORDS[kind].format(**problem.get("ctx", {}))
    return str(problem["msg"]).removeprefix("Value error, ")
