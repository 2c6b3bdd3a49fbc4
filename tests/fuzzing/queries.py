"""Queries of clients: OData options, batches and searches. An answer must not depend on how it was found."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from nugetproxy.errors import InvalidRequest
from nugetproxy.hosting.full_text.base import Match, Phrase
from nugetproxy.hosting.search_match import asked_by, completed_by, readable
from nugetproxy.hosting.search_tokens import indexed, indexed_name, inner_parts, tokens
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import Dependency, DependencyGroup
from nugetproxy.nuget.package import Package
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v2.batch import MOST_QUERIES, read_batch
from nugetproxy.protocol.v2.evaluation import filtered, ordered
from nugetproxy.protocol.v2.expressions import Not
from nugetproxy.protocol.v2.feed_query import MOST_SKIPPED, PAGE_SIZE, FeedQuery, read_key
from nugetproxy.protocol.v2.hints import hints_of
from nugetproxy.protocol.v2.odata_query import MOST_ORDERS, parse_filter, parse_orderby
from nugetproxy.protocol.v2.properties import PROPERTIES
from nugetproxy.protocol.v2.rows import Row
from nugetproxy.protocol.v3.manifest_leaf import leaf_from_manifest
from nugetproxy.protocol.v3.search_query import DEEPEST_SKIP, MOST_TAKEN, CompletionQuery, SearchQuery
from nugetproxy.protocol.v3.search_terms import MOST_TERMS, matches, search_terms
from tests.fuzzing.choices import Choices
from tests.fuzzing.target import Target
from tests.fuzzing.texts import odd_text, package_id, version
from tests.hostile.manifests import manifest

_NAMES: Final = tuple(each.name for each in PROPERTIES)
_WORDS: Final = (
    *("(", ")", ",", " ", "'", "''", "eq", "ne", "gt", "le", "and", "or", "not", "null", "true", "false", "-1", "1L"),
    *("datetime'2024-01-02T03:04:05'", "datetime'0001-01-01T00:00:00+14:00'", "datetimeoffset'x'", "9" * 19, "1.5"),
    *("substringof", "startswith", "tolower", "concat", "trim", "indexof", "'Contoso.Utils'", "'1.0.0'", "desc"),
)


@cache
def rows() -> tuple[Row, ...]:
    """Rows that differ in everything that a filter may use."""
    made = []
    for number, (name, text) in enumerate(
        (("Contoso.Utils", "1.0.0"), ("Contoso.Utils", "2.0.0-rc.1"), ("contoso.other", "1.0.0.1"), ("İd", "3.0"))
    ):
        found = NuGetVersion.parse(text)
        described = Package(
            id=PackageId(name),
            version=found,
            verbatim_version=text,
            title="" if number == 1 else f"Title {number}",
            description="Utilities of CONTOSO",
            tags=("net", "json")[:number],
            authors="A, B",
            downloads=10**number,
            published=datetime(2024, 1, 1 + number, tzinfo=UTC) if number else None,
            dependency_groups=(DependencyGroup("net8.0", (Dependency("Other", "[1.0, )"),)),),
        )
        made.append(Row(name, found, lambda described=described: described, is_latest=number != 1))  # type: ignore[misc]
    return tuple(made)


def make_filter(choices: Choices) -> str:
    if choices.chance(3):
        return " ".join(choices.some(lambda: choices.one_of((*_WORDS, *_NAMES)), 14))
    text = _condition(choices, choices.one_of((0, 1, 3, 30)))
    if choices.chance(8):
        text = choices.edited(text.encode(), 2).decode("utf-8", "replace")
    return text


def _condition(choices: Choices, depth: int) -> str:
    if depth > 0 and not choices.is_used_up:
        match choices.below(4):
            case 0:
                left, right = (_condition(choices, depth - 1) for _ in range(2))
                return f"({left}) {choices.one_of(('and', 'or'))} {right}"
            case 1:
                return f"not ({_condition(choices, depth - 1)})"
            case 2:
                return f"({_condition(choices, depth - 1)})"
    match choices.below(5):
        case 0:
            return choices.one_of(("IsLatestVersion", "IsAbsoluteLatestVersion", "IsPrerelease", "true")) + (
                choices.one_of(("", " eq true", " ne false", " eq IsPrerelease"))
            )
        case 1:
            sought, place = f"'{_literal(choices)}'", _operand(choices)
            function = choices.one_of(("substringof", "startswith", "endswith"))
            return f"{function}({sought},{place})" if function == "substringof" else f"{function}({place},{sought})"
    operator = choices.one_of(("eq", "ne", "gt", "ge", "lt", "le"))
    return f"{_operand(choices)} {operator} {_operand(choices)}"


def _operand(choices: Choices) -> str:
    match choices.below(7):
        case 0:
            return f"'{_literal(choices)}'"
        case 1:
            return choices.one_of(("null", "0", "-5", "10", "999999999999", "datetime'2024-01-02T00:00:00'"))
        case 2:
            return f"{choices.one_of(('tolower', 'toupper', 'trim'))}({_operand(choices)})"
        case 3:
            return f"concat({_operand(choices)},{_operand(choices)})"
    return choices.one_of(("Id", "Version", "NormalizedVersion", "Title", "Tags", *_NAMES))


def _literal(choices: Choices) -> str:
    return choices.one_of((package_id, version, odd_text))(choices)[:200].replace("'", "''")


def use_filter(text: str) -> None:
    expression = parse_filter(text)
    passed = filtered(rows(), expression)
    opposite = filtered(rows(), Not(expression))
    assert sorted((*passed, *opposite), key=id) == sorted(rows(), key=id)
    hints = hints_of(expression)
    for row in passed:
        assert hints.ids is None or row.package_id.lower() in hints.ids
        assert row.is_latest or not hints.needs_latest
        assert row.is_absolute_latest or not hints.needs_absolute_latest
        if hints.words is not None:
            assert any(_mentions(row, word) for word in hints.words), (hints.words, row)


def _mentions(row: Row, word: str) -> bool:
    package = row.package
    texts = (row.package_id, package.title, package.description, package.summary, package.authors, *package.tags)
    # A search finds words, whatever separates them.
    plain = " ".join("".join(c if c.isalnum() else " " for c in " ".join(texts).lower()).split())
    return all(part in plain for part in "".join(c if c.isalnum() else " " for c in word.lower()).split())


def make_orderby(choices: Choices) -> str:
    keys = choices.some(
        lambda: (
            choices.one_of((*_NAMES, "concat(Title,Id)", "concat(Id,Published)", "Nothing"))
            + choices.one_of(("", " desc", " asc", " DESC", " up"))
        ),
        8,
    )
    text = ",".join(keys)
    return choices.edited(text.encode(), 2).decode("utf-8", "replace") if choices.chance(4) else text


def use_orderby(text: str) -> None:
    orders = parse_orderby(text)
    assert len(orders) <= MOST_ORDERS
    found = ordered(rows(), orders)
    assert sorted(found, key=id) == sorted(rows(), key=id)
    assert ordered(found, orders) == found


def make_feed_query(choices: Choices) -> list[tuple[str, str]]:
    makers = {
        "$filter": make_filter,
        "$orderby": make_orderby,
        "$skip": lambda choices: str(choices.number() * choices.one_of((1, -1))),
        "$top": lambda choices: str(choices.number()),
        "$inlinecount": lambda choices: choices.one_of(("allpages", "none", "", "x", "ALLPAGES")),
        "semVerLevel": version,
        "searchTerm": lambda choices: f"'{_literal(choices)}'",
        "id": lambda choices: f"'{_literal(choices)}'",
        "$skiptoken": odd_text,
        "includePrerelease": lambda choices: choices.one_of(("true", "'true'", "1", "FALSE")),
    }

    def pair() -> tuple[str, str]:
        name = choices.one_of(tuple(makers))
        value = makers[name](choices) if not choices.chance(6) else odd_text(choices)
        return choices.one_of((name, name.upper(), name)), value

    return choices.some(pair, 6)


def use_feed_query(pairs: list[tuple[str, str]]) -> None:
    query = FeedQuery.from_pairs(pairs)
    assert 0 <= query.page_length <= PAGE_SIZE
    query.texts("id"), query.flag("includePrerelease")
    link = query.next_page("https://x.example/api/v2/Packages()", query.skip + query.page_length)
    if link is None or query.page_length == 0:
        return
    assert link.isascii()
    assert not any(character <= " " for character in link)
    again = FeedQuery.from_pairs(parse_qsl(urlsplit(link).query, keep_blank_values=True, separator="&"))
    assert (again.filter, again.orders, again.level2) == (query.filter, query.orders, query.level2)
    assert again.skip == min(query.skip + query.page_length, MOST_SKIPPED)
    assert again.top is None if query.top is None else again.top == query.top - query.page_length
    assert again.text("searchTerm") == query.text("searchTerm")


def make_key(choices: Choices) -> str:
    text = f"(Id='{_literal(choices)}',Version='{_literal(choices)}')"
    return choices.edited(text.encode(), 2).decode("utf-8", "replace") if choices.chance(3) else text


def use_key(text: str) -> None:
    package, found = read_key(text)
    again = read_key("(Version='{}', Id='{}')".format(found.replace("'", "''"), package.replace("'", "''")))
    assert again == (package, found)


def make_batch(choices: Choices) -> tuple[str, bytes]:
    boundary = choices.one_of(("batch_x", "b", "a--b", "--", "x" * 70, odd_text(choices)[:80]))
    parts = "".join(
        f"--{boundary}\r\nContent-Type: application/http\r\n\r\nGET {_target(choices)} HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(choices.one_of((1, 1, 1, 0, 2, 8, 9)))
    )
    body = f"{parts}--{boundary}--\r\n".encode("utf-8", "replace")
    content_type = choices.one_of(
        (f"multipart/mixed; boundary={boundary}", f'multipart/mixed;boundary="{boundary}"', "x")
    )
    return content_type, choices.edited(body, 2) if choices.chance(3) else body


def _target(choices: Choices) -> str:
    pairs = "&".join(f"{quote(name)}={quote(value)}" for name, value in make_feed_query(choices))
    return choices.one_of(("http://x/api/v2/", "/api/v2/", "//[/api/v2/", "")) + f"Packages()?{pairs}"


def use_batch(given: tuple[str, bytes]) -> None:
    queries = read_batch(*given)
    assert 0 < len(queries) <= MOST_QUERIES
    for query in queries:
        assert len(query.pairs) <= 100
        FeedQuery.from_pairs(query.pairs)


def make_search(choices: Choices) -> dict[str, str]:
    makers = {
        "q": _search_text,
        "skip": lambda choices: str(choices.number()),
        "take": lambda choices: str(choices.number()),
        "prerelease": lambda choices: choices.one_of(("true", "TRUE", "1", "")),
        "semVerLevel": version,
        "packageType": package_id,
        "id": package_id,
    }
    names: Sequence[str] = choices.some(lambda: choices.one_of(tuple(makers)), 6)
    return {name: odd_text(choices) if choices.chance(6) else makers[name](choices) for name in names}


def _search_text(choices: Choices) -> str:
    fields = ("id:", "packageid:", "version:", "tags:", "tag:", "owner:", "author:", "*:", "x:", "title:", '"', "")
    pieces = choices.some(lambda: choices.one_of(fields) + choices.one_of((package_id, version, odd_text))(choices), 6)
    return choices.one_of((" ", '" "', " AND ", "")).join(pieces)


def use_search(params: dict[str, str]) -> None:
    for kind in (SearchQuery, CompletionQuery):
        query = kind.from_params(params)
        assert 0 <= query.take <= MOST_TAKEN
        assert query.skip >= 0
        again = kind.from_params(dict(query.params()))
        assert again.params() == query.params(), "the upstream gets the query that we received"
        assert query.asks_nothing or query.skip <= DEEPEST_SKIP or isinstance(query, CompletionQuery)
    text = SearchQuery.from_params(params).text
    terms = search_terms(text)
    assert len(terms.words) + sum(map(len, terms.fields.values())) <= MOST_TERMS
    matches(text, leaf_from_manifest(manifest(description="some text"), published="2024-01-01T00:00:00Z"))
    _check_index(readable(text))


def _check_index(text: str) -> None:
    """User input never becomes syntax of the full-text index."""
    asked = asked_by(search_terms(text), {})
    for expression in (asked.found, *asked.ranks, completed_by(text)):
        for token in _index_tokens(expression.match):
            assert token
            assert all(c.isalnum() or c in "._-" or not c.isascii() for c in token), token
    for token in tokens(text):
        assert token
        assert " " not in token
        assert '"' not in token
    indexed(text), indexed_name(text[:100]), inner_parts(text[:100])


def _index_tokens(match: Match | None) -> Iterator[str]:
    if isinstance(match, Phrase):
        yield from match.tokens
    elif match is not None:
        for part in match.parts:
            yield from _index_tokens(part)


TARGETS: Final = (
    Target("$filter", make_filter, use_filter, (InvalidRequest,)),
    Target("$orderby", make_orderby, use_orderby, (InvalidRequest,)),
    Target("OData options", make_feed_query, use_feed_query, (InvalidRequest,)),
    Target("OData key", make_key, use_key, (InvalidRequest,)),
    Target("$batch", make_batch, use_batch, (InvalidRequest,)),
    Target("search", make_search, use_search),
)
