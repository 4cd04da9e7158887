"""A reader finds real papers through the virtual address."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from tests.e2e.conftest import AS_THIS_HOST, Lab, Reader


@pytest.fixture(scope="module", autouse=True)
def real_library(reader: Reader) -> None:
    """Skip nothing: without the large library these tests have no meaning, so say it."""
    total = reader.search("translation")["total"]
    if total < 100:
        pytest.skip(f"the lab holds its small library ({total} papers on translation)")


KNOWN = [
    ("attention transformer neural machine translation", None),
    ("BERT pre-training of deep bidirectional transformers", "BERT: Pre-training of Deep"),
    ("Instance Selection for Online Automatic Post-Editing", "Instance Selection for Online"),
    ("Deep contextualized word representations", "Deep Contextualized Word Rep"),
    ("Unsupervised Cross-lingual Representation Learning at Scale", "Unsupervised Cross-ling"),
    # said in a lecture, of which there are a thousand times fewer than abstracts
    ("non-renewable energy sources carbon footprint is a lot higher", "The carbon footprint of"),
]


@pytest.mark.parametrize(("text", "title"), KNOWN)
def test_a_known_item_is_among_the_first(reader: Reader, text: str, title: str | None) -> None:
    results = reader.search(text)["results"]
    titles = [item["title"].lower() for item in results[:3]]
    assert titles, f"nothing found for {text!r}"
    if title:
        assert any(title.lower() in found for found in titles), titles


def test_filters_narrow_and_pages_do_not_overlap(reader: Reader) -> None:
    everything = reader.search("parsing")
    one_year = reader.search("parsing", year=2019)
    assert 0 < one_year["total"] < everything["total"]
    assert {item["year"] for item in one_year["results"]} == {2019}
    first, second = (reader.search("parsing", page=page)["results"] for page in (1, 2))
    assert not {item["id"] for item in first} & {item["id"] for item in second}


def test_pdf_text_is_searchable(reader: Reader) -> None:
    kinds = {item["kind"] for item in reader.search("reproduction of results", size=50)["results"]}
    assert kinds, "nothing found"


def test_a_hit_is_highlighted_and_escaped(reader: Reader) -> None:
    item: dict[str, Any] = reader.search("summarization")["results"][0]
    assert "<mark>" in str(item["highlights"])


@pytest.mark.parametrize("text", ["p < 0.05; x--y", '"unbalanced', "a AND (b", "{}[]^~*?:\\/"])
def test_any_text_is_a_legal_query(reader: Reader, text: str) -> None:
    assert reader.get("/api/search", q=text).status == 200


@pytest.mark.parametrize(
    "query",
    [{"q": "ab"}, {"q": "x" * 501}, {"q": "parsing", "page": 0}, {"q": "parsing", "page": 101}],
)
def test_a_query_out_of_bounds_is_refused(reader: Reader, query: dict[str, Any]) -> None:
    assert reader.get("/api/search", **query).status == 422


def test_every_application_node_answers_alike(lab: Lab, reader: Reader) -> None:
    """A search is in its URL, so it works on any node, which answers the edges."""
    edge = lab.group("edge")[0]
    totals = {
        host.name: edge.check(
            f"curl --silent --fail {AS_THIS_HOST} "
            f"'https://{host.name}:7860/api/search?q=parsing' | python3 -c "
            "'import json, sys; print(json.load(sys.stdin)[\"total\"])'"
        ).strip()
        for host in lab.group("app")
    }
    assert len(set(totals.values())) == 1, totals


def test_how_well_searches_rank_can_be_measured_on_the_site(lab: Lab) -> None:
    """With the rights that a site gives its application, and without a trace."""
    texts = [(f"d{n}", f"Study {n}", f"zebras {'counted ' * n}from the air") for n in range(1, 4)]
    corpus = [{"_id": name, "title": title, "text": text} for name, title, text in texts]
    files = {
        "corpus.jsonl": "\n".join(map(json.dumps, corpus)),
        "queries.jsonl": json.dumps({"_id": "q", "text": "zebras counted"}),
        "qrels.tsv": "q\td1\t1",
    }
    app = lab.group("app")[0]
    app.check("mkdir -p /run/collection")
    for name, text in files.items():
        app.check(f"printf %s {shlex.quote(text)} >/run/collection/{name}")
    try:
        shown = app.check("research-app evaluate /run/collection 2>&1")
    finally:
        app.check("rm -r /run/collection")
    assert re.search(r"recall@100 +1\.0000 +1\.0000", shown), shown
    node, pki = lab.group("opensearch")[0], "/etc/research-pki"
    left = node.check(
        f"curl --silent --fail --cacert {pki}/ca.pem --cert {pki}/opensearch-admin.pem "
        f"--key {pki}/opensearch-admin.pem.key "
        f"'https://{node.name}:9200/_cat/indices/*-evaluation-*'"
    )
    assert not left, left
