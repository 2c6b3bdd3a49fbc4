"""A readme as safe HTML. Pure; long ones take milliseconds, so callers run it in a thread.

The last step is always the sanitiser, with a short list of elements and attributes. Images are replaced with their
text: nothing that a package author wrote makes a reader's browser ask another host. Links stay if they are web
addresses; relative ones lead nowhere here and lose their target.
"""

import re
from html import escape, unescape
from typing import Final

import cmarkgfm
import nh3
from cmarkgfm.cmark import Options
from markupsafe import Markup

from nugetproxy.protocol.web_addresses import web_address

LONGEST: Final = 48_000
"""Bytes of a readme that are shown; the whole one is among the files of the package."""

_TAGS: Final = frozenset((
    "a", "b", "blockquote", "br", "code", "del", "details", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "kbd", "li", "ol", "p", "pre", "s", "strong", "sub", "summary", "sup", "table", "tbody", "td",
    "th", "thead", "tr", "ul",
))  # fmt: skip
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}, "td": {"align"}, "th": {"align"}}
_REL: Final = "nofollow noopener noreferrer"
_GIVEN: Final = r'(?: [a-z]+="[^"]*")*'

_IMAGE: Final = re.compile(rf"<img({_GIVEN})>")
_ALT: Final = re.compile(r' alt="([^"]*)"')
_HEADING: Final = re.compile(r"<(/?)h([1-6])>")
_EMPTY: Final = re.compile(rf"<(a|h[1-6]|summary){_GIVEN}>\s*</\1>")
_EMPTY_HEADER_CELL: Final = re.compile(rf"<th({_GIVEN})>\s*</th>")
_UNDER: Final = 2
"""The level of the heading above a readme."""


def readme_html(body: bytes) -> tuple[Markup, bool]:
    """The readme, and whether all of it is shown."""
    text = body[:LONGEST].decode("utf-8-sig", "replace").replace("\x00", "�")
    is_whole = len(body) <= LONGEST
    if not is_whole:
        text = text.rpartition("\n")[0] or text
    return Markup(_safe(_rendered(text))), is_whole  # noqa: S704 - sanitised


def _rendered(text: str) -> str:
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_VALIDATE_UTF8
    return str(cmarkgfm.github_flavored_markdown_to_html(text, options))


def _safe(html: str) -> str:
    # The first pass writes HTML of one known form, in which the patterns below find whole tags.
    known = nh3.clean(
        html,
        tags=set(_TAGS | {"img"}),
        attributes={**_ATTRIBUTES, "img": {"alt"}},
        attribute_filter=_kept,
        link_rel=_REL,
    )
    known = _IMAGE.sub(_text_of_image, known)
    known = _EMPTY_HEADER_CELL.sub(r"<td\1></td>", _EMPTY.sub("", known))
    known = _with_levels(known)
    # Wide code and tables scroll, also by keyboard.
    known = known.replace("<pre>", '<pre tabindex="0">')
    known = known.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")
    return nh3.clean(
        known,
        tags=set(_TAGS),
        attributes={**_ATTRIBUTES, "pre": set(), "div": set()},
        tag_attribute_values={"pre": {"tabindex": {"0"}}, "div": {"tabindex": {"0"}, "class": {"scroll"}}},
        attribute_filter=_kept,
        link_rel=_REL,
    )


def _kept(tag: str, name: str, value: str) -> str | None:
    if tag == "a" and name == "href":
        return web_address(value) or None
    if name == "lang":
        return None
    if name == "align":
        return value if value in ("left", "right", "center") else None
    return value


def _text_of_image(match: re.Match[str]) -> str:
    alt = _ALT.search(match[1])
    text = unescape(alt[1]).strip() if alt else ""
    return escape(text) if text else "image"


def _with_levels(html: str) -> str:
    """Headings one below the other without gaps, below the heading of the page's section."""
    above: list[int] = []

    def level(match: re.Match[str]) -> str:
        number = int(match[2])
        if not match[1]:
            while above and above[-1] >= number:
                above.pop()
            above.append(number)
        return f"<{match[1]}h{min(6, _UNDER + max(1, len(above)))}>"

    return _HEADING.sub(level, html)
