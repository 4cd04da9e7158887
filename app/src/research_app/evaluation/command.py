"""research-app evaluate and research-app vectors: how well searches rank, and what helps them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from research_app.evaluation import run as evaluation
from research_app.evaluation.collection import CollectionError, read
from research_app.index.client import IndexUnavailableError
from research_app.index.vectors import complete
from research_app.intake import forget_answers
from research_app.search.meaning import Meaning, MeaningUnavailableError
from research_app.services import build
from research_app.settings import Settings

Result = TypeVar("Result")

EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3


def install(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the commands."""

    @app.command()
    def evaluate(
        collection: Annotated[
            Path,
            typer.Argument(
                metavar="DIR",
                help="corpus.jsonl, queries.jsonl, and qrels.tsv or qrels/test.tsv.",
            ),
        ],
    ) -> None:
        """Measure on a test collection how well searches rank, beside a plain search."""
        _evaluate(settings(), collection)

    @app.command()
    def vectors() -> None:
        """Give the documents that lack one their vector, for ranking by meaning."""
        _vectors(settings())


def _stop(message: str, code: int) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(code)


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except IndexUnavailableError as error:
        raise _stop(f"OpenSearch: {error}", EXIT_UNAVAILABLE) from None
    except MeaningUnavailableError as error:
        raise _stop(str(error), EXIT_USAGE) from None


def _evaluate(settings: Settings, folder: Path) -> None:
    try:
        collection = read(folder)
    except CollectionError as error:
        raise _stop(str(error), EXIT_USAGE) from None
    meaning = None
    try:
        meaning = Meaning(settings.search.meaning_model)
    except MeaningUnavailableError as error:
        typer.echo(f"by words only: {error}", err=True)

    async def work() -> dict[str, dict[str, float]]:
        parts = build(settings)
        async with parts.connected():
            return await evaluation.evaluate(settings, parts.client, collection, meaning)

    documents, questions = len(collection.documents), len(collection.questions)
    typer.echo(f"{collection.name}: {documents:,} documents, {questions:,} questions")
    typer.echo(evaluation.table(_run(work())))


def _vectors(settings: Settings) -> None:
    parts = build(settings)
    meaning = parts.meaning
    if meaning is None:
        raise _stop("search.meaning is off: no search would use them", EXIT_USAGE)

    def progress(done: int, missing: int) -> None:
        typer.echo(f"{done:,} done, {missing:,} to go", err=True)

    async def work() -> int:
        async with parts.connected():
            index = parts.settings.opensearch.index
            done = await complete(parts.client, index, meaning, progress)
            if done:
                await forget_answers(parts)
            return done

    typer.echo(f"{_run(work()):,} documents have a vector now that had none")
