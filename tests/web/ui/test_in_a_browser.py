"""The pages in a real browser: for everybody, in both colour schemes, on a phone, without script, by keyboard."""

from typing import Literal

import pytest
from playwright.async_api import expect

from tests.builders import make_nupkg, make_nuspec
from tests.flows.private_feed import opened
from tests.web.ui.attacks import ATTACKS
from tests.web.ui.browser import chromium, pictures, violations
from tests.web.ui.furnished_site import furnished_site

pytestmark = [pytest.mark.tools, pytest.mark.xdist_group("chromium")]

PAGES = {
    "home": "/",
    "search": "/packages?q=contoso&prerelease=true",
    "nothing-found": "/packages?q=nothing-like-it",
    "package": "/packages/Contoso.Widgets",
    "tool": "/packages/Contoso.Build",
    "deprecated": "/packages/Contoso.Forms",
    "mirrored": "/packages/Fabrikam.Json",
    "vulnerable": "/packages/Fabrikam.Json/1.0.1",
    "withheld": "/packages/Fabrikam.Json/2.0.0",
    "versions": "/packages/Contoso.Widgets/versions",
    "files": "/packages/Contoso.Widgets/1.1.0/files",
    "file": "/packages/Contoso.Widgets/1.1.0/files?path=README.md",
    "used-by": "/packages/Fabrikam.Json/used-by",
    "compare": "/packages/Contoso.Widgets/compare?from=1.0.0&to=1.1.0",
    "not-found": "/packages/Nobody.Has.This",
}


ATTACKS_AT_ONCE = 25
SCHEMES: tuple[tuple[Literal["light", "dark"], list[str] | None], ...] = (("light", None), ("dark", ["color-contrast"]))


@pytest.mark.timeout(240)
async def test_pages_are_accessible_in_both_colour_schemes(tmp_path, upstream):
    """
    And no page is larger than 60 KB, or asks another host for anything. In the dark, only the colours differ.
    """
    folder = pictures(tmp_path)
    found: list[str] = []
    asked: set[str] = set()
    async with furnished_site(tmp_path / "data", upstream) as house, chromium() as browser:
        base = f"http://127.0.0.1:{house.port}"
        context = await browser.new_context(bypass_csp=True, viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        page.on("request", lambda request: asked.add(request.url.split("/")[2]))
        for name, path in PAGES.items():
            answer = await page.goto(base + path)
            assert answer is not None
            assert len(await answer.body()) < 60_000, name
            for scheme, rules in SCHEMES:
                await page.emulate_media(color_scheme=scheme)
                found += [f"{name} ({scheme}): {each}" for each in await violations(page, rules)]
                await page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)

    assert found == []
    assert asked == {base.removeprefix("http://")}


@pytest.mark.timeout(240)
async def test_hostile_texts_run_nothing_and_do_not_even_reach_the_policy(tmp_path, upstream):
    """
    Readmes with all attacks, some at a time and each alone in a block; the other texts of a nuspec; and searches.
    """
    ran: list[str] = []
    reported: list[str] = []
    asked: set[str] = set()
    some = [ATTACKS[start : start + ATTACKS_AT_ONCE] for start in range(0, len(ATTACKS), ATTACKS_AT_ONCE)]
    async with opened(tmp_path, upstream) as house, chromium() as browser:
        for number, attacks in enumerate(some):
            text = "\n\n".join(each for each in attacks if each.isprintable())
            nuspec = make_nuspec(
                f"Contoso.Odd{number}", authors=text[:300], description=text[:4000], tags="x", readme="README.md"
            )
            readme = "\n\n".join(attacks).replace("\x00", "").encode()  # a push with NUL is refused
            package = make_nupkg(f"Contoso.Odd{number}", nuspec=nuspec, files={"README.md": readme})
            assert (await house.push(package)).status == 201
        base = f"http://127.0.0.1:{house.port}"
        context = await browser.new_context()
        await context.expose_function("ran", lambda: ran.append(page.url))
        await context.expose_function("reported", lambda what: reported.append(f"{page.url}: {what}"))
        await context.add_init_script(
            "addEventListener('securitypolicyviolation', e => reported(`${e.violatedDirective} ${e.blockedURI}`))"
        )
        page = await context.new_page()
        page.on("request", lambda request: asked.add(request.url.split("/")[2]))
        page.on("dialog", lambda dialog: ran.append(dialog.message))
        for number in range(len(some)):
            await page.goto(f"{base}/packages/Contoso.Odd{number}")
            for summary in await page.locator(".prose summary, .prose h3").all():
                await summary.hover()
            await page.goto(f"{base}/packages/Contoso.Odd{number}/1.0.0/files?path=README.md")
        await page.goto(f"{base}/packages?q=odd")
        for attack in ATTACKS[::20]:
            await page.goto(f"{base}/packages?q=odd")
            await page.fill("#q", attack)
            await page.press("#q", "Enter")
            await page.wait_for_load_state()

    assert (ran, reported) == ([], [])
    assert asked == {base.removeprefix("http://")}


@pytest.mark.timeout(240)
async def test_a_person_finds_a_package(tmp_path, upstream):
    """
    By keyboard with suggestions; without script; and on a phone, where nothing is wider than the screen.
    """
    folder = pictures(tmp_path)
    async with furnished_site(tmp_path / "data", upstream) as house, chromium() as browser:
        base = f"http://127.0.0.1:{house.port}"
        page = await browser.new_page()
        await page.goto(base)
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await expect(page.locator("#q")).to_be_focused()
        await page.keyboard.type("contoso.wid", delay=20)
        await expect(page.get_by_role("option")).to_have_text(["Contoso.Widgets"])
        await page.screenshot(path=folder / "suggestions.png")
        await page.keyboard.press("ArrowDown")
        await expect(page.locator("#q")).to_have_attribute("aria-activedescendant", "suggestion-0")
        await page.keyboard.press("Enter")
        await expect(page).to_have_title("Contoso.Widgets 1.1.0 · nugetproxy")
        await page.get_by_role("button", name="Copy: .NET CLI").click()
        await expect(page.locator("[data-copy=copy-cli]")).to_have_text("Copied")
        await page.set_viewport_size({"width": 1000, "height": 680})  # those of docs/web.md
        for name in ("package", "search"):
            await page.goto(base + PAGES[name])
            await page.screenshot(path=folder / f"{name}.png")

        plain = await browser.new_context(java_script_enabled=False)
        page = await plain.new_page()
        await page.goto(base)
        await page.fill("#q", "widgets")
        await page.press("#q", "Enter")
        await page.get_by_role("link", name="Contoso.Widgets").click()
        await expect(page.get_by_role("button", name="Copy: .NET CLI")).to_be_hidden()
        await page.get_by_role("link", name="Files in the package").click()
        await page.get_by_role("link", name="README.md").click()
        await expect(page.locator("pre.source")).to_contain_text("Widgets for **forms**")
        await page.goto(f"{base}/packages/Contoso.Widgets")
        await page.get_by_role("button", name="Show differences").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("From 1.1.0 to 2.0.0-beta.1")

        phone = await browser.new_context(viewport={"width": 360, "height": 740}, device_scale_factor=2)
        page = await phone.new_page()
        for name, path in PAGES.items():
            await page.goto(base + path)
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, f"{name} is {width} pixels wide"
        await page.goto(base + PAGES["package"])
        await page.screenshot(path=folder / "phone.png")
