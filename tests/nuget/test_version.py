import time
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from univers.nuget import Version as OtherVersion

from nugetproxy.errors import InvalidVersion
from nugetproxy.nuget.version import NuGetVersion
from tests.nuget.texts import version_texts

parse = NuGetVersion.parse


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("1", "1.0.0"),
        ("1.0", "1.0.0"),
        ("01.0", "1.0.0"),
        ("1.0.0.0", "1.0.0"),
        ("1.2.3.4", "1.2.3.4"),
        ("1.00.000.0004", "1.0.0.4"),
        ("1.0.0-RC.1+abc", "1.0.0-RC.1"),
        ("1.0+abc", "1.0.0"),
        ("1-a", "1.0.0-a"),
        ("1.0.0+a-b", "1.0.0"),
        ("1.0.0+007", "1.0.0"),
        ("1.0.0-0", "1.0.0-0"),
        ("1.0.0-0a", "1.0.0-0a"),
        ("1.0.0-00a", "1.0.0-00a"),
        ("1.0.0--", "1.0.0--"),
        ("1.0.0-a-b.c-d", "1.0.0-a-b.c-d"),
        ("2147483647.2147483647.2147483647.2147483647", "2147483647.2147483647.2147483647.2147483647"),
        (" 1.0 ", "1.0.0"),
        ("1 . 2 .\t3", "1.2.3"),
        ("1.0 -beta", "1.0.0-beta"),
        ("\u20031.0\u3000", "1.0.0"),
        ("0" * 10_000 + "1", "1.0.0"),
    ],
)
def test_normalized(text, normalized):
    assert normalized == parse(text).normalized


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "v1.0",
        "1.",
        ".1",
        "1..2",
        "1.2.3.4.5",
        "1.0.0-",
        "1.0.0-a.",
        "1.0.0-.a",
        "1.0.0-a..b",
        "1.0.0+",
        "1.0.0+a.",
        "1.0.0+a+b",
        "1.0.0-01",
        "1.0.0-a.00",
        "1.0.0-a b",
        "1.0.0- a",
        "1.0.0-ä",
        "1.0.0-a_b",
        "2147483648",
        "1.99999999999999999999",
        "-1.0",
        "+1.0",
        "1 0",
        "1.0\n-\n1",
        "1.0\x00",
        "\x1c1.0",
        "١.٠",
        "1,0",
        "*",
        "1.*",
        "9" * 10_000,
    ],
)
def test_what_is_not_a_version(text):
    with pytest.raises(InvalidVersion):
        parse(text)


ASCENDING = [
    "0.0.0-0",
    "0.0.0",
    "0.9",
    "1.0.0--5",  # minus five: the official client accepts a sign
    "1.0.0-0",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-2147483647",
    "1.0.0-2147483648",  # text from here on: it does not fit into 32 bits
    "1.0.0-alpha",
    "1.0.0-alpha.2",
    "1.0.0-alpha.10",
    "1.0.0-alpha.a",
    "1.0.0-alpha10",
    "1.0.0-alpha2",
    "1.0.0-beta.20240101123456",
    "1.0.0-beta.3000000000",
    "1.0.0-rc",
    "1.0",
    "1.0.0.1-a",
    "1.0.0.1",
    "1.0.1",
    "1.2",
    "1.10",
    "2",
]


@pytest.mark.parametrize(("lower", "higher"), list(pairwise(ASCENDING)))
def test_order(lower, higher):
    assert parse(lower) < parse(higher)
    assert parse(higher) > parse(lower)
    assert parse(lower) <= parse(higher)
    assert parse(higher) >= parse(lower)
    assert parse(lower) != parse(higher)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.0", "1.0.0.0"),
        ("1.0.0-Alpha", "1.0.0-ALPHA"),
        ("1.0.0+a", "1.0.0+b"),
        ("1.0.0+a", "1.0.0"),
        ("01.00", "1"),
    ],
)
def test_equal(one, other):
    assert parse(one) == parse(other)
    assert hash(parse(one)) == hash(parse(other))
    assert not parse(one) < parse(other)
    assert parse(one) <= parse(other)


