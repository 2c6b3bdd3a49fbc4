"""Verdicts in full, for people and scripts: the fields of `nugetproxy explain --json` and of `/v3/explain`.

Field names never change. Times are ISO 8601 in UTC, null if unknown.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from nugetproxy.errors import AllWithheld
from nugetproxy.feeds.base import HOSTED, Feed
from nugetproxy.feeds.policy.sentences import how_to_allow, refusal
from nugetproxy.feeds.policy.verdicts import VISIBLE, State, Verdict
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion

if TYPE_CHECKING:
    from nugetproxy.feeds.screening import Screen, Screening

WHO: Final = "an operator who can run nugetproxy on the data directory of the server"


async def explained_versions(
    feed: Feed, screening: "Screening | None", package_id: PackageId
) -> "tuple[tuple[NuGetVersion, ...], Screen | None]":
    """All versions of an id, ascending, and the verdicts on them; None if no rule is about them. Raises as `Feed`.

    `feed` is that of the reader, and is asked first: it asks no upstream about protected ids, and what is hosted is not
    screened.
    """
    try:
        answer = await feed.versions(package_id)
    except AllWithheld:
        if screening is None:
            raise
    else:
        if screening is None or answer.provenance.detail == HOSTED:
            return answer.value, None
    return await screening.explained(package_id)


def explained_id(package_id: PackageId, versions: tuple[NuGetVersion, ...], screen: "Screen | None") -> dict[str, Any]:
    """All versions of an id, ascending. `screen` is None if no rule is about it."""
    shown = screen.package_id if screen is not None else package_id
    return {"id": shown.text, "versions": [explained(package_id, version, screen) for version in versions]}


def explained(package_id: PackageId, version: NuGetVersion, screen: "Screen | None") -> dict[str, Any]:
    """One version."""
    verdict = screen.verdict(version) if screen is not None else VISIBLE
    package_id = screen.package_id if screen is not None else package_id
    package = PackageIdentity(package_id, version)
    return {
        "id": package_id.text,
        "version": version.normalized,
        "state": verdict.state.value,
        "rule": verdict.rule or None,
        "why": _sentence(package, verdict),
        "because": verdict.because or None,
        "since": _iso(verdict.since),
        "until": _iso(verdict.until),
        "evaluated": verdict.is_evaluated,
        "checked_when_downloaded": verdict.needs_file,
        "exception": None
        if verdict.exemption is None
        else {"until": _iso(verdict.exemption.until), "because": verdict.because, "by": verdict.exemption.by},
        "warnings": [{"rule": rule, "why": f"it {why}"} for rule, why in verdict.warnings],
        "allow": {"who": WHO, "command": how_to_allow(package)} if verdict.is_withheld else None,
    }


def _sentence(package: PackageIdentity, verdict: Verdict) -> str:
    if verdict.state is State.WITHHELD:
        return refusal(package, verdict)
    if verdict.exemption is not None:
        return f"{package} is allowed by an exception that {verdict.exemption.by} made"
    if verdict.rule:
        return f"{package} is allowed by the policy rule '{verdict.rule}': it {verdict.why}"
    if verdict.why:
        return f"{package} is visible: it {verdict.why}"
    return f"{package} is not withheld by any rule"


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
