"""What a feed asks of a package before it takes it, beyond being readable.

These are nuget.org's rules for a push (nuget-protocol: push validation), as far as they make sense without nuget.org:
nothing is asked of a licence's fame, of an owner's certificate or of how an id sounds. Every refusal names what is
wrong and what would be right; several are told at once, so that one more push is enough.
Who may push, and whether the version is there already, is not known here.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.push_rules_archive import PushLimits, entry_problems
from nugetproxy.nuget.push_rules_dependencies import dependency_problems, framework_warnings
from nugetproxy.nuget.push_rules_nuspec import nuspec_problems, nuspec_warnings, symbols_problem
from nugetproxy.nuget.push_rules_parts import part_problems, part_warnings
from nugetproxy.nuget.push_rules_xml import read_written_metadata

__all__ = ["PushLimits", "check_push", "refuse"]

# A status line holds 512 characters, and clients show nothing else.
_TOLD: Final = 3


def check_push(
    nupkg: Nupkg,
    limits: PushLimits = PushLimits(),  # noqa: B008 - frozen
    *,
    clock: Callable[[], float] = time.time,
) -> tuple[str, ...]:
    """Warnings for whoever pushes this package, one line each. `clock` gives unix seconds.

    Costs the unpacking of the whole package, in constant memory: some four seconds a gigabyte. `limits`
    say how much it may be.

    Raises InvalidPackage, which says which rules it breaks.
    """
    nupkg.check_layout()
    refuse(entry_problems(nupkg.entries, limits, clock()))
    metadata = read_written_metadata(nupkg.nuspec)
    manifest = nupkg.manifest
    refuse(symbols_problem(manifest))
    nupkg.check_contents()
    refuse(
        [
            *nuspec_problems(manifest, metadata),
            *dependency_problems(manifest, metadata),
            *part_problems(nupkg, metadata),
        ]
    )
    return (*part_warnings(manifest), *nuspec_warnings(manifest, metadata), *framework_warnings(metadata))


def refuse(problems: Iterable[str]) -> None:
    """Raises InvalidPackage with the first few of these sentences, if there are any."""
    found = list(dict.fromkeys(problems))
    if found:
        more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        raise InvalidPackage("; ".join(found[:_TOLD]) + more)
