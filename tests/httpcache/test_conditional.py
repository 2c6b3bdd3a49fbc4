import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.httpcache.conditional import (
    NotModified,
    Partial,
    PreconditionFailed,
    Unsatisfiable,
    Whole,
    evaluate,
)

# Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
MODIFIED = 784111777
ETAG = '"abc"'
NOW_FORM = "Sun, 06 Nov 1994 08:49:37 GMT"
RFC_850 = "Sunday, 06-Nov-94 08:49:37 GMT"
ASCTIME = "Sun Nov  6 08:49:37 1994"


def ask(headers, *, etag=ETAG, modified=MODIFIED, size=1000, method="GET"):
    return evaluate(headers, etag=etag, modified=modified, size=size, method=method)


def test_a_request_without_conditions_gets_everything():
    assert Whole() == ask({})


@pytest.mark.parametrize(
    ("field", "etag", "expected"),
    [
        ('"abc"', '"abc"', NotModified()),
        ('"abc"', "abc", NotModified()),
        ('"other"', '"abc"', Whole()),
        ('"ABC"', '"abc"', Whole()),
        ("*", '"abc"', NotModified()),
        (" * ", "", NotModified()),
        ('"x", "abc"', '"abc"', NotModified()),
        ('"x","abc","y"', '"abc"', NotModified()),
        (' ,, "abc" ,', '"abc"', NotModified()),
        ('"a,b", "abc"', '"abc"', NotModified()),
        # Weak comparison (section 8.8.3.2): weakness does not matter.
        ('W/"abc"', '"abc"', NotModified()),
        ('"abc"', 'W/"abc"', NotModified()),
        ('W/"abc"', 'W/"abc"', NotModified()),
        ('W/"x", W/"abc"', '"abc"', NotModified()),
        ('w/"abc"', '"abc"', Whole()),
        ('"abc"', "", Whole()),
        ("abc", '"abc"', Whole()),
        ('"x" "abc"', '"abc"', Whole()),
        ('"abc', '"abc"', Whole()),
        ("", '"abc"', Whole()),
        ('""', '""', NotModified()),
    ],
)
def test_if_none_match(field, etag, expected):
    assert expected == ask({"If-None-Match": field}, etag=etag)
    assert expected == ask({"If-None-Match": field}, etag=etag, method="HEAD")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_if_none_match_on_a_write_fails_if_it_matches(method):
    assert PreconditionFailed() == ask({"If-None-Match": "*"}, method=method)
    assert Whole() == ask({"If-None-Match": '"other"'}, method=method)


@pytest.mark.parametrize(
    ("field", "etag", "expected"),
    [
        ('"abc"', '"abc"', Whole()),
        ('"x", "abc"', '"abc"', Whole()),
        ("*", '"abc"', Whole()),
        ("*", "", Whole()),
        ('"other"', '"abc"', PreconditionFailed()),
        # Strong comparison: a weak tag never matches.
        ('W/"abc"', '"abc"', PreconditionFailed()),
        ('"abc"', 'W/"abc"', PreconditionFailed()),
        ('"abc"', "", PreconditionFailed()),
        ("nonsense", '"abc"', PreconditionFailed()),
    ],
)
def test_if_match(field, etag, expected):
    assert expected == ask({"If-Match": field}, etag=etag)


@pytest.mark.parametrize(
    ("field", "modified", "expected"),
    [
        (NOW_FORM, MODIFIED, NotModified()),
        (RFC_850, MODIFIED, NotModified()),
        (ASCTIME, MODIFIED, NotModified()),
        (f"  {NOW_FORM}  ", MODIFIED, NotModified()),
        (NOW_FORM, MODIFIED - 1, NotModified()),
        (NOW_FORM, MODIFIED + 1, Whole()),
        (RFC_850, MODIFIED + 1, Whole()),
        (ASCTIME, MODIFIED + 1, Whole()),
        (NOW_FORM, None, Whole()),
        ("yesterday", MODIFIED, Whole()),
        ("", MODIFIED, Whole()),
        # None of these is a valid date: the field is ignored.
        ("Sun, 31 Feb 2030 08:49:37 GMT", MODIFIED, Whole()),
        ("Sun, 06 Nov 2030 25:49:37 GMT", MODIFIED, Whole()),
        ("Sun, 06 Nov 2030 08:49:37 CET", MODIFIED, Whole()),
        ("Sun, 06 nov 2030 08:49:37 GMT", MODIFIED, Whole()),
        ("Sun, 06 Nov 0000 08:49:37 GMT", MODIFIED, Whole()),
        ("2030-11-06T08:49:37Z", MODIFIED, Whole()),
        (f"{NOW_FORM}, {NOW_FORM}", MODIFIED, Whole()),
        # A leap second is a valid time.
        ("Sun, 06 Nov 1994 08:49:60 GMT", MODIFIED, NotModified()),
        ("Wed Nov 16 08:49:37 1994", MODIFIED, NotModified()),
    ],
)
def test_if_modified_since(field, modified, expected):
    assert expected == ask({"If-Modified-Since": field}, modified=modified)


