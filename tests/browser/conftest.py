"""Debian's Chromium in front of console, worker and gateway."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from gongshu.server.cli import open_site
from gongshu.server.demo.cast import set_up_cast
from gongshu.server.settings import Settings
from tests.browser.visitors import CHINESE, WAIT_MS, WIDE, Platform, Visitor, is_complaint, run_platform

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with the demo's organisations and people, and nothing done yet."""
    home = tmp_path_factory.mktemp("platform") / "var"
    site = open_site(Settings(home, "", "127.0.0.1", 0, 0), is_demo=True)
    set_up_cast(site)
    site.db.close()
    yield from run_platform(home)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright; closed with its file, for its event loop must not outlive it."""
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed; run: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, platform: Platform) -> Iterator[Callable[..., Visitor]]:
    """Give visitors: somebody unknown, or one of the demo's people by login, in a language and at a width."""
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def arrive(login: str = "", *, locale: str = CHINESE, width: int = WIDE) -> Visitor:
        context = browser.new_context(viewport={"width": width, "height": 860}, locale=locale, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if is_complaint(said.type, said.text) else None)
        page.on("dialog", lambda dialog: dialog.accept())
        visitor = Visitor(platform, page, locale, complaints)
        visitors.append(visitor)
        if login:
            visitor.goes_to("/sign-in")
            page.locator(f'button[name="login"][value="{login}"]').click()
            page.wait_for_url(f"{platform.address}/")
        return visitor

    yield arrive
    for context in contexts:
        context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []
