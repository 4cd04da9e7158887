"""research-app retention: look, move, bring back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from research_app.index.client import IndexUnavailableError
from research_app.retention.archive import ArchiveError
from research_app.retention.service import Outcome, Retention
from research_app.services import Services

Result = TypeVar("Result")

EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3


def make(parts: Callable[[], Services]) -> typer.Typer:
    """The command group; `parts` are made when a command runs."""
    group = typer.Typer(help="Move what nobody has used for long out of the index, and back.")

    @group.callback(invoke_without_command=True)
    def move(
        context: typer.Context,
        days: Annotated[
            int, typer.Option(min=0, help="Unused for so long; 0: what the settings say.")
        ] = 0,
        apply: Annotated[
            bool, typer.Option("--apply", help="Do it; without this it only says what it would do.")
        ] = False,
    ) -> None:
        """Move what nobody has used for so many days to an archive, and delete it from the index.

        An item whose file is still in a folder comes back when that folder is taken in again.
        """
        if context.invoked_subcommand is None:
            found = parts()
            wanted = days or found.settings.retention.days
            if not wanted:
                typer.echo("say how long with --days, or set retention.days", err=True)
                raise typer.Exit(EXIT_USAGE)
            _report(_run(found, lambda retention: _work(retention, wanted, apply)), wanted)

    @group.command()
    def restore(
        file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="An archive.")],
    ) -> None:
        """Bring an archive's items back into the index; what is there stays as it is."""
        back, there = _run(parts(), lambda retention: retention.restore(file))
        typer.echo(f"{file}: {back} items are back, {there} were there already")

    return group


async def _work(retention: Retention, days: int, apply: bool) -> Outcome:
    return await (retention.apply(days) if apply else retention.look(days))


def _report(outcome: Outcome, days: int) -> None:
    for line in outcome.oldest:
        typer.echo(line)
    typer.echo(f"{outcome.unused} items unused for {days} days")
    if outcome.path is None:
        if outcome.unused:
            typer.echo("nothing was changed: add --apply to move them to an archive")
        return
    typer.echo(
        f"{outcome.archived} archived and verified in {outcome.path};"
        f" {outcome.deleted} deleted from the index,"
        f" {outcome.kept} kept since they changed or were used meanwhile"
    )
    typer.echo(f"back again: research-app retention restore {outcome.path}")


def _run(parts: Services, work: Callable[[Retention], Awaitable[Result]]) -> Result:
    async def connected() -> Result:
        async with parts.connected():
            return await work(Retention(parts))

    try:
        return asyncio.run(connected())
    except ArchiveError as error:
        message, code = str(error), 1
    except IndexUnavailableError as error:
        message, code = f"OpenSearch: {error}", EXIT_UNAVAILABLE
    except OSError as error:
        message, code = f"{error.filename}: {error.strerror}", 1
    typer.echo(message, err=True)
    raise typer.Exit(code)
