"""nugetproxy bundle-key and nugetproxy export: what they print, write and refuse."""

import asyncio
import stat
import subprocess
import sys

import pytest

from tests.cli.command_line import CommandLine
from tests.mirroring.bundle.shelf import Shelf


@pytest.fixture
def line(tmp_path):
    async def fill():
        shelf = Shelf(tmp_path / "data")
        await shelf.put("Contoso.Core")
        await shelf.put("Contoso")
        await shelf.pin("contoso", "1.0.0", "web")

    asyncio.run(fill())
    return CommandLine(tmp_path / "data")


@pytest.fixture
def key(line, tmp_path):
    file = tmp_path / "builds"
    from click.testing import CliRunner

    from nugetproxy.cli.main import main

    assert CliRunner().invoke(main, ["bundle-key", "new", str(file)]).exit_code == 0
    return file


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "nugetproxy", *map(str, arguments)], capture_output=True, check=False, timeout=60
    )


def test_a_key(tmp_path):
    made = run("bundle-key", "new", tmp_path / "builds", "--name", "builds@contoso")

    assert made.stdout.startswith(b"Created the key builds@contoso (SHA256:")
    assert 0o600 == stat.S_IMODE((tmp_path / "builds").stat().st_mode)
    again = run("bundle-key", "new", tmp_path / "builds")
    assert (2, b"") == (again.returncode, again.stdout)
    assert b"exists, and a key is never replaced: choose another name" in again.stderr


def test_everything(line, key, tmp_path):
    made = line.json("export", "--key", str(key), "--to", str(tmp_path / "a.bundle"))

    assert (2, 0, 0, 1, None) == tuple(made[name] for name in ("packages", "documents", "hosted", "sequence", "since"))
    assert [str(tmp_path / "a.bundle")] == made["files"]
    assert (tmp_path / "a.bundle").stat().st_size > made["bytes"]


def test_the_sentence(line, key, tmp_path):
    assert line.done("export", "--key", str(key), "--to", str(tmp_path / "a.bundle"), "--pinned", "web").startswith(
        "Exported 1 package and 0 documents (0.0 MB) to "
    )


def test_only_what_is_new(line, key, tmp_path):
    first = line.json("export", "--key", str(key), "--to", str(tmp_path / "a.bundle"))
    second = line.json(
        "export", "--key", str(key), "--to", str(tmp_path / "b.bundle"), "--since", str(tmp_path / "a.bundle")
    )

    assert (0, {"kind": "bundle", "id": first["bundle"]}, 2) == (
        second["packages"],
        second["since"],
        second["sequence"],
    )


def test_to_a_pipe(line, key, tmp_path):
    line.done("export", "--key", str(key), "--to", str(tmp_path / "a.bundle"))

    piped = run("export", "--data", line.data, "--key", key, "--to", "-", "--json")

    assert 0 == piped.returncode
    listed = subprocess.run(["tar", "-t"], input=piped.stdout, capture_output=True, check=True).stdout.splitlines()
    assert 3 + 2 * 3 == len(listed)
    assert b"exported bundle" in piped.stderr


def test_a_pipe_whose_reader_ends(line, key):
    command = (
        f"{sys.executable} -m nugetproxy export --data {line.data} --key {key} --to - | true; exit ${{PIPESTATUS[0]}}"
    )
    ended = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=60)

    # A small bundle fits into the pipe, if the reader has not ended yet.
    assert ended.returncode in (0, 1)
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--pinned", "x"], 2, "nothing is pinned under the name 'x'; names of pins: web"),
        (["--since", "none"], 1, "none cannot be opened: No such file or directory"),
        (["--volume-size", "4"], 2, "a volume has at least 1 MiB"),
        (["--volume-size", "four"], 2, "--volume-size"),
        (["--to", "-", "--volume-size", "4GB"], 2, "--volume-size needs --to FILE"),
        (["--key", "none"], 1, "the key none cannot be read: No such file or directory"),
    ],
)
def test_what_is_refused(line, key, tmp_path, arguments, code, why):
    given = ["--key", str(key), "--to", str(tmp_path / "a.bundle"), *arguments]

    assert why in line.refused("export", *given, code=code)
    assert not list(tmp_path.glob("a.bundle*"))


def test_the_public_key_does_not_sign(line, key, tmp_path):
    given = ["--key", f"{key}.pub", "--to", str(tmp_path / "a.bundle")]

    assert "is not a private key of `nugetproxy bundle-key new`" in line.refused("export", *given, code=2)


def test_a_key_that_others_can_read(line, key, tmp_path):
    key.chmod(0o644)

    assert f"chmod 600 {key}" in line.run("export", "--key", str(key), "--to", str(tmp_path / "a.bundle")).stderr


def test_damaged_packages_are_listed(line, key, tmp_path):
    for name in ("contoso", "contoso.core"):
        path = Shelf(line.data).path(name)
        path.write_bytes(path.read_bytes()[:-1] + b"x")

    said = line.refused("export", "--key", str(key), "--to", str(tmp_path / "a.bundle"))

    assert 3 == len(said.splitlines())
    assert "contoso.core.1.0.0.nupkg is damaged" in said
    assert "`nugetproxy mirror verify`" in said
    assert not list(tmp_path.glob("a.bundle*"))


def test_only_what_is_named(line, key, tmp_path):
    given = ["--key", str(key), "--to", str(tmp_path / "a.bundle"), "--package", "Contoso 1.0.0"]

    assert 1 == line.json("export", *given)["packages"]
    assert "not both" in line.refused("export", *given, "--pinned", "web", code=2)
