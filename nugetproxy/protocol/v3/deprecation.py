"""A deprecation: why a version should not be used, and what to use instead.

Nothing here knows who may deprecate or how it is stored. Source: docs/api/registration-base-url-resource.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nugetproxy.nuget.version import NuGetVersion

REASONS = ("Legacy", "CriticalBugs", "Other")
ANY_VERSION = "*"

LONGEST_MESSAGE = 4000
"""Characters of a message. Every document about the version repeats it."""


def at_least(version: NuGetVersion) -> str:
    """The range of an alternative starting with this version, as nuget.org writes it."""
    return f"[{version.normalized}, )"


@dataclass(frozen=True, slots=True)
class Deprecation:
    """`reasons` are some of REASONS, at least one. `alternate_id` may be empty; `*` as its range means any version.

    Raises ValueError for no reasons, or for one that clients do not know: they would ignore the whole deprecation.
    """

    reasons: tuple[str, ...]
    message: str = ""
    alternate_id: str = ""
    alternate_range: str = ANY_VERSION

    def __post_init__(self) -> None:
        if not self.reasons or not set(self.reasons) <= set(REASONS):
            raise ValueError(f"a deprecation needs one or more of the reasons {', '.join(REASONS)}")

    def as_dict(self) -> dict[str, Any]:
        """As plain values, ready for JSON."""
        return {
            "reasons": list(self.reasons),
            "message": self.message,
            "alternate": [self.alternate_id, self.alternate_range],
        }

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> "Deprecation":
        """The inverse of `as_dict`."""
        return Deprecation(tuple(plain["reasons"]), plain["message"], *plain["alternate"])

    def document(self) -> dict[str, Any]:
        """The object in a catalogEntry. The `@id`s are fragments that the writer completes."""
        written: dict[str, Any] = {"@id": "#deprecation", "@type": "deprecation", "reasons": list(self.reasons)}
        if self.message:
            written["message"] = self.message
        if self.alternate_id:
            written["alternatePackage"] = {
                "@id": "#deprecation/alternatePackage",
                "@type": "alternatePackage",
                "id": self.alternate_id,
                "range": self.alternate_range,
            }
        return written
