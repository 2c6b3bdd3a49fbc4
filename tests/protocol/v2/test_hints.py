import pytest

from nugetproxy.protocol.v2.hints import Hints, hints_of
from nugetproxy.protocol.v2.odata_query import parse_filter

VISUAL_STUDIO = (
    "((Id ne null) and substringof('x',tolower(Id))) or ((Description ne null) and "
    "substringof('x',tolower(Description))) or ((Tags ne null) and substringof(' x ',tolower(Tags)))"
)


def hints(text):
    return hints_of(parse_filter(text))


def test_without_a_filter_there_are_no_hints():
    assert hints_of(None) == Hints()


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ({"x"}, "Id eq 'X'"),
        ({"x"}, "tolower(Id) eq 'x' and IsLatestVersion"),
        ({"x"}, "(tolower(Id) eq 'x') and (NormalizedVersion eq '1.0.0')"),
        ({"x", "y"}, "Id eq 'x' or 'y' eq Id"),
        ({"x"}, "(Id eq 'x' or Id eq 'y') and Id eq 'x'"),
        (set(), "Id eq 'x' and Id eq 'y'"),
        (None, "Id eq 'x' or IsLatestVersion"),
        (None, "Id ne 'x'"),
        (None, "not (Id eq 'x')"),
        (None, "Title eq 'x'"),
        (None, " or ".join(f"Id eq 'x{number}'" for number in range(60))),
    ],
)
def test_ids(ids, text):
    assert hints(text).ids == (None if ids is None else frozenset(ids))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"x"}, "substringof('X',tolower(Id))"),
        ({"x"}, "substringof('x',Tags) eq true and IsLatestVersion"),
        ({"abc"}, "startswith(Id,'abc') and endswith(Id,'c')"),
        (
            {"x"},
            VISUAL_STUDIO,
        ),
        ({"x", "y"}, "substringof('x',Id) or substringof('y',Id)"),
        ({"owner microsoft"}, "substringof('owner:microsoft',Id)"),
        (None, "substringof('x',Id) or IsPrerelease"),
        (None, "substringof('x',Dependencies)"),
        (None, "substringof('',Id)"),
        (None, "not substringof('x',Id)"),
        (None, " or ".join(f"substringof('x{number}',Id)" for number in range(5))),
    ],
)
def test_words(words, text):
    assert hints(text).words == (None if words is None else frozenset(words))


def test_the_flags():
    both = hints("IsLatestVersion and Id ne 'x'"), hints("IsAbsoluteLatestVersion eq true")

    assert (both[0].needs_latest, both[0].needs_absolute_latest, both[0].is_one_flag) == (True, False, False)
    assert (both[1].needs_latest, both[1].needs_absolute_latest, both[1].is_one_flag) == (False, True, True)


def test_an_optional_flag_is_not_required():
    found = hints("IsLatestVersion or IsPrerelease")

    assert not found.needs_latest


def test_properties_missing_in_search_hits_need_registrations():
    assert hints("Published gt datetime'2026-01-01'").needs_registrations
    assert not hints("IsLatestVersion and substringof('x',Tags)").needs_registrations
