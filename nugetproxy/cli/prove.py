"""nugetproxy prove: whether projects and lock files restore without internet access."""

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.options import data_options, load_config
from nugetproxy.cli.output import REFUSED, USAGE, complain, note, print_json, refuse
from nugetproxy.cli.sources import SourceOptions, source_options
from nugetproxy.errors import InvalidRequest, NugetproxyError

if TYPE_CHECKING:
    from nugetproxy.config import Config
    from nugetproxy.mirroring.prewarm.proof import Proof
    from nugetproxy.services import Services


@click.command()
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="SOURCE...")
@data_options
@source_options
@click.option(
    "--server", metavar="URL", help="Prove it against this running server instead; its packages are downloaded."
)
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE",
              help="Prove it against this bundle instead; it is unpacked into a temporary directory.")  # fmt: skip
@click.option("--locked", is_flag=True, help="Compare the content hashes of lock files too, as a locked restore does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def prove(
    sources: tuple[Path, ...], server: str | None, bundle: Path | None, locked: bool, as_json: bool, **options: Any
) -> None:
    """Prove that projects and lock files restore offline.

    A SOURCE is what `nugetproxy prewarm` takes. Its dependencies are resolved over the packages and documents of the
    data directory, exactly as a server with --offline shows them, and every package file is looked at. Each gap is
    listed with who wants the package, and with the command that fetches it.

    Exit code: 0 if everything restores, 1 if something is missing, 2 if a source cannot be read.
    """
    import asyncio

    from nugetproxy import logs
    from nugetproxy.mirroring.prewarm.proof import Proof

    logs.set_up("plain", "error")
    try:
        if server is not None and bundle is not None:
            raise InvalidRequest("give --server or --bundle, not both")
        given = SourceOptions(options)
        read, extras = given.read(sources), given.extras()
    except InvalidRequest as error:
        complain([str(error)], "invalid_request", USAGE)
        sys.exit(USAGE)
    if read.is_empty:
        note("the sources name no packages")
        if as_json:
            print_json({**_row(Proof(), ()), "command": None})
        sys.exit(0)

    ours: set[str] = set()

    async def run() -> Proof:
        from nugetproxy.mirroring.prewarm.files import PackageFiles
        from nugetproxy.mirroring.prewarm.lookup import FeedLookup
        from nugetproxy.mirroring.prewarm.patience import Patience
        from nugetproxy.mirroring.prewarm.proof import prove

        async with _services(options, server, bundle) as services:
            patience = Patience(lambda seconds, why: note(f"waiting {seconds:.0f} s: {why}"))
            files = PackageFiles(services.feed, patience)
            lookup = FeedLookup(services.feed, files, patience)
            proof = await prove(services.feed, files, lookup, read, extras, locked=locked)
            if services.care is not None:
                ours.update([each.lower_id for each in proof.gaps if await services.care.is_ours(each.lower_id)])
            return proof

    try:
        proof = asyncio.run(run())
    except NugetproxyError as error:
        refuse(error)
    fetch = "" if server is not None or bundle is not None else _fetching(options)
    commands = [f"{fetch} --package {quote(gap.wanted)}" if fetch and gap.wanted and gap.lower_id not in ours else None
                for gap in proof.gaps]  # fmt: skip
    fetch_all = " ".join([fetch, *given.words, *(quote(str(each)) for each in sources)]) if any(commands) else None
    if as_json:
        print_json({**_row(proof, commands), "command": fetch_all})
    else:
        _print(proof, commands)
        if fetch_all and len(proof.gaps) > 1:
            click.echo(f"Fetch all of it: {fetch_all}")
    sys.exit(0 if proof.is_complete else REFUSED)


@asynccontextmanager
async def _services(options: Mapping[str, Any], server: str | None, bundle: Path | None) -> AsyncIterator["Services"]:
    """What an offline server uses on the data directory, or on the contents of a bundle; or a mirror of a server."""
    from nugetproxy.cli.bundle_import import import_file
    from nugetproxy.cli.opened_mirror import refuse_missing
    from nugetproxy.runtime.assembly import assemble

    if server is None and bundle is None:
        config = _offline(options)
        refuse_missing(Path(config.storage.path))
        async with assemble(config, what="prove") as services:
            yield services
        return
    with TemporaryDirectory(prefix="nugetproxy-prove-") as folder:
        given: dict[str, Any] = {"data": folder}
        if bundle is not None:
            await import_file(load_config(given), bundle, None)
            config = _offline(given)
        else:
            url = str(server)
            given["upstream"] = [url if url.endswith("index.json") else f"{url.rstrip('/')}/v3/index.json"]
            config = load_config(given)
        async with assemble(config, os.environ, what="prove") as services:
            yield services


def _fetching(options: Mapping[str, Any]) -> str:
    """The beginning of a command that fetches packages from the upstreams that filled the directory."""
    from nugetproxy.config import UpstreamSettings

    named = [f"--{name} {quote(str(options[name]))}" for name in ("config", "data") if options.get(name)]
    known = [] if options.get("config") else _offline(options).mirroring.upstream
    urls = [each.service_index for each in known if each.service_index != UpstreamSettings().service_index]
    return " ".join(["nugetproxy prewarm", *named, *(f"--upstream {quote(url)}" for url in urls)])


def _offline(options: Mapping[str, Any]) -> "Config":
    """The settings of an offline server on the data directory."""
    from nugetproxy.runtime.known_upstreams import with_known_upstreams

    return with_known_upstreams(load_config({**options, "offline": True}))


def _row(proof: "Proof", commands: Sequence[str | None]) -> dict[str, Any]:
    return {
        "complete": proof.is_complete,
        "sources": [{"name": name, "complete": complete} for name, complete in proof.names.items()],
        "packages": proof.checked,
        "bytes": proof.bytes,
        "gaps": [
            {"what": gap.what, "why": gap.why, "wanted_by": list(map(list, gap.by)), "command": command}
            for gap, command in zip(proof.gaps, commands, strict=True)
        ],
        "unsure": [{"place": each.place, "what": each.what, "settled_by": each.settled_by} for each in proof.unsure],
        "remarks": proof.remarks,
    }


def _print(proof: "Proof", commands: Sequence[str | None]) -> None:
    for each in proof.unsure:
        click.echo(f"Not certain: {each.place}: {each.what}. Settled by: {each.settled_by}", err=True)
    for remark in proof.remarks:
        click.echo(f"Note: {remark}.", err=True)
    for gap, command in zip(proof.gaps, commands, strict=True):
        click.echo(f"{'Missing' if gap.wanted else 'A restore will fail'}: {gap.what}: {gap.why}")
        for by in _shortest_first(gap.by):
            click.echo(f"  wanted by: {' > '.join(by)}")
        if command:
            click.echo(f"  fetch it: {command}")
    for name, complete in proof.names.items():
        click.echo(f"{'Complete' if complete else 'Incomplete'}: {name}")
    click.echo(f"Packages: {proof.checked} present ({proof.bytes / 1e6:.1f} MB). Gaps: {len(proof.gaps)}.")


def _shortest_first(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return sorted(paths, key=len)[:5]
