import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.errors import InvalidRequest
from nugetproxy.protocol.v2.feed_query import FeedQuery, read_key, unquoted


def query(**params):
    return FeedQuery.from_pairs([(name.replace("_", "$"), value) for name, value in params.items()])


def test_the_defaults():
    asked = query()

    assert (asked.filter, asked.orders, asked.skip, asked.top, asked.with_count, asked.level2) == (
        None, (), 0, None, False, False,
    )  # fmt: skip
    assert asked.page_length == 100


def test_option_names_are_case_insensitive():
    asked = query(_SKIP="30", _Top="10", _inlineCount="AllPages", SEMVERLEVEL="2.0.0")

    assert (asked.skip, asked.top, asked.with_count, asked.level2) == (30, 10, True, True)


@pytest.mark.parametrize(
    ("expected", "level"),
    [(True, "2.0.0"), (True, "'2.0.0'"), (True, "3.0"), (False, "1.0.0"), (False, "x"), (False, "")],
)
def test_the_level(expected, level):
    assert expected == query(semVerLevel=level).level2


@pytest.mark.parametrize(
    "wrong",
    [
        {"_skip": "-1"},
        {"_top": "x"},
        {"_top": "1.5"},
        {"_skip": "9" * 30},
        {"_inlinecount": "some"},
        {"_skiptoken": "'A'"},
    ],
)
def test_invalid_options_are_refused(wrong):
    with pytest.raises(InvalidRequest):
        query(**wrong)


@pytest.mark.parametrize("option", ["_select", "_format", "_expand"])
def test_options_that_only_shape_the_response_are_ignored(option):
    assert query(**{option: "Id"}).filter is None


@pytest.mark.parametrize(
    ("text", "literal"), [("My.Pkg", "'My.Pkg'"), ("My.Pkg", "My.Pkg"), ("it's", "'it''s'"), ("", "''"), ("'", "'")]
)
def test_texts_are_unquoted(text, literal):
    assert text == unquoted(literal)


def test_lists_and_flags():
    asked = query(packageIds="'A|B'", versions="''", includePrerelease="True")

    assert (asked.texts("packageIds"), asked.texts("versions"), asked.flag("includePrerelease")) == (
        ["A", "B"],
        [],
        True,
    )


def test_the_next_page_repeats_the_parameters():
    asked = FeedQuery.from_pairs([("id", "'My.Pkg'"), ("$filter", "Id eq 'x y'"), ("semVerLevel", "2.0.0")])

    assert asked.next_page("https://a/F()", 100) == (
        "https://a/F()?id='My.Pkg'&$filter=Id%20eq%20'x%20y'&semVerLevel=2.0.0&$skip=100"
    )


def test_the_next_page_requests_the_rest_of_top():
    assert query(_skip="100", _top="150").next_page("u", 200) == "u?$skip=200&$top=50"


@pytest.mark.parametrize(
    ("following", "options"), [(None, {}), (30, {"_top": "30"}), (150, {"_skip": "100", "_top": "50"})]
)
def test_the_last_page_has_no_next_link(following, options):
    assert query(**options).next_page("u", following) is None


def test_a_next_link_repeats_the_query():
    """
    Characters with a special meaning in a query survive the round trip.
    """
    from yarl import URL

    pairs = [("searchTerm", "'a&b=c#d+e é%27'"), ("$filter", "Id eq 'x''y'")]
    link = FeedQuery.from_pairs(pairs).next_page("https://a/F()", 10)

    assert link is not None
    assert list(URL(link, encoded=True).query.items()) == [*pairs, ("$skip", "10")]


@pytest.mark.parametrize(
    "text",
    [
        "(Id='A',Version='1.0+x')",
        "( Id = 'A' , Version = '1.0+x' )",
        "(Version='1.0+x',Id='A')",
        "(id='A',version='1.0+x')",
    ],
)
def test_a_key_contains_id_and_version(text):
    assert read_key(text) == ("A", "1.0+x")


@pytest.mark.parametrize(
    "text", ["()", "(Id='A')", "('A','1.0')", "(Id='A',Id='B')", "(Id=A,Version=1.0)", "(Id='A'',Version='1')"]
)
def test_other_keys_are_refused(text):
    with pytest.raises(InvalidRequest):
        read_key(text)


@given(
    st.lists(st.tuples(st.sampled_from(["$skip", "$top", "$inlinecount", "semVerLevel", "x"]), st.text(max_size=12)))
)
def test_nothing_but_an_invalid_request_comes_out(pairs):
    with contextlib.suppress(InvalidRequest):
        FeedQuery.from_pairs(pairs)
