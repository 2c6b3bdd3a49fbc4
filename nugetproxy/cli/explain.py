"""nugetproxy explain: why a version is, or is not, visible."""

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.options import config_options, load_config
from nugetproxy.cli.output import print_fields, print_json, print_table, refuse
from nugetproxy.errors import NugetproxyError

if TYPE_CHECKING:
    from nugetproxy.config import Config


@click.command()
@click.argument("package_id", metavar="ID")
@click.argument("version", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@config_options
def explain(package_id: str, version: str | None, as_json: bool, **options: object) -> None:
    """Say which rule withholds versions, and until when.

    All versions of a package, or one of them.

    A server may be running. Without --config, the rules and upstreams are those that the server of the data directory
    was started with. Facts that are not kept are fetched from the upstream.
    """
    import asyncio

    from nugetproxy import logs
    from nugetproxy.runtime.known_policy import with_known_policy

    try:
        config = with_known_policy(load_config(options))
        logs.set_up(config.logs.format, "error")
        found = asyncio.run(_explained(config, package_id, version))
    except NugetproxyError as error:
        refuse(error)
    if as_json:
        print_json(found)
    elif version is not None:
        print_fields(_fields(found))
    else:
        rows = [
            (each["version"], each["state"], each["rule"] or "-", each["until"] or "-", each["why"])
            for each in found["versions"]
        ]
        print_table(("VERSION", "STATE", "RULE", "UNTIL", "WHY"), rows, "It has no versions.")
    sys.exit(0)


async def _explained(config: "Config", id_text: str, version_text: str | None) -> dict[str, Any]:
    from nugetproxy.errors import VersionNotFound
    from nugetproxy.feeds.explanation import explained, explained_id, explained_versions
    from nugetproxy.nuget.identity import PackageId
    from nugetproxy.nuget.version import NuGetVersion
    from nugetproxy.runtime.assembly import assemble

    package_id = PackageId.parse(id_text)
    version = NuGetVersion.parse(version_text) if version_text is not None else None
    async with assemble(config, os.environ, what="explain") as services:
        versions, screen = await explained_versions(services.feed, services.screening, package_id)
    if version is None:
        return explained_id(package_id, versions, screen)
    if version not in versions:
        raise VersionNotFound(package_id.text, version.normalized)
    return explained(package_id, version, screen)


def _fields(found: dict[str, Any]) -> list[tuple[str, str]]:
    allow = found["allow"] or {}
    shown = [
        ("Package", f"{found['id']} {found['version']}"),
        ("State", found["state"]),
        ("Rule", found["rule"] or ""),
        ("Why", found["why"]),
        ("Because", found["because"] or ""),
        ("Since", found["since"] or ""),
        ("Until", found["until"] or ""),
        ("Warnings", "\n".join(f"{each['rule']}: {each['why']}" for each in found["warnings"])),
        ("Who may allow it", allow.get("who", "")),
        ("How", allow.get("command", "")),
    ]
    return [(name, value) for name, value in shown if value]
