"""Which frameworks are equal, which contains which, and which .NET Standard each implements: NuGet's tables.

What follows from them is in `framework_support.py`. Sources: docs/reference/target-frameworks,
dotnet/standard/net-standard; checked against the tables of NuGet 7.9.
"""

from typing import Final

from nugetproxy.nuget.framework import Framework

Version = tuple[int, int, int, int]

NO_VERSION: Final[Version] = (0, 0, 0, 0)


def _framework(text: str) -> Framework:
    name, _, rest = text.partition(" ")
    number, _, profile = rest.partition(" ")
    return Framework(name, _version(number), profile)


def _version(text: str) -> Version:
    numbers = [int(number) for number in text.split(".")] + [0, 0, 0]
    return numbers[0], numbers[1], numbers[2], numbers[3]


_EQUAL: Final = (
    ("UAP 0", "UAP 10"),
    ("Windows 0", "Windows 8", ".NETCore 0", ".NETCore 4.5", "WinRT 0", "WinRT 4.5"),
    ("Windows 8.1", ".NETCore 4.5.1"),
    ("WindowsPhone 0", "WindowsPhone 7", "Silverlight 3 WindowsPhone"),
    ("WindowsPhone 7.1", "Silverlight 4 WindowsPhone71"),
    ("WindowsPhone 8", "Silverlight 8 WindowsPhone"),
    ("WindowsPhone 8.1", "Silverlight 8.1 WindowsPhone"),
    ("WindowsPhoneApp 0", "WindowsPhoneApp 8.1"),
    ("Tizen 0", "Tizen 3"),
    ("DNX 0", "DNX 4.5", "ASP.NET 0", "ASP.NET 5"),
    ("DNXCore 0", "DNXCore 5", "ASP.NETCore 0", "ASP.NETCore 5"),
    (".NETPlatform 0", ".NETPlatform 5"),
)
EQUAL: Final[dict[Framework, tuple[Framework, ...]]] = {
    each: group for group in (tuple(map(_framework, names)) for names in _EQUAL) for each in group
}
"""A framework to all that are the same."""

EQUAL_PROFILES: Final[dict[str, tuple[frozenset[str], ...]]] = {
    ".NETFramework": (frozenset({"", "client"}), frozenset({"", "full"})),
    "Silverlight": (frozenset({"windowsphone71", "windowsphone"}),),
    "WindowsPhone": (frozenset({"windowsphone71", "windowsphone"}),),
}
"""Profiles in lower case that are the same for one framework."""

CONTAINS: Final = {"DNX": ".NETFramework", "DNXCore": ".NETPlatform", ".NETStandardApp": ".NETStandard"}
"""A framework to the one that it contains, at the same version."""

PLATFORM_OF: Final = {"android": "MonoAndroid", "tizen": "Tizen"}
"""A platform of .NET 6 and later to the older framework whose packages fit as well."""

_MONO = "MonoAndroid MonoMac MonoTouch Xamarin.iOS Xamarin.Mac Xamarin.TVOS Xamarin.WatchOS"
_CONSOLES = "Xamarin.PlayStation3 Xamarin.PlayStation4 Xamarin.PlayStationVita Xamarin.Xbox360 Xamarin.XboxOne"
# From a version of a framework on, what it supports up to a version.
_SUPPORTED: Final = """
    UAP 0: Windows 8.1, WindowsPhoneApp 8.1, .NETCore 5, .NETPlatform 5.5, .NETStandard 1.4
    UAP 10.0.15064: .NETStandard 2.0
    Windows 0: WinRT 4.5
    Tizen 3: .NETStandard 1.6
    Tizen 4: .NETStandard 2.0
    Tizen 6: .NETStandard 2.1
    .NETCoreApp 1.0: .NETStandard 1.6
    .NETCoreApp 1.1: .NETStandard 1.7
    .NETCoreApp 2.0: .NETStandard 2.0
    .NETCoreApp 3.0: .NETStandard 2.1
    DNXCore 0: .NETPlatform 5.6, .NETStandard 1.5
    .NETCore 4.5: .NETPlatform 5.2, .NETStandard 1.1
    .NETCore 4.5.1: .NETPlatform 5.3, .NETStandard 1.2
    .NETCore 5: .NETPlatform 5.5, .NETStandard 1.4
    WindowsPhoneApp 8.1: .NETPlatform 5.3, .NETStandard 1.2
    WindowsPhone 8: .NETPlatform 5.1, .NETStandard 1.0
    .NETFramework 4.5: .NETPlatform 5.2, .NETStandard 1.1
    .NETFramework 4.5.1: .NETPlatform 5.3, .NETStandard 1.2
    .NETFramework 4.6: .NETPlatform 5.4, .NETStandard 1.3
    .NETFramework 4.6.1: .NETPlatform 5.5, .NETStandard 2.0
    .NETFramework 4.6.2: .NETPlatform 5.6
"""


def _supported() -> dict[str, list[tuple[Version, tuple[Framework, ...]]]]:
    table = [f"{name} 0: .NETPlatform 5.6, .NETStandard 2.1" for name in _MONO.split()]
    table += [f"{name} 0: .NETPlatform 5.6, .NETStandard 2.0" for name in _CONSOLES.split()]
    table += _SUPPORTED.strip().splitlines()
    found: dict[str, list[tuple[Version, tuple[Framework, ...]]]] = {}
    for line in table:
        name, _, supported = line.strip().partition(": ")
        since = _framework(name)
        found.setdefault(since.identifier, []).append(
            (since.version, tuple(_framework(each) for each in supported.split(", ")))
        )
    return found


SUPPORTED: Final = _supported()
"""By identifier: from a version on, what the framework supports besides itself."""

STANDARD_OF_PORTABLE: Final = {
    7: (1, 1, 0, 0), 31: (1, 0, 0, 0), 32: (1, 2, 0, 0), 44: (1, 2, 0, 0), 49: (1, 0, 0, 0), 78: (1, 0, 0, 0),
    84: (1, 0, 0, 0), 111: (1, 1, 0, 0), 151: (1, 2, 0, 0), 157: (1, 0, 0, 0), 259: (1, 0, 0, 0),
}  # fmt: skip
"""Portable profiles to the .NET Standard that they implement."""
OPTIONAL_IN_PORTABLE: Final = tuple(Framework(name) for name in _MONO.split() if name != "MonoMac")
"""Frameworks on which the profiles of `WITH_OPTIONAL` also run."""
WITH_OPTIONAL: Final = frozenset(
    {5, 6, 7, 14, 19, 24, 37, 42, 44, 47, 49, 78, 92, 102, 111, 136, 147, 151, 158, 225, 255, 259, 328, 336, 344}
)

PRECEDENCE: Final = (".NETFramework", ".NETCore", "Windows", "WindowsPhoneApp")
"""If nothing else decides: frameworks that are installed, the preferred first."""
PRECEDENCE_PACKAGED: Final = (".NETCoreApp", ".NETStandardApp", ".NETStandard", ".NETPlatform")
"""The same for frameworks that consist of packages."""
PRECEDENCE_EQUAL: Final = (
    "Windows", ".NETCore", "WinRT", "WindowsPhone", "Silverlight", "DNXCore", "ASP.NETCore", "DNX", "ASP.NET"
)  # fmt: skip
"""The preferred names of equal frameworks."""
_PACKAGED: Final = frozenset(PRECEDENCE_PACKAGED) | {"DNXCore", "UAP", "Tizen"}


def is_packaged(framework: Framework) -> bool:
    """Whether the framework consists of packages."""
    return framework.identifier in _PACKAGED or (framework.identifier == ".NETCore" and framework.version[0] >= 5)
