"""Against a real OpenSearch and a real Redis or Valkey."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import unicodedata
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import make_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from pdfs import bars, drawn, encrypted, pdf, words
from pydantic import ValidationError

from research_app import intake
from research_app.index.client import IndexUnavailableError, ensure_index
from research_app.index.edition import UNKNOWN, Edition, renew
from research_app.index.mapping import index_body
from research_app.index.quarantine import BODY, Quarantine
from research_app.ingest import Ingest
from research_app.jobs import handlers
from research_app.jobs.record import Job
from research_app.report import Report
from research_app.search.query import SearchQuery
from research_app.services import Services, build
from research_app.sources import open_source
from research_app.sources.document import Candidate, Refusal, RefusedError, Source

pytestmark = pytest.mark.integration

PAPERS: list[dict[str, Any]] = [
    {
        "id": "zebra-1",
        "title": "Counting Zebras from the Air",
        "abstract": "We count zebras in aerial photographs with convolutional networks.",
        "authors": ["Ana Müller", "Bo Li"],
        "year": 2019,
        "venue": "Journal of Wildlife",
    },
    {
        "id": "zebra-2",
        "title": "Stripes",
        "abstract": "The aerial survey found that each zebra's stripes are unique & < 5 % alike.",
        "authors": ["Bo Li"],
        "year": 2021,
        "venue": "Proceedings of Patterns",
    },
    {"id": "rust/1", "title": "Memory safety without garbage collection", "year": 2021},
    {"id": "talk", "kind": "video", "title": "A talk on zebras", "abstract": "One hour."},
]


@pytest.fixture
def library(opensearch_url: str, redis_url: str, tmp_path: Path) -> Iterator[Services]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    settings = make_settings(
        opensearch={"urls": [opensearch_url], "index": name},
        cache={"enabled": True, "url": redis_url, "prefix": f"{name}:"},
        library={"directory": str(tmp_path / "library")},
    )
    parts = build(settings)
    yield parts

    async def remove() -> None:
        client = build(settings).client
        await client.indices.delete(index=f"{name}*", ignore_unavailable=True)
        await client.close()

    asyncio.run(remove())


@asynccontextmanager
async def opened(parts: Services) -> AsyncIterator[Services]:
    async with parts.connected():
        await ensure_index(parts.client, parts.settings.opensearch.index)
        yield parts


async def take(parts: Services, path: Path) -> Report:
    return await intake.take(parts, open_source(path, "paper"), lambda _: None)


def play(parts: Services, scenario: Callable[[Services], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(parts):
            await scenario(parts)

    asyncio.run(run())


def papers(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "papers.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records or PAPERS))
    return path


async def ids(parts: Services, q: str, **fields: Any) -> list[str]:
    found = await parts.search.results(SearchQuery(q=q, **fields))
    return [result["id"] for result in found["results"]]


def test_the_index_is_created_once(library: Services) -> None:
    async def scenario(parts: Services) -> None:
        name = parts.settings.opensearch.index
        assert not await ensure_index(parts.client, name)
        await parts.client.indices.delete(index=name)
        made = await asyncio.gather(*(ensure_index(parts.client, name) for _ in range(5)))
        assert sum(made) == 1

    play(library, scenario)


def test_an_index_of_an_earlier_release_learns_new_fields(library: Services) -> None:
    async def scenario(parts: Services) -> None:
        name = parts.settings.opensearch.index
        await parts.client.indices.delete(index=name)
        old = index_body()
        del old["mappings"]["properties"]["passages"]
        await parts.client.indices.create(index=name, body=old)
        await renew(parts.client, name)
        edition = await Edition(parts.client, name).current()
        await ensure_index(parts.client, name)
        found = await parts.client.indices.get_mapping(index=name)
        assert found[name]["mappings"]["properties"]["passages"]["type"] == "nested"
        assert await Edition(parts.client, name).current() == edition

    play(library, scenario)


def test_searches(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        assert (await take(parts, papers(tmp_path))).new == 4
        assert (await ids(parts, "zebra"))[0] in {"zebra-1", "talk"}
        assert set(await ids(parts, "zebras")) == {"zebra-1", "zebra-2", "talk"}
        assert await ids(parts, "counts zebra photograph") == ["zebra-1"]
        assert await ids(parts, "muller zebra") == ["zebra-1"]  # author and topic, no umlaut
        assert await ids(parts, "garbage collection") == ["rust/1"]
        assert await ids(parts, "zebra", kind=("video",)) == ["talk"]
        assert await ids(parts, "zebra", year=2021) == ["zebra-2"]
        assert await ids(parts, "zebra", year_to=2020) == ["zebra-1"]
        assert await ids(parts, "zebra", author=("Bo Li",), sort="newest") == ["zebra-2", "zebra-1"]
        assert await ids(parts, "zebra", author=("Bo Li",), sort="oldest") == ["zebra-1", "zebra-2"]
        assert await ids(parts, "zebra", page=2, size=2, sort="newest") == ["talk"]
        assert await ids(parts, "the of and") == []
        assert await ids(parts, "giraffe") == []

    play(library, scenario)


def test_a_word_weighs_the_same_in_whatever_field_it_stands(
    library: Services, tmp_path: Path
) -> None:
    """A lecture among many papers: more abstracts have its words than there are lectures."""
    abstracts = [
        {"id": f"p{n}", "title": f"Paper {n}", "abstract": f"We ask {n} readers in one country."}
        for n in range(60)
    ]
    (tmp_path / "lecture.vtt").write_text(
        "WEBVTT\n\n00:00.000 --> 00:09.000\n"
        "Ask not what your country can do, ask for your country.\n"
    )

    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path, *abstracts))
        await take(parts, tmp_path / "lecture.vtt")
        found = (await parts.search.results(SearchQuery(q="ask country")))["results"]
        assert found[0]["kind"] == "video", [result["title"] for result in found[:3]]

    play(library, scenario)


def test_facets_and_highlights(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        found = await parts.search.results(SearchQuery(q="zebra stripes", kind=("paper",)))
        assert found["facets"]["kind"] == [{"value": "paper", "count": 1}]
        (result,) = found["results"]
        assert result["highlights"]["title"] == ["<mark>Stripes</mark>"]
        (passage,) = result["highlights"]["abstract"]
        assert "<mark>zebra&#39;s stripes</mark>" in passage
        assert "unique &amp; &lt; 5 %" in passage
        found = await parts.search.results(SearchQuery(q="zebra", kind=("video",)))
        assert found["facets"]["kind"] == [
            {"value": "paper", "count": 2},
            {"value": "video", "count": 1},
        ]
        assert found["facets"]["year"] == []

    play(library, scenario)


def test_passages_for_an_answer(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        found = await parts.search.passages("How are zebras counted in photographs?", 5)
        assert found[0].item_id == "zebra-1"
        assert found[0].text.startswith("We count zebras")
        assert await parts.search.passages("Where do giraffes sleep?", 5) == []
        with pytest.raises(ValueError, match="3 to 500"):
            await parts.search.passages("?", 5)

    play(library, scenario)


def test_similar_items(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        found = await parts.search.similar("zebra-1", 5)
        assert {result["id"] for result in found} == {"zebra-2", "talk"}
        assert "Stripes" in {result["title"] for result in found}
        assert len(await parts.search.similar("zebra-1", 1)) == 1
        assert await parts.search.similar("none/such", 5) == []

    play(library, scenario)


def test_a_lecture_leads_to_papers(library: Services, tmp_path: Path) -> None:
    """Its words are in what is said, a paper's in the abstract."""
    (tmp_path / "lecture.vtt").write_text(
        "WEBVTT\n\n00:00.000 --> 00:09.000\nWe photograph zebras from the air, and count them.\n"
    )

    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        await take(parts, tmp_path / "lecture.vtt")
        (lecture,) = await ids(parts, "photograph", kind=("video",))
        alike = [result["id"] for result in await parts.search.similar(lecture, 5)]
        assert "zebra-1" in alike
        assert lecture not in alike

    play(library, scenario)


