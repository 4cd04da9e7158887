"""Attacks the assistant in this process and prints, as JSON, what was opened and reached meanwhile.

    python assistant_attacks.py gate|bare

A hook of Python's audit events sees each file that is opened, each connection and each program
that is started. `bare` takes the gate away, so that Gradio itself is what is attacked.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio
from conftest import Site
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_assistant_routes import filled, gradio_routes

import research_app
from research_app.assistant import PATH

JOIN = f"{PATH}/gradio_api/queue/join"
DATA = f"{PATH}/gradio_api/queue/data"
SEARCH_TIER = ("127.0.0.1", 9)  # where this application believes its OpenSearch to be
EXAMPLES = 100

# a file that nobody has to open, and addresses that nobody has to ask
SECRET = Path(tempfile.mkdtemp()) / "signing_key"
SECRET.write_text("secret")
PLACES = (
    str(SECRET),
    f"file://{SECRET}",
    "/proc/self/environ",
    f"{SECRET.parent}/../{SECRET.parent.name}/{SECRET.name}",
    "http://192.0.2.1/x",
    "https://user:password@192.0.2.1:8443/x.png",
    "//192.0.2.1/x",
)


def file(path: str, **fields: Any) -> dict[str, Any]:
    """A file, as Gradio takes one."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}} | fields


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def questions() -> Iterator[Any]:
    """Bodies for the queue: the known attacks, and their like."""
    for place in PLACES:
        for value in (file(place), file(place, url=place), [file(place)], {"a": file(place)}):
            yield [value, "Everything"]
            yield ["zebra", value]
        yield [file(place, is_stream=True), "Everything"]
        yield [file(place, meta={"_type": "gradio.FileData", "x": 1}), "Everything"]
        yield [place, place]
    yield from ([], None, "zebra", ["zebra"], ["zebra", "Everything", 1], [None, None], {"a": 1})
    yield ["zebra", "Nothing"]
    yield ["z" * 501, "Everything"]


def bodies() -> Iterator[bytes]:
    for number, data in enumerate(questions()):
        yield json.dumps({"data": data, "fn_index": number % 2, "session_hash": "x1"}).encode()
    good = {"data": ["zebra", "Everything"], "fn_index": 0, "session_hash": "x1"}
    for field, values in {
        "fn_index": (999, -1, 2, "0", None, 0.0, True, 10**400),
        "session_hash": (None, 1, "", "../x", "x" * 400, "\x00", ["x"]),
        "trigger_id": (-1, "7", 10**9, {}),
        "event_data": (file(str(SECRET)), "x", [1]),
        "event_id": ("x",),
        "batched": (True,),
        "simple_format": (True,),
        "oauth_token": ("x",),
    }.items():
        for value in values:
            yield json.dumps(good | {field: value}).encode()
    yield from (b"", b"{", b"[]", b"null", b"\xff", b'"\\ud800"', json.dumps(good).encode()[:-1])
    yield json.dumps(good)[:-1].encode() + b',"data":[{"path":"/etc/passwd"},""]}'
    yield json.dumps(good | {"data": nested("x", 900)}).encode()
    yield b"[" * 4000
    yield b'{"data":' + b'{"a":' * 1500
    yield b'{"data":' + b"[" * 200_000
    yield json.dumps(good | {"data": ["z" * 900_000, "Everything"]}).encode()
    yield b"z" * 2_000_000


leaf = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(PLACES)
    | st.sampled_from(PLACES).map(file)
)
anything = st.recursive(
    leaf,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["path", "url", "meta", "_type", "data", "value"]) | st.text(), inner
        )
    ),
    max_leaves=12,
)
generated = st.fixed_dictionaries(
    {"data": st.lists(anything, max_size=3) | anything, "fn_index": st.sampled_from([0, 1]) | leaf},
    optional={
        "session_hash": st.just("x2") | leaf,
        "trigger_id": leaf,
        "event_data": anything,
        "batched": st.booleans(),
        "extra": leaf,
    },
)


def generate() -> list[bytes]:
    """Bodies that nobody thought of; to make them opens files, so it is done beforehand."""
    made: list[bytes] = []

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(generated)
    def make(body: Any) -> None:
        made.append(json.dumps(body).encode())

    make()
    return made


class Watch:
    """What the process did while it was attacked, but for what the page needs."""

    OWN = tuple(
        f"{os.path.realpath(folder)}{os.sep}"
        for folder in (
            Path(gradio.__file__).parent,
            Path(research_app.__file__).parent,
            sysconfig.get_path("stdlib"),
            sysconfig.get_path("purelib"),
        )
    )

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.active = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        self.active = True
        yield
        self.active = False

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            reading = arguments[1] in (None, "r", "rb") or (arguments[2] & 3) == os.O_RDONLY
            if not (reading and path.startswith(self.OWN)):
                self.seen.append(f"open {path}")
        elif event == "socket.connect" and tuple(arguments[1]) != SEARCH_TIER:
            self.seen.append(f"connect {arguments[1]}")
        elif event == "socket.getaddrinfo" and arguments[0] not in (SEARCH_TIER[0], "127.0.0.1"):
            self.seen.append(f"look up {arguments[0]}")
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"):
            self.seen.append(f"start {arguments}")


