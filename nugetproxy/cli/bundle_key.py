"""nugetproxy bundle-key: the keys that sign bundles."""

from pathlib import Path

import click

from nugetproxy.cli.output import refuse, report
from nugetproxy.errors import NugetproxyError


@click.group("bundle-key")
def bundle_key() -> None:
    """Create keys that sign bundles."""


@bundle_key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", help="Name that receivers see.  [default: the name of FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def new(file: Path, name: str | None, as_json: bool) -> None:
    """Create a key pair: FILE signs bundles, and FILE.pub is given to those who import them.

    FILE is readable by you only, and has no password: keep it where bundles are exported, and nowhere else. Existing
    files are never replaced.
    """
    from nugetproxy.mirroring.bundle.signature import PUBLIC_SUFFIX, write_key_pair

    try:
        public = write_key_pair(file, file.name if name is None else name)
    except NugetproxyError as error:
        refuse(error)
    public_file = f"{file}{PUBLIC_SUFFIX}"
    value = {"name": public.name, "fingerprint": public.fingerprint, "private": str(file), "public": public_file}
    report(as_json, value, f"Created the key {public}: {file} signs bundles, {public_file} is for receivers.")