def test_a_version_is_not_equal_to_a_text():
    assert parse("1.0.0") != "1.0.0"


@pytest.mark.parametrize(
    ("text", "prerelease", "semver2"),
    [
        ("1.0.0", False, False),
        ("1.0.0-beta", True, False),
        ("1.0.0-beta.1", True, True),
        ("1.0.0+abc", False, True),
        ("1.2.3.4", False, False),
    ],
)
def test_kinds(text, prerelease, semver2):
    assert (prerelease, semver2) == (parse(text).is_prerelease, parse(text).is_semver2)


def test_forms():
    version = parse("01.2.3-RC.1+Build.7")

    assert version.normalized == str(version) == "1.2.3-RC.1"
    assert version.lower == "1.2.3-rc.1"
    assert version.full == "1.2.3-RC.1+Build.7"
    assert version.labels == ("RC", "1")
    assert version.metadata == "Build.7"


def test_the_same_text_is_parsed_once():
    assert parse("3.1.4-pi") is parse("3.1.4-pi")


def test_a_long_text_is_not_kept_in_memory():
    text = "1.0.0-" + "a" * 200

    assert parse(text) == parse(text)
    assert parse(text) is not parse(text)


def test_a_long_hostile_text_costs_little():
    """
    White space around numbers does not cause backtracking.
    """
    text = "1" + " " * 200_000 + "x"
    begun = time.process_time()

    with pytest.raises(InvalidVersion):
        parse(text)
    assert time.process_time() - begun < 1


@given(version_texts())
def test_normalizing_is_idempotent(text):
    version = parse(text)

    assert version.normalized == parse(version.normalized).normalized
    assert version == parse(version.normalized)
    assert version == parse(version.lower)
    assert version.full == parse(version.full).full


@given(version_texts(), version_texts(), version_texts())
def test_the_order_is_total(a, b, c):
    x, y, z = parse(a), parse(b), parse(c)

    assert (x < y) + (x == y) + (x > y) == 1
    assert not (x <= y and y <= z) or x <= z
    assert x != y or hash(x) == hash(y)


@given(st.text(max_size=40))
@example("1.0.0-a\n")
@example("1.0.0\x85")
def test_any_text_is_a_version_or_refused(text):
    try:
        version = parse(text)
    except InvalidVersion:
        return
    assert version.lower == parse(version.normalized).lower


@given(version_texts(signed_labels=False), version_texts(signed_labels=False))
@example("1.0.0-alpha10", "1.0.0-alpha2")
@example("1.0.0-a.b", "1.0.0-a")
@settings(max_examples=200)
def test_the_order_is_that_of_another_implementation(a, b):
    x, y = parse(a), parse(b)
    # The other one compares numbers of any size; the 32-bit rule is ours (and the official client's).
    assume(all(len(label) < 10 for version in (x, y) for label in version.labels))
    other_x, other_y = OtherVersion.from_string(x.normalized), OtherVersion.from_string(y.normalized)

    assert (x < y) == (other_x < other_y)
    assert (x == y) == (other_x == other_y)


@pytest.mark.parametrize(
    "texts",
    [
        (
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-a",
            "1.0.0-a.1",
            "1.0.0-A.b",
            "1.0.0-ab",
            "1.0.0",
            "1.0.0.1",
            "1.1.0",
        ),
        ("1.0.0--5", "1.0.0-0", "1.0.0-2147483647", "1.0.0-20240101123456", "1.0.0--", "1.0.0-b.1", "2.0.0"),
        ("0.0.0", "255.0.0", "256.0.0", "65536.0.0", "2147483647.0.0"),
    ],
)
def test_precedence_sorts_as_versions_do(texts):
    versions = [NuGetVersion.parse(text) for text in texts]

    assert sorted(versions) == sorted(versions, key=lambda version: version.precedence)


def test_precedence_is_equal_where_versions_are():
    assert NuGetVersion.parse("1.0-RC+a").precedence == NuGetVersion.parse("1.0.0.0-rc+b").precedence
