"""Whether a project for one framework can use what a package offers for another.

Which of several is the nearest is in `compatibility.py`.
"""

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

from nugetproxy.nuget.framework import PORTABLE_PROFILES, Framework, find_framework
from nugetproxy.nuget.framework_tables import (
    CONTAINS,
    EQUAL,
    EQUAL_PROFILES,
    NO_VERSION,
    OPTIONAL_IN_PORTABLE,
    PLATFORM_OF,
    STANDARD_OF_PORTABLE,
    SUPPORTED,
    WITH_OPTIONAL,
    Version,
)

_REMEMBERED: Final = 16_384
_PORTABLE: Final = ".NETPortable"
_OPTIONAL_NAMES: Final = frozenset(each.identifier for each in OPTIONAL_IN_PORTABLE)
_SPECIAL: Final = frozenset({"Any", "Agnostic", "Unsupported"})


@lru_cache(maxsize=_REMEMBERED)
def supports(project: Framework, offered: Framework) -> bool:
    """Whether a project for the first framework can use assets for the second."""
    if project == offered:
        return True
    if project.identifier in _SPECIAL or offered.identifier in _SPECIAL:
        return _supports_special(project.identifier, offered.identifier)
    if offered.identifier == _PORTABLE:
        members = members_of(offered)
        sides = members_of(project, optional=False) if project.identifier == _PORTABLE else (project,)
        return len(sides) <= len(members) and all(any(supports(side, each) for each in members) for side in sides)
    usable = _usable_by(project)
    return any(_is_part_of(each, same) for each in usable for same in (offered, *_all_equal(offered)))


def canonical(framework: Framework) -> Framework:
    """The framework in the spelling that clients reduce it to: a portable profile by its number, `dotnet` as 5.0."""
    if framework.identifier == _PORTABLE and (number := profile_number(framework)):
        return Framework(_PORTABLE, framework.version, f"Profile{number}")
    if framework.identifier == ".NETPlatform" and framework.version == NO_VERSION:
        return Framework(".NETPlatform", (5, 0, 0, 0))
    return framework


@lru_cache(maxsize=_REMEMBERED)
def members_of(portable: Framework, *, optional: bool = True) -> tuple[Framework, ...]:
    """The frameworks of a portable class library; `optional` ones are those on which it also runs."""
    number = profile_number(portable)
    members = tuple(map(_member, PORTABLE_PROFILES[number].split("+") if number else portable.profile.split("+")))
    return (*members, *OPTIONAL_IN_PORTABLE) if optional and number in WITH_OPTIONAL else members


@lru_cache(maxsize=_REMEMBERED)
def profile_number(portable: Framework) -> int:
    """The number of a known portable profile, given by name or by its members; 0 if it is none."""
    if portable.profile.lower().startswith("profile"):
        text = portable.profile[len("profile") :]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        return number if number in PORTABLE_PROFILES else 0
    members = frozenset(_one_of_equal(_member(name)) for name in portable.profile.split("+"))
    required = frozenset(member for member in members if member.identifier not in _OPTIONAL_NAMES)
    number = _profiles().get(required, 0)
    return number if required == members or number in WITH_OPTIONAL else 0


@cache
def _profiles() -> dict[frozenset[Framework], int]:
    return {
        frozenset(_one_of_equal(_member(name)) for name in names.split("+")): number
        for number, names in PORTABLE_PROFILES.items()
    }


def _member(name: str) -> Framework:
    return find_framework(name) or Framework("Unsupported")


def _one_of_equal(framework: Framework) -> Framework:
    return EQUAL.get(framework, (framework,))[0]


def _supports_special(project: str, offered: str) -> bool:
    if "Any" in (project, offered):
        return True
    return project != "Unsupported" and offered == "Agnostic"


@lru_cache(maxsize=_REMEMBERED)
def _usable_by(project: Framework) -> tuple[Framework, ...]:
    """The project's framework and all that it stands for, implements or contains."""
    found = {project: None}
    waiting = [project]
    for each in waiting:
        for other in _directly_usable_by(each):
            if other not in found:
                found[other] = None
                waiting.append(other)
    if project.identifier == _PORTABLE and (standard := STANDARD_OF_PORTABLE.get(profile_number(project))):
        found[Framework(".NETStandard", standard)] = None
    return tuple(found)


def _directly_usable_by(framework: Framework) -> Iterator[Framework]:
    yield from _equal(framework)
    for known in EQUAL:
        if _is_same_kind(known, framework) and known.version <= framework.version:
            yield from _equal(known)
    if not framework.profile and (contained := CONTAINS.get(framework.identifier)):
        yield Framework(contained, framework.version)
    if not framework.profile or framework.is_net5:
        for since, supported in SUPPORTED.get(framework.identifier, ()):
            if framework.version >= since:
                yield from supported


def _is_part_of(usable: Framework, offered: Framework) -> bool:
    """Whether the offered framework is the same as a usable one, in the same or an earlier version."""
    if usable.is_net5 and usable.version[0] >= 6 and PLATFORM_OF.get(usable.platform[0]) == offered.identifier:
        return True
    if usable.identifier != offered.identifier or not _is_not_newer(offered.version, usable.version):
        return False
    if not usable.is_net5:
        return usable.profile.lower() == offered.profile.lower()
    if not offered.is_net5 or not offered.profile:
        return not offered.profile
    name, version = offered.platform
    return name == usable.platform[0] and _is_not_newer(version, usable.platform[1])


def _is_not_newer(offered: Version, usable: Version) -> bool:
    return offered in (NO_VERSION, usable) or offered < usable


def _all_equal(framework: Framework) -> tuple[Framework, ...]:
    found = {framework: None}
    waiting = [framework]
    for each in waiting:
        for other in _equal(each):
            if other not in found:
                found[other] = None
                waiting.append(other)
    return tuple(found)[1:]


def _equal(framework: Framework) -> Iterator[Framework]:
    """The other names of a framework, and of these with another profile."""
    for each in (framework, *EQUAL.get(framework, ())):
        if each != framework:
            yield each
        for profiles in EQUAL_PROFILES.get(each.identifier, ()):
            if each.profile.lower() in profiles:
                for profile in profiles - {each.profile.lower()}:
                    yield Framework(each.identifier, each.version, _PROFILE_NAMES[profile])


_PROFILE_NAMES: Final = {
    "": "",
    "client": "Client",
    "full": "Full",
    "windowsphone": "WindowsPhone",
    "windowsphone71": "WindowsPhone71",
}


def _is_same_kind(one: Framework, other: Framework) -> bool:
    return one.identifier == other.identifier and one.profile.lower() == other.profile.lower()
