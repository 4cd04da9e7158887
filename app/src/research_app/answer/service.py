"""Answers: by the provider that the site chose, by the extractive one where that fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence

from research_app.answer.citations import CitationFilter
from research_app.answer.endpoint import Endpoint
from research_app.answer.events import (
    Answer,
    Done,
    Event,
    Notice,
    Source,
    Sources,
    Text,
    whole,
)
from research_app.answer.extractive import Extractive
from research_app.answer.gemini import Gemini
from research_app.answer.openai_compatible import OpenAICompatible
from research_app.answer.passage import Passage, PassageFinder, address
from research_app.answer.prompt import NO_ANSWER
from research_app.answer.provider import Provider, ProviderError
from research_app.answer.thoughts import ThoughtFilter
from research_app.settings import Answer as AnswerSettings
from research_app.settings import Settings
from research_app.stages import lasting, stage
from research_app.web.places import place
from research_app.web.views import shortened

logger = logging.getLogger(__name__)

NOTHING = "Nothing in the library answers this. Other words may help."
INSTEAD = "The language model does not answer right now; these sentences are the sources' own."
CUT_SHORT = "The language model stopped before the end of this answer."
SHOWN_TEXT = 400

Events = AsyncGenerator[Event, None]


def provider_of(settings: Settings) -> Provider:
    """The provider that the settings name."""
    section = settings.answer
    if section.provider == "extractive":
        return Extractive()
    secret = settings.credentials.answer_key
    key = secret.get_secret_value() if secret else ""
    if section.provider == "gemini":
        endpoint = Endpoint({"x-goog-api-key": key}, section.silent_seconds, section.tls_ca)
        return Gemini(endpoint, section.url, section.model, section.max_tokens)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    endpoint = Endpoint(headers, section.silent_seconds, section.tls_ca)
    return OpenAICompatible(endpoint, section.url, section.model, section.max_tokens)


class AnswerService:
    """What the page, the API and the assistant ask."""

    def __init__(self, section: AnswerSettings, finder: PassageFinder, provider: Provider) -> None:
        self._section = section
        self._finder = finder
        self._provider = provider
        self._fallback = Extractive()
        self._places = asyncio.Semaphore(section.concurrent)
        # whether the model's prompt begins a thought that its answers only end
        self._thinks_first = False

    async def stream(self, question: str) -> AsyncGenerator[Event, None]:
        """The events of an answer; closing the generator ends what still runs for it."""
        passages = await self._finder.passages(question, self._section.passages)
        found = Sources(await asyncio.to_thread(sources, passages))
        yield found
        if not passages:
            yield Text(NOTHING)
            yield Done(self._fallback.name, False)
            return
        if self._provider.name != self._fallback.name:
            async with contextlib.aclosing(self._by_model(question, passages, found)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Done):
                        return
            yield Notice(INSTEAD)
        async with contextlib.aclosing(_told(self._fallback, question, passages)) as events:
            async for event in events:
                yield event

    async def answer(self, question: str) -> Answer:
        """A whole answer."""
        async with contextlib.aclosing(self.stream(question)) as events:
            return whole(question, [event async for event in events])

    async def _by_model(self, question: str, passages: Sequence[Passage], found: Sources) -> Events:
        """The model's answer; without a Done at its end where it did not even begin.

        Where what it wrote turns out to be thought, its sources are told once more: what came
        before them counts no longer. From then on its answers are held back until it has thought.
        """
        if self._places.locked():
            logger.warning("answer: %s are being written already", self._section.concurrent)
            return
        citations = CitationFilter(len(passages))
        thoughts = ThoughtFilter(thinking=self._thinks_first)
        begun, late = False, 0
        async with self._places:
            writing = _told(self._provider, question, passages, citations, thoughts)
            try:
                with lasting("model"):
                    async with contextlib.aclosing(writing):
                        async for event in within(self._section.timeout_seconds, writing):
                            if thoughts.late > late:
                                late, self._thinks_first = thoughts.late, True
                                yield found
                            begun = begun or isinstance(event, Text)
                            yield event
                return
            except TimeoutError:
                logger.warning("answer: %s: no end in time", self._provider.name)
            except ProviderError as error:
                logger.warning("answer: %s: %s", self._provider.name, error)
                self._thinks_first = self._thinks_first and not thoughts.open
        if begun:
            yield Notice(CUT_SHORT)
            yield Done(self._provider.name, True, sorted(citations.cited))

    async def close(self) -> None:
        """Close the provider's connections."""
        await self._provider.close()


async def _told(
    provider: Provider,
    question: str,
    passages: Sequence[Passage],
    citations: CitationFilter | None = None,
    thoughts: ThoughtFilter | None = None,
) -> Events:
    """What a provider writes, citing nothing but the passages; or that they hold no answer.

    :param thoughts: takes out what a model thinks aloud; sentences of documents are as they are
    """
    citations = citations or CitationFilter(len(passages))
    held, begun, late = "", False, 0
    async with contextlib.aclosing(_without(thoughts, provider.stream(question, passages))) as bits:
        async for bit in bits:
            text = bit
            if thoughts and thoughts.late > late:
                held, begun, late = "", False, thoughts.late
                citations.restart()
            if not begun:
                held += bit
                if NO_ANSWER.startswith(held.strip().rstrip(".")):
                    continue
                begun, text = True, held.lstrip()
            if shown := citations.feed(text):
                yield Text(shown)
    if rest := citations.end().rstrip():
        yield Text(rest)
    if not begun:
        yield Text(NOTHING)
    yield Done(provider.name, begun, sorted(citations.cited))


async def _without(
    thoughts: ThoughtFilter | None, bits: AsyncGenerator[str, None]
) -> AsyncGenerator[str, None]:
    """A text without thoughts; ProviderError where it ends within one."""
    async with contextlib.aclosing(bits):
        async for bit in bits:
            yield thoughts.feed(bit) if thoughts else bit
    if thoughts:
        if thoughts.open:
            raise ProviderError("it ended within a thought: answer.max_tokens may be too few")
        yield thoughts.end()


async def within(seconds: float, events: Events) -> Events:
    """Events until a deadline, which counts only while this waits for the next one."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        async with asyncio.timeout_at(deadline):
            try:
                with stage("model", traced=False):
                    event = await anext(events)
            except StopAsyncIteration:
                return
        yield event


def sources(passages: Sequence[Passage]) -> list[Source]:
    """The passages as readers see them."""
    return [
        Source(
            number=number,
            item_id=passage.item_id,
            title=passage.title,
            kind=passage.kind,
            page=passage.page,
            start=passage.start,
            place=place(passage.page, passage.start),
            text=shortened(passage.text, SHOWN_TEXT),
            address=address(passage),
        )
        for number, passage in enumerate(passages, 1)
    ]