def test_did_you_mean(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))

        async def suggestion(words: str) -> str | None:
            found: str | None = (await parts.search.results(SearchQuery(q=words)))["suggestion"]
            return found

        assert await suggestion("Garbige colection") == "garbage collection"
        assert await suggestion("garbage collection") is None
        assert await suggestion("qwertyuiop") is None
        assert await suggestion("<zebrsa> & …") == "<zebras> & …"

    play(library, scenario)


def test_titles_in_their_order(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        assert await ids(parts, "zebra", sort="title") == ["talk", "zebra-1", "zebra-2"]

    play(library, scenario)


def words_of(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text).casefold()
    return re.findall(r"\w+", "".join(c for c in plain if not unicodedata.combining(c)))


# as far as stemming leaves them alone
BEGINNINGS = {word[:4] for word in words_of(json.dumps(PAPERS, ensure_ascii=False))}


def is_known(word: str) -> bool:
    return word[:4] in BEGINNINGS


QUERIES = [
    "p < 0.05; x--y",
    'a "b c',
    "title:(x OR",
    "* AND ?",
    "\\\\\\",
    "{{7*7}}",
    "../../etc/passwd",
    "a" * 500,
    "zebra " * 80,
    "🦓🦓🦓",
    "\u202ezebra",
    "NOT zebra -stripes +rust",
    "zebra~2 zeb*",
    "[2019 TO 2021]",
]


def test_queries_are_data(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        for asked in QUERIES:
            await parts.search.results(SearchQuery(q=asked))
        assert await ids(parts, "zebra*") == await ids(parts, "zebra")
        assert "zebra-1" in await ids(parts, "NOT zebra")

    play(library, scenario)


ANYTHING = st.one_of(
    st.text(min_size=3, max_size=60),
    st.text('zebra~*?:"()[]{}<>!^+-&|/\\ .AND', min_size=3, max_size=80),
    st.lists(st.sampled_from(QUERIES), min_size=1, max_size=3).map(" ".join),
)


def test_no_text_is_an_error_or_a_command(library: Services, tmp_path: Path) -> None:
    """Whatever is asked, the index answers; and nothing that a query language knows does more."""

    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        loop = asyncio.get_running_loop()

        async def answers(query: SearchQuery) -> None:
            found = await parts.search.results(query)
            assert not found["partial"]
            # OR, NOT, * and the like would find documents that have none of the words
            if not any(is_known(word) for word in words_of(query.q)):
                assert found["total"] == 0
            await parts.search.passages(query.q, 3)

        @settings(max_examples=60, deadline=None, derandomize=True)
        @given(ANYTHING)
        def ask(words: str) -> None:
            try:
                query = SearchQuery(q=words)
            except ValidationError:
                return
            asyncio.run_coroutine_threadsafe(answers(query), loop).result(30)

        await asyncio.to_thread(ask)

    play(library, scenario)


def test_items(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        found = await parts.search.item("rust/1")
        assert found is not None
        assert found["title"] == "Memory safety without garbage collection"
        assert found["authors"] == []
        assert "content_hash" not in found
        for nobody in ("none", "../_search", "a?b", "_doc"):
            assert await parts.search.item(nobody) is None
        overview = await parts.search.overview()
        assert overview["total"] == 4

    play(library, scenario)


def test_ingest_again_and_after_a_change(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        assert str(await take(parts, papers(tmp_path))) == "0 new, 4 unchanged, 0 refused"
        changed = [PAPERS[0] | {"title": "Counting Giraffes"}, *PAPERS[1:]]
        report = await take(parts, papers(tmp_path, *changed))
        assert (report.new, report.changed, report.unchanged) == (0, 1, 3)
        assert await ids(parts, "giraffe") == ["zebra-1"]

    play(library, scenario)


def test_a_document_for_which_the_index_refuses_the_request_stops_no_other(
    library: Services,
) -> None:
    async def load(_: Any) -> dict[str, Any]:
        return {"kind": "paper", "title": "T"}

    async def scenario(parts: Services) -> None:
        candidates = [
            Candidate(name, "paper", name[:9], "0", load) for name in ("first", "x" * 513, "last")
        ]
        ingest = Ingest(parts.client, parts.settings.opensearch.index, parts.files)
        report = await ingest.run(Source(iter(candidates), len(candidates)))
        assert (report.new, [refusal.source for refusal in report.refusals]) == (2, ["x" * 9])
        assert "Validation Failed" in report.refusals[0].reason

    play(library, scenario)


def test_what_is_new_is_found_at_once(library: Services, tmp_path: Path) -> None:
    """Also by a second node, whose answers come from the cache."""

    async def scenario(parts: Services) -> None:
        other = build(parts.settings)
        async with other.connected():
            await take(parts, papers(tmp_path, *PAPERS[:1]))
            for node in (parts, other):
                assert await ids(node, "zebra") == ["zebra-1"]
            await take(parts, papers(tmp_path, *PAPERS[:2]))
            for node in (other, parts):
                assert set(await ids(node, "zebra")) == {"zebra-1", "zebra-2"}

    play(library, scenario)


def test_what_a_run_wrote_before_it_failed_is_found(library: Services, tmp_path: Path) -> None:
    """The index does not refresh itself for long, and the answer from before is in the cache."""

    async def scenario(parts: Services) -> None:
        index = parts.settings.opensearch.index
        await parts.client.indices.put_settings(
            index=index, body={"index": {"refresh_interval": "1h"}}
        )
        assert await ids(parts, "zebra") == []
        written = threading.Event()

        def failing() -> Iterator[Candidate | Refusal]:
            yield from open_source(papers(tmp_path), "paper").candidates
            assert written.wait(30)
            raise RefusedError("the disk is gone")

        def progress(report: Report) -> None:
            if report.wrote:
                written.set()

        with pytest.raises(RefusedError):
            await intake.take(parts, Source(failing(), len(PAPERS)), progress)
        assert set(await ids(parts, "zebra")) == {"zebra-1", "zebra-2", "talk"}

    play(library, scenario)


def test_what_a_killed_run_wrote_is_found_when_it_is_done_again(
    library: Services, tmp_path: Path
) -> None:
    async def scenario(parts: Services) -> None:
        assert await ids(parts, "zebra") == []
        path = papers(tmp_path)
        index = parts.settings.opensearch.index
        await Ingest(parts.client, index, parts.files).run(open_source(path, "paper"))
        # here the process is killed: nobody tells the cache
        again = Job(kind="ingest", argument=str(path), attempts=2)
        report = await handlers.ingest(parts, again, lambda _: None)
        assert not report.wrote
        assert set(await ids(parts, "zebra")) == {"zebra-1", "zebra-2", "talk"}

    play(library, scenario)


def test_many_nodes_ask_the_index_once(
    library: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty readers on three nodes want the same: one of the nodes searches."""
    # Who has waited for a second asks itself: a server that has just started may need as long.
    monkeypatch.setattr("research_app.cache.WAIT_SECONDS", 8.0)

    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        nodes = [build(parts.settings) for _ in range(3)]
        asked: list[str] = []
        for node in nodes:
            request = node.search._request

            async def counted(*given: Any, ask: Any = request) -> Any:
                asked.append("once")
                return await ask(*given)

            node.search._request = counted  # type: ignore[method-assign]
        async with contextlib.AsyncExitStack() as stack:
            for node in nodes:
                await stack.enter_async_context(node.connected())
            found = await asyncio.gather(*(ids(node, "zebra") for node in nodes * 10))
        assert len({tuple(answer) for answer in found}) == 1
        assert len(asked) == 1

    play(library, scenario)


def test_answers_come_from_the_cache(library: Services, tmp_path: Path) -> None:
    async def scenario(parts: Services) -> None:
        await take(parts, papers(tmp_path))
        first = await ids(parts, "zebra")
        await parts.client.indices.delete(index=parts.settings.opensearch.index)
        assert await ids(parts, "zebra") == first
        with pytest.raises(IndexUnavailableError):
            await ids(parts, "stripes")

    play(library, scenario)


def test_editions(library: Services) -> None:
    async def scenario(parts: Services) -> None:
        name = parts.settings.opensearch.index
        assert await Edition(parts.client, name).current() == UNKNOWN
        await renew(parts.client, name)
        first = await Edition(parts.client, name).current()
        await renew(parts.client, name)
        assert len({UNKNOWN, first, await Edition(parts.client, name).current()}) == 3
        mapping = await parts.client.indices.get_mapping(index=name)
        assert mapping[name]["mappings"]["dynamic"] == "strict"

    play(library, scenario)


def test_checks(library: Services) -> None:
    async def scenario(parts: Services) -> None:
        checks = await parts.health.all()
        assert all(check["ok"] for check in checks.values()), checks
        await parts.client.indices.delete(index=parts.settings.opensearch.index)
        assert not (await parts.health.ready())["ok"]

    play(library, scenario)


def test_what_is_refused_stays_in_quarantine_until_it_is_taken(
    library: Services, tmp_path: Path
) -> None:
    folder, neighbour = tmp_path / "a", tmp_path / "ab"
    for place in (folder, neighbour):
        place.mkdir()
        (place / "empty.pdf").write_bytes(b"")
    (folder / "text.pdf").write_bytes(b"hello")
    lines = folder.parent / "p.jsonl"
    lines.write_text('{"id": "1"}\n{"id": "2"}\n')

    async def scenario(parts: Services) -> None:
        quarantine = Quarantine(parts.client, parts.settings.opensearch.index)

        async def held() -> dict[str, str]:
            found = await quarantine.listing()
            assert found.total == len(found.entries)
            return {str(Path(e.place).relative_to(tmp_path)): e.reason for e in found.entries}

        assert await held() == {}
        for path in (folder, neighbour, lines):
            await take(parts, path)
        whole = {
            "a/empty.pdf": "the file is empty",
            "a/text.pdf": "not a PDF, whatever its name says",
            "ab/empty.pdf": "the file is empty",
            "p.jsonl:1": "no title",
            "p.jsonl:2": "no title",
        }
        assert await held() == whole
        first = {entry.id: entry.since for entry in (await quarantine.listing()).entries}
        await asyncio.sleep(1)
        await take(parts, folder)
        again = (await quarantine.listing()).entries
        assert {entry.id: entry.since for entry in again} == first
        assert {entry.at > entry.since for entry in again} == {True, False}

        (folder / "empty.pdf").write_bytes(pdf("words"))  # mended
        (folder / "text.pdf").unlink()  # gone
        lines.write_text('{"id": "1", "title": "T"}\n')
        await take(parts, folder)
        await take(parts, lines)
        assert await held() == {"ab/empty.pdf": "the file is empty"}

    play(library, scenario)


def test_what_is_refused_can_be_dismissed(library: Services, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    for name in ("one.pdf", "two.pdf", "three.pdf"):
        (folder / name).write_bytes(b"")

    async def scenario(parts: Services) -> None:
        quarantine = Quarantine(parts.client, parts.settings.opensearch.index)
        assert await quarantine.dismiss("none") == 0
        await take(parts, folder)
        entries = {Path(e.place).name: e for e in (await quarantine.listing()).entries}
        assert await quarantine.dismiss(entries["one.pdf"].id) == 1
        assert await quarantine.dismiss_place(entries["two.pdf"].place) == 1
        assert await quarantine.forget_older(str(folder), timedelta(days=1)) == 0
        assert [e.id for e in (await quarantine.listing()).entries] == [entries["three.pdf"].id]
        assert await quarantine.forget_older(str(tmp_path / "b"), timedelta(days=-1)) == 0
        # and what is marked, which goes with the rest
        assert await quarantine.forget_older(str(folder), timedelta(days=-1)) == 2
        await take(parts, folder)
        assert await quarantine.dismiss_place(str(folder)) == 3

    play(library, scenario)


def test_what_is_dismissed_is_listed_again_when_it_is_refused_again(
    library: Services, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "one.pdf").write_bytes(b"")
    (tmp_path / "b" / "two.pdf").write_bytes(pdf("Any text of a paper"))

    async def scenario(parts: Services) -> None:
        quarantine = Quarantine(parts.client, parts.settings.opensearch.index)
        await take(parts, tmp_path / "a")
        (entry,) = (await quarantine.listing()).entries
        await quarantine.dismiss(entry.id)
        assert (await quarantine.listing()).total == 0
        await take(parts, tmp_path / "a")
        assert (await quarantine.listing()).total == 1
        await quarantine.dismiss(entry.id)
        await take(parts, tmp_path / "b")  # any ingest deletes what is marked
        assert (await parts.client.count(index=quarantine.index))["count"] == 0

    play(library, scenario)


def test_an_index_of_an_earlier_release_learns_what_dismissed_is(
    library: Services, tmp_path: Path
) -> None:
    (tmp_path / "one.pdf").write_bytes(b"")

    async def scenario(parts: Services) -> None:
        quarantine = Quarantine(parts.client, parts.settings.opensearch.index)
        fields = {k: v for k, v in BODY["mappings"]["properties"].items() if k != "dismissed"}
        earlier = {"mappings": {"dynamic": "strict", "properties": fields}}
        await parts.client.indices.create(
            index=quarantine.index, body=earlier, params={"request_timeout": 60}
        )
        await take(parts, tmp_path)
        (entry,) = (await quarantine.listing()).entries
        assert await quarantine.dismiss(entry.id) == 1

    play(library, scenario)


def test_a_refusal_that_cannot_be_written_is_said_and_fails_no_ingest(
    library: Services, tmp_path: Path
) -> None:
    (tmp_path / "empty.pdf").write_bytes(b"")

    async def scenario(parts: Services) -> None:
        quarantine = Quarantine(parts.client, parts.settings.opensearch.index)
        await take(parts, tmp_path)
        blocked = {"index.blocks.write": True}
        await parts.client.indices.put_settings(index=quarantine.index, body=blocked)
        (tmp_path / "one.jsonl").write_text('{"id": "1", "title": "One"}\n')
        report = await take(parts, tmp_path)
        assert (report.new, report.refused) == (1, 1)
        assert "the quarantine is not up to date (the quarantine cannot be written" in str(report)

    play(library, scenario)


def test_a_figure_is_found_by_its_caption_and_a_passage_by_its_page(
    library: Services, tmp_path: Path
) -> None:
    caption = words("Figure 1: Gait of a pangolin.", top=480)
    listed = "References\n[1] An okapi, 2001.\n[2] B, 2002."
    second = words(f"The axolotl is on the second page.\n{listed}")
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(drawn(words("Words.") + bars(60, 500) + caption, second))

    async def scenario(parts: Services) -> None:
        await take(parts, folder)
        (found,) = (await parts.search.results(SearchQuery(q="pangolin")))["results"]
        (figure,) = found["figures"]
        assert figure["caption"] == "Figure 1: Gait of a pangolin."
        assert parts.files.path(figure["image"]).stat().st_size > 100
        assert parts.files.path(found["file"]).read_bytes().startswith(b"%PDF")
        (found,) = (await parts.search.results(SearchQuery(q="axolotl")))["results"]
        assert [passage["page"] for passage in found["passages"]] == [2]
        assert await ids(parts, "okapi") == []  # a reference is not the paper's own text
        item = await parts.search.item(found["id"])
        assert item is not None
        assert item["references"] == ["An okapi, 2001.", "B, 2002."]

    play(library, scenario)


def test_the_command_line_takes_a_folder_of_pdfs(library: Services, tmp_path: Path) -> None:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    long = "\n".join(f"line {number} about nothing" for number in range(60))
    (folder / "good.pdf").write_bytes(pdf(*([long] * 200), "Here a quokka appears"))
    (folder / "locked.pdf").write_bytes(encrypted(pdf("words")))
    (folder / "empty.pdf").write_bytes(b"")
    section = library.settings
    (tmp_path / "settings.toml").write_text(
        f'[server]\ntls = false\n[opensearch]\nurls = ["{section.opensearch.urls[0]}"]\n'
        f'index = "{section.opensearch.index}"\n'
        f'[cache]\nurl = "{section.cache.url}"\ntls = false\nprefix = "{section.cache.prefix}"\n'
        f'[library]\ndirectory = "{section.library.directory}"\n'
    )

    def command(*words: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "research_app", *words],
            env={**os.environ, "RESEARCH_APP_SETTINGS": str(tmp_path / "settings.toml")},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        return done.stdout.splitlines()

    first = command("ingest", str(folder))
    assert "refused empty.pdf: the file is empty" in first
    assert "refused locked.pdf: encrypted: a password is needed to read it" in first
    assert f"{folder}: 1 new, 0 unchanged, 2 refused in" in first[-1]
    assert "0 new, 1 unchanged, 2 refused" in command("ingest", str(folder))[-1]
    held = command("quarantine")
    assert f"   now  {folder}/empty.pdf: the file is empty" in held
    assert held[-1] == "2 in quarantine"
    assert command("quarantine", "--dismiss", str(folder / "empty.pdf")) == ["1 dismissed"]
    assert command("quarantine")[-1] == "1 in quarantine"

    async def scenario(parts: Services) -> None:
        (result,) = (await parts.search.results(SearchQuery(q="quokka")))["results"]
        assert result["passages"] == [
            {"text": "Here a <mark>quokka</mark> appears", "page": 201, "start": None}
        ]
        assert result["pages"] == 201

    play(library, scenario)


def test_a_recording_is_found_at_its_second(library: Services, tmp_path: Path) -> None:
    """A lecture by its captions, an episode by its transcript, and bad ones beside them."""
    folder = tmp_path / "media"
    folder.mkdir()
    cues = [(n * 5, "The okapi hides." if n == 40 else "We speak of birds.") for n in range(80)]
    clock = "{:02}:{:02}.000".format
    captions = "\n\n".join(
        f"{clock(*divmod(start, 60))} --> {clock(*divmod(start + 5, 60))}\n{text} Number {start}."
        for start, text in cues
    )
    (folder / "lecture.vtt").write_text("WEBVTT\n\n" + captions)
    (folder / "broken.vtt").write_text("WEBVTT\n\nsoon --> later\nx")
    (folder / "feed.rss").write_text(
        "<rss><channel><title>Show</title><item><title>One</title><guid>1</guid>"
        '<enclosure url="https://example.org/one.mp3"/></item></channel></rss>'
    )
    (folder / "one.srt").write_text("1\n00:01:23,000 --> 00:01:30,000\nA quagga is extinct.\n")

    async def scenario(parts: Services) -> None:
        report = await take(parts, folder)
        assert str(report) == "2 new, 0 unchanged, 1 refused"
        assert 'line 3: "soon --> later" is not a time' in report.refusals[0].reason
        assert str(await take(parts, folder)) == "0 new, 2 unchanged, 1 refused"
        found = (await parts.search.results(SearchQuery(q="okapi")))["results"]
        assert [each["title"] for each in found] == ["lecture"]
        assert 130 <= found[0]["passages"][0]["start"] <= 200
        (quagga,) = (await parts.search.results(SearchQuery(q="quagga")))["results"]
        assert quagga["kind"] == "podcast"
        assert quagga["media_url"] == "https://example.org/one.mp3"
        assert quagga["passages"][0]["start"] == 83

    play(library, scenario)
