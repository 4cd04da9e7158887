"""research-app: serve, ingest, work, check."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from research_app import __version__, logs, settings
from research_app.auth import commands as accounts
from research_app.evaluation import command as evaluation_command
from research_app.index.client import IndexUnavailableError, ensure_index
from research_app.index.quarantine import Listing, Quarantine
from research_app.ingest import Report
from research_app.intake import take
from research_app.jobs import command as jobs_command
from research_app.refusal import NotNowError
from research_app.retention import command as retention_command
from research_app.search.meaning import MeaningUnavailableError, model_files
from research_app.services import Services, build
from research_app.sources import UnknownSourceError, absolute, open_source
from research_app.sources.document import Kind, Refusal

app = typer.Typer(
    help="The research application.", no_args_is_help=True, pretty_exceptions_enable=False
)

EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3
SHOWN_REFUSALS = 50
LINE_SECONDS = 5.0


def _settings() -> settings.Settings:
    try:
        loaded = settings.load()
    except settings.SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_USAGE) from None
    try:
        if loaded.search.meaning:
            model_files(loaded.search.meaning_model)
    except MeaningUnavailableError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_USAGE) from None
    logs.configure(loaded.logging)
    return loaded


@app.command()
def serve() -> None:
    """Serve pages, API and assistant."""
    loaded = _settings()
    try:
        loaded.check_serving()
    except settings.SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_USAGE) from None
    from research_app import server  # noqa: PLC0415 - gradio takes seconds to import

    server.run(loaded)


app.add_typer(accounts.app, name="user")
app.add_typer(jobs_command.make(lambda: build(_settings())), name="jobs")
evaluation_command.install(app, _settings)
app.add_typer(retention_command.make(lambda: build(_settings())), name="retention")


class ProgressLine:
    """How far an ingest is: one line rewritten on a terminal, now and then a line in a log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.report = Report()
        self._start = self._shown = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __call__(self, report: Report) -> None:
        """Show a report, unless one was just shown."""
        self.report = report
        now = time.monotonic()
        if now - self._shown < (0.2 if self._terminal else LINE_SECONDS):
            return
        self._shown = now
        rate = report.seen / (now - self._start)
        line = f"{self._name}: {report} ({rate:,.0f}/s)"
        typer.echo(f"\r\x1b[K{line}" if self._terminal else line, nl=not self._terminal, err=True)

    def end(self) -> float:
        """Clear the line; how many seconds it took."""
        if self._terminal:
            typer.echo("\r\x1b[K", nl=False, err=True)
        return time.monotonic() - self._start


async def _ingest(parts: Services, locations: list[str], kind: Kind) -> list[Report]:
    reports = []
    async with parts.connected():
        sources = [(each, open_source(each, kind, parts.tools)) for each in locations]
        await ensure_index(parts.client, parts.settings.opensearch.index)
        for location, source in sources:
            progress = ProgressLine(location.rstrip("/").rpartition("/")[2] or location)
            try:
                # by hand it is often run since an earlier run was killed
                await take(parts, source, progress, again=True)
            except NotNowError as error:
                later = "run it again later: it goes on where it stopped"
                progress.report.refuse(Refusal(location, f"{error}; {later}"))
            finally:
                seconds = progress.end()
                _print_report(location, progress.report, seconds)
            reports.append(progress.report)
    return reports


def _print_report(location: str, report: Report, seconds: float) -> None:
    for refusal in report.refusals[:SHOWN_REFUSALS]:
        typer.echo(f"refused {refusal.source}: {refusal.reason}")
    if (more := report.refused - SHOWN_REFUSALS) > 0:
        typer.echo(f"refused {more} more")
    for mending in report.mendings[:SHOWN_REFUSALS]:
        typer.echo(f"mended {mending.source}: {mending.what}")
    typer.echo(f"{location}: {report} in {seconds:.1f} s")


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run, and turn what can go wrong outside of us into a sentence and an exit code."""
    try:
        return asyncio.run(work)
    except UnknownSourceError as error:
        message, code = str(error), EXIT_USAGE
    except IndexUnavailableError as error:
        message = f"OpenSearch: {error}. Run it again: it goes on where it stopped."
        code = EXIT_UNAVAILABLE
    typer.echo(message, err=True)
    raise typer.Exit(code)


@app.command()
def ingest(
    locations: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="A folder of anything, a PDF, JSON lines, a recording, captions (.vtt, .srt, …), a"
            " podcast's feed or its address, a video or a list of videos on YouTube.",
        ),
    ],
    kind: Annotated[
        Kind, typer.Option(help="What the documents are, where they do not say it.")
    ] = "paper",
    queue: Annotated[
        bool, typer.Option("--queue", help="Let a worker do it; every worker must see the path.")
    ] = False,
) -> None:
    """Bring documents into the library; what is there already stays as it is."""
    if queue:
        jobs_command.submit(
            build(_settings()), "ingest", [absolute(each) for each in locations], {"kind": kind}
        )
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as Ctrl-C does: in order
    reports = _run(_ingest(build(_settings()), locations, kind))
    if not any(report.taken for report in reports) and any(report.refused for report in reports):
        raise typer.Exit(1)


def age(seconds: float) -> str:
    """How long ago, as one says it."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "now"


@app.command()
def quarantine(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    dismiss: Annotated[
        str,
        typer.Option(metavar="PLACE", help="Drop a file as it is listed, or all below a folder."),
    ] = "",
) -> None:
    """List what was not taken, and why."""
    parts = build(_settings())
    held = Quarantine(parts.client, parts.settings.opensearch.index)

    async def run() -> Listing | int:
        async with parts.connected():
            return await (held.dismiss_place(dismiss) if dismiss else held.listing(limit))

    found = _run(run())
    if dismiss:
        typer.echo(f"{found} dismissed")
        raise typer.Exit(0 if found else 1)
    for entry in found.entries:
        typer.echo(f"{age(entry.age_seconds):>6}  {entry.place}: {entry.reason}")
    more = found.total - len(found.entries)
    typer.echo(f"{found.total} in quarantine" + (f", {more} not shown" if more else ""))


@app.command()
def worker(
    ping: Annotated[
        bool, typer.Option("--ping", help="Only say whether this host's worker lives.")
    ] = False,
) -> None:
    """Do the jobs that wait."""
    loaded = _settings()
    if ping:
        jobs_command.ping(build(loaded))
        return
    if not build(loaded).jobs.enabled:
        typer.echo("no cache tier is set up for jobs", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE)
    from research_app.jobs import worker as worker_process  # noqa: PLC0415 - only here

    raise typer.Exit(worker_process.run(loaded))


@app.command()
def check() -> None:
    """Check the settings and what they point to."""
    parts = build(_settings())

    async def run() -> dict[str, Any]:
        async with parts.connected():
            return await parts.health.all()

    checks = asyncio.run(run())
    for name, result in checks.items():
        mark = "ok" if result["ok"] else "FAILED"
        typer.echo(f"{name:<12}{mark:<8}{result['seconds']:>8.3f} s  {result['detail']}")
    if not all(result["ok"] for result in checks.values()):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
