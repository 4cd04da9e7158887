"""The assistant: a Gradio page that searches while the reader stays on it."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

# before gradio is imported: no word to anybody outside
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr
from fastapi import FastAPI
from markupsafe import Markup, escape
from pydantic import ValidationError

from research_app.errors import BUSY
from research_app.index.client import IndexUnavailableError
from research_app.search.query import SearchQuery, first_problem
from research_app.services import Services

PATH = "/assistant"
SHOWN = 8
CONCURRENT = 16
WAITING = 64
MAX_UPLOAD = "1mb"  # nothing here takes files


def render(found: dict[str, Any]) -> str:
    """Results as HTML; every value that is not already escaped is."""
    total = found["total"]
    if not total:
        return "<p>Nothing found. Other or fewer words may help.</p>"
    parts = [f"<p><strong>{total:,}</strong> found; the best {len(found['results'])}:</p><ol>"]
    for result in found["results"]:
        title = result["highlights"].get("title", [str(escape(result["title"]))])[0]
        passages = result["highlights"].get("abstract") or result["highlights"].get("text") or []
        about = " · ".join(
            str(part)
            for part in (", ".join(result["authors"][:4]), result["venue"], result["year"])
            if part
        )
        parts.append(
            Markup('<li><a href="/items/{}" target="_blank"><strong>').format(quote(result["id"]))
            + Markup(title)
            + Markup("</strong></a><br><small>{}</small>").format(about)
            + Markup("<br>")
            + Markup(" … ".join(passages))
            + Markup("</li>")
        )
    return "".join(map(str, parts)) + "</ol>"


def build(parts: Services) -> gr.Blocks:
    """The page; it keeps nothing between two searches."""

    async def answer(words: str, kind: str) -> str:
        try:
            query = SearchQuery(q=words or "", kind=() if kind == "all" else (kind,), size=SHOWN)
            return render(await parts.search.results(query))
        except ValidationError as error:
            return f"<p>{escape(first_problem(error.errors()))}</p>"
        except IndexUnavailableError:
            return f"<p>{escape(BUSY)}</p>"

    title = parts.settings.site.title
    with gr.Blocks(title=f"Assistant · {title}", analytics_enabled=False) as blocks:
        gr.Markdown(f"# {title}: assistant\nAsk in your own words. [Search page](/)")
        with gr.Row():
            words = gr.Textbox(
                label="Your question",
                placeholder="How do neural models translate rare words?",
                max_length=500,
                scale=4,
                autofocus=True,
            )
            kind = gr.Dropdown(
                ["all", "paper", "video", "podcast"], value="all", label="Kind", scale=1
            )
        button = gr.Button("Search", variant="primary")
        found = gr.HTML(label="Found")
        for event in (button.click, words.submit):
            event(answer, [words, kind], found, api_visibility="private")
    blocks.queue(max_size=WAITING, default_concurrency_limit=CONCURRENT, api_open=False)
    return blocks


def mount(app: FastAPI, parts: Services) -> None:
    """Put the page into the application."""
    gr.mount_gradio_app(
        app,
        build(parts),
        path=PATH,
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        max_file_size=MAX_UPLOAD,
        footer_links=[],
        ssr_mode=False,
        mcp_server=False,
    )
