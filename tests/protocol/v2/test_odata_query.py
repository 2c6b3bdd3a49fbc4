import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.errors import InvalidRequest
from nugetproxy.protocol.v2.evaluation import filtered, ordered
from nugetproxy.protocol.v2.hints import hints_of
from nugetproxy.protocol.v2.odata_query import DEEPEST, LONGEST, MOST_PARTS, parse_filter, parse_orderby
from tests.protocol.v2.leaves import leaf, row, rows

CATALOGUE = [
    *rows(
        leaf("Alpha.Lib", "1.0.0", tags=["PSModule", "old"], title="Alpha", authors="Ann"),
        leaf("Alpha.Lib", "1.1.0", tags="PSModule new", description="Makes x of y"),
        leaf("Alpha.Lib", "2.0.0-beta", tags=["PSModules"]),
    ),
    *rows(leaf("Git", "2.40.0"), leaf("Git", "2.9.0", listed=False)),
]


def passing(text):
    return [f"{row.package_id} {row.version}" for row in filtered(CATALOGUE, parse_filter(text))]


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (["Alpha.Lib 1.1.0", "Git 2.40.0"], "IsLatestVersion"),
        (["Alpha.Lib 1.1.0", "Git 2.40.0"], "IsLatestVersion eq true"),
        (["Alpha.Lib 1.1.0", "Git 2.40.0"], "true eq IsLatestVersion"),
        (["Alpha.Lib 1.1.0", "Git 2.40.0"], "IsLatestVersion ne false"),
        (["Alpha.Lib 2.0.0-beta", "Git 2.40.0"], "IsAbsoluteLatestVersion"),
        (["Git 2.40.0"], "(tolower(Id) eq 'git') and IsLatestVersion"),
        (["Git 2.9.0", "Git 2.40.0"], "Id eq 'GIT'"),
        (["Git 2.9.0", "Git 2.40.0"], "'git' eq Id"),
        (["Alpha.Lib 1.1.0"], "Id eq 'alpha.lib' and NormalizedVersion eq '1.1'"),
        (["Alpha.Lib 1.0.0"], "Id eq 'alpha.lib' and Version eq '1.0.0.0'"),
        ([], "Version eq 'nonsense'"),
        (["Git 2.40.0"], "Version gt '2.9'"),
        (["Alpha.Lib 2.0.0-beta"], "IsPrerelease"),
        (["Alpha.Lib 2.0.0-beta"], "endswith(Version, 'beta')"),
        (["Alpha.Lib 1.0.0", "Alpha.Lib 1.1.0"], "substringof(' PSModule ', Tags) eq true"),
        (["Alpha.Lib 1.0.0", "Alpha.Lib 1.1.0", "Alpha.Lib 2.0.0-beta"], "substringof('psmodule',tolower(Tags))"),
        (["Alpha.Lib 1.0.0", "Alpha.Lib 1.1.0", "Alpha.Lib 2.0.0-beta"], "startswith(tolower(Id),'alpha')"),
        (["Git 2.9.0", "Git 2.40.0"], "startswith(Id,'g') and endswith(Id,'T')"),
        (["Alpha.Lib 1.0.0"], "Title eq 'ALPHA'"),
        (["Alpha.Lib 1.1.0"], "Description ne null"),
        (["Alpha.Lib 1.1.0"], "(Description ne null) and substringof('X',tolower(Description))"),
        (["Git 2.9.0"], "not (Id eq 'alpha.lib') and not IsLatestVersion"),
        (["Git 2.9.0"], "Published lt datetime'1950-01-01T00:00:00'"),
        ([], "Published gt datetime'2099-01-01T00:00:00Z'"),
        ([], "DownloadCount gt 100"),
        (["Alpha.Lib 1.0.0", "Git 2.40.0"], "Authors eq 'Ann' or Id eq 'git' and IsLatestVersion"),
        (["Git 2.40.0"], "(Authors eq 'Ann' or Id eq 'git') and IsLatestVersion"),
        (["Alpha.Lib 1.0.0"], "concat(Id,Title) eq 'alpha.libalpha'"),
        (["Alpha.Lib 1.0.0"], "trim(Authors) eq 'ann'"),
        ([], "Id eq 'it''s'"),
    ],
)
def test_filters(expected, text):
    assert expected == passing(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (["1.0.0", "1.1.0", "2.0.0-beta", "2.40.0", "2.9.0"], ""),
        (["2.40.0", "2.9.0", "2.0.0-beta", "1.1.0", "1.0.0"], "Version desc"),
        (["2.9.0", "2.40.0", "1.0.0", "1.1.0", "2.0.0-beta"], "Id desc, Version asc"),
        (["2.0.0-beta", "1.1.0", "1.0.0", "2.40.0", "2.9.0"], "DownloadCount desc,Id,Version desc"),
        (["1.1.0", "2.0.0-beta", "1.0.0", "2.9.0", "2.40.0"], "concat(Title,Id),Version"),
        (["2.9.0"], "Published"),
    ],
)
def test_orders(expected, text):
    """
    Versions sort as versions: 2.40 is above 2.9. The sort is stable.
    """
    shuffled = [CATALOGUE[at] for at in (0, 1, 2, 4, 3)]
    found = [row.version.normalized for row in ordered(shuffled, parse_orderby(text) if text else ())]

    assert expected == found[: len(expected)]


