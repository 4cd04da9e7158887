"""A reader with a real browser: Debian's Chromium searches through the virtual address."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import ARTIFACTS, SERVICE_NAME, VIP

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {SERVICE_NAME} {VIP}",
]


@pytest.fixture(scope="module")
def trusting_home(tmp_path_factory: pytest.TempPathFactory, authority: Path) -> Path:
    """Return a home folder whose certificate store trusts the lab's CA, as the README says."""
    import subprocess

    home = tmp_path_factory.mktemp("home")
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for command in (
        ["certutil", "-N", "-d", f"sql:{store}", "--empty-password"],
        ["certutil", "-A", "-d", f"sql:{store}", "-t", "C,,", "-n", "lab", "-i", str(authority)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return home


@pytest.fixture(scope="module")
def page(trusting_home: Path) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is not installed: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=FLAGS, env={"HOME": str(trusting_home)}
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        yield page
        browser.close()


def test_a_reader_searches_and_follows_a_bookmark(page: Page) -> None:
    page.goto(f"https://{SERVICE_NAME}/")
    box = page.get_by_role("searchbox")
    box.fill("neural machine translation")
    box.press("Enter")
    expect(page.get_by_role("article").first).to_be_visible(timeout=15_000)
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / "search.png")
    bookmark = page.url
    first = page.get_by_role("article").first.inner_text()
    page.goto("about:blank")
    page.goto(bookmark)
    assert page.get_by_role("article").first.inner_text() == first


def test_the_page_reads_well_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"https://{SERVICE_NAME}/?q=parsing")
    expect(page.get_by_role("article").first).to_be_visible(timeout=15_000)
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.screenshot(path=ARTIFACTS / "search-phone.png")
    assert wider <= 0, f"the page is {wider} pixels wider than the phone"


def test_the_assistant_answers(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"https://{SERVICE_NAME}/assistant")
    box = page.get_by_role("textbox").first
    expect(box).to_be_visible(timeout=30_000)
    box.fill("dependency parsing")
    box.press("Enter")
    expect(page.get_by_text("pars", exact=False).nth(2)).to_be_visible(timeout=30_000)
    page.screenshot(path=ARTIFACTS / "assistant.png")
