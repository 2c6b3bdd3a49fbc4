"""Signing in, keys and sessions in a real browser: without script, accessible, and on a phone."""

import re
from typing import Literal

import pytest
from playwright.async_api import expect

from tests.flows.private_feed import basic, opened
from tests.web.ui.browser import chromium, pictures, violations

pytestmark = [pytest.mark.tools, pytest.mark.xdist_group("chromium")]

PASSWORD = "correct horse battery"
PAGES = {"account": "/account", "device": "/device", "device-unknown": "/device?code=BCDF-GHJK"}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.mark.timeout(240)
async def test_a_person_signs_in_and_makes_a_key(tmp_path, upstream):
    """
    Without script; the pages are accessible in both colour schemes, and nothing is wider than a phone's screen.
    """
    folder = pictures(tmp_path)
    found: list[str] = []
    settings = {"accounts": {"anonymous_read": "none"}, "feed": {"protected_prefixes": ["Acme."]}}
    async with opened(tmp_path / "data", upstream, **settings) as house, chromium() as browser:
        await house.accounts.directory.set_password("bob", PASSWORD)
        base = f"http://127.0.0.1:{house.port}"
        context = await browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        await page.goto(f"{base}/packages")
        await page.get_by_role("link", name="Sign in").last.click()
        for password in ("wrong", PASSWORD):
            await page.fill("#name", "bob")
            await page.fill("#password", password)
            await page.get_by_role("button", name="Sign in").click()
        await expect(page).to_have_url(f"{base}/packages")

        await page.goto(f"{base}/account")
        await page.fill("#key-name", "laptop")
        await page.get_by_label("Push new packages and versions").uncheck()
        await page.get_by_label("Read only").check()
        await page.get_by_role("button", name="Create key").click()
        key = await page.locator("#copy-key").inner_text()
        assert re.fullmatch(r"nugetproxy_\w{50}", key)
        assert (await house.get("/v3/index.json", basic("any", key))).status == 200
        await page.goto(f"{base}/account")
        assert key not in await page.content()

        cookies = await context.cookies()
        scripted = await browser.new_context(bypass_csp=True, viewport={"width": 1280, "height": 900})
        await scripted.add_cookies([{"name": each["name"], "value": each["value"], "url": base} for each in cookies])
        other = await scripted.new_page()
        for name, path in PAGES.items():
            await other.goto(base + path)
            for scheme in SCHEMES:
                await other.emulate_media(color_scheme=scheme)
                found += [f"{name} ({scheme}): {each}" for each in await violations(other)]
                await other.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)
        await other.set_viewport_size({"width": 360, "height": 780})
        for path in PAGES.values():
            await other.goto(base + path)
            assert await other.evaluate("document.documentElement.scrollWidth") <= 360, path

        await page.get_by_role("button", name="Sign out everywhere").click()
        await other.goto(f"{base}/sign-in")
        await expect(other.locator("#password")).to_be_visible()
        found += [f"sign-in: {each}" for each in await violations(other)]
    assert found == []