class Attack:
    """Requests of one sender, and how they were answered."""

    def __init__(self, site: Site, headers: dict[str, str]) -> None:
        self._site = site
        self._headers = headers
        self.statuses: dict[str, int] = {}
        self.faults: list[str] = []
        self.slowest = 0.0

    def send(self, method: str, path: str, content: bytes | None = None, **headers: str) -> Any:
        start = time.monotonic()
        answer = self._site.client.request(
            method, path, content=content, headers=self._headers | headers, follow_redirects=False
        )
        self.slowest = max(self.slowest, time.monotonic() - start)
        status = str(answer.status_code)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if answer.status_code >= 500:
            self.faults.append(f"{method} {path} {(content or b'')[:200]!r}: {status}")
        if headers.get("Origin") and "access-control-allow-origin" in answer.headers:
            self.faults.append(f"{method} {path} is shared with {headers['Origin']}")
        return answer

    def ask(self, body: bytes) -> None:
        """A question, and what becomes of it."""
        answer = self.send("POST", JOIN, body, **{"Content-Type": "application/json"})
        if answer.status_code == 200:
            session = quote(str(json.loads(body).get("session_hash")))
            self.send("GET", f"{DATA}?session_hash={session}")


def queries(attack: Attack) -> None:
    for query in (
        *("", "session_hash=", "session_hash=none", "session_hash=../x", "session_hash=%00"),
        *("session_hash=q1&session_hash=q2", "session_hash=q1&extra=1", "x" * 8000, "%ff=%zz"),
    ):
        attack.send("GET", f"{DATA}?{query}")
    for path in ("/", "/config", "/theme.css", "/gradio_api/info", "/gradio_api/app_id"):
        for query in (
            "deep_link=../../x",
            f"deep_link={'a' * 40}",
            "page=x",
            "page=",
            "serialize=x",
        ):
            attack.send("GET", f"{PATH}{path}?{query}")
        attack.send("GET", PATH + path, **{"Origin": "https://evil.example"})
        preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
        attack.send("OPTIONS", PATH + path, **preflight)


def headers(attack: Attack) -> None:
    for value in ("a b", "[", "evil/assistant/theme.css?", "x:99999999", "[::1"):
        attack.send("GET", f"{PATH}/", **{"Host": value})
    for name in ("X-Gradio-Server", "X-Forwarded-Host", "X-Forwarded-Proto"):
        for value in ("http://[", "[", "evil.example", "http://192.0.2.1"):
            attack.send("GET", f"{PATH}/", **{name: value})


def routes(attack: Attack, site: Site) -> None:
    """Each route that Gradio brings, with files and addresses where it takes something."""
    for method, path in gradio_routes(site):
        if path.endswith(("/heartbeat/{session_hash}", "/dev/reload")):
            continue  # they never end
        for place in (*PLACES, "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "a" * 300):
            full = filled(path) if "{" not in path else path
            for name in ("path", "path_or_url", "url_path"):
                full = full.replace(f"{{{name}:path}}", place)
            full = filled(full)
            if method in ("GET", "HEAD", "OPTIONS"):
                attack.send(method, PATH + full)
                continue
            body = {"data": [file(place), place], "session_hash": "x3", "fn_index": 0}
            body |= {"event_id": "x", "component_id": 3, "fn_name": "upload", "prompt": place}
            attack.send(method, PATH + full, json.dumps(body).encode())
            if place == PLACES[0]:
                form = "multipart/form-data; boundary=b"
                part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nx'
                attack.send(method, PATH + full, part + b"\r\n--b--\r\n", **{"Content-Type": form})


def run(kind: str) -> dict[str, Any]:
    site = Site(limits={"answer": "", "search": ""})
    if kind == "bare":
        kept = [m for m in site.app.user_middleware if m.cls.__name__ != "AssistantGate"]  # type: ignore[attr-defined]
        site.app.user_middleware = kept
    questions = [*bodies(), *generate()]
    watch = Watch()
    sys.addaudithook(watch.hook)
    with site.client:
        good = b'{"data":["zebra stripes","Everything"],"fn_index":0,"session_hash":"warm"}'
        Attack(site, {}).ask(good)  # what is loaded at the first request is loaded
        attacks = {"anybody": Attack(site, {}), "admin": Attack(site, site.headers("admin"))}
        with watch.watching():
            for attack in attacks.values():  # before a session is known, whose answers never end
                queries(attack)
                headers(attack)
            for attack in attacks.values():
                for body in questions:
                    attack.ask(body)
                routes(attack, site)
    report = {
        name: {
            "statuses": attack.statuses,
            "faults": sorted(set(attack.faults)),
            "slowest": attack.slowest,
        }
        for name, attack in attacks.items()
    }
    return report | {"seen": sorted(set(watch.seen))}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1]), indent=1))
