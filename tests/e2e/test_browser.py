"""A reader with a real browser: Debian's Chromium, through the virtual address.

With RESEARCH_SITE=http://127.0.0.1:7860 (and RESEARCH_SITE_ADMIN_PASSWORD, for those who sign in)
the same tests look at an application that runs here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.e2e.conftest import ARTIFACTS, INVENTORY, SERVICE_NAME, VIP, Lab, ready
from tests.waiting import wait_until

LOCAL = os.environ.get("RESEARCH_SITE", "")
SITE = LOCAL or f"https://{SERVICE_NAME}"
DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
SECONDS = 15_000
QUESTION = "How does attention help neural machine translation?"

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
def trusting_home(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Return a home folder whose certificate store trusts the lab's CA, as the README says."""
    home = tmp_path_factory.mktemp("home")
    if LOCAL:
        return home
    authority: Path = request.getfixturevalue("authority")
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for command in (
        ["certutil", "-N", "-d", f"sql:{store}", "--empty-password"],
        ["certutil", "-A", "-d", f"sql:{store}", "-t", "C,,", "-n", "lab", "-i", str(authority)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return home


@pytest.fixture(scope="module")
def browser(trusting_home: Path) -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is not installed: apt-get install chromium"
    ARTIFACTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=FLAGS, env={"HOME": str(trusting_home)}
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=DESK, base_url=SITE)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert not problems, problems


@pytest.fixture(scope="module")
def admin_password() -> str:
    if LOCAL:
        if password := os.environ.get("RESEARCH_SITE_ADMIN_PASSWORD"):
            return password
        pytest.skip("RESEARCH_SITE_ADMIN_PASSWORD is not set")
    vault = INVENTORY / "group_vars" / "all" / "vault.yml"
    shown = subprocess.run(["ansible-vault", "view", str(vault)], capture_output=True, check=True)
    password = yaml.safe_load(shown.stdout)["vault_app_admin_password"]
    return str(password)


@pytest.fixture
def curator(page: Page, admin_password: str) -> Page:
    """Return a page whose reader has signed in."""
    page.goto("/login")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(admin_password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=SECONDS)
    return page


def results(page: Page) -> int:
    """Return how many results the heading says there are."""
    heading = page.get_by_role("heading", level=1).inner_text()
    found = re.match(r"([\d,]+) results?", heading)
    assert found, heading
    return int(found.group(1).replace(",", ""))


def test_a_reader_searches_and_follows_a_bookmark(page: Page) -> None:
    page.goto("/")
    box = page.get_by_role("searchbox")
    box.fill("neural machine translation")
    box.press("Enter")
    expect(page.get_by_role("article").first).to_be_visible(timeout=SECONDS)
    page.screenshot(path=ARTIFACTS / "search.png")
    bookmark = page.url
    first = page.get_by_role("article").first.inner_text()
    page.goto("about:blank")
    page.goto(bookmark)
    assert page.get_by_role("article").first.inner_text() == first


def test_the_page_reads_well_on_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.goto("/?q=parsing")
    expect(page.get_by_role("article").first).to_be_visible(timeout=SECONDS)
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.screenshot(path=ARTIFACTS / "search-phone.png")
    assert wider <= 0, f"the page is {wider} pixels wider than the phone"


def test_facets_narrow_a_search_and_are_let_go(page: Page) -> None:
    page.goto("/?q=translation")
    everything = results(page)
    facet = page.locator(".facet a").nth(1)
    count = int(facet.locator(".count").inner_text().replace(",", ""))
    facet.click()
    page.wait_for_url(re.compile(r"[?&](kind|venue|author)="))
    assert results(page) == count < everything
    page.get_by_role("list", name="Filters in force").get_by_role("link").first.click()
    page.wait_for_url(re.compile(r"/\?q=translation$"))
    assert results(page) == everything


def test_a_page_can_be_used_without_a_mouse(page: Page) -> None:
    page.goto("/?q=parsing")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("tagging")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"q=tagging"))


def test_a_question_is_answered_with_citations(page: Page) -> None:
    page.goto("/")
    page.get_by_role("searchbox").fill(QUESTION)
    page.keyboard.press("Enter")
    answer = page.get_by_role("region", name="Answer")
    citation = answer.locator("a.number").first
    expect(citation).to_be_visible(timeout=30_000)
    expect(answer.locator(".made")).to_be_visible(timeout=30_000)
    page.screenshot(path=ARTIFACTS / "answer.png")
    title = (citation.get_attribute("aria-label") or "").partition(": ")[2]
    citation.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=SECONDS)


def test_an_answer_needs_no_script(browser: Browser) -> None:
    context = browser.new_context(viewport=DESK, base_url=SITE, java_script_enabled=False)
    page = context.new_page()
    page.goto("/?q=neural+machine+translation+attention")
    page.get_by_role("link", name="Answer this from the library").click()
    expect(page.locator(".said")).to_be_visible(timeout=SECONDS)
    assert page.locator(".sources a").count() >= 1
    context.close()


def test_a_citation_is_copied_as_bibtex(page: Page) -> None:
    page.goto("/?q=parsing")
    cite = page.locator("details.cite").first
    cite.locator("summary").click()
    expect(cite.locator("pre")).to_contain_text("title = {")


