"""What a reader asks: validated, and the same for pages, API and assistant."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from research_app.problems import in_words
from research_app.sources.document import Kind, one_line

Sort = Literal["relevance", "newest", "oldest", "title"]
Year = Annotated[int, Field(ge=1000, le=2999)]
Name = Annotated[str, AfterValidator(one_line), Field(min_length=1, max_length=300)]

MIN_QUERY = 3
MAX_QUERY = 500


def reader_words(text: str) -> str:
    """A reader's words on one line, if they are enough and not too many."""
    text = one_line(text)
    if not MIN_QUERY <= len(text) <= MAX_QUERY:
        raise ValueError(f"a query has {MIN_QUERY} to {MAX_QUERY} characters")
    return text


# the limits are told to programs; what counts is the text without superfluous space
Words = Annotated[
    str,
    AfterValidator(reader_words),
    Field(json_schema_extra={"minLength": MIN_QUERY, "maxLength": MAX_QUERY}),
]


class SearchQuery(BaseModel):
    """One search; every field is in the address of the page that shows it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    q: Words
    kind: Annotated[tuple[Kind, ...], Field(max_length=10)] = ()
    venue: Annotated[tuple[Name, ...], Field(max_length=20)] = ()
    author: Annotated[tuple[Name, ...], Field(max_length=20)] = ()
    year: Annotated[tuple[Year, ...], Field(max_length=100)] = ()
    year_from: Year | None = None
    year_to: Year | None = None
    sort: Sort = "relevance"
    page: Annotated[int, Field(ge=1, le=100)] = 1
    size: Annotated[int, Field(ge=1, le=100)] = 20

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, data: Any) -> Any:
        """A form sends a field that was left empty; it means that nothing was asked."""
        if not isinstance(data, dict):
            return data
        return {
            name: [part for part in value if part != ""] if isinstance(value, list) else value
            for name, value in data.items()
            if value != "" or name == "q"
        }

    @field_validator("year", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        """One year is written without a list, in code as in an address."""
        return value if isinstance(value, (list, tuple)) else () if value is None else (value,)

    @field_validator("kind", "venue", "author", "year", mode="after")
    @classmethod
    def _in_one_order(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _years_in_order(self) -> Self:
        first, last = self.years
        if first and last and first > last:
            raise ValueError("year_from is after year_to")
        return self

    @property
    def years(self) -> tuple[int | None, int | None]:
        """The first and the last year wanted."""
        if self.year:
            return self.year[0], self.year[-1]
        return self.year_from, self.year_to

    @property
    def fingerprint(self) -> str:
        """The same for two queries that ask the same; tells nobody what was asked."""
        asked = self.model_dump(mode="json")
        asked["q"] = self.q.casefold()
        return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


FURTHEST = {
    "page": "only the first 100 pages can be shown: add words, or choose a kind or a year",
    "size": "a page has at most 100 results",
}


def first_problem(problems: Any) -> str:
    """A validation error in one sentence."""
    problem = problems[0]
    place = [str(part) for part in problem["loc"] if part not in ("query", "path")]
    message = in_words(problem)
    if place and place[0] == "q" and problem["type"] == "missing":
        return "a query is needed: 3 to 500 characters"
    if place and place[0] in FURTHEST and problem["type"] == "less_than_equal":
        return FURTHEST[place[0]]
    return f"{place[0]}: {message}" if place and place[0] != "q" else message
