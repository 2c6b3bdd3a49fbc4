"""Readmes become HTML that can do nothing, and that reads well."""

import pytest
from lxml import html

from nugetproxy.web.ui.markdown import LONGEST, readme_html
from tests.web.ui.attacks import ATTACKS, RUN

ELEMENTS = frozenset((
    "a", "b", "blockquote", "br", "code", "del", "details", "div", "em", "h3", "h4", "h5", "h6", "hr", "i",
    "kbd", "li", "ol", "p", "pre", "s", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th",
    "thead", "tr", "ul",
))  # fmt: skip
ATTRIBUTES = frozenset(("href", "rel", "title", "start", "align", "tabindex", "class"))


def rendered(text: str) -> str:
    return str(readme_html(text.encode())[0])


@pytest.mark.parametrize("text", [*ATTACKS, "\n\n".join(ATTACKS)])
def test_nothing_in_it_can_act(text):
    root = html.fragment_fromstring(rendered(text), create_parent="main")
    for element in root.iterdescendants():
        assert element.tag in ELEMENTS
        assert set(element.attrib) <= ATTRIBUTES
        assert element.get("href", "http://").startswith(("http://", "https://"))
        assert element.get("class", "scroll") == "scroll"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("![a **chart**](http://x.test/a.png)", "<p>a chart</p>\n"),
        ("![](http://x.test/a.png)", "<p>image</p>\n"),
        ("[docs](docs/a.md)", '<p><a rel="nofollow noopener noreferrer">docs</a></p>\n'),
        ("[x](https://x.test/)", '<p><a href="https://x.test/" rel="nofollow noopener noreferrer">x</a></p>\n'),
        ("## Two\n#### Four\n# One", "<h3>Two</h3>\n<h4>Four</h4>\n<h3>One</h3>\n"),
        ("```csharp\nvar a = 1 < 2;\n```", '<pre tabindex="0"><code>var a = 1 &lt; 2;\n</code></pre>\n'),
        ("a\x00b", "<p>a\ufffdb</p>\n"),
    ],
)
def test_what_it_makes_of_markdown(text, expected):
    assert rendered(text) == expected


def test_a_long_one_is_cut_at_a_line():
    body = f"{'words ' * 10}\n".encode() * 2_000
    shown, is_whole = readme_html(body)

    assert (is_whole, len(body) > LONGEST) == (False, True)
    assert str(shown).rstrip().endswith("words</p>")


@pytest.mark.parametrize(
    "text", ["*" * 40_000, "[" * 40_000, "> " * 20_000, "<div>" * 9_000, "`" * 40_000 + "a", "![" * 20_000]
)
def test_hostile_repetition_takes_no_time_and_no_depth(text):
    assert len(rendered(text)) < 20 * LONGEST


def test_an_attack_that_is_plain_text_stays_readable():
    assert f"{RUN}" in rendered(f"`<script>{RUN}</script>`")
