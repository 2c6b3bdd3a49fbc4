"""nugetproxy bundle: look into bundles, and list what a mirror has for the sender of the next one."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nugetproxy.cli.managing import managing_options
from nugetproxy.cli.options import load_config
from nugetproxy.cli.output import print_fields, print_json, refuse
from nugetproxy.errors import NugetproxyError, StorageUnavailable

if TYPE_CHECKING:
    from nugetproxy.mirroring.bundle.reading import BundleReader
    from nugetproxy.mirroring.bundle.signature import PublicKey

_STDIN: Final = "-"
_STDOUT: Final = Path("-")


@click.group()
def bundle() -> None:
    """Show a bundle, or list what a mirror has."""


@bundle.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--trust", multiple=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.pub",
              help="Refuse the bundle unless this key has signed it. Repeatable.")  # fmt: skip
@click.option("--verify", is_flag=True, help="Read all of it, and compare every hash.")
@click.option("--packages", "with_packages", is_flag=True, help="List the packages.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def show(file: Path, trust: tuple[Path, ...], verify: bool, with_packages: bool, as_json: bool) -> None:
    """Show what a bundle holds, and who signed it.

    FILE is a bundle, the first of its volumes, or - for standard input. Without --verify only its beginning is read.

    Exit code: 0 if it is as it should be, 1 if not, 2 for a usage error.
    """
    from contextlib import ExitStack

    from nugetproxy.mirroring.bundle.reading import open_bundle
    from nugetproxy.mirroring.bundle.signature import PublicKey
    from nugetproxy.mirroring.bundle.volumes import VolumeStream

    try:
        trusted = tuple(map(PublicKey.read, trust)) or None
        with ExitStack() as stack:
            piped = str(file) == _STDIN
            read = sys.stdin.buffer.read if piped else stack.enter_context(VolumeStream(file)).read
            reader = stack.enter_context(open_bundle(read, "standard input" if piped else str(file), trusted))
            if verify:
                for each in reader.files():
                    for _ in each.chunks():
                        pass
            value = _shown(reader, verified=verify)
            if with_packages:
                value["packages"] = _packages(reader)
    except NugetproxyError as error:
        refuse(error)
    if as_json:
        print_json(value)
        return
    print_fields(_fields(value, reader.beginning.signer))
    for package in value.get("packages", ()):
        click.echo(f"{package['id']} {package['version']}")


@bundle.command()
@click.option("--to", type=click.Path(path_type=Path, allow_dash=True), default=_STDOUT, metavar="FILE",
              help="Where to write it.  [default: standard output]")  # fmt: skip
@managing_options
def inventory(to: Path, as_json: bool, **options: object) -> None:
    """Write what a mirror has, for `nugetproxy export --since` on the other side.

    One line of JSON for each package and document. Damaged packages are left out, so that they are sent again.
    """
    from nugetproxy import logs
    from nugetproxy.mirroring.bundle.target import Pipe, Target, files
    from nugetproxy.runtime.known_upstreams import with_recorded_upstreams
    from nugetproxy.runtime.mirror_inventory import write_inventory

    logs.set_up("plain", "warning")
    config = with_recorded_upstreams(load_config(options))
    try:
        if not Path(config.storage.path).is_dir():
            raise StorageUnavailable(f"data directory {config.storage.path} does not exist")
        if to == _STDOUT:
            target: Target = Pipe(sys.stdout.buffer)
            write_inventory(config, target)
            target.finish()
            return
        with files(to, None, is_private=False) as target:
            packages = write_inventory(config, target)
            target.finish()
    except NugetproxyError as error:
        refuse(error)
    if as_json:
        print_json({"packages": packages, "file": str(to)})
    else:
        click.echo(f"Wrote {packages} packages to {to}.")


def _shown(reader: "BundleReader", *, verified: bool) -> dict[str, Any]:
    import orjson

    signer = reader.beginning.signer
    value: dict[str, Any] = orjson.loads(reader.beginning.content)
    value["trusted"] = None if signer is None else signer.name
    value["verified"] = verified
    return value


def _packages(reader: "BundleReader") -> list[dict[str, Any]]:
    from nugetproxy.mirroring.bundle.manifest import HostedFacts, PackageFacts

    return [
        {
            "id": entry.facts.id,
            "version": entry.facts.version,
            "bytes": entry.size,
            "sha512": entry.sha512,
            "hosted": isinstance(entry.facts, HostedFacts),
        }
        for entry in reader.manifest()
        if isinstance(entry.facts, PackageFacts | HostedFacts)
    ]


def _fields(value: dict[str, Any], signer: "PublicKey | None") -> list[tuple[str, str]]:
    since, holds = value["since"], value["holds"]
    names = ", ".join(holds["names"])
    return [
        ("bundle", value["bundle"]),
        ("created", f"{value['created']} by {value['tool']}"),
        ("source", f"{value['source']}, number {value['sequence']}"),
        ("signed with", str(signer) if signer else f"{value['key']} (not verified: give --trust FILE.pub)"),
        ("holds", f"{holds['what']}{f': {names}' if names else ''}"),
        ("hosted", ", ".join(holds["hosted"]) or "no"),
        ("since", f"{since['kind']} {since['id']}" if since else "-"),
        ("upstreams", "\n".join(f"{name} {url}" for name, url in value["upstreams"].items())),
        ("files", "\n".join(f"{count} {kind}" for kind, count in value["counts"].items())),
        ("bytes", str(value["size"])),
        ("content", "verified" if value["verified"] else "not read (--verify)"),
    ]
