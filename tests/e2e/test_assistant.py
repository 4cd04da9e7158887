"""What strangers send to the assistant through the virtual address stops no node."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.conftest import AS_THIS_HOST, Host, Lab, Reader

GRADIO = "/assistant/gradio_api"
PATHS = (
    "/dev/zero",
    "/run/credentials/research-app.service/signing_key",
    "/etc/shadow",
    "http://127.0.0.1:7860/live",
    "https://192.0.2.1/x.png",
)
ROUTES = (
    *("/assistant/config", "/assistant/config?deep_link=../../x"),
    *(f"{GRADIO}/{route}" for route in ("info", "startup-events", "heartbeat/x1", "dev/reload")),
    *(f"{GRADIO}/file={path}" for path in PATHS),
    *(f"{GRADIO}/proxy={path}" for path in PATHS[3:]),
    *(f"{GRADIO}/queue/data?session_hash={session}" for session in ("", "../x", "a" * 400)),
    f"{GRADIO}/%71ueue/../file=/etc/passwd",
)
WATCHED = 75  # times a node is asked whether it lives, in about 15 seconds


def bodies() -> Iterator[bytes]:
    """The attacks that stopped a node, or read what was not theirs; and their like."""
    for path in PATHS:
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for data in ([file, "Everything"], ["zebra", file], [[file], {"a": file}]):
            yield _body(data=data)
        yield _body(event_data=file)
    for function in (999, -1, "0", None, True):
        yield _body(fn_index=function)
    yield _body(session_hash="../x")
    yield _body(data=["z" * 5000, "Everything"])
    yield b'{"data":' + b"[" * 8000
    yield b"["
    yield b""


def _body(**changed: Any) -> bytes:
    good = {"data": ["zebra", "Everything"], "fn_index": 1, "session_hash": "x1"}
    return json.dumps(good | changed).encode()


def slowest_answer(node: Host) -> float:
    """Ask a node for a while whether it lives, and return how long the slowest answer took."""
    probe = f"curl -s -o /dev/null -m 10 -w '%{{http_code}} %{{time_total}}' {AS_THIS_HOST}"
    ask = f"{probe} https://{node.name}:7860/live; echo; sleep 0.2"
    told = node.check(f"for _ in $(seq {WATCHED}); do {ask}; done", timeout=120).splitlines()
    assert {line.split()[0] for line in told} == {"200"}, f"{node.name}: {Counter(told)}"
    return max(float(line.split()[1]) for line in told)


def test_attacks_on_the_assistant_hold_up_nobody(
    lab: Lab, reader: Reader, record: Callable[[str], None]
) -> None:
    nodes = lab.group("app")
    found: Counter[int] = Counter()
    with ThreadPoolExecutor(len(nodes)) as watching:
        watched = [watching.submit(slowest_answer, node) for node in nodes]
        while not all(watch.done() for watch in watched):
            for body in bodies():
                json_type = {"Content-Type": "application/json"}
                found[reader.ask("POST", f"{GRADIO}/queue/join", body, json_type).status] += 1
            for route in ROUTES:
                found[reader.ask("GET", route).status] += 1
    slowest = max(watch.result() for watch in watched)
    record(
        f"assistant under attack: {found.total()} requests, answers {dict(found)}, "
        f"slowest /live of {len(nodes)} nodes {slowest:.3f} s"
    )
    assert set(found) <= {404, 422, 429}, found
    assert slowest < 1


def test_no_other_site_may_read_the_assistant(reader: Reader) -> None:
    for path in ("/assistant/", "/assistant/config", "/assistant/theme.css"):
        answer = reader.get(path, {"Origin": "https://evil.example"})
        shared = [name for name in answer.headers if name.startswith("access-control-")]
        assert shared == [], path
