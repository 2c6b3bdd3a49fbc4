"""Framework: a target framework moniker, in its short (`net45`, `net8.0`) and long (`.NETFramework4.5`) forms.

Nuspecs and registrations contain either form, the V2 protocol the short one. Compatibility between frameworks is left
to the clients. Sources: docs/reference/target-frameworks, docs/reference/nuspec.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_REMEMBERED = 1_024
_LONGEST = 256

# Long identifier to short identifier.
_SHORT = {
    ".NETFramework": "net",
    ".NETStandard": "netstandard",
    ".NETStandardApp": "netstandardapp",
    ".NETCoreApp": "netcoreapp",
    ".NETCore": "netcore",
    ".NETPlatform": "dotnet",
    ".NETMicroFramework": "netmf",
    ".NETPortable": "portable",
    "ASP.NET": "aspnet",
    "ASP.NETCore": "aspnetcore",
    "DNX": "dnx",
    "DNXCore": "dnxcore",
    "MonoAndroid": "monoandroid",
    "MonoMac": "monomac",
    "MonoTouch": "monotouch",
    "Silverlight": "sl",
    "Tizen": "tizen",
    "UAP": "uap",
    "Windows": "win",
    "WindowsPhone": "wp",
    "WindowsPhoneApp": "wpa",
    "WinRT": "winrt",
    "Xamarin.iOS": "xamarinios",
    "Xamarin.Mac": "xamarinmac",
    "Xamarin.TVOS": "xamarintvos",
    "Xamarin.WatchOS": "xamarinwatchos",
    "Xamarin.PlayStation3": "xamarinpsthree",
    "Xamarin.PlayStation4": "xamarinpsfour",
    "Xamarin.PlayStationVita": "xamarinpsvita",
    "Xamarin.Xbox360": "xamarinxboxthreesixty",
    "Xamarin.XboxOne": "xamarinxboxone",
    ".NETnanoFramework": "netnano",
    "native": "native",
    "Any": "any",
    "Agnostic": "agnostic",
}
_LONG = {
    **{short: long for long, short in _SHORT.items()},
    **{long.lower(): long for long in _SHORT},
    # Other spellings that clients accept.
    "netframework": ".NETFramework",
    ".net": ".NETFramework",
    "netcore": ".NETCore",
    "netportable": ".NETPortable",
    "winrt": "WinRT",
}
# Their versions keep the dot (`netstandard2.0`); others drop it while every number has one digit (`net45`).
_DOTTED = frozenset({".NETStandard", ".NETStandardApp", ".NETCoreApp", ".NETPlatform", "Tizen"})
# Their versions drop a trailing zero (`win8`, `sl5`); others keep two numbers (`net40`).
_SINGLE_DIGIT = frozenset({"Windows", "WindowsPhone", "Silverlight"})
_WITHOUT_VERSION = frozenset({"native", "Any", "Agnostic"})
_SHORT_PROFILE = {"windowsphone": "wp", "windowsphone71": "wp71", "compactframework": "cf", "full": ""}
_LONG_PROFILE = {
    "client": "Client",
    "wp": "WindowsPhone",
    "wp71": "WindowsPhone71",
    "cf": "CompactFramework",
    "full": "",
}

# The frameworks of each portable class library profile; the short form lists them.
PORTABLE_PROFILES = {
    number: "+".join(sorted(names.split()))
    for number, names in {
        2: "net4 win8 sl4 wp7", 3: "net4 sl4", 4: "net45 sl4 win8 wp7", 5: "net4 win8", 6: "net403 win8",
        7: "net45 win8", 14: "net4 sl5", 18: "net403 sl4", 19: "net403 sl5", 23: "net45 sl4", 24: "net45 sl5",
        31: "win81 wp81", 32: "win81 wpa81", 36: "net4 sl4 win8 wp8", 37: "net4 sl5 win8", 41: "net403 sl4 win8",
        42: "net403 sl5 win8", 44: "net451 win81", 46: "net45 sl4 win8", 47: "net45 sl5 win8", 49: "net45 wp8",
        78: "net45 win8 wp8", 84: "wp81 wpa81", 88: "net4 sl4 win8 wp75", 92: "net4 win8 wpa81",
        95: "net403 sl4 win8 wp7", 96: "net403 sl4 win8 wp75", 102: "net403 win8 wpa81", 104: "net45 sl4 win8 wp75",
        111: "net45 win8 wpa81", 136: "net4 sl5 win8 wp8", 143: "net403 sl4 win8 wp8", 147: "net403 sl5 win8 wp8",
        151: "net451 win81 wpa81", 154: "net45 sl4 win8 wp8", 157: "win81 wp81 wpa81", 158: "net45 sl5 win8 wp8",
        225: "net4 sl5 win8 wpa81", 240: "net403 sl5 win8 wpa81", 255: "net45 sl5 win8 wpa81",
        259: "net45 win8 wpa81 wp8", 328: "net4 sl5 win8 wpa81 wp8", 336: "net403 sl5 win8 wpa81 wp8",
        344: "net45 sl5 win8 wpa81 wp8",
    }.items()
}  # fmt: skip
_PROFILE_OF = {frozenset(names.split("+")): number for number, names in PORTABLE_PROFILES.items()}

_COMMA_FORM = re.compile(
    r"\s*([A-Za-z.]+)\s*,\s*Version\s*=\s*v?([0-9.]+)\s*(?:,\s*Profile\s*=\s*([\w.+-]+)\s*)?",
    re.IGNORECASE | re.ASCII,
)
_NAME_FORM = re.compile(r"([A-Za-z.]*[A-Za-z])(\d*(?:\.\d+)*)(?:-([\w.+-]*))?", re.ASCII)
_OWN_PLATFORM = 5
"""From this version on, `.NETCoreApp` is called `net`, and the part after the dash is a platform."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework. `identifier` is the long name without a version, `version` has four numbers.

    `profile` is the long name of a profile or, from .NET 5 on, a platform with its version (`windows7.0`).
    """

    identifier: str
    version: tuple[int, int, int, int] = (0, 0, 0, 0)
    profile: str = ""

    @property
    def short(self) -> str:
        """The folder name: `net45`, `netstandard2.0`, `net8.0-windows7.0`, `portable-net45+win8`."""
        if self.identifier == ".NETPortable":
            return f"portable-{_portable_members(self.profile)}"
        if self.identifier in _WITHOUT_VERSION:
            return _SHORT[self.identifier]
        if self.is_net5:
            return f"net{self.version[0]}.{self.version[1]}" + (f"-{self.profile.lower()}" if self.profile else "")
        profile = _SHORT_PROFILE.get(self.profile.lower(), self.profile.lower())
        return _SHORT[self.identifier] + self._short_version() + (f"-{profile}" if profile else "")

    @property
    def long(self) -> str:
        """The form in registrations: `.NETFramework4.5`; from .NET 5 on there is only the short form."""
        if self.is_net5 or self.identifier in _WITHOUT_VERSION:
            return self.short
        numbers = list(self.version)
        while len(numbers) > 2 and numbers[-1] == 0:
            numbers.pop()
        return self.identifier + ".".join(map(str, numbers)) + (f"-{self.profile}" if self.profile else "")

    @property
    def is_net5(self) -> bool:
        """Whether this is .NET 5 or later, where `profile` is a platform."""
        return self.identifier == ".NETCoreApp" and self.version[0] >= _OWN_PLATFORM

    @property
    def platform(self) -> tuple[str, tuple[int, int, int, int]]:
        """The platform in lower case and its version, from .NET 5 on; all zero when there is none."""
        name = self.profile.lower().rstrip("0123456789.") if self.is_net5 else ""
        return name, (_version(self.profile[len(name) :]) if name else None) or (0, 0, 0, 0)

    def _short_version(self) -> str:
        numbers = list(self.version)
        if not any(numbers):
            return ""
        fewest = 1 if self.identifier in _SINGLE_DIGIT else 2
        while len(numbers) > fewest and numbers[-1] == 0:
            numbers.pop()
        is_dotted = self.identifier in _DOTTED or any(number > 9 for number in numbers)
        return ("." if is_dotted else "").join(map(str, numbers))


def find_framework(text: str) -> Framework | None:
    """The framework for a short, long or `Name,Version=v1.0` form; None when unknown."""
    return _remembered(text) if len(text) <= _LONGEST else None


def short_framework_name(text: str) -> str:
    """The short form, or the text itself when unknown: a newer client may know it."""
    framework = find_framework(text)
    return framework.short if framework is not None else text.strip()


def _find(text: str) -> Framework | None:
    comma_form = _COMMA_FORM.fullmatch(text)
    match = comma_form or _NAME_FORM.fullmatch(text.strip())
    if match is None:
        return None
    name, numbers, profile = match[1], match[2] or "", match[3] or ""
    identifier = _LONG.get(name.lower())
    version = _version(numbers)
    if identifier is None or version is None:
        return None
    is_short_net = identifier == ".NETFramework" and name.lower() == "net"
    if is_short_net and version[0] >= _OWN_PLATFORM:
        identifier = ".NETCoreApp"
    if identifier == ".NETPortable":
        return _portable(version, profile)
    if identifier == ".NETCoreApp" and version[0] >= _OWN_PLATFORM:
        return Framework(identifier, version, profile.lower())
    return Framework(identifier, version, _LONG_PROFILE.get(profile.lower(), profile))


_remembered = lru_cache(maxsize=_REMEMBERED)(_find)


def _version(text: str) -> tuple[int, int, int, int] | None:
    """`4.5` and `45` are equal: without dots, every digit is a number."""
    parts = text.split(".") if "." in text else list(text)
    if len(parts) > 4 or any(not part or len(part) > 9 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    major, minor, build, revision = numbers + [0] * (4 - len(numbers))
    return (major, minor, build, revision)


def _portable(version: tuple[int, int, int, int], profile: str) -> Framework | None:
    if not profile:
        return None
    number = _PROFILE_OF.get(frozenset(profile.lower().replace("net40", "net4").split("+")))
    known = f"Profile{number}" if number is not None and "net403" not in profile.lower() else profile
    return Framework(".NETPortable", version, known)


def _portable_members(profile: str) -> str:
    number = profile.lower().removeprefix("profile")
    members = PORTABLE_PROFILES.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 6 else None
    return members.replace("net4+", "net40+") if members is not None else profile.lower()
