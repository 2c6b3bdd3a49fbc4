"""The official client through us, with an upstream whose documents it could not read directly, or that has nothing."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Source, Workplace
from tests.fakes.faults import status
from tests.fakes.gallery import Document
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running
from tests.hostile.odd_values import odd_hits, odd_index, odd_leaves
from tests.hostile.upstream_documents import REGISTRATIONS

pytestmark = not_in_fleet("the application is in the process of the test")

ID = "Contoso.Odd"


@pytest.fixture
def odd(upstream: FakeUpstream) -> FakeUpstream:
    """A package of a thousand versions, each with a field that cannot be read, or is read as something else."""
    newest = f"1.0.{len(odd_leaves(ID)) - 1}"
    for version in ("1.0.0", newest):
        upstream.add_package(ID, version)
    upstream.gallery.extra[f"{REGISTRATIONS}/{ID.lower()}/index.json"] = Document(odd_index(ID))
    upstream.gallery.extra["/query"] = Document(odd_hits(ID))
    return upstream


async def test_every_version_is_read_whatever_the_others_say(odd, tmp_path):
    """
    By itself the client reads none of them: one value that it cannot convert fails the command, for all sources.
    """
    async with running(tmp_path / "data", odd) as mirror:
        workplace = Workplace(tmp_path / "work", f"{mirror.base}/v3/index.json")
        project = workplace.project("app", (ID, "1.0.0"), audit=False)

        def commands() -> tuple[str, str, str]:
            exact = workplace.dotnet("package", "search", ID, "--exact-match", "--format", "json")
            search = workplace.dotnet("package", "search", "odd", "--take", "1000", "--format", "json")
            outdated = workplace.dotnet("list", "package", "--outdated", cwd=project)
            return exact.must_succeed().output, search.must_succeed().output, outdated.must_succeed().output

        exact, search, outdated = await asyncio.to_thread(commands)

    found = shown(exact)
    unlisted = 2
    assert len(found) == len(odd_leaves(ID)) - unlisted
    assert {package["id"] for package in found} == {ID}
    assert len(shown(search)) == 1_000
    assert f"1.0.{len(odd_leaves(ID)) - 1}" in outdated


async def test_old_clients_resolve_dependencies_of_it(odd, tmp_path):
    async with running(tmp_path / "data", odd) as mirror:
        workplace = Workplace(tmp_path / "work", f"{mirror.base}/v3/index.json")
        ran = await asyncio.to_thread(workplace.nuget_exe, "install", ID, "-OutputDirectory", "out")

    assert f"Successfully installed '{ID} 1.0.{len(odd_leaves(ID)) - 1}'" in ran.must_succeed().output


async def test_what_the_upstream_does_not_have_is_taken_from_the_next_source(upstream, tmp_path):
    """
    As without us: with one source the packages are unknown, with a second one they are found there.
    """
    upstream.fault("*/no.content/index.json", status(204))
    upstream.fault("*/no.versions/index.json", status(200, body=b"{}"))
    async with FakeUpstream() as second, running(tmp_path / "data", upstream) as mirror:
        for package_id in ("No.Content", "No.Versions"):
            second.add_package(package_id, "1.0.0")
        # Over plain http their certificates would fail the restore.
        second.gallery.resources = [row for row in second.gallery.resources if "RepositorySignatures" not in row[0]]
        ours = Source(f"{mirror.base}/v3/index.json")
        alone, both = await asyncio.to_thread(restored, tmp_path, ours, Source(second.url))

    assert alone.count("error NU1101") >= 2
    assert "Restored" in both


def restored(folder: Path, ours: Source, second: Source) -> tuple[str, str]:
    workplace = Workplace(folder / "work", ours.url)
    project = workplace.project("app", ("No.Content", "1.0.0"), ("No.Versions", "1.0.0"), audit=False)
    alone = workplace.dotnet("restore", cwd=project).must_fail().output
    workplace.forget()
    workplace.configure({"here": ours, "second": second})
    return alone, workplace.dotnet("restore", cwd=project).must_succeed().output


def shown(output: str) -> list[dict[str, str]]:
    """The packages of a `package search` from one source."""
    [source] = json.loads(output[output.index("{") :])["searchResult"]
    return list(source["packages"])