@pytest.mark.parametrize(
    ("field", "year", "expected"),
    [
        # Two digits mean the latest such year that is at most fifty years ahead.
        ("Sunday, 06-Nov-94 08:49:37 GMT", 1994, NotModified()),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 2023, Whole()),
        ("Monday, 06-Nov-73 08:49:37 GMT", 2023, NotModified()),
        ("Tuesday, 06-Nov-74 08:49:37 GMT", 2023, Whole()),
        ("Monday, 06-Nov-23 08:49:37 GMT", 2023, NotModified()),
        ("Sunday, 06-Nov-22 08:49:37 GMT", 2023, Whole()),
    ],
)
def test_two_digit_years(field, year, expected):
    modified = {1994: MODIFIED, 2023: 1_699_260_577}[year]

    assert expected == ask({"If-Modified-Since": field}, modified=modified)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"If-Unmodified-Since": NOW_FORM}, Whole()),
        ({"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}, PreconditionFailed()),
        ({"If-Unmodified-Since": "nonsense"}, Whole()),
        # A tag takes precedence over the date (section 13.2.2).
        ({"If-Match": ETAG, "If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}, Whole()),
        ({"If-None-Match": '"other"', "If-Modified-Since": NOW_FORM}, Whole()),
        ({"If-None-Match": ETAG, "If-Modified-Since": "Sun, 06 Nov 1993 08:49:37 GMT"}, NotModified()),
        ({"If-Match": '"other"', "If-None-Match": ETAG}, PreconditionFailed()),
        ({"If-Match": ETAG, "If-None-Match": ETAG}, NotModified()),
        ({"If-Match": ETAG, "If-Modified-Since": NOW_FORM}, NotModified()),
        ({"If-None-Match": ETAG, "Range": "bytes=0-1"}, NotModified()),
        ({"If-Match": '"other"', "Range": "bytes=0-1"}, PreconditionFailed()),
        ({"If-Match": ETAG, "Range": "bytes=0-1"}, Partial(0, 2)),
    ],
    ids=str,
)
def test_precedence_of_conditions(headers, expected):
    assert expected == ask(headers)


def test_a_write_ignores_if_modified_since():
    assert Whole() == ask({"If-Modified-Since": NOW_FORM}, method="PUT")


def test_an_unknown_modification_date_fails_no_condition():
    assert Whole() == ask({"If-Unmodified-Since": NOW_FORM}, modified=None)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-0", Partial(0, 1)),
        ("bytes=0-499", Partial(0, 500)),
        ("bytes=500-", Partial(500, 1000)),
        ("bytes=0-", Partial(0, 1000)),
        ("bytes=999-", Partial(999, 1000)),
        ("bytes=500-5000", Partial(500, 1000)),
        ("bytes=-1", Partial(999, 1000)),
        ("bytes=-1000", Partial(0, 1000)),
        ("bytes=-5000", Partial(0, 1000)),
        ("BYTES=0-0", Partial(0, 1)),
        (" bytes= 0-0 ", Partial(0, 1)),
        ("bytes=00000000000000000000000-000000000000000000000001", Partial(0, 2)),
        ("bytes=5-" + "9" * 5000, Partial(5, 1000)),
        ("bytes=-" + "9" * 5000, Partial(0, 1000)),
        ("bytes=1000-", Unsatisfiable(1000)),
        ("bytes=1000-2000", Unsatisfiable(1000)),
        ("bytes=" + "9" * 5000 + "-", Unsatisfiable(1000)),
        ("bytes=-0", Unsatisfiable(1000)),
        ("bytes=500-499", Whole()),
        ("bytes=-", Whole()),
        ("bytes=", Whole()),
        ("bytes", Whole()),
        ("", Whole()),
        ("bytes=a-b", Whole()),
        ("bytes=0-1-2", Whole()),
        ("bytes=--1", Whole()),
        ("bytes=+0-1", Whole()),
        ("bytes=٠-١", Whole()),
        # Several ranges, other units: ignored, as a server may.
        ("bytes=0-1,5-6", Whole()),
        ("bytes=0-1,", Whole()),
        ("lines=0-1", Whole()),
    ],
)
def test_range(field, expected):
    assert expected == ask({"Range": field})


