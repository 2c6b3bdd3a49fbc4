import pytest

from nugetproxy.nuget.manifest import Dependency, DependencyGroup
from nugetproxy.protocol.v2.dependencies import dependencies_text


def group(framework, *dependencies):
    return DependencyGroup(framework, tuple(Dependency(*each) for each in dependencies))


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("", []),
        ("", [group(None)]),
        ("A:[1.0.0, ):", [group(None, ("A", "1.0"))]),
        ("A:[1.0.0, 2.0.0):net45", [group(".NETFramework4.5", ("A", "[1.0,2.0)"))]),
        ("A:[1.0.0, ):net6.0|B::net6.0", [group("net6.0", ("A", "[1.0.0, )"), ("B", "(, )"))]),
        ("A:[1.0.0, ):net45|::netstandard2.0", [group("net45", ("A", "1.0")), group(".NETStandard2.0")]),
        ("::net45", [group("net45")]),
        ("A::", [group(None, ("A", "what is this"))]),
        ("A::", [group(None, ("A", ""))]),
        ("", [group(None, ("not an id", "1.0"))]),
        ("A::oddframework", [group("odd:frame|work", ("A", ""))]),
    ],
)
def test_dependencies_are_written_as_one_text(text, groups):
    assert text == dependencies_text(groups)