@pytest.mark.parametrize(
    "text",
    [
        "Nope eq 'x'",
        "Id",
        "Id eq",
        "eq 'x'",
        "Id eq 'x",
        "Id eq 'x' and",
        "(Id eq 'x'",
        "Id eq 'x')",
        "Id eq 5",
        "Id gt null",
        "IsLatestVersion gt true",
        "DownloadCount gt 1.5",
        "Published gt 'yesterday'",
        "Published gt datetime'yesterday'",
        "length(Id) eq 3",
        "substringof('x')",
        "substringof('x', Id, Id)",
        "substringof(5, Id)",
        "startswith(IsLatestVersion,'x')",
        "not Id",
        "Id and Title",
        "Id eq 'x' xor Title eq 'y'",
        "Id % 'x'",
        "'x'",
        "true and 5",
        "",
    ],
)
def test_invalid_filters_are_refused(text):
    with pytest.raises(InvalidRequest, match=r"\$filter"):
        parse_filter(text)


@pytest.mark.parametrize("text", ["datetime'2024\0\r\nX: y'", "Id\x1b[31m eq 'x'", "Id eq '\u202e", "\u212a eq 'x'"])
def test_a_refusal_is_one_printable_line(text):
    with pytest.raises(InvalidRequest) as refused:
        parse_filter(text)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("text", ["Nope", "Id up", "Id,", "Id desc asc", "concat(Id)", "'x'", "", ",".join(["Id"] * 7)])
def test_invalid_orders_are_refused(text):
    with pytest.raises(InvalidRequest, match=r"\$orderby"):
        parse_orderby(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * (DEEPEST + 2) + "IsLatestVersion" + ")" * (DEEPEST + 2),
        "not " * (DEEPEST + 2) + "IsLatestVersion",
        "tolower(" * (DEEPEST + 2) + "Id" + ")" * (DEEPEST + 2) + " eq 'x'",
        " or ".join(["IsPrerelease"] * (MOST_PARTS + 1)),
        "Id eq '" + "x" * LONGEST + "'",
    ],
)
def test_the_limits(text):
    with pytest.raises(InvalidRequest):
        parse_filter(text)


def test_a_long_list_of_ids_is_not_a_deep_filter():
    assert passing(" or ".join(f"Id eq 'x{number}'" for number in range(90)) + " or Id eq 'git'") != []


_WORDS = st.sampled_from(
    [
        *("and", "or", "not", "eq", "ne", "gt", "le", "(", ")", ",", " ", "true", "null", "'x'", "''", "5", "-1L"),
        *("Id", "Version", "IsLatestVersion", "Tags", "Published", "DownloadCount", "Nope", "tolower(Id)"),
        *("substringof(", "startswith(", "concat(", "datetime'2026-01-01'", "'1.0'", "\x00", "é", "desc"),
    ]
)


@given(st.lists(_WORDS, max_size=25).map(" ".join) | st.text(max_size=60))
def test_nothing_but_an_invalid_request_comes_out(text):
    try:
        expression = parse_filter(text)
    except InvalidRequest:
        return
    hints_of(expression)
    filtered(CATALOGUE, expression)


@given(st.lists(_WORDS, max_size=12).map(" ".join) | st.text(max_size=40))
def test_orders_likewise(text):
    try:
        orders = parse_orderby(text)
    except InvalidRequest:
        return
    assert len(ordered(CATALOGUE, orders)) == len(CATALOGUE)


def test_a_filter_that_needs_no_packages_builds_none():
    """
    Of thousands of versions, packages are only built for those that are shown.
    """
    found = row("A", "1.0.0")
    found._make = lambda: pytest.fail("made")

    assert filtered([found], parse_filter("IsLatestVersion and Id eq 'a' and Version ge '1.0'")) == [found]
