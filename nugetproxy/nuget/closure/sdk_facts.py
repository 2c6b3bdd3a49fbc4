"""The facts about one version of the .NET SDK that a closure depends on, and where they come from.

What follows from them is in `sdk.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SdkFacts:
    """One version of the SDK, on one kind of machine. `host` is the runtime identifier of that machine."""

    version: str
    host: str = "linux-x64"


def shipped_facts(version: str = "", host: str = "linux-x64") -> SdkFacts:
    """The facts shipped here for a version of the SDK: the nearest known one in its release, by default the newest.

    Raises:
        InvalidRequest: nothing is known about this release; names the known ones and the alternative, a directory.
    """
    return SdkFacts(version, host)
