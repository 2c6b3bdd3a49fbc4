"""The cost of odd and hostile upstream documents, and their effect on our answers."""

import asyncio
from typing import Any

import pytest

from nugetproxy.mirroring.documents import registrations
from nugetproxy.protocol.v3.registration_reader import MOST_OUTLYING_PAGES
from tests.builders import make_nupkg
from tests.fakes.faults import Fault, status
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import stock
from tests.flows.mirror import rules, running
from tests.hostile.upstream_documents import REGISTRATIONS, outlying, put, rewrite

INDEX = f"{REGISTRATIONS}/contoso.utils/index.json"
HIVES = ("registration", "registration-gz", "registration-gz-semver2")
OURS = "/v3/registration-gz-semver2/contoso.utils/index.json"


@pytest.fixture
async def stocked(upstream: FakeUpstream) -> FakeUpstream:
    stock(upstream)
    return upstream


def versions_of(index: Any) -> list[str]:
    return [leaf["catalogEntry"]["version"] for page in index["items"] for leaf in page["items"]]


class TestNothingHere:
    """
    NuGet's client reads these answers as "not here" and asks its next source; a 502 would end the restore after 8 s.
    """

    @pytest.mark.parametrize("answer", [status(204), status(200, body=b"{}")], ids=["204", "{}"])
    async def test_an_id_is_unknown(self, stocked, tmp_path, answer):
        stocked.fault("*/contoso.none/index.json", answer)
        async with running(tmp_path, stocked) as mirror:
            for path in ("flatcontainer", *HIVES):
                for _ in range(2):
                    got = await mirror.get(f"/v3/{path}/contoso.none/index.json")
                    assert (got.status, "does not exist here" in got.reason) == (404, True)

        assert stocked.requests_for("*/contoso.none/index.json") == 2

    @pytest.mark.parametrize("answer", [status(204), status(200, body=b"{}")], ids=["204", "{}"])
    async def test_that_is_forgotten_as_a_404_is(self, stocked, tmp_path, answer):
        """
        An absence is never used in place of an answer that is not available.
        """
        path = "/v3-flatcontainer/contoso.none/index.json"
        stocked.fault(path, answer, times=1)
        stocked.fault(path, status(500))
        settings = {"patience": 0.1}
        async with running(tmp_path, stocked, freshness=rules(absent=0.05), upstream_settings=settings) as mirror:
            assert (await mirror.get("/v3/flatcontainer/contoso.none/index.json")).status == 404
            await asyncio.sleep(0.1)
            assert (await mirror.get("/v3/flatcontainer/contoso.none/index.json")).status == 503

    async def test_a_part_that_has_no_content_is_missing(self, stocked, tmp_path):
        stocked.fault("*/readme", status(204))
        async with running(tmp_path, stocked) as mirror:
            assert (await mirror.get("/v3/flatcontainer/contoso.base/1.0.0/readme")).status == 404

    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"error":"try again"}'])
    async def test_a_broken_answer_is_still_a_failure(self, stocked, tmp_path, body):
        stocked.fault("*/contoso.none/index.json", status(200, body=body))
        async with running(tmp_path, stocked) as mirror:
            for path in ("flatcontainer", *HIVES):
                assert (await mirror.get(f"/v3/{path}/contoso.none/index.json")).status == 502


class TestManyPages:
    def name(self, upstream: FakeUpstream, count: int) -> None:
        """Make the index of `contoso.utils` name this many pages, each with one version."""

        def fill(index: Any) -> None:
            leaf = index["items"][0]["items"][0]
            index["items"] = []
            for number in range(count):
                path, version = f"{REGISTRATIONS}/contoso.utils/page/{number}.json", f"1.0.{number}"
                entry = {**leaf["catalogEntry"], "version": version}
                head = {"@id": upstream.base + path, "count": 1, "lower": version, "upper": version}
                put(upstream, path, {**head, "items": [{**leaf, "catalogEntry": entry}]})
                index["items"].append(head)

        rewrite(upstream, INDEX, fill)

    async def test_thousands_cost_a_few_requests_and_not_for_each_asker(self, stocked, tmp_path):
        self.name(stocked, 3_000)
        async with running(tmp_path, stocked) as mirror:
            for _ in range(10):
                got = await mirror.get(OURS)
                assert (got.status, "names 3000 pages to fetch; the limit is 512" in got.reason) == (502, True)

        assert stocked.requests_for(f"{REGISTRATIONS}/*") == 4

    async def test_as_many_as_any_id_has_are_read_and_the_first_are_fetched_ahead(self, stocked, tmp_path):
        self.name(stocked, MOST_OUTLYING_PAGES)
        async with running(tmp_path, stocked) as mirror:
            index = await mirror.json(OURS)
            assert len(index["items"]) == MOST_OUTLYING_PAGES
            async with asyncio.timeout(10):
                while stocked.requests_for("*/page/*") < 64:
                    await asyncio.sleep(0.01)
            await mirror.get(OURS)
            await asyncio.sleep(0.1)
            assert stocked.requests_for("*/page/*") == 64

            leaf = await mirror.get("/v3/registration/contoso.utils/1.0.500.json")
            assert leaf.status == 200
        assert stocked.requests_for("*/page/*") == 65


