"""nugetproxy policy: rules and exceptions, and what rules would withhold."""

import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.options import config_options, load_config
from nugetproxy.cli.output import BAD_SETTINGS, REFUSED, complain, iso, print_json, print_table, refuse, report
from nugetproxy.errors import InvalidRequest, NugetproxyError

if TYPE_CHECKING:
    from nugetproxy.accounts.policy_exceptions import PolicyException
    from nugetproxy.cli.managed import Managed
    from nugetproxy.config import Config
    from nugetproxy.nuget.identity import PackageIdentity

_KEPT: Final = "KEPT"


@click.group()
def policy() -> None:
    """Rules that withhold versions, and exceptions.

    See docs/policy.md.
    """


def _until(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    """A click callback: a date, a time, or a duration from now; in unix microseconds."""
    from nugetproxy.config import parse_duration, parse_until

    try:
        moment = parse_until(text)
    except (ValueError, OverflowError):
        try:
            moment = time.time() + (float("nan") if text.strip().isdecimal() else parse_duration(text))
        except ValueError:
            moment = float("nan")
    if moment != moment or moment > datetime(9999, 1, 1, tzinfo=UTC).timestamp():
        raise click.BadParameter('expected a date ("2026-12-31"), a time ("2026-12-31T08:00Z"), or a duration ("14d")')
    return round(moment * 1e6)


@policy.command("allow")
@click.argument("package_id", metavar="ID")
@click.argument("version")
@click.option("--until", required=True, callback=_until, metavar="WHEN", help='A date, a time, or a duration ("14d").')
@click.option("--because", required=True, metavar="REASON", help="The reason, for the audit log and for users.")
@managing_options
def allow(package_id: str, version: str, until: int, because: str, as_json: bool, **options: object) -> None:
    """Show a version although a rule withholds it. Running servers do so with the next request."""
    from nugetproxy.accounts.policy_exceptions import PolicyExceptions
    from nugetproxy.nuget.identity import PackageIdentity

    async def work(managed: "Managed") -> "PolicyException":
        package = PackageIdentity.parse(package_id, version)
        exceptions = PolicyExceptions(managed.database, managed.revisions)
        return await exceptions.allow(package, until=until, because=because, by=managed.by)

    made = manage(options, work)
    report(as_json, _shown(made), f"Allowed {package_id} {made.version.normalized} until {iso(made.until)}.")


@policy.command("revoke")
@click.argument("package_id", metavar="ID")
@click.argument("version")
@managing_options
def revoke(package_id: str, version: str, as_json: bool, **options: object) -> None:
    """End an exception: rules apply to the version again."""
    from nugetproxy.accounts.policy_exceptions import PolicyExceptions
    from nugetproxy.nuget.identity import PackageIdentity

    async def work(managed: "Managed") -> "PackageIdentity":
        package = PackageIdentity.parse(package_id, version)
        await PolicyExceptions(managed.database, managed.revisions).revoke(package, by=managed.by)
        return package

    package = manage(options, work)
    value = {"id": package.lower_id, "version": package.version.normalized, "revoked": True}
    report(as_json, value, f"Rules apply to {package} again.")


@policy.command("list")
@managing_options
def list_policy(as_json: bool, **options: object) -> None:
    """List rules, in the order in which they count, and exceptions.

    Without --config, the rules are those that the server of the data directory was started with.
    """
    from nugetproxy.accounts.policy_exceptions import PolicyExceptions
    from nugetproxy.runtime.known_policy import with_known_policy

    async def work(managed: "Managed") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        located = managed.config.storage.model_copy(update={"path": str(managed.path)})
        config = with_known_policy(managed.config.model_copy(update={"storage": located}))
        rules = [rule.model_dump(exclude_defaults=True) | {"action": rule.action} for rule in config.policy.rule]
        exceptions = await PolicyExceptions(managed.database, managed.revisions).all()
        return rules, [_shown(each) for each in exceptions]

    rules, exceptions = manage(options, work, reading=True)
    if as_json:
        print_json({"rules": rules, "exceptions": exceptions})
        return
    rows = [(each["name"], each["action"], each.get("mode", "enforce"), _conditions(each)) for each in rules]
    print_table(("RULE", "ACTION", "MODE", "CONDITIONS"), rows, "There are no rules.")
    click.echo()
    names = ("id", "version", "until", "by", "because")
    print_table(
        [name.upper() for name in names],
        [[str(each[name]) for name in names] for each in exceptions],
        "There are no exceptions.",
    )


@policy.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@config_options
def check(as_json: bool, **options: object) -> None:
    """Say which kept packages the current rules withhold. Exit code 0 if none, 1 if any.

    Without --config, the rules and upstreams are those that the server of the data directory was started with.
    """
    from nugetproxy.runtime.known_policy import with_known_policy

    try:
        config = with_known_policy(load_config(options))
    except NugetproxyError as error:
        refuse(error)
    _judge(config, _KEPT, as_json)


@policy.command("try")
@click.argument("rules", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--against", required=True, metavar="FILE|KEPT",
              help="A lock file, a list of 'Id Version', an access log, or KEPT.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@config_options
def try_rules(rules: Path, against: str, as_json: bool, **options: object) -> None:
    """List what the rules in a file would withhold. Nothing changes.

    RULES is a settings file; only its [[policy.rule]] tables count. --against names the packages: those of a lock file,
    those that an access log says were downloaded, or KEPT for all that are kept. Exit code 0 if nothing would be
    withheld, 1 otherwise.
    """
    from nugetproxy.config import load
    from nugetproxy.errors import ConfigError
    from nugetproxy.runtime.known_policy import with_known_policy

    try:
        tried = load(rules, {}).policy
    except ConfigError as refused:
        complain(refused.problems, "settings", BAD_SETTINGS)
        sys.exit(BAD_SETTINGS)
    try:
        config = with_known_policy(load_config(options))
        # Whom signatures are trusted from stays as it is.
        config = config.model_copy(update={"policy": config.policy.model_copy(update={"rule": tried.rule})})
    except NugetproxyError as error:
        refuse(error)
    _judge(config, against, as_json)


def _judge(config: "Config", against: str, as_json: bool) -> None:
    """Print what the rules of the settings say about packages; exits."""
    import asyncio

    from nugetproxy import logs

    logs.set_up(config.logs.format, "error")
    try:
        packages = list(dict.fromkeys(_packages(config, against)))
        found = asyncio.run(_verdicts(config, packages))
    except NugetproxyError as error:
        refuse(error)
    withheld = [each for each in found if each["state"] != "visible"]
    noted = [each for each in found if each["state"] == "visible" and each["warnings"]]
    if as_json:
        summary = {"packages": len(found), "withheld": withheld, "warned": noted}
        print_json(summary)
    else:
        rows = [(each["id"], each["version"], each["state"], each["rule"] or "-", each["why"]) for each in withheld]
        rows += [(each["id"], each["version"], "warned", warned["rule"], warned["why"])
                 for each in noted for warned in each["warnings"]]  # fmt: skip
        print_table(("ID", "VERSION", "STATE", "RULE", "WHY"), rows, "Nothing is withheld.")
        click.echo(f"Packages: {len(found)}. Withheld: {len(withheld)}. Only warned about: {len(noted)}.")
    sys.exit(REFUSED if withheld else 0)


async def _verdicts(config: "Config", packages: "list[PackageIdentity]") -> list[dict[str, Any]]:
    from nugetproxy.feeds.explanation import explained, explained_versions
    from nugetproxy.runtime.assembly import assemble

    found: list[dict[str, Any]] = []
    async with assemble(config, os.environ, what="policy") as services:
        for package in packages:
            try:
                _, screen = await explained_versions(services.feed, services.screening, package.id)
            except NugetproxyError as error:
                unknown = {"id": package.id.text, "version": package.version.normalized, "state": "unknown"}
                found.append(unknown | {"rule": None, "why": str(error), "warnings": []})
                continue
            found.append(explained(package.id, package.version, screen))
    return found


def _packages(config: "Config", against: str) -> "Iterator[PackageIdentity]":
    """Raises InvalidRequest, StorageUnavailable."""
    from nugetproxy.mirroring.kept.ids import kept_identities
    from nugetproxy.nuget.lock_files import read_wanted
    from nugetproxy.web.telemetry.downloaded import downloaded

    if against == _KEPT:
        yield from kept_identities(Path(config.storage.path))
        return
    try:
        content = Path(against).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{against} cannot be read: {error.strerror}; expected a file, or {_KEPT}") from None
    logged = downloaded(content.decode(errors="replace").splitlines())
    yield from logged or [wanted.identity for wanted in read_wanted(against, content)]


def _shown(exception: "PolicyException") -> dict[str, Any]:
    return {
        "id": exception.lower_id,
        "version": exception.version.normalized,
        "until": iso(exception.until),
        "because": exception.because,
        "by": exception.by,
        "made": iso(exception.at),
    }


def _conditions(rule: dict[str, Any]) -> str:
    shown = {key: value for key, value in rule.items() if key not in ("name", "action", "mode", "because")}
    return ", ".join(f"{key} = {value}" for key, value in shown.items())
