"""What users read about verdicts: one line each, in a header, a status line, or a log.

Clients print these texts next to others, so each names the package, the rule, and what to do.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from nugetproxy.feeds.policy.verdicts import Verdict
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion

_NAMED: Final = 3


def refusal(package: PackageIdentity, verdict: Verdict) -> str:
    """Why a version is withheld, and how to get it."""
    return f"{package} is withheld by the policy rule '{verdict.rule}': {_reason(verdict)}. {_remedy(package)}"


def how_to_allow(package: PackageIdentity) -> str:
    """The command that allows a version."""
    return f'nugetproxy policy allow {package.id} {package.version.normalized} --until DATE --because "REASON"'


def warning(package_id: PackageId, verdicts: Mapping[NuGetVersion, Verdict]) -> str:
    """About the versions of an id that are withheld, or would be by a rule that only warns; empty if there are none."""
    sentences = [
        *_grouped(package_id, {v: each for v, each in verdicts.items() if each.is_withheld}),
        *_warned(package_id, verdicts),
    ]
    return " ".join(sentences)


def time_text(seconds: float) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%MZ")


def _grouped(package_id: PackageId, withheld: Mapping[NuGetVersion, Verdict]) -> list[str]:
    by_rule: dict[str, list[NuGetVersion]] = {}
    for version, verdict in withheld.items():
        by_rule.setdefault(verdict.rule, []).append(version)
    sentences = []
    for rule, versions in by_rule.items():
        newest = max(versions)
        sentences.append(
            f"{package_id} {_listed(versions)} withheld by the policy rule '{rule}' ({_reason(withheld[newest])}); "
            f"see nugetproxy explain {package_id} {newest.normalized} or /v3/explain/{package_id.lower}."
        )
    return sentences


def _warned(package_id: PackageId, verdicts: Mapping[NuGetVersion, Verdict]) -> list[str]:
    by_rule: dict[str, dict[NuGetVersion, str]] = {}
    for version, verdict in verdicts.items():
        for rule, why in verdict.warnings:
            by_rule.setdefault(rule, {})[version] = why
    return [
        f"{package_id} {_listed(list(found), 'would be')} withheld by the policy rule '{rule}', which only warns "
        f"({max(found)} {found[max(found)]})."
        for rule, found in by_rule.items()
    ]


def _listed(versions: Sequence[NuGetVersion], verb: str = "") -> str:
    newest_first = sorted(versions, reverse=True)
    names = ", ".join(version.normalized for version in newest_first[:_NAMED])
    more = f" and {len(versions) - _NAMED} more versions" if len(versions) > _NAMED else ""
    return f"{names}{more} {verb or ('is' if len(versions) == 1 else 'are')}"


def _reason(verdict: Verdict) -> str:
    unevaluated = "" if verdict.is_evaluated else "; the rule cannot be evaluated, so the version is withheld"
    until = f", until {time_text(verdict.until)}" if verdict.until is not None else ""
    because = f"; {verdict.because}" if verdict.because else ""
    return f"it {verdict.why}{unevaluated}{until}{because}"


def _remedy(package: PackageIdentity) -> str:
    return f"An operator can allow it: {how_to_allow(package)}"
