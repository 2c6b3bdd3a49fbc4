"""The results of `nugetproxy prewarm`, as JSON and as text."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nugetproxy.mirroring.prewarm.lookup import FeedLookup
    from nugetproxy.mirroring.prewarm.plan import Plan, Wish
    from nugetproxy.mirroring.prewarm.run import PrewarmReport, Refusal
    from nugetproxy.mirroring.prewarm.symbols import MissingPdb, SymbolsForecast, SymbolsReport
    from nugetproxy.nuget.closure.model import Missing
    from nugetproxy.nuget.identity import PackageIdentity


def prewarmed(
    plan: "Plan", lookup: "FeedLookup", report: "PrewarmReport", name: str | None,
    symbols: "SymbolsReport | None" = None, *, need_symbols: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The report of a run. `name` is that of the pins. `need_symbols`: a PDB that no symbol server has is a problem."""
    refused = {each.package_id.lower for each in report.refusals if each.package_id is not None}
    problems = [*_unresolved(plan, lookup, refused), *(_refusal(each, plan) for each in report.refusals)]
    if symbols is not None:
        problems += [_missing_pdb(each, plan) for each in symbols.missing if need_symbols or not each.is_absent]
    packages = []
    for identity, wish in plan.wishes.items():
        size = report.files.get(identity)
        state = "missing" if size is None else "fetched" if identity in report.fetched else "kept"
        packages.append(_package(wish, state, size))
    return {
        "complete": not problems,
        "packages": packages,
        "kept_before": report.kept_before,
        "fetched": len(report.fetched),
        "bytes_fetched": report.bytes_fetched,
        "ids_with_documents": report.documents,
        "pinned_as": name,
        "symbols": None if symbols is None else _symbols(symbols),
        "problems": problems,
        "restore_errors": _restore_errors(plan),
        "unsure": _uncertain(plan),
    }


def nothing() -> dict[str, Any]:
    """The report of a run for sources that name no packages."""
    lists: dict[str, Any] = {
        name: [] for name in ("packages", "problems", "restore_errors", "unsure", "feeds_not_asked")
    }
    totals = dict.fromkeys(("kept_before", "fetched", "bytes_fetched", "ids_with_documents"), 0)
    return {"complete": True, **lists, **totals, "pinned_as": None, "symbols": None}


def what_if(
    plan: "Plan",
    lookup: "FeedLookup",
    sizes: "Mapping[PackageIdentity, int | None]",
    symbols: "SymbolsForecast | None" = None,
) -> dict[str, Any]:
    """What a run would fetch. `sizes` in bytes: 0 for kept packages, None for unknown."""
    problems = _unresolved(plan, lookup)
    states = {identity: "kept" if size == 0 else "would_fetch" for identity, size in sizes.items()}
    unread = [
        {"place": str(each), "what": "its runtime.json was not read: packages for a runtime may be missing here",
         "settled_by": "a run without --what-if"}
        for each in sorted(lookup.unread & {key for key, size in sizes.items() if size != 0}, key=str)
    ]  # fmt: skip
    return {
        "complete": not problems,
        "packages": [_package(wish, states[identity], sizes[identity]) for identity, wish in plan.wishes.items()],
        "kept_before": sum(size == 0 for size in sizes.values()),
        "would_fetch": sum(size != 0 for size in sizes.values()),
        "bytes_to_fetch": sum(size or 0 for size in sizes.values()),
        "unknown_sizes": sum(size is None for size in sizes.values()),
        "symbols": None
        if symbols is None
        else {"kept": symbols.kept, "to_fetch": symbols.to_fetch, "packages_unknown": symbols.unread},
        "problems": problems,
        "restore_errors": _restore_errors(plan),
        "unsure": [*_uncertain(plan), *unread],
    }


