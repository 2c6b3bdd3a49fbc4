"""The output of `nugetproxy mirror`."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nugetproxy.cli.output import iso

if TYPE_CHECKING:
    from nugetproxy.mirroring.care.eviction import Evicted
    from nugetproxy.mirroring.care.verification import Problem, Verified
    from nugetproxy.mirroring.kept.files import KeptFile, QuarantinedFile
    from nugetproxy.mirroring.kept.pins import Pin

KEPT_HEADS = ("ID", "VERSION", "UPSTREAM", "BYTES", "LAST USED", "STATE")


def moment(seconds: int) -> str | None:
    """A time in unix seconds for --json; None if it never happened."""
    return iso(seconds * 1_000_000) if seconds else None


def kept(file: "KeptFile", pins: "Sequence[Pin]") -> dict[str, Any]:
    """One kept package, for --json."""
    return {
        "id": file.lower_id,
        "version": file.lower_version,
        "upstream": file.upstream,
        "state": "gone" if file.is_gone else "kept",
        "pinned": bool(pins),
        "bytes": file.size,
        "symbols_bytes": file.symbols,
        "committed": moment(file.committed),
        "used": moment(file.used),
        "verified": moment(file.verified),
        "fetch_milliseconds": file.fetch_milliseconds or None,
        "sha512": file.sha512 or None,
    }


def quarantined(file: "QuarantinedFile") -> dict[str, Any]:
    """One file in quarantine, for --json."""
    upstream, lower_id, lower_version = file.key
    return {
        "id": lower_id,
        "version": lower_version,
        "upstream": upstream,
        "state": "quarantined",
        "pinned": False,
        "bytes": file.size,
        "why": file.why,
        "found": moment(file.found),
        "file": file.file,
    }


def pin(made: "Pin") -> dict[str, Any]:
    return {
        "id": made.lower_id,
        "version": made.lower_version or None,
        "name": made.name,
        "because": made.reason,
        "since": moment(made.since),
    }


def kept_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row of the list as a line of a table."""
    state = f"{row['state']}, pinned" if row["pinned"] else row["state"]
    used = row.get("used") or row.get("found") or "-"
    return row["id"], row["version"], row["upstream"], str(row["bytes"]), used, state


def evicted(found: "Evicted", *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "packages": len(found.files),
        "bytes": found.bytes,
        "gone": found.gone,
        "unknown": found.unknown,
        "in_use": found.busy,
        "evicted": [
            {"id": file.lower_id, "version": file.lower_version, "upstream": file.upstream, "bytes": file.occupied}
            for file in found.files
        ],
    }


def verified(found: "Verified") -> dict[str, Any]:
    return {
        "clean": found.is_clean,
        "checked": found.checked,
        "bytes": found.bytes,
        "damaged": list(map(_problem, found.damaged)),
        "differing": list(map(_problem, found.differing)),
        "missing": found.missing,
        "added": found.added,
    }


def problems(found: "Verified") -> list[str]:
    """What `verify` complains about."""
    damaged = [
        f"{' '.join(each.key[1:])} was damaged: {each.why}; {'fetched again' if each.is_repaired else 'not repaired'}"
        for each in found.damaged
    ]
    return damaged + [f"{' '.join(each.key[1:])}: {each.why}" for each in found.differing]


def _problem(found: "Problem") -> dict[str, Any]:
    upstream, lower_id, lower_version = found.key
    return {
        "id": lower_id,
        "version": lower_version,
        "upstream": upstream,
        "why": found.why,
        "repaired": found.is_repaired,
    }


def statistics_fields(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The statistics for people."""
    budget = "none" if row["budget"] is None else _amount(row["budget"])
    days = row["days_until_full"]
    return [
        ("packages", str(row["packages"])),
        ("bytes", _amount(row["bytes"])),
        ("budget", budget),
        ("upstreams", "\n".join(f"{name}: {each['packages']} packages, {_amount(each['bytes'])}"
                                for name, each in row["upstreams"].items()) or "none"),
        ("pinned", str(row["pinned"])),
        ("gone upstream", str(row["gone"])),
        ("quarantined", str(row["quarantined"])),
        ("never verified", str(row["never_verified"])),
        ("growth", f"{_amount(row['bytes_per_day'])} a day"),
        ("disk free", _amount(row["disk_free"])),
        ("disk full in", "-" if days is None else f"{days:g} days"),
    ]  # fmt: skip


def days(until: float) -> float | None:
    return None if math.isinf(until) else round(until, 1)


def _amount(size: float) -> str:
    return f"{size / 1e6:.1f} MB"
