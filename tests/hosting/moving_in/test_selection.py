"""What is taken over, and for whom."""

import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.hosting.moving_in.selection import OwnerNames, Selection, read_owner_names, selection_of
from nugetproxy.nuget.version import NuGetVersion

VERSIONS = [NuGetVersion.parse(text) for text in ("1.0.0", "10.0.0", "2.0.0", "2.0", "3.0.0-beta")]


def test_globs_of_ids():
    selection = selection_of(["Contoso.*", "Fabrikam"], ["*.Internal"], None)
    covered = [each for each in ("contoso.a", "contoso.internal", "fabrikam", "fabrikam.b") if selection.covers(each)]
    assert covered == ["contoso.a", "fabrikam"]
    assert selection.named_ids == ("Fabrikam",)


def test_the_newest_versions_each_counted_once():
    assert {str(each) for each in Selection(newest=3).chosen(VERSIONS)} == {"10.0.0", "3.0.0-beta", "2.0.0"}
    assert len(Selection().chosen(VERSIONS)) == 4


def test_what_matches_no_id_is_refused():
    with pytest.raises(InvalidRequest, match=r"did you mean 'Contoso.\*'"):
        selection_of(["Contoso."], [], None)


@pytest.mark.parametrize(
    ("lower_id", "owner"),
    [
        ("contoso.web.api", "web-team"),
        ("contoso.web.legacy", "alice"),
        ("contoso.core", "contoso"),
        ("fabrikam", "bob"),
        ("other", None),
    ],
)
def test_the_most_specific_line_names_the_owner(lower_id, owner):
    text = '"Contoso.*" = "contoso"\n"Contoso.Web.*" = "web-team"\n"Contoso.Web.Legacy" = "alice"\nFabrikam = "bob"\n'
    assert read_owner_names(text).find(lower_id) == owner


def test_the_owner_of_the_rest():
    names = OwnerNames({"Contoso.*": "contoso"}, "alice")
    assert (names.find("other"), names.find("contoso.x"), names.names) == ("alice", "contoso", ("contoso", "alice"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Contoso.* = 'x'", "not TOML"),
        ("[" * 10_000, "not TOML"),
        ("Contoso.Web = 'web'", "put a pattern with dots in quotes"),
        ('"Contoso.*" = ["a", "b"]', "not the name of an account"),
        ('"Contoso.*" = "a b"', "a name has 3 to 64 characters"),
        ('"Contoso." = "contoso"', "did you mean"),
    ],
)
def test_a_file_that_is_wrong(text, why):
    with pytest.raises(InvalidRequest, match=why):
        read_owner_names(text)
