"""What all pages have in common: headers, refusals, assets, and the setting that switches them off."""

import re
import time

import pytest

from nugetproxy.web.hot.table import HotTable
from tests.fakes.feed import FakeFeed
from tests.web.serving import serving

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
NUGET = {"User-Agent": "NuGet Command Line/6.12.0 (Linux)", "Accept": "text/html"}


async def test_a_refusal_is_a_page_for_browsers_only():
    """
    Status, reason and headers are the same for everybody.
    """
    async with serving(FakeFeed()) as client:
        async with client.get("/nowhere/<b>", headers=BROWSER) as page, client.get("/nowhere/<b>") as plain:
            text = await page.text()

            assert (page.status, page.reason) == (plain.status, plain.reason)
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert plain.headers["Content-Type"] == "application/json"
        assert "/nowhere/&lt;b&gt;" in text
        assert page.headers["X-Request-Id"] in text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]

        async with client.get("/nowhere", headers=NUGET) as answer:
            assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["/", "/nowhere"])
async def test_no_script_or_style_is_inline(path):
    async with serving(FakeFeed()) as client, client.get(path, headers=BROWSER) as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]

    assert "unsafe" not in policy
    assert not re.search(r"<style|<script(?![^>]* src=)| style=| on[a-z]+=|javascript:", text)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)


async def test_assets_are_kept_for_good_under_the_hash_of_their_contents():
    async with serving(FakeFeed()) as client:
        async with client.get("/", headers=BROWSER) as answer:
            names = re.findall(r'"(/ui/[^"]+)"', await answer.text())
        assert {name.rpartition(".")[2] for name in names} == {"css", "js", "svg"}
        async with client.get(next(name for name in names if name.endswith(".css"))) as answer:
            inside = re.findall(r'url\("([^"]+)"\)', await answer.text())
        assert inside
        for name in {*names, *(f"/ui/{each}" for each in inside)}:
            async with client.get(name) as answer:
                assert (answer.status, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        async with client.get("/ui/face.css") as answer:
            assert answer.status == 404


async def test_what_somebody_with_a_cookie_gets_is_not_kept_for_others():
    """
    Pages that are the same for all anonymous readers are hot.
    """
    hot = HotTable(10_000_000, lambda: 0)
    async with serving(FakeFeed(), hot=hot) as client:
        path, host = "/packages/Contoso.Utils", f"http://127.0.0.1:{client.port}".encode()
        for headers, is_kept in (({"Cookie": "a=b"}, False), ({}, True)):
            async with client.get(path, headers=headers) as answer:
                assert (answer.status, answer.headers["Cache-Control"]) == (200, "private, no-cache")
            assert (hot.find(path.encode(), host, time.monotonic()) is not None) is is_kept


async def test_pages_can_be_switched_off():
    async with serving(FakeFeed(), {"web_ui": {"enabled": False}}) as client:
        async with client.get("/", headers=BROWSER) as answer:
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        async with client.get("/ui/face.css", headers=BROWSER) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (404, "application/json")
