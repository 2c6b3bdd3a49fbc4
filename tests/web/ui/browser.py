"""Chromium, for tests of pages: one start for each test, with as many contexts as it needs.

Pictures go to the folder in NUGETPROXY_TEST_PICTURES, or else below the temporary folder of the test.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing")
        pytest.skip("chromium is not installed: see scripts/debian-packages")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


async def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe finds in the open page, by all rules or some. Its context must bypass the content security policy."""
    await page.evaluate(_AXE)
    only = {"type": "tag", "values": TAGS} if rules is None else {"type": "rule", "values": rules}
    found: dict[str, Any] = await page.evaluate(
        "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only
    )
    return [
        f"{each['id']}: {node['html'][:160]} {[check['message'] for check in node['any'][:1]]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def pictures(folder: Path) -> Path:
    """Where screenshots of this test go."""
    chosen = Path(os.environ.get("NUGETPROXY_TEST_PICTURES") or folder / "pictures")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen
