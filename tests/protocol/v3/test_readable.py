"""What happens to values that NuGet's client cannot read.

Each was tried with the .NET SDK 10: with the values that are repaired or left out here, `package search --exact-match`
fails for all sources of the command, unless a comment says otherwise.
"""

import copy
from typing import Any

import pytest

from nugetproxy.protocol.v3.readable import INDEX, LEAF, PACKAGE, PAGE, readable_range

OUT: Any = object()
OBJECTS: list[Any] = [{}, {"a": 1}, [], ["a"], [None], [1], [{}]]


def repaired(field: str, value: Any) -> Any:
    return PACKAGE.repair({field: value}).get(field, OUT)


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("[1.0.0, )", "[1.0.0, )"),
        ("(1.0.0-RC.1+m, 2.0.0]", "(1.0.0-RC.1+m,2.0]"),
        ("[1.0.0, 1.0.0]", "[1.0]"),
        ("(, )", "(, )"),
        # This client can read it; the client of 2020 cannot.
        ("[7.0.0, )", "7"),
        ("[7.0.0, )", 7),
        ("[1.0.0, )", "1.*"),
        ("", ""),
        ("", " "),
        ("", None),
        ("", True),
        ("", "[15.106.0.preview]"),
        ("", "(,)"),
        ("", "[1.0.0"),
        ("", "(1.0)"),
        ("", "[2.0.0, 1.0.0]"),
        ("", "[1.0.0,2.0.0,3.0.0]"),
        ("", "[99999999999.0, )"),
        *(("", value) for value in OBJECTS),
    ],
)
def test_an_invalid_range_is_empty_as_on_nuget_org(expected, value):
    dependency = {"id": "Bar", "range": value}

    [group] = repaired("dependencyGroups", [{"dependencies": [dependency]}])

    assert group["dependencies"] == [{"id": "Bar", "range": expected}]
    assert readable_range(value) == expected


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (".NETStandard2.0", ".NETStandard2.0"),
        ("net8.0-windows7.0", "net8.0-windows7.0"),
        (".NETFramework,Version=v4.0,Profile=Client", ".NETFramework,Version=v4.0,Profile=Client"),
        (".NETPortable0.0-Profile259", ".NETPortable0.0-Profile259"),
        ("some name", "some name"),
        ("", ""),
        (OUT, None),
        ("unsupported", ".NETFramework,Version=vX"),
        ("unsupported", ".NETFramework,Version="),
        ("unsupported", "portable-portable-net45"),
        *(("unsupported", value) for value in OBJECTS),
    ],
)
def test_an_unreadable_framework_becomes_unsupported(expected, value):
    [group] = repaired("dependencyGroups", [{"targetFramework": value, "dependencies": []}])

    assert group.get("targetFramework", OUT) == expected


@pytest.mark.parametrize("value", [None, 7, 1.5, True, "abc", ""])
def test_dependencies_that_are_not_a_list_are_left_out(value):
    assert repaired("dependencyGroups", value) is OUT
    assert repaired("dependencyGroups", [{"dependencies": value}]) == [{}]


def test_list_items_that_are_not_objects_are_left_out():
    dependency = {"id": "Bar", "range": "[1.0.0, )"}
    nameless = [{"range": "1.0"}, {"id": ""}, {"id": None}, {"id": ["Bar"]}]

    groups: list[Any] = [None, 1, "a", [], {"dependencies": [None, 1, "a", dependency, *nameless]}]

    assert repaired("dependencyGroups", groups) == [{"dependencies": [dependency]}]


def test_one_object_is_a_list_of_one():
    """
    By default JSON-LD writes a list of one as the value itself.
    """
    group = {"dependencies": {"id": "Bar", "range": "1.0"}}

    assert repaired("dependencyGroups", group) == [{"dependencies": [{"id": "Bar", "range": "[1.0.0, )"}]}]


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        *((value, value) for value in (
            "2020-01-01T00:00:00+00:00", "2020-01-01T00:00:00.1234567Z", "2020-01-01T00:00:00", "2020-01-01",
            "1900-01-01T00:00:00+00:00", "0001-01-01T00:00:00+05:00",
        )),
        *((OUT, value) for value in (
            None, 7, 1.5, True, "", "  ", "yesterday", "abc", "2020-13-45T00:00:00Z", "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z", "-2020-01-01", "2020-01-01T00:00:00+25:00", *OBJECTS,
        )),
        # Clients can read these; the only loss is that the date is not shown.
        *((OUT, value) for value in ("1/2/2020", "Mon, 15 Jun 2020 10:00:00 GMT", "/Date(1234656000000)/")),
    ],
)  # fmt: skip
def test_dates(expected, value):
    assert repaired("published", value) == expected


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (True, True), (False, False), (True, 1), (False, 0), (True, "true"), (False, "False"), (True, " TRUE "),
        *((OUT, value) for value in (None, "", "abc", "yes", "1", *OBJECTS)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["listed", "verified", "requireLicenseAcceptance"])
def test_booleans(field, expected, value):
    assert repaired(field, value) == expected


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (5, 5), (5, "5"), (5, 5.7), (10**18, 10**18), (-1, -1),
        *((OUT, value) for value in (None, "", "abc", "-", "9" * 30, 10**30, 1e30, True, *OBJECTS)),
    ],
)  # fmt: skip
def test_counts(expected, value):
    assert repaired("totalDownloads", value) == expected
    assert repaired("versions", [{"version": "1.0.0", "downloads": value}]) == [
        {"version": "1.0.0"} | ({} if expected is OUT else {"downloads": expected})
    ]


@pytest.mark.parametrize(("expected", "value"), [("1.5.0-RC+m", "1.5-RC+m"), ("7.0.0", 7), ("1.5.0", 1.5), ("x", "x")])
def test_versions(expected, value):
    """
    The client of 2020 cannot read a version with a single number.
    """
    assert repaired("version", value) == expected
    assert repaired("versions", [{"version": value}]) == [{"version": expected}]


@pytest.mark.parametrize("field", ["description", "id", "licenseExpression", "summary", "title"])
def test_texts(field):
    assert [repaired(field, value) for value in ("a", "", 7, 1.5)] == ["a", "", "7", "1.5"]
    assert all(repaired(field, value) is OUT for value in (None, True, *OBJECTS))


@pytest.mark.parametrize("field", ["authors", "owners", "tags"])
def test_words_are_a_text_or_a_list_of_texts(field):
    assert [repaired(field, value) for value in ("a b", ["a", "b"], [], 7)] == ["a b", ["a", "b"], [], "7"]
    assert repaired(field, ["a", None, {}, [], 1]) == ["a", "1"]
    assert all(repaired(field, value) is OUT for value in (None, True, {}, {"a": 1}))


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ({"reasons": ["Legacy"], "message": "m"}, {"reasons": ["Legacy"], "message": "m"}),
        ({"reasons": ["Legacy"]}, {"reasons": "Legacy"}),
        ({"reasons": ["1"]}, {"reasons": [1, None, {}]}),
        ({}, {"reasons": None, "message": {}}),
        ({"alternatePackage": {"id": "B", "range": "*"}}, {"alternatePackage": {"id": "B", "range": "*"}}),
        ({"alternatePackage": {"id": "B", "range": "*"}}, {"alternatePackage": {"id": "B", "range": "foo"}}),
        ({"alternatePackage": {"id": "B", "range": "*"}}, {"alternatePackage": {"id": "B", "range": {}}}),
        ({}, {"alternatePackage": "B"}),
        ({}, {"alternatePackage": {"id": {}}}),
        *((OUT, value) for value in (None, 7, True, "abc", "", *OBJECTS[2:])),
    ],
)
def test_deprecations(expected, value):
    assert repaired("deprecation", copy.deepcopy(value)) == expected


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("2", "2"), ("2", 2), ("2", "High"), ("0", "low"), ("3", "critical"),
        *((OUT, value) for value in (None, True, 1.5, 99_999_999_999, "9", "-1", "", *OBJECTS)),
    ],
)  # fmt: skip
def test_severities(expected, value):
    """
    A vulnerability of unknown severity is still one.
    """
    [shown] = repaired("vulnerabilities", [None, "x", {"advisoryUrl": "https://a.example", "severity": value}])

    assert shown == {"advisoryUrl": "https://a.example"} | ({} if expected is OUT else {"severity": expected})


def test_versions_of_a_hit_without_a_version_are_left_out():
    rows = [None, 1, {}, {"version": None}, {"version": "1.0.0"}, {"version": 2}]

    assert repaired("versions", rows) == [{"version": "1.0.0"}, {"version": "2.0.0"}]
    assert all(repaired("versions", value) is OUT for value in (None, 7, "abc", True))


def test_the_protocols_spelling_wins_in_any_position():
    """
    The official client uses the last of several names that differ in case.
    """
    for order in (("id", "ID", "Id"), ("Id", "ID", "id")):
        assert PACKAGE.repair({name: name for name in order}) == {"id": "id"}
    assert PACKAGE.repair({"ID": "a", "Published": "yesterday"}) == {"id": "a"}
    assert repaired("dependencyGroups", [{"Dependencies": [{"ID": "a", "Range": "x"}]}]) == [
        {"dependencies": [{"id": "a", "range": ""}]}
    ]
    assert LEAF.repair({"CATALOGENTRY": 1, "catalogEntry": 2}) == {"catalogEntry": 2}
    assert PAGE.repair({"Lower": "x", "lower": "1.0.0"}) == {"lower": "1.0.0"}
    assert INDEX.repair({"İtems": 1, "ıtems": 2, "itemſ": 3, "items": 4}) == {"İtems": 1, "items": 4}


def test_unknown_fields_are_unchanged():
    unknown = {"news": {"a": [1, None]}, "@type": ["x"], "commitId": 7}

    assert PACKAGE.repair(copy.deepcopy(unknown)) == unknown