def test_a_misspelt_word_is_seen(page: Page) -> None:
    page.goto("/?q=machine+tranlation")
    suggestion = page.locator(".suggestion a")
    expect(suggestion).to_have_text("machine translation", timeout=SECONDS)
    suggestion.click()
    page.wait_for_url(re.compile(r"q=machine\+translation"))
    assert results(page) > 10


def test_an_item_shows_what_is_similar(page: Page) -> None:
    page.goto("/?q=parsing")
    page.get_by_role("link", name=re.compile("^Similar")).first.click()
    expect(
        page.get_by_role("region", name="Similar items").get_by_role("link").first
    ).to_be_visible(timeout=SECONDS)


def test_the_holdings_are_a_plot_and_a_table(page: Page) -> None:
    page.goto("/library")
    expect(page.get_by_role("img", name=re.compile("Documents by year and kind"))).to_be_visible()
    rows = page.get_by_role("row")
    assert rows.count() > 2
    page.screenshot(path=ARTIFACTS / "library.png")


PAGES = {
    "home": "/",
    "results": "/?q=translation&kind=paper",
    "question": "/?q=how+does+attention+help+translation%3F",
    "nothing": "/?q=xyzzyxyzzy",
    "answer": "/answer?q=how+does+attention+help+translation%3F",
    "library": "/library",
    "login": "/login",
    "error": "/nowhere",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_accessibility(browser: Browser, name: str, scheme: str) -> None:
    """WCAG A and AA, as far as a program can tell, on a desk and on a phone."""
    for size in (DESK, PHONE):
        context = browser.new_context(viewport=size, base_url=SITE, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(PAGES[name])
        if name == "question":
            expect(page.locator("section.answer .said")).to_have_attribute(
                "aria-busy", "false", timeout=30_000
            )
        _assert_accessible(page)
        wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wider <= 0, f"{wider} pixels wider than the window"
        context.close()


def _assert_accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    shown = [(problem["id"], [node["html"] for node in problem["nodes"]]) for problem in found]
    assert not found, json.dumps(shown, indent=1)


def test_an_item_is_accessible(page: Page) -> None:
    page.goto("/?q=parsing")
    page.locator(".results h2 a").first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    _assert_accessible(page)


def test_a_curator_sends_a_file_and_sees_it_found(curator: Page, tmp_path: Path) -> None:
    word = f"quokka{uuid.uuid4().hex[:10]}"
    file = tmp_path / "papers.jsonl"
    file.write_text(json.dumps({"id": word, "title": f"A study of the {word}", "year": 2020}))
    curator.goto("/upload")
    _assert_accessible(curator)
    curator.get_by_label("File").set_input_files(file)
    curator.get_by_role("button", name="Send").click()
    curator.wait_for_url(re.compile("/jobs/"))
    expect(curator.get_by_role("status")).to_contain_text("done", timeout=60_000)
    _assert_accessible(curator)  # not before: the page of a job that runs loads itself anew
    expect(curator.locator('[data-field="new"]')).to_have_text("1")
    curator.goto(f"/?q={word}")
    expect(curator.get_by_role("article").first).to_contain_text(word, timeout=SECONDS)


@pytest.mark.skipif(bool(LOCAL), reason="there is one node, and it is not ours to kill")
def test_a_signed_in_reader_goes_on_when_their_node_dies(curator: Page, lab: Lab) -> None:
    curator.goto("/?q=neural+machine+translation")
    expect(curator.get_by_role("article").first).to_be_visible(timeout=SECONDS)
    cookies = {cookie["name"]: cookie["value"] for cookie in curator.context.cookies()}
    node = lab[cookies["research_node"]]
    node.check("systemctl mask --runtime research-app && systemctl kill --signal=KILL research-app")
    try:
        curator.get_by_role("article").first.get_by_role("link").first.click()
        expect(curator.get_by_role("button", name="Sign out")).to_be_visible(timeout=SECONDS)
        curator.goto("/?q=garbage+collection")
        expect(curator.get_by_role("article").first).to_be_visible(timeout=SECONDS)
        curator.goto("/admin")
        expect(curator.get_by_role("heading", level=1)).to_have_text("Administration")
    finally:
        node.check("systemctl unmask --runtime research-app && systemctl start research-app", 90)
        wait_until(lambda: ready(node), 60, f"{node.name} ready again")


def test_an_administrator_sees_how_it_goes(curator: Page) -> None:
    curator.goto("/admin")
    expect(curator.get_by_role("heading", level=1)).to_have_text("Administration")
    expect(curator.get_by_text("opensearch", exact=True)).to_be_visible()
    _assert_accessible(curator)
    curator.screenshot(path=ARTIFACTS / "admin.png")
    curator.get_by_role("button", name="Sign out").click()
    curator.goto("/admin")
    curator.wait_for_url(re.compile("/login"))


def test_the_assistant_answers(page: Page) -> None:
    page.goto("/assistant")
    box = page.get_by_role("textbox").first
    expect(box).to_be_visible(timeout=30_000)
    box.fill(QUESTION)
    box.press("Enter")
    expect(page.locator("#found a.number").first).to_be_visible(timeout=30_000)
    page.screenshot(path=ARTIFACTS / "assistant.png")


def test_an_example_of_the_assistant_becomes_the_question(page: Page) -> None:
    page.goto("/assistant")
    box = page.get_by_role("textbox").first
    expect(box).to_be_visible(timeout=30_000)
    example = page.get_by_text("How do neural models translate rare words?")
    example.click()
    expect(box).to_have_value("How do neural models translate rare words?", timeout=SECONDS)
