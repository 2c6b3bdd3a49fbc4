"""Ids, versions, ranges and frameworks: accepted ones survive a round trip and sort correctly."""

import re
from typing import Final

from nugetproxy.accounts.reservations import Reservation, parse_pattern, protected_prefixes
from nugetproxy.errors import InvalidPackageId, InvalidRequest, InvalidVersion, InvalidVersionRange
from nugetproxy.nuget.framework import find_framework, short_framework_name
from nugetproxy.nuget.globs import checked_glob, glob_matches, globs_overlap
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.nuget.licences import (
    LicenceList,
    Standing,
    expression_at,
    stated_licence,
    when_allowed,
    when_denied,
    wrong_entry,
)
from nugetproxy.nuget.lookalikes import readings
from nugetproxy.nuget.typosquats import KnownIds
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from tests.fuzzing import texts
from tests.fuzzing.choices import Choices
from tests.fuzzing.target import Target


def make_versions(choices: Choices) -> tuple[str, str]:
    return texts.version(choices), texts.version(choices)


def use_versions(given: tuple[str, str]) -> None:
    one, other = map(NuGetVersion.parse, given)
    for version in (one, other):
        for text in (version.normalized, version.full, version.lower):
            again = NuGetVersion.parse(text)
            assert (again, hash(again)) == (version, hash(version))
            assert again.normalized.lower() == version.lower
        assert NuGetVersion.parse(version.full).metadata == version.metadata
    assert (one == other, one < other, one > other) in (
        (True, False, False),
        (False, True, False),
        (False, False, True),
    )
    assert (one < other) == (one.sort_key < other.sort_key) == (one.precedence < other.precedence)
    assert (one == other) == (one.precedence == other.precedence)
    if one.lower == other.lower:
        assert one == other


def make_range(choices: Choices) -> tuple[str, bool, list[str]]:
    return texts.version_range(choices), choices.chance(2), choices.some(lambda: texts.version(choices), 5)


def use_range(given: tuple[str, bool, list[str]]) -> None:
    text, floating, others = given
    interval = VersionRange.parse(text, floating=floating)
    versions = [version for each in others if (version := _version(each)) is not None]
    versions += [bound for bound in (interval.minimum, interval.maximum) if bound is not None]
    again = VersionRange.parse(interval.normalized, floating=floating)
    assert [again.satisfies(each) for each in versions] == [interval.satisfies(each) for each in versions]
    assert again.normalized == interval.normalized
    best = interval.best_match(versions)
    assert best is None or interval.satisfies(best)
    if interval.minimum is not None and interval.maximum is not None:
        assert interval.minimum <= interval.maximum


def _version(text: str) -> NuGetVersion | None:
    try:
        return NuGetVersion.parse(text)
    except InvalidVersion:
        return None


def make_identity(choices: Choices) -> tuple[str, str]:
    return texts.package_id(choices), texts.version(choices)


def use_identity(given: tuple[str, str]) -> None:
    identity = PackageIdentity.parse(*given)
    lower = lower_invariant(identity.id.text)
    assert identity.lower_id == lower == lower_invariant(lower)
    for name in (identity.nupkg_name, identity.nuspec_name, identity.lower_id, identity.lower_version):
        # It becomes the name of a file and a segment of a URL.
        assert name not in ("", ".", "..")
        assert not re.search(r"[\x00-\x20/\\:?#%\"<>|*\x7f]", name), name
        assert len(name.encode()) <= 1_000
    assert PackageIdentity.parse(identity.lower_id, identity.lower_version) == identity
    readings(identity.lower_id)


def make_frameworks(choices: Choices) -> str:
    return texts.framework(choices)


def use_framework(text: str) -> None:
    short = short_framework_name(text)
    found = find_framework(text)
    if found is not None:
        assert short == found.short
        # The short form of .NETFramework 5 and above, which does not exist, is that of .NET.
        if found.identifier != ".NETFramework" or found.version[0] < 5:
            assert short_framework_name(short) == short
            assert short_framework_name(found.long) == short


def make_patterns(choices: Choices) -> tuple[str, str, str]:
    def pattern() -> str:
        return texts.package_id(choices)[:130] + choices.one_of(("", "*", ".*", "*x", ".", "**"))

    return pattern(), pattern(), texts.package_id(choices)


def use_patterns(given: tuple[str, str, str]) -> None:
    one, other, package_id = given
    lower = PackageId.parse(package_id).lower
    stem, exact = parse_pattern(one)
    reservation = Reservation(stem, exact, shared=False)
    protected = protected_prefixes([], [reservation])
    assert protected.covers(lower) == reservation.matches(lower) == glob_matches(reservation.glob, lower)
    assert protected.resembles(lower) or not protected.covers(lower)
    # A search for the id itself, however it is written, counts as naming it.
    if protected.covers(lower):
        for text in (package_id, lower, package_id.upper(), f'packageid:"{package_id}"', f"x {package_id} y"):
            assert protected.touches(text), text
    first, second = checked_glob(one), checked_glob(other)
    if glob_matches(first, lower) and glob_matches(second, lower):
        assert globs_overlap(first, second)
    assert globs_overlap(first, second) == globs_overlap(second, first)


def make_licences(choices: Choices) -> str:
    words = (
        "MIT",
        "GPL-3.0-only",
        "Apache-2.0+",
        "AND",
        "OR",
        "WITH",
        "(",
        ")",
        "LicenseRef-a",
        "NONE",
        "GPL-2.0-or-later",
    )
    text = " ".join(choices.one_of(words) for _ in range(choices.below(12)))
    return text if choices.chance(5) else texts.package_id(choices) + text


def use_licences(text: str) -> None:
    licence = stated_licence(text)
    denied, allowed = (when(licence, LicenceList(("GPL-*",))) for when in (when_denied, when_allowed))
    assert (licence.expression is None) is bool(licence.why_unknown)
    if licence.expression is None:
        assert denied is allowed is Standing.UNKNOWN
    assert denied is not Standing.DENIED or "GPL" in text.upper()
    assert licence.stated.isprintable()
    expression_at(f"https://licenses.nuget.org/{text}")
    expression_at(text)
    wrong_entry(text)


def make_typos(choices: Choices) -> tuple[str, str]:
    return texts.package_id(choices), texts.package_id(choices)


def use_typos(given: tuple[str, str]) -> None:
    known, other = (PackageId.parse(text).lower for text in given)
    found = KnownIds([known]).resembled_by(other)
    assert found in ((), (known,))
    assert not (found and known == other)


TARGETS: Final = (
    Target("version", make_versions, use_versions, (InvalidVersion,)),
    Target("version range", make_range, use_range, (InvalidVersionRange,)),
    Target("identity", make_identity, use_identity, (InvalidPackageId, InvalidVersion)),
    Target("framework", make_frameworks, use_framework),
    Target("licence", make_licences, use_licences),
    Target("mistaken id", make_typos, use_typos, (InvalidPackageId,)),
    Target("pattern", make_patterns, use_patterns, (InvalidRequest, InvalidPackageId)),
)