async def test_pages_that_are_large_together_are_not_all_loaded(stocked, tmp_path, monkeypatch):
    monkeypatch.setattr(registrations, "_MOST_LOADED", 10_000)
    TestManyPages().name(stocked, 300)
    async with running(tmp_path, stocked) as mirror:
        assert (await mirror.get("/v3/registration/contoso.utils/1.0.7.json")).status == 200
        got = await mirror.get("/v3/registration/contoso.utils/index.json")

    assert (got.status, "of pages" in got.reason) == (502, True)
    assert stocked.requests_for("*/page/*") < 100


async def test_a_document_that_trickles_is_not_waited_for(stocked, tmp_path):
    """
    A byte now and then prevents every read timeout, but the whole document takes hours.
    """
    stocked.fault("*/contoso.utils/index.json", Fault(bytes_per_second=20))
    async with running(tmp_path, stocked, upstream_settings={"patience": 0.2}) as mirror, asyncio.timeout(10):
        got = await mirror.get(OURS)

    assert (got.status, "arrived too slowly" in got.reason) == (504, True)


class TestOutlyingPages:
    async def test_one_without_a_count_is_handed_on_without(self, stocked, tmp_path):
        [path] = outlying(stocked, "contoso.utils")
        rewrite(stocked, INDEX, lambda index: index["items"][0].pop("count"))
        async with running(tmp_path, stocked) as mirror:
            [page] = (await mirror.json(OURS))["items"]
            assert ("count" in page, "items" in page) == (False, False)
            loaded = await mirror.json(page["@id"].removeprefix(mirror.base))

        assert (loaded["count"], len(loaded["items"])) == (3, 3)
        assert stocked.requests_for(path) == 1

    @pytest.mark.parametrize("bounds", [{"lower": None}, {"upper": "1.5.0.preview"}, {"lower": 1, "upper": []}])
    async def test_one_without_bounds_is_loaded_first(self, stocked, tmp_path, bounds):
        """
        Clients choose pages by their bounds, and fail on an index that has none.
        """
        outlying(stocked, "contoso.utils")
        rewrite(stocked, INDEX, lambda index: index["items"][0].update(bounds))
        async with running(tmp_path, stocked) as mirror:
            index = await mirror.json(OURS)

        assert [(page["lower"], page["upper"]) for page in index["items"]] == [("1.0.0", "2.0.0")]
        assert versions_of(index) == ["1.0.0", "1.1.0-Beta.1", "2.0.0"]


ODD = {
    "dependencyGroups": [
        {"targetFramework": [], "dependencies": [{"id": "Contoso.Base", "range": "[15.106.0.preview]"}]}
    ],
    "published": "yesterday",
    "listed": "True",
    "tags": {"a": 1},
    "authors": [None, "a"],
    "totalDownloads": {},
    "deprecation": [1],
    "vulnerabilities": [{"advisoryUrl": 1, "severity": {}}],
    "Id": "Contoso.Secret",
    "Version": "9.9.9",
}
SCRIPT = "javascript:alert(document.domain)"
LINKS = dict.fromkeys(("projectUrl", "licenseUrl", "iconUrl", "readmeUrl", "reportAbuseUrl", "sourceURL"), SCRIPT)


