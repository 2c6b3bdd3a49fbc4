"""What an import did, file by file: values, and their form for scripts."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nugetproxy.feeds.offers import Offer
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.times import text_of_microseconds


class Outcome(StrEnum):
    """What became of a file. In a dry run IMPORTED means that it would be imported."""

    IMPORTED = "imported"
    KEPT = "kept"
    REFUSED = "refused"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Row:
    """One file. `package` is None for one that cannot be read. `size` in bytes, 0 if unknown. `why` completes
    "it was refused because" or says why it was kept or left out; `kind` is a word for scripts.
    """

    offer: Offer
    package: PackageIdentity | None
    outcome: Outcome
    why: str = ""
    kind: str = ""
    owner: str = ""
    size: int = 0
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        history, package = self.offer.history, self.package
        published = history.published
        return {
            "id": package.id.text if package else None,
            "version": package.version.full if package else None,
            "file": self.offer.kind.value,
            "place": self.offer.place,
            "outcome": self.outcome.value,
            "why": self.why,
            "kind": self.kind,
            "owner": self.owner or None,
            "bytes": self.size,
            "published": None if published is None else text_of_microseconds(published),
            "listed": history.listed,
            "deprecated": history.deprecation is not None,
            "downloads": history.downloads,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The rows, by id and version."""

    source: str
    dry_run: bool
    rows: tuple[Row, ...]

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(row.outcome for row in self.rows)

    @property
    def refused(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.outcome is Outcome.REFUSED)

    @property
    def bytes_imported(self) -> int:
        return sum(row.size for row in self.rows if row.outcome is Outcome.IMPORTED)

    def as_dict(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "source": self.source,
            "dry_run": self.dry_run,
            "imported": counts[Outcome.IMPORTED],
            "kept": counts[Outcome.KEPT],
            "refused": counts[Outcome.REFUSED],
            "left_out": counts[Outcome.LEFT_OUT],
            "bytes": self.bytes_imported,
            "files": [row.as_dict() for row in self.rows],
        }


def in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    """By id, version and kind; files that cannot be read last, by place."""
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                (0, row.package.lower_id, row.package.version.sort_key, row.offer.kind.value, row.offer.place)
                if row.package
                else (1, row.offer.place)
            ),
        )
    )