@pytest.mark.parametrize(
    ("field", "expected"),
    [("bytes=0-", Unsatisfiable(0)), ("bytes=-0", Unsatisfiable(0)), ("bytes=-5", Whole())],
)
def test_range_of_an_empty_body(field, expected):
    """
    No Content-Range can describe a part of an empty body, so the whole is sent.
    """
    assert expected == ask({"Range": field}, size=0)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "POST"])
def test_ranges_apply_only_to_get(method):
    assert Whole() == ask({"Range": "bytes=0-0"}, method=method)


def test_no_ranges_if_the_size_is_unknown():
    assert Whole() == ask({"Range": "bytes=0-0"}, size=None)


@pytest.mark.parametrize(
    ("field", "etag", "modified", "expected"),
    [
        ('"abc"', '"abc"', MODIFIED, Partial(0, 10)),
        (' "abc" ', '"abc"', MODIFIED, Partial(0, 10)),
        ('"abc"', "abc", MODIFIED, Partial(0, 10)),
        # Another tag: the client must not mix two files.
        ('"other"', '"abc"', MODIFIED, Whole()),
        ('W/"abc"', '"abc"', MODIFIED, Whole()),
        ('"abc"', 'W/"abc"', MODIFIED, Whole()),
        ('"abc"', "", MODIFIED, Whole()),
        (NOW_FORM, '"abc"', MODIFIED, Partial(0, 10)),
        (RFC_850, '"abc"', MODIFIED, Partial(0, 10)),
        (ASCTIME, '"abc"', MODIFIED, Partial(0, 10)),
        # A date must be exactly ours; a later one does not match.
        (NOW_FORM, '"abc"', MODIFIED - 1, Whole()),
        (NOW_FORM, '"abc"', MODIFIED + 1, Whole()),
        (NOW_FORM, '"abc"', None, Whole()),
        ("nonsense", '"abc"', MODIFIED, Whole()),
        ("", '"abc"', MODIFIED, Whole()),
        ("*", '"abc"', MODIFIED, Whole()),
    ],
)
def test_if_range(field, etag, modified, expected):
    assert expected == ask({"If-Range": field, "Range": "bytes=0-9"}, etag=etag, modified=modified)


def test_if_range_without_range_is_ignored():
    assert Whole() == ask({"If-Range": '"other"'})


def test_if_range_that_fails_hides_an_unsatisfiable_range():
    assert Whole() == ask({"If-Range": '"other"', "Range": "bytes=5000-"})


def test_lower_case_names_are_accepted():
    """
    Readers of raw headers have them in lower case.
    """
    assert NotModified() == ask({"if-none-match": ETAG})
    assert Partial(1, 2) == ask({"range": "bytes=1-1", "if-range": ETAG})


def test_the_last_position_on_the_wire_is_inclusive():
    part = Partial(10, 20)

    assert (part.length, part.content_range(1000)) == (10, "bytes 10-19/1000")


def test_the_size_is_stated_if_no_range_is_satisfiable():
    assert Unsatisfiable(1000).content_range == "bytes */1000"


@given(st.text(), st.integers(0, 10_000))
def test_any_range_field_stays_within_the_body(field, size):
    match ask({"Range": field}, size=size):
        case Partial(start, end):
            assert 0 <= start < end <= size


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 1500))
def test_a_part_equals_the_slice(first, last, size):
    body = bytes(i % 251 for i in range(size))
    match ask({"Range": f"bytes={first}-{last}"}, size=size):
        case Partial(start, end):
            assert body[first : last + 1] == body[start:end]
        case Unsatisfiable():
            assert first >= size
        case Whole():
            assert last < first


@given(st.text(max_size=60), st.text(max_size=20), st.none() | st.integers(0, 4_000_000_000))
def test_any_field_value_is_handled(field, etag, modified):
    for name in ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"):
        ask({name: field, "Range": "bytes=0-"} if name == "If-Range" else {name: field}, etag=etag, modified=modified)