def print_report(row: Mapping[str, Any]) -> None:
    """Problems and remarks on standard error, the result on standard output."""
    for each in row["unsure"]:
        click.echo(f"Not certain: {each['place']}: {each['what']}. Settled by: {each['settled_by']}", err=True)
    for each in row["restore_errors"]:
        click.echo(f"A restore will fail: {each['project']}: {each['code']} {each['text']}", err=True)
    for problem in row["problems"]:
        # Who wants an exact package is a file that the user named: no news.
        by = next((each for each in problem["wanted_by"] if len(each) > 1), None)
        told = f" (wanted by {' > '.join(by)})" if by else ""
        click.echo(f"Could not be fetched: {problem['what']}: {problem['why']}{told}", err=True)
    if row["problems"]:
        for feed in row["feeds_not_asked"]:
            click.echo(f"Not asked: {feed}, which a nuget.config names: see --upstream", err=True)
    packages, problems = len(row["packages"]), len(row["problems"])
    if "would_fetch" in row:
        for each in row["packages"]:
            if each["state"] == "would_fetch":
                click.echo(f"{each['id']} {each['version']}  {'unknown' if each['bytes'] is None else each['bytes']}")
        if symbols := row["symbols"]:
            click.echo(
                f"Symbols: {symbols['kept']} PDBs kept before, {symbols['to_fetch']} to fetch, of unknown size. "
                f"Unknown until fetched: those of {symbols['packages_unknown']} packages."
            )
        unknown = f", {row['unknown_sizes']} of unknown size" if row["unknown_sizes"] else ""
        click.echo(
            f"Packages: {packages} ({row['kept_before']} kept before, {row['would_fetch']} to fetch, "
            f"{row['bytes_to_fetch'] / 1e6:.1f} MB{unknown}). Problems: {problems}."
        )
    else:
        if symbols := row["symbols"]:
            absent = f"; the symbol server lacks {symbols['absent']}" if symbols["absent"] else ""
            click.echo(
                f"Symbols: {symbols['wanted']} PDBs ({symbols['kept_before']} kept before, {symbols['fetched']} "
                f"fetched, {symbols['bytes_fetched'] / 1e6:.1f} MB{absent})."
            )
        click.echo(
            f"Packages: {packages} ({row['kept_before']} kept before, {row['fetched']} fetched, "
            f"{row['bytes_fetched'] / 1e6:.1f} MB). Ids with documents: {row['ids_with_documents']}. "
            f"Problems: {problems}."
        )


def _unresolved(plan: "Plan", lookup: "FeedLookup", refused: Collection[str] = ()) -> list[dict[str, Any]]:
    """What no version satisfies, and ids about which the feed did not answer: their dependencies are unknown.

    `refused` are lower ids that are reported anyway.
    """
    problems = []
    for missing in plan.missing:
        failure = lookup.failures.get(missing.id.lower)
        problems.append(_missing(missing, missing.why if failure is None else str(failure)))
    told = {missing.id.lower for missing in plan.missing} | set(refused)
    problems += [
        {"what": f"dependencies of {lower_id}", "id": lower_id, "version": None, "range": None, "why": str(failure),
         "nearest": None, "wanted_by": _wanted_by(plan, lower_id)}
        for lower_id, failure in lookup.failures.items() if lower_id not in told
    ]  # fmt: skip
    return problems


def _missing(missing: "Missing", why: str) -> dict[str, Any]:
    return {
        "what": f"{missing.id.text} {missing.range}".strip(),
        "id": missing.id.text,
        "version": None,
        "range": missing.range,
        "why": why,
        "nearest": None if missing.nearest is None else missing.nearest.normalized,
        "wanted_by": [list(missing.by)],
    }


def _refusal(refusal: "Refusal", plan: "Plan") -> dict[str, Any]:
    wish = plan.wishes.get(refusal.package) if refusal.package is not None else None
    lower_id = refusal.package_id.lower if refusal.package_id is not None else ""
    return {
        "what": refusal.what,
        "id": None if refusal.package_id is None else refusal.package_id.text,
        "version": None if refusal.package is None else refusal.package.version.normalized,
        "range": None,
        "why": refusal.why,
        "nearest": None,
        "wanted_by": list(map(list, wish.by)) if wish is not None else _wanted_by(plan, lower_id),
    }


def _symbols(report: "SymbolsReport") -> dict[str, Any]:
    return {
        "wanted": report.wanted,
        "kept_before": report.kept_before,
        "fetched": report.fetched,
        "bytes_fetched": report.bytes_fetched,
        "absent": report.absent,
        "missing": [
            {"id": each.package.id.text, "version": each.package.version.normalized, "file": each.file,
             "key": each.key, "why": each.why}
            for each in report.missing
        ],
    }  # fmt: skip


def _missing_pdb(missing: "MissingPdb", plan: "Plan") -> dict[str, Any]:
    return {
        "what": f"{missing.file} of {missing.package}",
        "id": missing.package.id.text,
        "version": missing.package.version.normalized,
        "range": None,
        "why": missing.why,
        "nearest": None,
        "wanted_by": [list(by) for by in plan.wishes[missing.package].by],
    }


def _wanted_by(plan: "Plan", lower_id: str) -> list[list[str]]:
    return [list(by) for identity, wish in plan.wishes.items() if identity.lower_id == lower_id for by in wish.by]


def _package(wish: "Wish", state: str, size: int | None) -> dict[str, Any]:
    return {
        "id": wish.identity.id.text,
        "version": wish.identity.version.normalized,
        "state": state,
        "bytes": size,
        "wanted_by": [list(by) for by in wish.by],
    }


def _uncertain(plan: "Plan") -> list[dict[str, str]]:
    return [{"place": each.place, "what": each.what, "settled_by": each.settled_by} for each in plan.unsure]


def _restore_errors(plan: "Plan") -> list[dict[str, str]]:
    return [{"project": name, "code": each.code, "text": each.text} for name, each in plan.problems]
