"""The parts of one running application, made once and handed to whoever needs them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from opensearchpy import AsyncOpenSearch

from research_app import cache as cache_module
from research_app.answer.service import AnswerService, provider_of
from research_app.auth.accounts import Accounts
from research_app.auth.service import Auth
from research_app.cache import SearchCache
from research_app.drain import Drain
from research_app.extract.extraction import Extraction
from research_app.fetch import Fetcher
from research_app.files import FileStore
from research_app.health import HealthService
from research_app.index import client as index_client
from research_app.index.edition import Edition
from research_app.index.usage import Usage
from research_app.jobs.service import JobService
from research_app.limits.rates import Rates
from research_app.metrics import ActiveUsers
from research_app.pace import SharedPace
from research_app.pictures import Pictures
from research_app.search import meaning as meaning_module
from research_app.search.gate import Gate
from research_app.search.meaning import Meaning
from research_app.search.service import SearchService
from research_app.settings import Settings
from research_app.sources.tools import Tools
from research_app.speech import whisper

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class Services:
    """What the application is made of."""

    settings: Settings
    client: AsyncOpenSearch
    search_client: AsyncOpenSearch
    accounts_client: AsyncOpenSearch
    cache: SearchCache
    files: FileStore
    tools: Tools
    meaning: Meaning | None
    search: SearchService
    answers: AnswerService
    health: HealthService
    drain: Drain
    auth: Auth
    rates: Rates
    jobs: JobService
    gate: Gate
    active: ActiveUsers
    usage: Usage

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Close the connections at the end."""
        try:
            yield
        finally:
            await self.client.close()
            await self.search_client.close()
            await self.accounts_client.close()
            await self.cache.close()
            await self.rates.close()
            await self.auth.close()
            await self.jobs.close()
            await self.answers.close()
            if self.meaning is not None:
                self.meaning.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connected, with the index made as soon as the cluster answers."""
        async with self.connected():
            background = [
                asyncio.create_task(self._prepare()),
                asyncio.create_task(self.usage.keep_writing()),
                asyncio.create_task(self.auth.sign_outs.keep_telling()),
            ]
            try:
                yield
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)

    async def _prepare(self) -> None:
        """Make what is missing in OpenSearch, as soon as that answers."""
        while True:
            try:
                await self._create_index()
                await self._create_accounts()
                return
            except index_client.IndexUnavailableError as error:
                logger.warning("the index cannot be checked yet: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _create_index(self) -> None:
        name = self.settings.opensearch.index
        if await index_client.ensure_index(self.client, name):
            logger.info("created the index %s", name)

    async def _create_accounts(self) -> None:
        if await self.auth.accounts.create_index():
            logger.info("created the index %s", self.auth.accounts.index)


def _tools(settings: Settings) -> Tools:
    fetcher = Fetcher(settings.fetch, wait=SharedPace(settings).wait)
    extraction = Extraction(settings.extract.socket)
    pictures = Pictures(fetcher, extraction)
    recogniser = whisper.recogniser(settings.speech, extraction)
    return Tools(
        fetcher, pictures, recogniser, extraction, readers=settings.library.caption_language
    )


def build(settings: Settings) -> Services:
    """Connect the parts; nothing is contacted yet."""
    client = index_client.connect(settings, settings.library_login)
    search_client = index_client.connect(settings, settings.library_login, once=True)
    accounts_client = index_client.connect(settings, settings.accounts_login)
    edition = Edition(client, settings.opensearch.index)
    cache = SearchCache(cache_module.connect(settings), settings.cache, edition.current)
    gate = Gate(settings.search.max_at_once, settings.search.max_waiting)
    meaning = meaning_module.of_settings(settings.search)
    accounts = Accounts(accounts_client, settings.opensearch.index)
    search = SearchService(settings, search_client, cache, gate, meaning)
    return Services(
        settings=settings,
        client=client,
        search_client=search_client,
        accounts_client=accounts_client,
        cache=cache,
        files=FileStore(settings.library.directory),
        tools=_tools(settings),
        meaning=meaning,
        search=search,
        answers=AnswerService(settings.answer, search, provider_of(settings)),
        health=HealthService(settings, search_client, cache, (accounts.index,)),
        drain=Drain(),
        auth=Auth(settings, accounts),
        rates=Rates(settings),
        jobs=JobService(settings),
        gate=gate,
        active=ActiveUsers(),
        usage=Usage(client, settings.opensearch.index),
    )
