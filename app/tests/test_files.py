from __future__ import annotations

import dataclasses
import hashlib
import stat
from pathlib import Path

import pytest
from conftest import Site
from fastapi.testclient import TestClient

from research_app.factory import create_app
from research_app.files import FileStore, UnknownFileError
from research_app.web.addresses import file_address

CONTENT = b"%PDF-1.7 and so on"
KEY = hashlib.sha256(CONTENT).hexdigest() + ".pdf"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_content_is_kept_once(tmp_path: Path) -> None:
    given = tmp_path / "given.PDF"
    given.write_bytes(CONTENT)
    store = FileStore(tmp_path / "deep" / "store")
    assert store.put(given, given.suffix) == store.put(CONTENT, ".pdf") == KEY
    (kept,) = files(store.directory)
    assert kept == store.directory / KEY[:2] / KEY[2:4] / KEY == store.path(KEY)
    with store.open(KEY) as file:
        assert file.read() == CONTENT
    assert stat.S_IMODE(kept.stat().st_mode) == 0o644


def test_what_is_not_whole_is_written_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put(CONTENT, ".pdf")
    store.path(KEY).write_bytes(CONTENT[:3])
    store.put(CONTENT, ".pdf")
    assert store.path(KEY).read_bytes() == CONTENT


def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        FileStore(tmp_path).put(CONTENT)
    assert files(tmp_path) == []


@pytest.mark.parametrize("suffix", ["pdf", "./x", ".tar.gz", "..", ".p/f"])
def test_suffixes_that_are_none(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ValueError, match="not a suffix"):
        FileStore(tmp_path).put(CONTENT, suffix)


@pytest.mark.parametrize(
    "key", ["", "..", "../../etc/passwd", "a" * 64, KEY.upper(), KEY + "\n", KEY[1:], "/" + KEY]
)
def test_keys_that_are_none(tmp_path: Path, key: str) -> None:
    (tmp_path / "aa" / "aa" / ("a" * 64)).mkdir(parents=True)  # a folder is no file
    with pytest.raises(UnknownFileError):
        FileStore(tmp_path).path(key)


@pytest.fixture
def shelf(site: Site, tmp_path: Path) -> tuple[TestClient, FileStore]:
    """A client of an application whose library is empty, and its store."""
    parts = dataclasses.replace(site.services, files=FileStore(tmp_path))
    return TestClient(create_app(parts.settings, parts)), parts.files


def test_a_file_is_given_whole_or_in_part(shelf: tuple[TestClient, FileStore]) -> None:
    client, store = shelf
    store.put(CONTENT, ".pdf")
    whole = client.get(f"/files/{KEY}")
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["content-type"] == "application/pdf"
    assert whole.headers["content-disposition"].startswith("inline")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["accept-ranges"] == "bytes"
    assert "immutable" in whole.headers["cache-control"]
    part = client.get(f"/files/{KEY}", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, CONTENT[2:5])
    assert part.headers["content-range"] == f"bytes 2-4/{len(CONTENT)}"
    beyond = client.get(f"/files/{KEY}", headers={"Range": "bytes=999-"})
    assert beyond.status_code == 416
    assert client.head(f"/files/{KEY}").headers["content-length"] == str(len(CONTENT))


@pytest.mark.parametrize(("suffix", "used"), [(".pdf", True), (".mp3", True), (".webp", False)])
def test_opening_a_document_is_a_use_and_seeing_a_picture_is_none(
    shelf: tuple[TestClient, FileStore],
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    used: bool,
) -> None:
    client, store = shelf
    key = store.put(CONTENT, suffix)
    seen: list[str] = []
    monkeypatch.setattr("research_app.index.usage.Usage.used", lambda _, name: seen.append(name))
    assert client.get(f"/files/{key}").status_code == 200
    assert client.get("/files/" + "0" * 64 + suffix).status_code == 404
    assert seen == ([key] if used else [])


def test_a_browser_asks_for_a_document_every_day_and_gets_it_once(
    shelf: tuple[TestClient, FileStore],
) -> None:
    client, store = shelf
    first = client.get("/files/" + store.put(CONTENT, ".pdf"))
    assert "max-age=86400," in first.headers["cache-control"]
    again = client.get(first.url.path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == first.headers["cache-control"]
    picture = client.get("/files/" + store.put(CONTENT, ".webp"))
    assert "max-age=31536000," in picture.headers["cache-control"]


@pytest.mark.parametrize("known", ['W/"{key}"', '"x", W/"{key}"', '"{key}" , "x"', "*"])
def test_a_copy_is_known_as_a_proxy_names_it(
    shelf: tuple[TestClient, FileStore], known: str
) -> None:
    client, store = shelf
    key = store.put(CONTENT, ".pdf")
    asked = {"If-None-Match": known.replace("{key}", key)}
    assert client.get(f"/files/{key}", headers=asked).status_code == 304
    assert client.get(f"/files/{key}", headers={"If-None-Match": 'W/"x"'}).status_code == 200


def test_who_asks_for_the_head_alone_has_no_file_read(
    shelf: tuple[TestClient, FileStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, store = shelf
    key = store.put(CONTENT, ".pdf")

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("the file is read")

    monkeypatch.setattr("anyio.open_file", opened)
    head = client.head(f"/files/{key}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(CONTENT))
    assert head.headers["etag"] == f'"{key}"'
    assert client.head("/static/site.css").status_code == 200


def test_nothing_else_is_given(shelf: tuple[TestClient, FileStore]) -> None:
    client, _ = shelf
    for key in (KEY, "x", "..%2f..%2fetc%2fpasswd", "%00"):
        assert client.get(f"/files/{key}").status_code == 404
    assert "There is no such file in the library." in client.get(f"/files/{KEY}").text


@pytest.mark.parametrize("suffix", [".html", ".svg", ".xml", ".js", ""])
def test_what_could_run_is_locked_up(shelf: tuple[TestClient, FileStore], suffix: str) -> None:
    client, store = shelf
    answer = client.get("/files/" + store.put(b"<script>alert(1)</script>", suffix))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-security-policy"].startswith("sandbox;")


def test_an_address_can_name_a_page() -> None:
    assert file_address(KEY) == f"/files/{KEY}"
    assert file_address(KEY, 7) == f"/files/{KEY}#page=7"
