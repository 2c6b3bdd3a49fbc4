import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nugetproxy.errors import InvalidVersionRange
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from tests.nuget.texts import range_texts, version_texts

version = NuGetVersion.parse


def versions(text: str) -> list[NuGetVersion]:
    return [version(word) for word in text.split()]


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("1.0", "[1.0.0, )"),
        (" 1.0 ", "[1.0.0, )"),
        ("[1.0,)", "[1.0.0, )"),
        ("[1.0,]", "[1.0.0, )"),
        ("(1.0,)", "(1.0.0, )"),
        ("[1.0]", "[1.0.0, 1.0.0]"),
        ("[1.0,1.0]", "[1.0.0, 1.0.0]"),
        ("(,1.0]", "(, 1.0.0]"),
        ("[,1.0]", "(, 1.0.0]"),
        ("(,1.0)", "(, 1.0.0)"),
        ("[1.0,2.0]", "[1.0.0, 2.0.0]"),
        ("(1.0,2.0)", "(1.0.0, 2.0.0)"),
        ("[1.0,2.0)", "[1.0.0, 2.0.0)"),
        ("( 1.0 , 2.0 ]", "(1.0.0, 2.0.0]"),
        ("(, )", "(, )"),
        ("[ , ]", "(, )"),
        ("", "(, )"),
        ("  ", "(, )"),
        ("[1.0.0-Beta.1+abc, )", "[1.0.0-Beta.1, )"),
    ],
)
def test_normalized(text, normalized):
    assert normalized == VersionRange.parse(text).normalized


@pytest.mark.parametrize(
    "text",
    [
        "(1.0)",
        "[1.0)",
        "(1.0]",
        "[2.0,1.0]",
        "[1.0,1.0)",
        "(1.0,1.0]",
        "[,]",
        "(,)",
        "[,)",
        "[]",
        "()",
        "[",
        "(",
        "]",
        "1.0]",
        "[1.0",
        "[1.0,2.0",
        "[1.0,2.0,3.0]",
        "[1.0 2.0]",
        "1.0,2.0",
        "[a,b]",
        "[1.0,b]",
        ">=1.0",
        "^1.0",
        "~1.0",
        "*",
        "1.*",
        "[1.*, 2.0)",
        "[1.0.0-*, )",
    ],
)
def test_what_is_not_a_range(text):
    with pytest.raises(InvalidVersionRange):
        VersionRange.parse(text)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("1.0", "1.0 1.0.0.1 2.0 2.0.0-beta", "0.9 1.0.0-beta"),
        ("(1.0,)", "1.0.0.1", "1.0"),
        ("[1.0]", "1.0.0.0 1.0.0+abc", "1.0.0-a 1.0.0.1"),
        ("(,1.0]", "0.1 1.0 1.0.0-a", "1.0.0.1"),
        ("(,1.0)", "0.1 1.0.0-a", "1.0"),
        ("[1.0,2.0)", "1.0 1.9 2.0.0-a", "2.0 0.9"),
        ("(1.0,2.0]", "1.9 2.0", "1.0 2.0.1"),
        ("(1.0,1.0)", "", "0.9 1.0 1.1"),
        ("(, )", "0.0.0-0 99.0", ""),
    ],
)
def test_satisfies(text, inside, outside):
    wanted = VersionRange.parse(text)

    assert all(map(wanted.satisfies, versions(inside)))
    assert not any(map(wanted.satisfies, versions(outside)))


def test_an_open_side_is_never_inclusive():
    wanted = VersionRange.parse("[ , ]")

    assert (
        wanted.minimum,
        wanted.includes_minimum,
        wanted.maximum,
        wanted.includes_maximum,
    ) == (None, False, None, False)


@pytest.mark.parametrize(
    ("text", "semver2"),
    [
        ("1.0", False),
        ("[1.0.0-beta, )", False),
        ("[1.0.0-beta.1, )", True),
        ("(, 1.0.0-beta.1)", True),
        ("[1.0.0+abc, )", True),
        ("(, )", False),
    ],
)
def test_is_semver2(text, semver2):
    assert semver2 == VersionRange.parse(text).is_semver2


