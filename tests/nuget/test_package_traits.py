import pytest

from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.package_traits import INSTALL_TRAITS, Trait, traits_of
from tests.nuget.test_signature import real_packages


@pytest.mark.parametrize(
    ("name", "trait"),
    [
        ("tools/init.ps1", Trait.INIT_SCRIPT),
        ("tools/net40/install.ps1", Trait.INSTALL_SCRIPT),
        ("Tools\\Uninstall.PS1", Trait.UNINSTALL_SCRIPT),
        ("tools/chocolateyInstall.ps1", Trait.OTHER_SCRIPT),
        ("build/Contoso.targets", Trait.BUILD_TARGETS),
        ("build/netstandard2.0/Contoso.props", Trait.BUILD_PROPS),
        ("BUILD/Contoso.Targets", Trait.BUILD_TARGETS),
        ("build%2FContoso.targets", Trait.BUILD_TARGETS),
        ("build/Contoso%2Etargets", Trait.BUILD_TARGETS),
        ("./build/Contoso.targets", Trait.BUILD_TARGETS),
        ("/build/Contoso.targets", Trait.BUILD_TARGETS),
        ("lib/../build/Contoso.targets", Trait.BUILD_TARGETS),
        ("build/Contoso.targets.", Trait.BUILD_TARGETS),
        ("build/a\nb.targets", Trait.BUILD_TARGETS),
        ("buildTransitive/net8.0/Contoso.targets", Trait.TRANSITIVE_TARGETS),
        ("buildTransitive/Contoso.props", Trait.TRANSITIVE_PROPS),
        ("buildMultiTargeting/Contoso.targets", Trait.MULTI_TARGETING_TARGETS),
        ("buildCrossTargeting/Contoso.props", Trait.MULTI_TARGETING_PROPS),
        ("tasks/net472/Contoso.Tasks.dll", Trait.TASKS),
        ("analyzers/dotnet/cs/Contoso.Analyzers.dll", Trait.ANALYZERS),
        ("lib/net8.0/Contoso.dll", None),
        ("lib/build/Contoso.targets", None),
        ("content/tools/init.ps1", None),
        ("build/Contoso.txt", None),
        ("tools/init.ps1.txt", None),
        ("tools.ps1", None),
        ("", None),
        ("..", None),
    ],
)
def test_traits(name, trait):
    assert traits_of([name]) == ({trait} if trait else set())


def test_analyzers_are_no_install_scripts():
    assert Trait.ANALYZERS not in INSTALL_TRAITS
    assert INSTALL_TRAITS == set(Trait) - {Trait.ANALYZERS}


def test_real_packages():
    """
    What real packages contain is found, and most contain none of it.
    """
    count = 0
    for path in real_packages():
        with path.open("rb") as file:
            count += bool(traits_of(entry.name for entry in Nupkg(file).entries) & INSTALL_TRAITS)

    assert 5 < count < 80
