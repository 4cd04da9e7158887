"""research-app jobs: what waits, what runs, what was given up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, TypeVar

import typer

from research_app.jobs.record import (
    ENDED,
    Job,
    JobsFullError,
    JobsUnavailableError,
    UnfitJobError,
)
from research_app.private_address import shown
from research_app.report import lines
from research_app.services import Services

Result = TypeVar("Result")

EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3
WATCH_SECONDS = 1.0


def make(parts: Callable[[], Services]) -> typer.Typer:
    """The command group; `parts` are made when a command runs."""
    group = typer.Typer(help="Work that waits, runs, or was given up.", no_args_is_help=False)

    @group.callback(invoke_without_command=True)
    def default(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            show_list()

    @group.command("list")
    def show_list(
        limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 50,
    ) -> None:
        """Print the newest jobs."""
        for job in run(parts(), lambda found: found.jobs.list_jobs(limit)):
            typer.echo(line(job))

    @group.command()
    def show(
        identity: Annotated[str, typer.Argument(metavar="ID")],
        watch: Annotated[bool, typer.Option("--watch", help="Go on until it has ended.")] = False,
    ) -> None:
        """Print one job."""
        found = parts()

        async def follow(services: Services) -> Job:
            while True:
                job = await services.jobs.job(identity)
                if job is None:
                    raise UnfitJobError(f"there is no job {identity}")
                if not watch or job.state in ENDED:
                    return job
                typer.echo(line(job), err=True)
                await asyncio.sleep(WATCH_SECONDS)

        job = run(found, follow)
        for name, value in job.model_dump(exclude={"unsent", "kinds", "unread"}).items():
            typer.echo(f"{name:<10}{stamp(value) if name in ('created', 'updated') else value}")
        for each in lines(job.kinds, job.unread):
            typer.echo(each)
        if job.state in ("failed", "dead"):
            raise typer.Exit(1)

    @group.command()
    def retry(identity: Annotated[str, typer.Argument(metavar="ID")]) -> None:
        """Do a job again that failed or was given up."""
        typer.echo(line(run(parts(), lambda found: found.jobs.retry(identity))))

    return group


def submit(parts: Services, kind: str, arguments: list[str], options: dict[str, str]) -> None:
    """Queue jobs and print them."""

    async def all_of_them(found: Services) -> list[Job]:
        return [await found.jobs.submit(kind, what, "", options) for what in arguments]

    for job in run(parts, all_of_them):
        typer.echo(line(job))


def ping(parts: Services) -> None:
    """Say whether this host's worker lives."""
    name = socket.gethostname()
    workers = run(parts, lambda found: found.jobs.store.workers())
    if name not in workers:
        typer.echo(f"no worker of {name} has said lately that it lives", err=True)
        raise typer.Exit(1)
    word = workers[name]
    typer.echo(f"{name}: worker {word['pid']}, {time.time() - word['at']:.0f} s ago")


def run(parts: Services, work: Callable[[Services], Awaitable[Result]]) -> Result:
    """Connect, work, and turn what can go wrong into a sentence and an exit code."""

    async def connected() -> Result:
        async with parts.connected():
            return await work(parts)

    with _in_words():
        return asyncio.run(connected())


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except UnfitJobError as error:
        message, code = str(error), EXIT_USAGE
    except JobsFullError:
        message, code = "too many jobs wait already", EXIT_UNAVAILABLE
    except JobsUnavailableError as error:
        message, code = f"the queue does not answer: {error}", EXIT_UNAVAILABLE
    else:
        return
    typer.echo(message, err=True)
    raise typer.Exit(code)


def stamp(seconds: float) -> str:
    """A time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def line(job: Job) -> str:
    """One job in one line."""
    return (
        f"{job.id}  {stamp(job.created)}  {job.state:<8}{job.kind} {shown(job.argument)}"
        f"  {job.seen} seen, {job.new} new, {job.refused} refused  {job.message}"
    ).rstrip()