@pytest.mark.parametrize(
    ("text", "minimum", "normalized"),
    [
        ("*", "0.0.0", "[*, )"),
        (" * ", "0.0.0", "[*, )"),
        ("1.*", "1.0.0", "[1.*, )"),
        ("1.0.*", "1.0.0", "[1.0.*, )"),
        ("1.0.0.*", "1.0.0", "[1.0.0.*, )"),
        ("1.0.0-*", "1.0.0-0", "[1.0.0-*, )"),
        ("1.0-*", "1.0.0-0", "[1.0.0-*, )"),
        ("1.2.3.4-*", "1.2.3.4-0", "[1.2.3.4-*, )"),
        ("1.0.0-beta.*", "1.0.0-beta.0", "[1.0.0-beta.*, )"),
        ("1.0.0-beta*", "1.0.0-beta", "[1.0.0-beta*, )"),
        ("1.0.0-beta-*", "1.0.0-beta-", "[1.0.0-beta-*, )"),
        ("*-*", "0.0.0-0", "[*-*, )"),
        ("1.*-*", "1.0.0-0", "[1.*-*, )"),
        ("1.0.*-*", "1.0.0-0", "[1.0.*-*, )"),
        ("*-rc.*", "0.0.0-rc.0", "[*-rc.*, )"),
        ("[1.*, 2.0)", "1.0.0", "[1.*, 2.0.0)"),
        ("(1.0.*, )", "1.0.0", "(1.0.*, )"),
        ("[1.0,2.0)", "1.0.0", "[1.0.0, 2.0.0)"),
    ],
)
def test_floating(text, minimum, normalized):
    wanted = VersionRange.parse(text, floating=True)

    assert minimum == str(wanted.minimum)
    assert normalized == wanted.normalized


@pytest.mark.parametrize(
    "text",
    [
        "**",
        "*.1",
        "1*",
        "1.1*",
        "1.*.0",
        "1.0.0-*.1",
        "1.0.0-a*b",
        "1.*-rc",
        "1.0.0+*",
        "1.0.0-*+a",
        "[1.0, 2.*]",
        "*-",
    ],
)
def test_invalid_floating_ranges(text):
    with pytest.raises(InvalidVersionRange):
        VersionRange.parse(text, floating=True)


@pytest.mark.parametrize(
    ("text", "offered", "taken"),
    [
        ("1.0", "0.9 1.0 1.1", "1.0"),
        ("1.0", "1.2 1.1 3.0", "1.1"),
        ("1.0", "1.1-beta 1.2", "1.2"),
        ("1.0", "1.2-beta 1.1-beta", None),
        ("[1.0, 2.0-z]", "1.2-beta 1.1-beta", "1.1-beta"),
        ("*", "1.2-beta", None),
        ("1.*-*", "3.0 2.0-beta", "2.0-beta"),
        ("1.0.0-a", "1.1-beta 1.2", "1.1-beta"),
        ("(1.0,)", "1.0 1.1", "1.1"),
        ("[1.0]", "1.1", None),
        ("1.0", "", None),
        ("*", "0.1 3.0 3.1-beta", "3.0"),
        ("1.*", "1.0 1.9 2.0", "1.9"),
        ("1.*", "1.0 1.9 1.10-beta", "1.9"),
        ("1.*", "2.1 2.0", "2.0"),
        ("1.0.*", "1.0.1 1.0.9 1.1", "1.0.9"),
        ("1.0.0.*", "1.0.0.1 1.0.0.9 1.0.1", "1.0.0.9"),
        ("1.0.0-*", "1.0.0-a 1.0.0-b", "1.0.0-b"),
        ("1.0.0-*", "1.0.0-a 1.0.0 1.0.1", "1.0.0"),
        ("1.0.0-beta.*", "1.0.0-beta.2 1.0.0-beta.10 1.0.0-rc", "1.0.0-beta.10"),
        ("1.0.0-BETA.*", "1.0.0-beta.2 1.0.0-rc", "1.0.0-beta.2"),
        ("*-*", "1.0 2.0-beta", "2.0-beta"),
        ("1.*-*", "1.0 1.1-beta 2.0", "1.1-beta"),
        ("*-rc.*", "1.0 2.0-rc.1 3.0-beta", "2.0-rc.1"),
        ("[1.*, 1.5)", "1.4 1.5 1.6", "1.4"),
    ],
)
def test_best_match(text, offered, taken):
    best = VersionRange.parse(text, floating=True).best_match(versions(offered))

    assert (None if taken is None else version(taken)) == best


@given(range_texts())
def test_normalizing_is_idempotent(text):
    try:
        wanted = VersionRange.parse(text)
    except InvalidVersionRange:
        assume(False)
    again = VersionRange.parse(wanted.normalized)

    assert wanted.normalized == again.normalized
    assert wanted == again


@given(range_texts(), st.lists(version_texts(), max_size=6))
def test_the_best_match_is_in_the_range(text, offered):
    try:
        wanted = VersionRange.parse(text)
    except InvalidVersionRange:
        assume(False)
    candidates = [version(one) for one in offered]
    best = wanted.best_match(candidates)

    possible = [each for each in candidates if wanted.allows_prereleases or not each.is_prerelease]
    assert (best is None) == (not any(map(wanted.satisfies, possible)))
    assert best is None or wanted.satisfies(best)


@given(st.text("[](),.*-+0123a \t", max_size=14), st.booleans())
def test_any_text_is_a_range_or_refused(text, floating):
    try:
        wanted = VersionRange.parse(text, floating=floating)
    except InvalidVersionRange:
        return
    assert wanted.minimum is None or wanted.maximum is None or wanted.minimum <= wanted.maximum
