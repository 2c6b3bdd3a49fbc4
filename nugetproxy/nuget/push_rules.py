"""The rules for a pushed package, beyond being readable.

These are nuget.org's rules for a push (nuget-protocol: push validation), as far as they make sense elsewhere: there is
no list of approved licences, no check of owners' certificates and no ban on particular ids. Every message says what is
wrong and how to fix it; several problems are reported together, so that one more push is enough.
Who may push, and whether the version exists already, is not known here.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

from lxml import etree

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.push_rules_archive import PushLimits, date_problems, entry_problems
from nugetproxy.nuget.push_rules_dependencies import dependency_problems, framework_warnings
from nugetproxy.nuget.push_rules_nuspec import nuspec_problems, nuspec_warnings, symbols_problem
from nugetproxy.nuget.push_rules_parts import part_problems, part_warnings
from nugetproxy.nuget.push_rules_xml import read_written_metadata

__all__ = ["PushLimits", "check_accepted", "check_push", "refuse"]

# Clients show only the status line, which is limited to 512 characters.
_TOLD: Final = 3


def check_push(
    nupkg: Nupkg,
    limits: PushLimits = PushLimits(),  # noqa: B008 - frozen
    *,
    clock: Callable[[], float] = time.time,
) -> tuple[str, ...]:
    """Check a package; returns warnings for the user, one line each. `clock` returns Unix seconds.

    Unpacks the whole package, in constant memory and within `limits`: about four seconds per gigabyte.

    Raises InvalidPackage, which says which rules it breaks.
    """
    metadata = _sound_metadata(nupkg, limits, date_problems(nupkg.entries, clock()))
    refuse(_content_problems(nupkg, metadata))
    manifest = nupkg.manifest
    return (*part_warnings(manifest), *nuspec_warnings(manifest, metadata), *framework_warnings(metadata))


def check_accepted(
    nupkg: Nupkg,
    limits: PushLimits = PushLimits(),  # noqa: B008 - frozen
    *,
    clock: Callable[[], float] = time.time,
) -> tuple[str, ...]:
    """As `check_push`, for a package that another server accepted, perhaps before these rules existed.

    What clients cannot read in one way only is refused all the same; the rest is returned, one line each.
    """
    metadata = _sound_metadata(nupkg, limits)
    return (*date_problems(nupkg.entries, clock()), *_content_problems(nupkg, metadata))


def _sound_metadata(nupkg: Nupkg, limits: PushLimits, more: Iterable[str] = ()) -> etree._Element:
    """The metadata of a package that every client reads and unpacks alike. Raises InvalidPackage, also for `more`."""
    nupkg.check_layout()
    refuse([*entry_problems(nupkg.entries, limits), *more])
    metadata = read_written_metadata(nupkg.nuspec)
    refuse(symbols_problem(nupkg.manifest))
    nupkg.check_contents()
    return metadata


def _content_problems(nupkg: Nupkg, metadata: etree._Element) -> list[str]:
    return [
        *nuspec_problems(nupkg.manifest, metadata),
        *dependency_problems(nupkg.manifest, metadata),
        *part_problems(nupkg, metadata),
    ]


def refuse(problems: Iterable[str]) -> None:
    """Raises InvalidPackage with the first few of these messages, if there are any."""
    found = list(dict.fromkeys(problems))
    if found:
        more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        raise InvalidPackage("; ".join(found[:_TOLD]) + more)
