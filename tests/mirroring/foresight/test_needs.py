import pytest

from nugetproxy.mirroring.foresight.needs import framework_that_needs, needs, newest_framework
from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.manifest import Dependency, DependencyGroup

GROUPS = (
    DependencyGroup(".NETFramework4.6.2", (Dependency("Contoso.Old", "1.0.0"), Dependency("Contoso.Both", "2.0.0"))),
    DependencyGroup("netstandard2.0", (Dependency("Contoso.Polyfill", "[1.0.0, 2.0.0)"),)),
    DependencyGroup("net8.0", (Dependency("Contoso.Both", "2.0.0"), Dependency("Contoso.Any"))),
)


def framework(name: str) -> Framework:
    found = find_framework(name)
    assert found is not None
    return found


def explained(lower_id: str) -> str | None:
    """The framework that explains a request for this id, where net10.0 is known."""
    found = framework_that_needs(GROUPS, lower_id, [NET10])
    return found.short if found else None


NET10 = framework("net10.0")


@pytest.mark.parametrize(
    ("version", "newest"),
    [
        ("7.9.0", "net10.0"),
        ("6.14.1", "net9.0"),
        ("6.12.0", "net9.0"),
        ("6.11.1", "net8.0"),
        ("5.8.0", "net5.0"),
        ("5.4.0", "netcoreapp3.1"),
        ("", "net10.0"),
        ("new", "net10.0"),
    ],
)
def test_the_client_tells_the_newest_framework_of_its_sdk(version, newest):
    assert newest_framework(version).short == newest


def test_the_dependencies_of_the_nearest_group_are_needed():
    found = needs(GROUPS, [NET10])
    assert [(need.id.text, str(need.exact)) for need in found] == [
        ("Contoso.Both", "Contoso.Both 2.0.0"),
        ("Contoso.Any", "None"),
    ]


def test_the_needs_of_several_frameworks_are_joined():
    found = needs(GROUPS, [NET10, framework("net472"), framework("netstandard2.0")])
    assert [need.id.text for need in found] == ["Contoso.Both", "Contoso.Any", "Contoso.Old", "Contoso.Polyfill"]


@pytest.mark.parametrize(
    ("wanted", "exact"),
    [("1.0", "1.0.0"), ("[1.0]", "1.0.0"), ("[1.2.3-Beta, 2.0)", "1.2.3-Beta"), ("(1.0, )", None), ("(, 2.0]", None),
     ("(, )", None), ("1.0.0-" + "a" * 300, None)],
)  # fmt: skip
def test_the_lowest_version_of_a_range_is_what_a_client_takes_if_it_exists(wanted, exact):
    (need,) = needs([DependencyGroup(None, (Dependency("Contoso.Base", wanted),))], [NET10])
    assert (need.exact.version.normalized if need.exact else None) == exact


def test_what_cannot_be_read_is_left_out():
    """
    Old packages have such; a client deals with them in ways of its own.
    """
    groups = [DependencyGroup(None, (Dependency("../x", "1.0"), Dependency("A", "junk"), Dependency("B", "1.*")))]
    assert needs(groups, [NET10]) == []


def test_a_request_tells_a_framework_that_was_not_thought_of():
    assert explained("contoso.old") == "net481"
    assert explained("contoso.polyfill") == "net6.0"
    assert explained("contoso.both") is None
    assert explained("contoso.else") is None
