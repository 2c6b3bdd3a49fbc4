"""nugetproxy serve: starts the workers, and prints how to use them."""

import contextlib
import json
import os
import resource
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from nugetproxy.cli.options import overrides, server_options
from nugetproxy.cli.output import complain
from nugetproxy.cli.program import program
from nugetproxy.runtime.spawning import SERVING, CannotStart, Worker

if TYPE_CHECKING:
    from nugetproxy.runtime.supervisor import Plan

# Addresses that mean "all", and a host that reaches such a server from this machine.
_EVERY: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - not bound here


@click.command()
@server_options
@click.option("--application", default=SERVING, hidden=True, help='What workers run, "module:function"; for tests.')
def serve(application: str, **options: object) -> None:
    """Run the server.

    It serves a mirror of nuget.org, or of the feeds given by --upstream, and the packages pushed to it, as one feed.
    On startup it prints the command that adds it to NuGet's sources.

    SIGTERM and Ctrl-C stop it after running requests have finished; a second one stops it immediately. SIGHUP reloads
    the settings and replaces the workers without refusing a connection.
    """
    _raise_file_limit()
    source = {"file": str(options["config"] or ""), "overrides": overrides(options), "program": program()}
    environ = dict(os.environ)
    first = Worker(environ, application)
    first.tell("read", source)
    # Imported only now: loading these takes as long as the worker takes to read the settings.
    import asyncio

    from nugetproxy.runtime.supervisor import Supervisor

    async def supervise() -> int:
        supervisor = Supervisor(
            source, first, spawn=lambda: Worker(environ, application), environ=environ, announce=_announce
        )
        return await supervisor.run()

    try:
        code = asyncio.run(supervise())
    except CannotStart as failed:
        complain(failed.problems)
        code = failed.code
    sys.exit(code)


def source_url(plan: "Plan", addresses: list[tuple[str, int]]) -> str:
    """The URL of our service index for a client on this machine, or from `public_url`."""
    if plan.public_url:
        return f"{plan.public_url}/v3/index.json"
    host, port = addresses[0] if addresses else (plan.host, plan.port)
    return f"{'https' if plan.tls else 'http'}://{reachable_host(host)}:{port}/v3/index.json"


def reachable_host(host: str) -> str:
    """The host to use in a URL, from this machine, for a server that listens on `host`."""
    return _EVERY.get(host, _bracketed(host))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def command_to_add(url: str) -> str:
    """The command that makes `dotnet restore` use us."""
    # Since 2024 NuGet refuses plain http unless allowed explicitly (NU1302).
    allowing = "" if url.startswith("https:") else " --allow-insecure-connections"
    return f"dotnet nuget add source {url} --name nugetproxy{allowing}"


def announcement(plan: "Plan", url: str, addresses: Sequence[tuple[str, int]] = ()) -> str:
    """The output once requests are served: lines for people, or events for readers of the JSON log."""
    command = command_to_add(url)
    bound = [f"{_bracketed(host)}:{port}" for host, port in addresses]
    if plan.log_format == "json":
        lines = [_event("serving", source=url, use=command, listening=", ".join(bound))]
        lines += [_event("nobody_can_push", begin=plan.begin)] if plan.begin else []
    else:
        lines = [f"nugetproxy serves {url}", f"Use it:  {command}"]
        if any(host in _EVERY for host, _ in addresses):
            lines.insert(
                1, f"It listens on {' and '.join(bound)}: other machines reach it too, by this machine's name."
            )
        lines += [plan.begin] if plan.begin else []
    return "\n".join(lines)


def _event(name: str, **fields: str) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"time": now, "level": "info", "event": name, **fields})


def _announce(plan: "Plan", addresses: list[tuple[str, int]]) -> None:
    click.echo(announcement(plan, source_url(plan, addresses), addresses))
    sys.stdout.flush()


def _raise_file_limit() -> None:
    """Every client is an open file, and every package being sent another; the usual soft limit is 1024."""
    with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it; the limit then stays unchanged
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
