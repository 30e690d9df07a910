"""A real browser for the tests that look at pages: Debian's Chromium, driven by Playwright, nothing downloaded."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
PATIENCE = 300_000  # milliseconds: a backstop, no limit that a busy machine could miss


@contextmanager
def started() -> Iterator[Browser]:
    """Chromium; where there is none the test is skipped, but for CI, which has to have it."""
    if not CHROMIUM and not (os.environ.get("CI") and sys.platform == "linux"):
        pytest.skip("no Chromium here: install `chromium`, and the pages are tried in a browser, too")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page, what it complained of (errors alone, and everything), and the addresses that it asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def tab_of(browser: Browser) -> Iterator[Tab]:
    """Open a page of its own, without cookies or storage of another."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    tab = Tab(context.new_page())

    def hear(text: str, error: bool) -> None:
        tab.said.append(text)
        if error:
            tab.errors.append(text)

    tab.page.on("console", lambda message: hear(message.text, message.type == "error"))
    tab.page.on("pageerror", lambda error: hear(str(error), True))
    tab.page.on("response", lambda reply: reply.status >= 400 and hear(f"{reply.status}: {reply.url}", True))
    tab.page.on("requestfailed", lambda request: hear(f"failed: {request.url}", True))
    tab.page.on("request", lambda request: tab.asked.append(request.url))
    yield tab
    context.close()


def barriers(page: Page) -> list[str]:
    """What axe-core finds on a page that keeps people out: each serious or critical violation, with its first place."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {violation['help']}: {violation['nodes'][0]['html'][:200]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]
