"""The assistant: a Gradio page that searches while the reader stays on it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator
from typing import Any

# before gradio is imported: no word to anybody outside
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr
from fastapi import FastAPI, Request
from jinja2 import Environment
from markupsafe import escape
from pydantic import ValidationError

from research_app.answer.events import Event, whole
from research_app.auth.assistant_gate import CHOICES, EVERYTHING, AssistantGate, is_needed
from research_app.errors import BUSY
from research_app.index.client import IndexUnavailableError
from research_app.logs import request_id
from research_app.search.query import MAX_QUERY, SearchQuery, first_problem
from research_app.services import Services
from research_app.stages import stage
from research_app.web.addresses import search_address
from research_app.web.static_files import FOLDER
from research_app.web.views import KIND_NAMES, answer_view, result_view

PATH = "/assistant"
SHOWN = 8
CONCURRENT = 16
WAITING = 64
MAX_UPLOAD = "1mb"  # nothing here takes files
SESSIONS = 4 * (CONCURRENT + WAITING)  # remembered at once, of readers who may have left
EXAMPLES = (
    "How do neural models translate rare words?",
    "cross-lingual transfer for low-resource languages",
    "reproducing a published model",
)


class Page(gr.Blocks):  # type: ignore[misc]
    """Blocks that take text alone from a reader.

    Gradio looks for files in whatever a component is sent, opens them and fetches what has an
    address.
    """

    async def preprocess_data(
        self,
        block_fn: Any,
        inputs: list[Any],
        state: Any,
        explicit_call: bool = False,
    ) -> list[Any]:
        """The values for a function. Raises gr.Error where one is anything but text."""
        if not all(isinstance(value, str) for value in inputs):
            raise gr.Error("The assistant takes text alone.", print_exception=False)
        values: list[Any] = await super().preprocess_data(block_fn, inputs, state, explicit_call)
        return values


def build(parts: Services, templates: Environment) -> gr.Blocks:
    """The page; it keeps nothing between two searches."""
    kinds = {label: kind for kind, label in KIND_NAMES.items()}
    template = templates.get_template("assistant.html")

    async def answer(words: str, kind: str, request: gr.Request) -> AsyncIterator[str]:
        # a task of Gradio's does it, beside the request that asked
        request_id.set(request.request.state.request_id)
        fields: dict[str, Any] = {"q": words or "", "size": SHOWN}
        if kind in kinds:
            fields["kind"] = [kinds[kind]]
        try:
            query = SearchQuery.model_validate(fields)
            found = await parts.search.results(query)
            shown = {
                "found": found,
                "results": [result_view(result) for result in found["results"]],
                "more": search_address(query, size=20),
            }
            async with contextlib.aclosing(parts.answers.stream(query.q)) as events:
                told: list[Event] = []
                async for event in events:
                    told.append(event)
                    with stage("rendering"):
                        text = template.render(shown | answer_view(whole(query.q, told)))
                    yield text
        except ValidationError as error:
            yield f'<p role="alert">{escape(first_problem(error.errors()).capitalize())}.</p>'
        except IndexUnavailableError:
            yield f'<p role="alert">{BUSY}</p>'

    title = parts.settings.site.title
    with Page(title=f"Assistant · {title}", analytics_enabled=False) as blocks:
        gr.HTML(templates.get_template("assistant_head.html").render())
        with gr.Row(equal_height=True):
            words = gr.Textbox(
                label="Your question",
                placeholder="Ask in your own words",
                max_length=MAX_QUERY,
                scale=5,
                autofocus=True,
            )
            kind = gr.Dropdown(CHOICES, value=EVERYTHING, label="Look in", scale=1, min_width=140)
        button = gr.Button("Ask", variant="primary")
        examples = gr.Dataset(
            components=[words],
            samples=[[example] for example in EXAMPLES],
            label="For example",
        )
        found = gr.HTML(elem_id="found")
        for event in (button.click, words.submit):
            event(answer, [words, kind], found, api_visibility="private")
        fill_in = f"(index) => {json.dumps(EXAMPLES)}[index]"
        examples.click(None, examples, words, js=fill_in)
    blocks.state_session_capacity = SESSIONS
    blocks.queue(max_size=WAITING, default_concurrency_limit=CONCURRENT, api_open=False)
    return blocks


def _theme() -> gr.themes.Base:
    sans = ["system-ui", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif"]
    blue = gr.themes.Color(
        name="library",
        c50="#f1f6f9",
        c100="#e4edf3",
        c200="#c3d7e4",
        c300="#9dbfd5",
        c400="#5d93b5",
        c500="#1d4f73",
        c600="#1d4f73",
        c700="#173f5c",
        c800="#122f45",
        c900="#0d2231",
        c950="#08161f",
    )
    return gr.themes.Default(
        primary_hue=blue, secondary_hue=blue, neutral_hue="stone", font=sans, radius_size="lg"
    )


def _who(request: Request) -> str | None:
    """Nobody in particular for what the page asks; nobody at all for the rest of Gradio."""
    path = request.scope["path"].removeprefix(PATH)
    return "" if is_needed(request.method, path) else None


def mount(app: FastAPI, parts: Services) -> None:
    """Put the page into the application, behind its gate.

    What is set here holds without the gate too: no path is opened and nothing is fetched.
    """
    blocks = build(parts, app.state.templates)
    blocks.has_launched = True  # a mounted page never says so, and then no path is checked
    gr.mount_gradio_app(
        app,
        blocks,
        path=PATH,
        auth_dependency=_who,
        blocked_paths=["/"],
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        max_file_size=MAX_UPLOAD,
        footer_links=[],
        ssr_mode=False,
        mcp_server=False,
        theme=_theme(),
        css_paths=[FOLDER / "assistant.css"],
    )
    messages = blocks._queue.pending_messages_per_session
    messages.max_size = SESSIONS
    app.add_middleware(AssistantGate, path=PATH, knows=messages.__contains__)
