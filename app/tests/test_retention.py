"""What nobody has used for long: archived, verified, deleted, and brought back."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from conftest import Site, make_settings
from opensearchpy import OpenSearch

from research_app.index import usage as usage_module
from research_app.index.client import IndexUnavailableError, ensure_index
from research_app.index.usage import Usage
from research_app.retention import archive
from research_app.retention.archive import ArchiveError, ArchiveWriter
from research_app.retention.service import BATCH, Outcome, Retention
from research_app.services import Services, build
from research_app.settings import Settings

Result = TypeVar("Result")
HEAD = {"index": "i", "at": "2026-01-01T00:00:00+00:00", "days": 1}


def write(path: Path, count: int = 3) -> Path:
    with ArchiveWriter(path, HEAD) as writer:
        for n in range(count):
            writer.add(f"item-{n}", {"title": f"Title {n}", "vector": [0.5, n]})
    return path


def test_an_archive_holds_what_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "archive" / "a.jsonl.gz")
    assert archive.verify(path) == 3
    assert list(archive.read(path))[2] == ("item-2", {"title": "Title 2", "vector": [0.5, 2]})
    assert [file.name for file in path.parent.iterdir()] == ["a.jsonl.gz"]


def test_an_archive_of_nothing_is_none(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl.gz", 0)
    assert not list(tmp_path.iterdir())


def test_an_archive_that_is_not_finished_is_none(tmp_path: Path) -> None:
    def stop_half_way() -> None:
        with ArchiveWriter(tmp_path / "a.jsonl.gz", HEAD) as writer:
            writer.add("1", {})
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stop_half_way()
    assert not list(tmp_path.iterdir())


def damaged(lines: list[bytes]) -> dict[str, list[bytes]]:
    return {
        "has no end": lines[:-1],
        "is damaged": [lines[0], lines[2], *lines[3:]],
        "goes on after its end": [*lines, lines[1]],
        "is no archive": lines[1:],
        "cannot be read": [lines[0], b"not json\n", *lines[1:]],
    }


@pytest.mark.parametrize("said", ["has no end", "is damaged", "goes on", "is no", "cannot be"])
def test_a_damaged_archive_gives_nothing(tmp_path: Path, said: str) -> None:
    path = write(tmp_path / "a.jsonl.gz")
    with gzip.open(path) as stream:
        versions = damaged(stream.readlines())
    (lines,) = (value for name, value in versions.items() if name.startswith(said))
    with gzip.open(path, "wb") as stream:
        stream.writelines(lines)
    with pytest.raises(ArchiveError, match=said):
        next(archive.read(path))


def test_bytes_that_are_lost_or_turned(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", 500)
    content = path.read_bytes()
    half = len(content) // 2
    for broken in (
        content[:half],
        content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :],
        b"plain text",
        b"",
    ):
        path.write_bytes(broken)
        with pytest.raises(ArchiveError):
            archive.verify(path)


def test_a_use_is_written_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[dict[str, str]] = []
    usage = Usage(None, "i")  # type: ignore[arg-type]

    async def mark(times: dict[str, str]) -> None:
        written.append(times)

    monkeypatch.setattr(usage, "mark", mark)
    for name in ("a", "b", "a"):
        usage.used(name)
    asyncio.run(usage.write())
    usage.used("a")
    asyncio.run(usage.write())
    assert [sorted(times) for times in written] == [["a", "b"]]
    usage._day -= timedelta(days=1)
    usage.used("a")
    asyncio.run(usage.write())
    assert [sorted(times) for times in written] == [["a", "b"], ["a"]]


def test_a_use_that_cannot_be_written_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = Usage(None, "i")  # type: ignore[arg-type]
    failing = True
    written: list[dict[str, str]] = []

    async def mark(times: dict[str, str]) -> None:
        if failing:
            raise IndexUnavailableError("no node answers")
        written.append(times)

    monkeypatch.setattr(usage, "mark", mark)
    usage.used("a")
    asyncio.run(usage.write())
    failing = False
    asyncio.run(usage.write())
    assert [sorted(times) for times in written] == [["a"]]


def test_items_that_are_opened_are_used(site: Site) -> None:
    site.search.items = {"10.1/x": {"title": "T", "kind": "paper"}}
    seen: list[str] = []
    fake, real = Usage(None, "i"), site.services.usage  # type: ignore[arg-type]
    fake.used = seen.append  # type: ignore[method-assign]
    object.__setattr__(site.services, "usage", fake)
    try:
        site.get("/api/items/10.1/x")
        site.get("/items/10.1/x")
        site.get("/items/none")
        site.get("/?q=anything")
    finally:
        object.__setattr__(site.services, "usage", real)
    assert seen == ["10.1/x", "10.1/x"]


class Library:
    """An index of its own with items of different ages."""

    def __init__(self, folder: Path, url: str) -> None:
        self.name = f"retention-test-{uuid.uuid4().hex[:8]}"
        self.settings: Settings = make_settings(
            opensearch={"urls": [url], "index": self.name, "timeout_seconds": 60},
            library={"directory": str(folder)},
        )
        self.client = OpenSearch(url, timeout=60)

    def run(self, work: Callable[[Services, Retention], Awaitable[Result]]) -> Result:
        async def connected() -> Result:
            parts = build(self.settings)
            async with parts.connected():
                return await work(parts, Retention(parts))

        return asyncio.run(connected())

    def fill(self, ages: dict[str, int], **more: Any) -> None:
        self.run(lambda parts, _: ensure_index(parts.client, self.name))
        body = b""
        for name, days in ages.items():
            at = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
            fields = {"title": f"Title of {name}", "kind": "paper", "ingested_at": at}
            fields |= more
            body += orjson.dumps({"index": {"_id": name}}) + b"\n" + orjson.dumps(fields) + b"\n"
        assert not self.client.bulk(body=body, index=self.name, refresh=True)["errors"]

    def use(self, name: str, days: int) -> None:
        at = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
        self.run(lambda parts, _: parts.usage.mark({name: at}))

    def items(self) -> dict[str, Any]:
        self.client.indices.refresh(index=self.name)
        hits = self.client.search(index=self.name, body={"size": 1000, "version": True})
        return {hit["_id"]: hit["_source"] for hit in hits["hits"]["hits"]}

    def close(self) -> None:
        self.client.indices.delete(index=f"{self.name}*", ignore_unavailable=True)
        self.client.close()


@pytest.fixture
def library(
    tmp_path: Path, opensearch_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Library]:
    monkeypatch.setattr("research_app.retention.service.SETTLE_SECONDS", 0)
    made = Library(tmp_path, opensearch_url)
    yield made
    made.close()


@pytest.mark.integration
def test_unused_items_go_to_an_archive_and_come_back(library: Library) -> None:
    library.fill({"old": 400, "older": 500, "new": 3, "used": 450, "used-long-ago": 450})
    library.use("used", 10)
    library.use("used-long-ago", 380)
    before = library.items()
    looked = library.run(lambda _, retention: retention.look(365))
    assert looked.unused == 3
    assert looked.oldest[0] == "older  Title of older"
    assert library.items() == before
    assert not (library.settings.library.directory / "archive").exists()

    done = library.run(lambda _, retention: retention.apply(365))
    assert (done.archived, done.deleted, done.kept) == (3, 3, 0)
    assert sorted(library.items()) == ["new", "used"]
    path = done.path
    assert path is not None
    assert {name for name, _ in archive.read(path)} == {"old", "older", "used-long-ago"}
    again = library.run(lambda _, retention: retention.apply(365))
    assert (again.archived, again.path) == (0, None)

    assert library.run(lambda _, retention: retention.restore(path)) == (3, 0)
    assert library.items() == before
    assert library.run(lambda _, retention: retention.restore(path)) == (0, 3)
    # what was brought back counts as used now, or it would go again at once
    assert library.run(lambda _, retention: retention.look(365)).unused == 0


@pytest.mark.integration
def test_more_than_fit_into_one_request(library: Library) -> None:
    count = 2 * BATCH + 7
    library.fill({f"item-{n:04}": 400 for n in range(count)})
    done = library.run(lambda _, retention: retention.apply(30))
    assert (done.archived, done.deleted) == (count, count)
    assert library.items() == {}
    path = done.path
    assert path is not None
    assert library.run(lambda _, retention: retention.restore(path)) == (count, 0)
    assert len(library.items()) == count


@pytest.mark.integration
def test_what_changes_or_is_used_meanwhile_stays(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.fill({"changed": 400, "used": 400, "gone": 400, "unused": 400})
    real = archive.verify

    def meanwhile(path: Path) -> int:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        library.client.update(index=library.name, id="changed", body={"doc": {"title": "Other"}})
        library.client.delete(index=library.name, id="gone")
        library.client.index(index=f"{library.name}-usage", id="used", body={"last_used": now})
        return real(path)

    monkeypatch.setattr(archive, "verify", meanwhile)
    done = library.run(lambda _, retention: retention.apply(365))
    assert (done.archived, done.deleted, done.kept) == (4, 1, 3)
    assert sorted(library.items()) == ["changed", "used"]


@pytest.mark.integration
def test_an_item_whose_file_is_read_stays(library: Library) -> None:
    read, other = f"{'a' * 64}.pdf", f"{'b' * 64}.pdf"
    library.fill({"read": 400}, file=read)
    library.fill({"not read": 400}, file=other)
    library.use(read, 10)
    library.use(other, 390)
    done = library.run(lambda _, retention: retention.apply(365))
    assert (done.archived, done.deleted) == (1, 1)
    assert sorted(library.items()) == ["read"]


@pytest.mark.integration
def test_what_a_reader_opened_just_before_is_waited_for(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.fill({"open": 400, "unused": 400})

    async def work(parts: Services, retention: Retention) -> Outcome:
        web = build(library.settings)
        async with web.connected():
            web.usage.used("open")  # in another process, which has not written it yet
            writing = asyncio.create_task(web.usage.keep_writing())
            done = await retention.apply(365)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        return done

    monkeypatch.setattr(usage_module, "WRITE_SECONDS", 0.2)
    monkeypatch.setattr("research_app.retention.service.SETTLE_SECONDS", 2)
    done = library.run(work)
    assert (done.archived, done.deleted, done.kept) == (2, 1, 1)
    assert sorted(library.items()) == ["open"]


@pytest.mark.integration
def test_an_entry_speaks_for_its_whole_day(library: Library) -> None:
    """A process writes a use once a day: of the first one, when the last was at night."""
    library.fill({"used": 400})
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    written = (midnight - timedelta(days=30)).isoformat(timespec="seconds")
    library.run(lambda parts, _: parts.usage.mark({"used": written}))
    assert library.run(lambda _, retention: retention.look(30)).unused == 0
    assert library.run(lambda _, retention: retention.look(29)).unused == 1


@pytest.mark.integration
@pytest.mark.parametrize("broken", ["usage.mark", "client.bulk", "client.indices.refresh"])
def test_a_restore_that_was_interrupted_is_done_again(library: Library, broken: str) -> None:
    library.fill({"old": 400})
    path = library.run(lambda _, retention: retention.apply(365)).path
    assert path is not None

    async def interrupted(parts: Services, retention: Retention) -> None:
        async def fail(*_: Any, **__: Any) -> None:
            raise IndexUnavailableError("no node answers")

        part: Any = parts
        *names, last = broken.split(".")
        for name in names:
            part = getattr(part, name)
        real = getattr(part, last)

        async def after_it(*given: Any, **options: Any) -> None:
            await real(*given, **options)
            await fail()

        setattr(part, last, fail if broken == "usage.mark" else after_it)
        with pytest.raises(IndexUnavailableError):
            await retention.restore(path)

    async def again(parts: Services, retention: Retention) -> tuple[int, bool]:
        forgotten = False

        async def forget() -> None:
            nonlocal forgotten
            forgotten = True

        parts.cache.new_generation = forget  # type: ignore[method-assign]
        await retention.restore(path)
        return (await retention.look(365)).unused, forgotten

    library.run(interrupted)
    assert library.run(again) == (0, True)
    assert sorted(library.items()) == ["old"]


@pytest.mark.integration
def test_nothing_is_deleted_when_the_archive_is_not_whole(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.fill({"old": 400})
    monkeypatch.setattr(archive, "verify", lambda _: 0)
    with pytest.raises(ArchiveError):
        library.run(lambda _, retention: retention.apply(365))
    assert sorted(library.items()) == ["old"]


@pytest.mark.integration
def test_uses_are_read_as_they_were_written(library: Library) -> None:
    async def work(parts: Services, _: Retention) -> dict[str, datetime]:
        assert await parts.usage.last_used(["a"]) == {}
        parts.usage.used("a")
        await parts.usage.write()
        found = await parts.usage.last_used(["a", "b"])
        await parts.usage.forget(["a"])
        assert await parts.usage.last_used(["a"]) == {}
        return found

    found = library.run(work)
    assert list(found) == ["a"]
    assert datetime.now(UTC) - found["a"] < timedelta(minutes=1)
    assert usage_module.SUFFIX == "-usage"
