"""The page at the root: HTML for browsers, plain text for everything else."""

import re
from typing import Any

import pytest

from tests.fakes.feed import FakeFeed
from tests.web.serving import serving

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
CURL = "*/*"
SECURE = {"server": {"public_url": "https://nuget.example.com"}}


async def home(accept: str | None, settings: dict[str, Any] = SECURE) -> tuple[str, str]:
    """The page and its content type."""
    asked = {} if accept is None else {"Accept": accept}
    async with serving(FakeFeed(), settings) as client, client.get("/", headers=asked) as answer:
        assert answer.status == 200
        assert answer.headers["Vary"].split(", ")[0] == "Accept"
        return await answer.text(), answer.headers["Content-Type"]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (SECURE, "dotnet nuget add source https://nuget.example.com/v3/index.json --name mirror\n"),
        (
            {"server": {"public_url": "http://a.example"}},
            "dotnet nuget add source http://a.example/v3/index.json --name mirror --allow-insecure-connections\n",
        ),
        (
            {**SECURE, "accounts": {"anonymous_read": "none"}},
            (
                "dotnet nuget add source https://nuget.example.com/v3/index.json --name mirror"
                " --username USER --password KEY --store-password-in-clear-text\n"
            ),
        ),
    ],
)
async def test_it_tells_how_to_use_the_server(settings, line):
    """
    The line to paste, in either form.
    """
    text, kind = await home(None, settings)
    page, _ = await home(CHROMIUM, settings)

    assert kind == "text/plain; charset=utf-8"
    assert line in text
    assert f">{line.strip()}</pre>" in page


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (None, False), (CURL, False), ("", False), ("application/json", False), ("text/plain, */*;q=0.1", False),
        ("application/json, text/html;q=0.5", False), ("text/html;q=0, */*", False), ("text/html;q=nonsense", False),
        ("application/json, text/plain, */*", False),
        (CHROMIUM, True), ("text/html", True), ("TEXT/HTML ; q=0.5", True),
    ],
)  # fmt: skip
async def test_clients_that_do_not_prefer_html_get_text(accept, is_page):
    page, kind = await home(accept)

    assert kind == ("text/html; charset=utf-8" if is_page else "text/plain; charset=utf-8")
    assert page.startswith("<!DOCTYPE html>") is is_page


async def test_it_shows_only_what_is_switched_on():
    settings = {**SECURE, "hosting": {"enabled": False}, "metrics": {"enabled": False}}

    for accept in (CURL, CHROMIUM):
        page, _ = await home(accept)
        assert "dotnet nuget push PACKAGE.nupkg --source mirror --api-key KEY" in page
        assert "/metrics" in page

        page, _ = await home(accept, settings)
        assert "push" not in page
        assert "metrics" not in page.lower()


async def test_nothing_in_it_is_taken_for_a_tag_and_no_script_would_run():
    """
    The path of the URL may contain characters that are special in HTML.
    """
    settings = {"server": {"public_url": "https://nuget.example.com/a'b&c"}}
    async with serving(FakeFeed(), settings) as client, client.get("/", headers={"Accept": CHROMIUM}) as answer:
        page, headers = await answer.text(), answer.headers

    assert "https://nuget.example.com/a&#39;b&amp;c/v3/index.json" in page
    assert not re.search(r"&(?!#39;|#34;|amp;|lt;|gt;)|<script(?! src=)", page)
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert headers["X-Content-Type-Options"] == "nosniff"