class TestRenderings:
    def make_odd(self, upstream: FakeUpstream, **fields: Any) -> None:
        """The version 1.0.0 in every document that describes it."""

        def in_index(index: Any) -> None:
            index["items"][0]["items"][0]["catalogEntry"].update(fields)

        catalog = "/v3/catalog0/data/2020.01.02.03.04.05/contoso.utils.1.0.0.json"
        rewrite(upstream, INDEX, in_index)
        rewrite(upstream, catalog, lambda document: document.update(fields))
        put(
            upstream,
            "/query",
            {"totalHits": 1, "data": [{"id": "Contoso.Utils", "version": "1.0.0", "versions": [{"version": "1.0.0"}],
                                       **fields}]},
        )  # fmt: skip

    async def test_an_odd_version_harms_no_other(self, stocked, tmp_path):
        self.make_odd(stocked, **ODD)
        async with running(tmp_path, stocked) as mirror:
            for hive in HIVES:
                index = await mirror.json(f"/v3/{hive}/contoso.utils/index.json")
                first = index["items"][0]["items"][0]["catalogEntry"]
                assert (first["id"], first["version"], first["listed"]) == ("Contoso.Utils", "1.0.0", True)
                [group] = first["dependencyGroups"]
                assert group["targetFramework"] == "unsupported"
                assert [dependency["range"] for dependency in group["dependencies"]] == [""]
                assert first["authors"] == ["a"]
                assert not {"published", "tags", "totalDownloads", "deprecation", "Id", "Version"} & first.keys()
            found = await mirror.json("/v3/query?q=contoso")
            feed = await mirror.get("/api/v2/FindPackagesById()?id='Contoso.Utils'&semVerLevel=2.0.0")

        assert [hit["id"] for hit in found["data"]] == ["Contoso.Utils"]
        assert feed.body.count(b"<m:properties") == 3

    async def test_links_that_run_something_are_handed_on_nowhere(self, stocked, tmp_path):
        harmful = {**LINKS, "vulnerabilities": [{"advisoryUrl": SCRIPT, "severity": "2"}], "more": [{"url": SCRIPT}]}
        self.make_odd(stocked, **harmful)
        stocked.gallery.advisories = {"contoso.utils": [{"url": SCRIPT, "severity": 1, "versions": "[1.0.0]"}]}
        paths = [
            *(f"/v3/{hive}/contoso.utils/index.json" for hive in HIVES),
            "/v3/registration-gz-semver2/contoso.utils/page/1.0.0/2.0.0.json",
            "/v3/catalog/contoso.utils/1.0.0.json",
            "/v3/query?q=contoso",
            "/v3/vulnerabilities/base.json",
            "/api/v2/FindPackagesById()?id='Contoso.Utils'&semVerLevel=2.0.0",
            "/api/v2/Search()?searchTerm='contoso'",
            "/api/v2/Packages(Id='Contoso.Utils',Version='1.0.0')",
        ]
        async with running(tmp_path, stocked) as mirror:
            answers = {path: await mirror.get(path) for path in paths}

        assert {path: got.status for path, got in answers.items()} == dict.fromkeys(paths, 200)
        assert [path for path, got in answers.items() if b"javascript" in got.body.lower()] == []

    async def test_nor_are_those_of_a_package_that_is_kept(self, upstream, tmp_path):
        """
        Without the upstream, a kept package is described by its own nuspec.
        """
        links = "".join(f"<{name}>{SCRIPT}</{name}>" for name in ("projectUrl", "licenseUrl", "iconUrl"))
        package = make_nupkg("Contoso.Odd", more=links)
        upstream.add_package(package)
        paths = [
            *(f"/v3/{hive}/contoso.odd/index.json" for hive in HIVES),
            "/v3/catalog/contoso.odd/1.0.0.json",
            "/v3/query?q=odd",
            "/api/v2/Packages(Id='Contoso.Odd',Version='1.0.0')",
        ]
        async with running(tmp_path, upstream) as mirror:
            await mirror.get("/v3/flatcontainer/contoso.odd/1.0.0/contoso.odd.1.0.0.nupkg")
        async with running(tmp_path, upstream, offline=True) as mirror:
            answers = {path: await mirror.get(path) for path in paths}

        assert {path: got.status for path, got in answers.items()} == dict.fromkeys(paths, 200)
        assert all(b"Contoso.Odd" in got.body for got in answers.values())
        assert [path for path, got in answers.items() if b"javascript" in got.body.lower()] == []
