"""Two upstreams, each for its ids: the public look-alike of a private id is never requested and never shown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.faults import status
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Mirror, running
from tests.protocol.urls import foreign_urls


@pytest.fixture
async def private() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as running_upstream:
        running_upstream.add_package("Contoso.Secret", "1.0.0")
        yield running_upstream


@pytest.fixture
def public(upstream: FakeUpstream) -> FakeUpstream:
    upstream.add_package("Contoso.Secret", "99.0.0")
    upstream.add_package("Serilog", "1.0.0")
    return upstream


@asynccontextmanager
async def both(
    data: Any, public: FakeUpstream, private: FakeUpstream, *, patterns: str = "Contoso.*", **settings: Any
) -> AsyncIterator[Mirror]:
    upstreams: list[dict[str, Any]] = [
        {"name": "public", "service_index": public.url, "patience": 0.1},
        {"name": "private", "service_index": private.url, "patterns": [patterns], "patience": 0.1},
    ]
    # Both searches are waited for, however busy the machine: stored packages are not their answer.
    async with running(data, upstreams, mirroring={"search_timeout": 10.0}, **settings) as mirror:
        yield mirror


NUPKG = "/v3/flatcontainer/contoso.secret/{0}/contoso.secret.{0}.nupkg"


class TestALookAlike:
    async def test_is_never_requested(self, public, private, tmp_path):
        async with both(tmp_path, public, private) as mirror:
            for path in ("/v3/flatcontainer/contoso.secret/index.json", NUPKG.format("1.0.0"), NUPKG.format("99.0.0"),
                         *(f"/v3/{hive}/contoso.secret/index.json" for hive in ("registration", "registration-gz")),
                         "/v3/registration-gz/contoso.secret/99.0.0.json", "/v3/catalog/contoso.secret/99.0.0.json",
                         "/v3/flatcontainer/contoso.secret/99.0.0/readme", "/v3/autocomplete?id=Contoso.Secret",
                         "/v3/flatcontainer/contoso.unknown/index.json"):  # fmt: skip
                await mirror.get(path)
        assert [r.path for r in public.log if "contoso" in f"{r.path}?{r.query}".lower()] == []

    async def test_is_never_shown(self, public, private, tmp_path):
        async with both(tmp_path, public, private) as mirror:
            assert (await mirror.json("/v3/flatcontainer/contoso.secret/index.json"))["versions"] == ["1.0.0"]
            found = await mirror.json("/v3/query?q=&semVerLevel=2.0.0")
            assert {hit["id"]: hit["version"] for hit in found["data"]} == {
                "Contoso.Secret": "1.0.0",
                "Serilog": "1.0.0",
            }
            assert found["totalHits"] == 2
            completed = await mirror.json("/v3/autocomplete?q=")
            assert sorted(completed["data"]) == ["Contoso.Secret", "Serilog"]
            assert completed["totalHits"] == 2
            assert (await mirror.json("/v3/autocomplete?id=Contoso.Secret"))["data"] == ["1.0.0"]
            assert (await mirror.get(NUPKG.format("99.0.0"))).status == 404

    async def test_does_not_stand_in_for_a_dead_upstream(self, public, private, tmp_path):
        await private.die()
        async with both(tmp_path, public, private) as mirror:
            assert (await mirror.get("/v3/flatcontainer/contoso.secret/index.json")).status == 503
            assert (await mirror.get(NUPKG.format("1.0.0"))).status == 503
            assert (await mirror.get("/v3/flatcontainer/serilog/index.json")).status == 200


class TestEqualPatterns:
    async def test_the_first_that_has_the_id_answers_for_all_of_it(self, public, private, tmp_path):
        """
        List, registration and file come from one upstream, whichever documents the other has.
        """
        private.add_package("Only.Here", "1.0.0")
        async with both(tmp_path, public, private, patterns="*") as mirror:
            assert (await mirror.json("/v3/flatcontainer/only.here/index.json"))["versions"] == ["1.0.0"]
            for path in ("flatcontainer/only.here/1.0.0/only.here.1.0.0.nupkg", "registration/only.here/index.json",
                         "registration-gz/only.here/1.0.0.json", "flatcontainer/only.here/1.0.0/readme",
                         "flatcontainer/only.here/1.0.0/only.here.nuspec", "catalog/only.here/1.0.0.json"):  # fmt: skip
                assert (await mirror.get(f"/v3/{path}")).status == 200, path
            assert (await mirror.json("/v3/autocomplete?id=Only.Here"))["data"] == ["1.0.0"]
            assert (await mirror.json("/v3/flatcontainer/contoso.secret/index.json"))["versions"] == ["99.0.0"]
            assert (await mirror.get(NUPKG.format("1.0.0"))).status == 404

    async def test_an_id_of_both_is_found_once(self, public, private, tmp_path):
        async with both(tmp_path, public, private, patterns="*") as mirror:
            found = await mirror.json("/v3/query?q=contoso")
            completed = await mirror.json("/v3/autocomplete?q=contoso")
        assert [(hit["id"], hit["version"]) for hit in found["data"]] == [("Contoso.Secret", "99.0.0")]
        assert found["totalHits"] == 1
        assert completed["data"] == ["Contoso.Secret"]

    async def test_a_first_that_fails_is_not_passed_over(self, public, private, tmp_path):
        public.fault("/v3-flatcontainer/*", status(503))
        async with both(tmp_path, public, private, patterns="*") as mirror:
            assert (await mirror.get("/v3/flatcontainer/contoso.secret/index.json")).status == 503
            assert (await mirror.get(NUPKG.format("1.0.0"))).status == 503


class TestMerged:
    async def test_advisories_of_both_are_told(self, public, private, tmp_path):
        known = {"severity": 1, "versions": "(, 2.0.0)"}
        public.gallery.advisories = {"serilog": [{"url": "https://a/1", **known}]}
        private.gallery.advisories = {"contoso.secret": [{"url": "https://a/2", **known}]}
        told: dict[str, Any] = {}
        async with both(tmp_path, public, private) as mirror:
            for page in await mirror.json("/v3/vulnerabilities/index.json"):
                told |= await mirror.json(page["@id"].removeprefix(mirror.base))
        assert told == {**public.gallery.advisories, **private.gallery.advisories}

    async def test_one_without_advisories_does_not_hide_the_others(self, public, private, tmp_path):
        private.fault("*vulnerabilit*", status(503))
        async with both(tmp_path, public, private) as mirror:
            assert (await mirror.get("/v3/vulnerabilities/index.json")).status == 200

    async def test_nothing_leads_to_either(self, public, private, tmp_path):
        async with both(tmp_path, public, private) as mirror:
            for path in ("/v3/index.json", "/v3/query", "/v3/registration/contoso.secret/index.json",
                         "/v3/catalog/serilog/1.0.0.json", "/v3/vulnerabilities/index.json"):  # fmt: skip
                assert foreign_urls(await mirror.json(path), mirror.base) == [], path


async def test_an_id_without_any_pattern_is_unknown(private, tmp_path):
    upstreams: list[dict[str, Any]] = [
        {"name": "private", "service_index": private.url, "patterns": ["Contoso.*"]},
    ]
    private.add_package("Serilog", "1.0.0")
    async with running(tmp_path, upstreams) as mirror:
        answer = await mirror.get("/v3/flatcontainer/serilog/index.json")
    assert (answer.status, answer.reason) == (
        404, "package 'serilog' does not exist here: no upstream is mapped for this id",
    )  # fmt: skip
    assert private.requests_for("*serilog*") == 0
