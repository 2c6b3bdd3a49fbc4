"""Compatibility: which of the frameworks that a package offers is nearest to a project's.

Whether a framework fits at all is in `framework_support.py`. The steps are those of NuGet's client, which are the only
definition; docs/reference/target-frameworks describes their outcome.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.framework_support import canonical, members_of, supports
from nugetproxy.nuget.framework_tables import (
    EQUAL,
    NO_VERSION,
    PRECEDENCE,
    PRECEDENCE_EQUAL,
    PRECEDENCE_PACKAGED,
    is_packaged,
)

_REMEMBERED: Final = 4_096
"""Most packages offer what others offer, too."""
_PORTABLE: Final = ".NETPortable"
_ANY: Final = Framework("Any")
_FIRST_WITH_OLDER_PLATFORMS: Final = (6, 0, 0, 0)


def nearest(project: Framework, offered: Iterable[str | None], fallbacks: Sequence[Framework] = ()) -> str | None:
    """The offered framework, as written, that a client chooses for a project; None is one that fits every project.

    `fallbacks` (`AssetTargetFallback`) are tried in this order when nothing fits the project's own framework.
    Raises LookupError when none of them fits either.
    """
    texts = tuple(offered)
    place = _place_of_nearest(project, texts, tuple(fallbacks))
    if place is None:
        raise LookupError(f"no framework that fits {project.short}")
    return texts[place]


@lru_cache(maxsize=_REMEMBERED)
def _place_of_nearest(
    project: Framework, texts: tuple[str | None, ...], fallbacks: tuple[Framework, ...]
) -> int | None:
    known: dict[Framework, int] = {}
    for place, text in enumerate(texts):
        framework = find_framework(text) if text else _ANY
        if framework is not None:
            known.setdefault(canonical(framework), place)
    for wanted in (project, *fallbacks):
        found = _nearest(canonical(wanted), tuple(known))
        if found is not None:
            return known[found]
    return None


def _nearest(project: Framework, offered: Sequence[Framework]) -> Framework | None:
    if project in offered:
        return project
    left = _newest([each for each in offered if supports(project, each)])
    for step in _STEPS:
        if len(left) < 2:
            break
        left = step(project, left) or left
    return min(left, key=_precedence, default=None)


def _newest(usable: Sequence[Framework]) -> Sequence[Framework]:
    """Without those that another one contains. The result begins with what is later in the alphabet."""
    usable = [each for each in usable if each != _ANY] or usable
    kept = [one for one in usable if not any(other != one and _replaces(other, one) for other in usable)]
    return sorted(kept, key=_alphabetical, reverse=True)


def _replaces(other: Framework, one: Framework) -> bool:
    if not supports(other, one):
        return False
    if supports(one, other):
        # Both are the same; a name without a version gives way.
        return one.identifier == other.identifier and one.version == NO_VERSION != other.version
    return True


def _alphabetical(framework: Framework) -> tuple[object, ...]:
    profile, platform = ("", framework.platform) if framework.is_net5 else (framework.profile.lower(), ("", NO_VERSION))
    return framework.identifier.lower(), framework.version, profile, platform


def _precedence(framework: Framework) -> tuple[bool, int]:
    packaged = framework.identifier not in PRECEDENCE and is_packaged(framework)
    return packaged, _index(PRECEDENCE_PACKAGED if packaged else PRECEDENCE, framework)


def _index(order: Sequence[str], framework: Framework) -> int:
    return order.index(framework.identifier) if framework.identifier in order else len(order)


# --- the steps; each returns what is left, or nothing if it cannot decide ---------------------------------------------


def _same_name(project: Framework, left: Sequence[Framework]) -> Sequence[Framework]:
    if all(each.identifier != project.identifier for each in left):
        return ()
    keeps_older = _has_older_platform(project)
    return [each for each in left if each.identifier == project.identifier or (keeps_older and _is_mobile(each))]


def _not_portable(project: Framework, left: Sequence[Framework]) -> Sequence[Framework]:
    return [each for each in left if each.identifier != _PORTABLE]


def _best_portable(project: Framework, left: Sequence[Framework]) -> Sequence[Framework]:
    if any(each.identifier != _PORTABLE for each in left):
        return ()
    members = {each: members_of(each) for each in left}
    voted = _elected(project, members) or left
    best = voted[0]
    for each in voted[1:]:
        if _is_better_portable(each, best):
            best = each
    return [best]


def _installed(project: Framework, left: Sequence[Framework]) -> Sequence[Framework]:
    return () if is_packaged(project) else [each for each in left if not is_packaged(each)]


def _same_profile(project: Framework, left: Sequence[Framework]) -> Sequence[Framework]:
    profile = _profile(project)
    return [each for each in left if profile and each.identifier == project.identifier and _profile(each) == profile]


def _no_profile(project: Framework, left: Sequence[Framework]) -> Sequence[Framework]:
    return [each for each in left if not _profile(each)]


def _platform(project: Framework, left: Sequence[Framework]) -> Sequence[Framework]:
    if not project.platform[0]:
        return ()
    is_late = project.version >= _FIRST_WITH_OLDER_PLATFORMS
    same = [each for each in left if each.identifier == project.identifier]
    if not is_late or any(each.version >= _FIRST_WITH_OLDER_PLATFORMS for each in same):
        newest = max((each.version for each in same), default=NO_VERSION)
        return [each for each in same if each.version == newest]
    mobile = [each for each in left if _is_mobile(each)]
    last = max((each.identifier for each in mobile), default="")
    return [each for each in mobile if each.identifier == last]


_STEPS: Final[tuple[Callable[[Framework, Sequence[Framework]], Sequence[Framework]], ...]] = (
    _same_name,
    _not_portable,
    _best_portable,
    _installed,
    _same_profile,
    _no_profile,
    _platform,
)


def _profile(framework: Framework) -> str:
    return "" if framework.is_net5 else framework.profile.lower()


def _has_older_platform(project: Framework) -> bool:
    return project.version >= _FIRST_WITH_OLDER_PLATFORMS and bool(project.platform[0])


def _is_mobile(framework: Framework) -> bool:
    return framework.identifier.startswith("Xamarin.") or framework.identifier in ("MonoAndroid", "Tizen")


# --- portable class libraries -----------------------------------------------------------------------------------------


def _elected(project: Framework, members: Mapping[Framework, Sequence[Framework]]) -> Sequence[Framework]:
    """The portable libraries with a member that is nearest to the project, or nearest to most members of it."""
    all_members = tuple(dict.fromkeys(member for each in members.values() for member in each))
    voters = _without_equals(members_of(project)) if project.identifier == _PORTABLE else (project,)
    votes = dict.fromkeys(members, 0)
    for voter in voters:
        choice = _nearest(voter, all_members)
        for portable, own in members.items():
            votes[portable] += choice in own
    most = max(votes.values())
    return [portable for portable, count in votes.items() if count == most] if most else ()


def _without_equals(frameworks: Iterable[Framework]) -> Sequence[Framework]:
    kept: list[Framework] = []
    ordered = sorted(sorted(frameworks, key=_alphabetical, reverse=True), key=lambda e: _index(PRECEDENCE_EQUAL, e))
    for framework in ordered:
        if framework not in kept and not any(framework in EQUAL.get(each, ()) for each in kept):
            kept.append(framework)
    return kept


def _is_better_portable(one: Framework, other: Framework) -> bool:
    """Fewer members are better, then more members of a later version, then a later .NET Framework."""
    ours, theirs = members_of(one, optional=False), members_of(other, optional=False)
    if len(ours) != len(theirs):
        return len(ours) < len(theirs)
    latest, latest_there = _versions(ours), _versions(theirs)
    shared = [identifier for identifier in latest if identifier in latest_there]
    later = sum(latest[each] > latest_there[each] for each in shared)
    earlier = sum(latest[each] < latest_there[each] for each in shared)
    if later != earlier:
        return later > earlier
    net, net_there = latest.get(".NETFramework"), latest_there.get(".NETFramework")
    if net is not None and net_there is not None and net != net_there:
        return net > net_there
    return sorted(each.short for each in ours) < sorted(each.short for each in theirs)


def _versions(members: Iterable[Framework]) -> dict[str, tuple[int, int, int, int]]:
    found: dict[str, tuple[int, int, int, int]] = {}
    for member in members:
        found.setdefault(member.identifier, member.version)
    return found
