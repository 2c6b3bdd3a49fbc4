"""The wheel contains the whole program."""

import email
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.iterdir()
    return built


def test_it_contains_the_package_its_migrations_and_its_licence(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "nugetproxy").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    [licence] = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]

    assert {"nugetproxy/py.typed", "nugetproxy/storage/database/migrations/main/0001_accounts.sql"} <= package
    assert {name for name in names if ".dist-info/" not in name} == package
    assert zipfile.ZipFile(wheel).read(licence) == (ROOT / "LICENSE").read_bytes()


def test_its_metadata_matches_the_project(wheel):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    archive = zipfile.ZipFile(wheel)
    [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    told = email.message_from_bytes(archive.read(name))
    always = [each for each in told.get_all("Requires-Dist", []) if "extra ==" not in each]

    assert (told["Name"], told["Version"], told["Requires-Python"]) == ("nugetproxy", project["version"], ">=3.11")
    assert len(always) == len(project["dependencies"])
    assert (
        "nugetproxy = nugetproxy.cli.main:main" in archive.read(name.replace("METADATA", "entry_points.txt")).decode()
    )


def test_it_runs_without_the_source_tree(wheel, tmp_path):
    """
    Directly from the archive; the migrations are read from there, too.
    """
    environ = {**os.environ, "PYTHONPATH": str(wheel)}
    command = [sys.executable, "-P", "-m", "nugetproxy", "user", "add", "alice", "--data", str(tmp_path / "data")]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environ, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )

    assert ended.stdout == "Created user alice.\n"
