"""An upstream with a version whose metadata is longer than all others together, and one whose dependencies are."""

import pytest

from nugetproxy.protocol.bounds import LARGEST_VERSION
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running

ID = "Wordy.Lib"
# Room for a normal version as well, and the head of a document.
MORE = 10_000


@pytest.fixture
async def upstream():
    async with FakeUpstream() as fake:
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            package = fake.add_package(ID, version, dependencies=[("Other.Lib", "1.0.0")])
            if version == "2.0.0":
                fake.gallery.change(ID, version, metadata={**package.metadata, "description": "word " * 400_000})
            if version == "3.0.0":
                fake.gallery.change(
                    ID, version, dependencies=((".NETStandard2.0", (("Other.Lib", "1.0.0"),) * 20_000),)
                )
        yield fake


async def test_every_document_stays_small(upstream, tmp_path):
    async with running(tmp_path, upstream) as mirror:
        lists = [
            *(f"/v3/{hive}/wordy.lib/{name}" for hive in ("registration", "registration-gz", "registration-gz-semver2")
              for name in ("index.json", "page/0.1.0/9.0.0.json")),
            "/api/v2/FindPackagesById()?id='wordy.lib'",
        ]  # fmt: skip
        for path in lists:
            got = await mirror.get(path, {"Accept-Encoding": "identity"})
            assert (got.status, len(got.body) < LARGEST_VERSION + MORE) == (200, True), path
            assert b"2.0.0" in got.body
            assert b"3.0.0" not in got.body, path
            assert got.body.count(b"Other.Lib") == 2
        for path in ("/v3/query?q=wordy", "/v3/catalog/wordy.lib/2.0.0.json", "/v3/catalog/wordy.lib/3.0.0.json"):
            got = await mirror.get(path)
            assert (got.status, len(got.body) < LARGEST_VERSION + MORE) == (200, True), path


async def test_what_is_in_no_list_can_be_downloaded_and_is_no_404(upstream, tmp_path):
    async with running(tmp_path, upstream) as mirror:
        versions = await mirror.json("/v3/flatcontainer/wordy.lib/index.json")
        package = await mirror.get("/v3/flatcontainer/wordy.lib/3.0.0/wordy.lib.3.0.0.nupkg")
        entry = await mirror.get("/api/v2/Packages(Id='Wordy.Lib',Version='3.0.0')")
        catalog = await mirror.json("/v3/catalog/wordy.lib/3.0.0.json")

    assert versions == {"versions": ["1.0.0", "2.0.0", "3.0.0"]}
    assert package.status == 200
    assert (entry.status, entry.reason) == (
        500,
        "the metadata of Wordy.Lib 3.0.0 is larger than the limit of 262144 bytes",
    )
    assert catalog["nugetproxy:omitted"] == ["dependencyGroups"]
