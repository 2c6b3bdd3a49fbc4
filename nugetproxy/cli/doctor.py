"""nugetproxy doctor: examine the settings, the machine, the upstreams and the server, and say what to do."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nugetproxy.cli.health import ask, own_url, problem
from nugetproxy.cli.managing import duration
from nugetproxy.cli.options import overrides, server_options
from nugetproxy.cli.output import print_json

if TYPE_CHECKING:
    from nugetproxy.config import Config
    from nugetproxy.runtime.doctor.facts import Facts, Source
    from nugetproxy.runtime.doctor.judgement import Finding

_TIMEOUT: Final = 5.0
_LARGEST_INDEX: Final = 1_000_000


@click.command()
@server_options
@click.option(
    "--backup-age",
    callback=duration,
    default="7d",
    show_default=True,
    metavar="DURATION",
    help="Warn when the last backup is older; 0 when you back up by other means.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def doctor(as_json: bool, backup_age: float, **options: object) -> None:
    """Find out what is wrong and what to do about it.

    It examines what `serve` would use with the same options, environment and file: the settings, the disk, the clock,
    the certificate, the upstreams, the server and the URL that clients use, and the age of the last backup. A server
    may be running. Run it as the user that the server runs as.

    Exit code: 0 if everything is fine, 1 if there are warnings, 2 if something is broken.
    """
    from nugetproxy import logs
    from nugetproxy.runtime.doctor.judgement import judge, worst

    logs.set_up("plain", "error")  # what is found is printed, once
    findings = judge(_examine(options, backup_age))
    level = worst(findings)
    if as_json:
        print_json({"status": level.name.lower(), "checks": [_as_json(each) for each in findings]})
    else:
        for line in lines_of(findings):
            click.echo(line)
    sys.exit(int(level))


def lines_of(findings: "Sequence[Finding]") -> list[str]:
    """The findings for people: level, check and what was found; below it what to do."""
    width = max((len(each.check) for each in findings), default=0)
    lines = []
    for each in findings:
        lines.append(f"{each.level.name.lower():7}  {each.check:{width}}  {each.what}")
        if each.do:
            lines.append(f"{'':9}{'':{width}}  -> {each.do}")
    return lines


def _as_json(finding: "Finding") -> dict[str, str]:
    return {"check": finding.check, "level": finding.level.name.lower(), "what": finding.what, "do": finding.do}


def _examine(options: Mapping[str, Any], backup_age: float) -> "Facts":
    import asyncio

    from nugetproxy.config import load
    from nugetproxy.errors import ConfigError
    from nugetproxy.runtime.advisory_sources import check_advisories
    from nugetproxy.runtime.assembly import USER_AGENT
    from nugetproxy.runtime.doctor.bucket import bucket_facts
    from nugetproxy.runtime.doctor.facts import Facts
    from nugetproxy.runtime.doctor.gathering import (
        backup_facts,
        certificate_facts,
        contact_facts,
        database_facts,
        disk_facts,
        hiding_rules,
        occupant_facts,
    )
    from nugetproxy.runtime.known_upstreams import with_known_upstreams
    from nugetproxy.runtime.unclaimed import moved_upstreams, unclaimed_mirrors, what_to_configure

    facts = Facts(now=time.time(), backup_age=backup_age)
    try:
        config = with_known_upstreams(load(options.get("config"), os.environ, overrides(options)))
        check_advisories(config)
        contacts = asyncio.run(contact_facts(config, USER_AGENT, os.environ))
    except ConfigError as refused:
        return replace(facts, settings_problems=tuple(refused.problems))
    path = Path(config.storage.path)
    unclaimed = (what_to_configure(config, name) for name in unclaimed_mirrors(config))
    return replace(
        facts,
        settings_warnings=(*unclaimed, *moved_upstreams(config)),
        settings_from=str(options.get("config") or os.environ.get("NUGETPROXY_CONFIG") or "no file"),
        disk=disk_facts(config),
        occupants=occupant_facts(path),
        is_hosting=config.hosting.enabled,
        databases=asyncio.run(database_facts(path, config if config.storage.kind == "shared" else None)),
        certificate=certificate_facts(config.server.tls_cert, config.server.tls_key),
        is_offline=config.mirroring.mode == "offline",
        contacts=contacts,
        source=_source(config),
        has_policy=bool(config.policy.rule),
        hiding_rules=hiding_rules(config.policy, facts.now),
        backup=backup_facts(path),
        bucket=bucket_facts(config),
    )


def _source(config: "Config") -> "Source":
    """Asks the server, if one is running."""
    from nugetproxy.config import parse_listen
    from nugetproxy.runtime.doctor.facts import Source

    local = own_url(config.server)
    public = config.server.public_url
    not_ready = problem(local, _TIMEOUT, is_own=True)
    host, _ = parse_listen(config.server.listen)
    return Source(
        url=f"{public or local}/v3/index.json",
        local_url=local,
        is_public_url_set=bool(public),
        is_for_this_machine=not public and (host.startswith("127.") or host in ("::1", "localhost")),
        not_ready=not_ready,
        is_refused="refused" in not_ready,
        wrong=None if not_ready else _wrong(public or local, is_own=not public),
    )


def _wrong(base: str, *, is_own: bool) -> str:
    """Why clients cannot use the source URL below `base`; empty if they can. Credentials may be needed for more."""
    import orjson

    status, body, why = ask(base, "/v3/index.json", _TIMEOUT, is_own=is_own, most=_LARGEST_INDEX)
    if why or status not in (200, 401):
        return why or f"answers with status {status}"
    if status == 401:
        return ""
    try:
        named = [str(each["@id"]) for each in orjson.loads(body)["resources"]]
    except (ValueError, TypeError, KeyError):
        return "does not answer with a service index"
    other = next((url for url in named if not url.startswith(f"{base}/")), "")
    return f"its service index names other URLs, such as {other}" if other else ""
