"""Every resource through the whole application: no answer links elsewhere, and HEAD matches GET."""

import re
from typing import Any

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running
from tests.protocol.urls import foreign_urls

HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "nuget.example.com"}
BEHIND_A_FRONT: dict[str, Any] = {"server": {"trusted_proxies": ["127.0.0.1"]}}

DOCUMENTS = (
    "/v3/index.json",
    "/v3/flatcontainer/contoso.utils/index.json",
    *(
        f"/v3/{hive}/{document}"
        for hive in ("registration", "registration-gz", "registration-gz-semver2")
        for document in (
            "contoso.utils/index.json", "contoso.utils/1.0.0.json", "contoso.utils/page/1.0.0/2.0.0.json",
            "big/index.json", "big/page/1.0.0/1.0.63.json", "big/page/1.0.128/1.0.149.json",
        )
    ),
    "/v3/catalog/contoso.utils/2.0.0.json",
    "/v3/query?q=contoso&prerelease=true&semVerLevel=2.0.0",
    "/v3/query",
    "/v3/autocomplete?q=contoso",
    "/v3/autocomplete?id=contoso.utils&prerelease=true",
    "/v3/vulnerabilities/index.json",
    "/v3/vulnerabilities/base.json",
    "/v3/vulnerabilities/update.json",
    "/v3/repository-signatures/4.7.0/index.json",
    "/v3/repository-signatures/5.0.0/index.json",
)  # fmt: skip
CONTENTS = (
    "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg",
    "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.nuspec",
    "/v3/flatcontainer/contoso.utils/1.0.0/readme",
    "/v3/flatcontainer/contoso.utils/1.0.0/icon",
)


@pytest.fixture
def full(stocked: FakeUpstream) -> FakeUpstream:
    for number in range(150):
        stocked.add_package("Big", f"1.0.{number}")
    return stocked


class TestWhatWeHandOut:
    async def test_no_url_leads_to_the_upstream(self, full, tmp_path):
        """
        All further requests of a client go to us; only links for people lead elsewhere.
        """
        async with running(tmp_path, full, **BEHIND_A_FRONT) as mirror:
            for path in DOCUMENTS:
                document = await mirror.json(path, HTTPS)
                assert foreign_urls(document, "https://nuget.example.com") == [], path

    async def test_no_answer_names_the_upstreams_host(self, full, tmp_path):
        """
        Headers, documents and refusals do not name it either.
        """
        async with running(tmp_path, full) as mirror:
            for path in (*DOCUMENTS, *CONTENTS, "/v3/flatcontainer/nobody/index.json"):
                answer = await mirror.get(path)
                told = f"{answer.reason} {answer.headers} {answer.body!r}"
                assert f":{full.port}" not in told, path

    async def test_head_tells_what_get_does(self, full, tmp_path):
        """
        Every header of a kept resource, its length included.
        """
        async with running(tmp_path, full, **BEHIND_A_FRONT) as mirror:
            for path in (*DOCUMENTS, *CONTENTS):
                await mirror.get(path, HTTPS)
                await mirror.get(path, HTTPS)  # a package is kept a moment after it was sent
                head, get = await mirror.get(path, HTTPS, method="HEAD"), await mirror.get(path, HTTPS)
                assert head.body == b""
                assert (head.status, _lasting(head.headers)) == (get.status, _lasting(get.headers)), path

    async def test_a_cold_head_tells_status_type_and_length(self, full, tmp_path):
        async with running(tmp_path, full, **BEHIND_A_FRONT) as mirror:
            for path in (*DOCUMENTS, *CONTENTS):
                head, get = await mirror.get(path, HTTPS, method="HEAD"), await mirror.get(path, HTTPS)
                told = [(a.status, a.headers["content-type"], a.headers["content-length"]) for a in (head, get)]
                assert told[0] == told[1], path

    async def test_every_resource_of_our_index_answers(self, full, tmp_path):
        """
        A client that follows the service index never gets a 404 for an unknown address.
        """
        async with running(tmp_path, full, **BEHIND_A_FRONT) as mirror:
            index = await mirror.json("/v3/index.json", HTTPS)
            for resource in index["resources"]:
                path = resource["@id"].removeprefix("https://nuget.example.com")
                path = path.format(lower_id="contoso.utils", lower_version="1.0.0")
                if path.endswith("/"):
                    path += "contoso.utils/index.json"
                # Push addresses exist too, and state the allowed methods.
                expected = 405 if "Publish/" in resource["@type"] else 200
                assert (await mirror.get(path, HTTPS)).status == expected, resource

    async def test_every_url_in_a_registration_answers(self, full, tmp_path):
        async with running(tmp_path, full) as mirror:
            for hive in ("registration", "registration-gz", "registration-gz-semver2"):
                index = await mirror.json(f"/v3/{hive}/contoso.utils/index.json")
                for url in sorted(_urls(index, mirror.base)):
                    assert (await mirror.get(url.removeprefix(mirror.base))).status == 200, url

    async def test_every_page_that_an_index_names_answers_with_what_it_promised(self, full, tmp_path):
        async with running(tmp_path, full) as mirror:
            index = await mirror.json("/v3/registration-gz-semver2/big/index.json")
            for page in index["items"]:
                got = await mirror.json(page["@id"].removeprefix(mirror.base))
                assert (page["count"], page["lower"], page["upper"]) == (len(got["items"]), got["lower"], got["upper"])


class TestEveryCasingAndSpelling:
    @pytest.mark.parametrize(
        "path",
        [
            "/v3/flatcontainer/CONTOSO.Utils/index.json",
            "/v3/flatcontainer/Contoso.Utils/1.0.0.0/Contoso.Utils.1.0.0.0.nupkg",
            "/v3/flatcontainer/contoso.utils/1.0/contoso.utils.1.0.nupkg",
            "/v3/flatcontainer/contoso.utils/01.0.0/contoso.utils.nuspec",
            "/v3/flatcontainer/contoso.utils/1.1.0-BETA.1/contoso.utils.1.1.0-beta.1.nupkg",
            "/v3/registration-gz-semver2/Contoso.Utils/1.0.json",
            "/v3/registration-gz-semver2/Contoso.UTILS/INDEX.json",
        ],
    )
    async def test_is_answered(self, stocked, tmp_path, path):
        async with running(tmp_path, stocked) as mirror:
            assert (await mirror.get(path)).status == 200

    async def test_all_spellings_are_one_package_upstream(self, stocked, tmp_path):
        async with running(tmp_path, stocked) as mirror:
            for version in ("1.0", "1.0.0", "1.0.0.0", "01.0.0"):
                await mirror.get(f"/v3/flatcontainer/Contoso.Utils/{version}/Contoso.Utils.{version}.nupkg")
            assert stocked.requests_for("*.nupkg") == 1


class TestOldHives:
    async def test_leave_out_what_old_clients_cannot_read(self, stocked, tmp_path):
        """
        SemVer 2 versions, deprecations and vulnerabilities are in the newest hive only.
        """
        async with running(tmp_path, stocked) as mirror:
            plain = await mirror.json("/v3/registration/contoso.utils/index.json")
            newest = await mirror.json("/v3/registration-gz-semver2/contoso.utils/index.json")
        shown = [leaf["catalogEntry"] for leaf in plain["items"][0]["items"]]
        assert [entry["version"] for entry in shown] == ["1.0.0", "2.0.0"]
        assert not any("deprecation" in entry or "vulnerabilities" in entry for entry in shown)
        entries = [leaf["catalogEntry"] for leaf in newest["items"][0]["items"]]
        assert [entry["version"] for entry in entries] == ["1.0.0", "1.1.0-Beta.1", "2.0.0"]
        assert "deprecation" in entries[2]
        assert "vulnerabilities" in entries[2]

    async def test_an_id_without_anything_for_them_is_unknown(self, upstream, tmp_path):
        upstream.add_package("New", "1.0.0-a.b")
        async with running(tmp_path, upstream) as mirror:
            assert (await mirror.get("/v3/registration/new/index.json")).status == 404
            assert (await mirror.get("/v3/registration-gz-semver2/new/index.json")).status == 200


async def test_unicode_ids_are_mirrored(upstream, tmp_path):
    upstream.add_package("Größe.Дом", "1.0.0")
    async with running(tmp_path, upstream) as mirror:
        lower = "gr%C3%B6%C3%9Fe.%D0%B4%D0%BE%D0%BC"
        assert (await mirror.json(f"/v3/flatcontainer/{lower}/index.json"))["versions"] == ["1.0.0"]
        package = await mirror.get(f"/v3/flatcontainer/{lower}/1.0.0/{lower}.1.0.0.nupkg")
        registration = await mirror.json(f"/v3/registration-gz-semver2/{lower}/index.json")
        assert foreign_urls(registration, mirror.base) == []
    assert upstream.gallery.versions("größe.дом")[0].nupkg == package.body


def _lasting(headers: dict[str, str]) -> dict[str, str]:
    """Headers that do not depend on when and how often a resource was requested."""
    told = {name: value for name, value in headers.items() if name not in ("date", "x-request-id", "age")}
    return told | {name: re.sub(r"(max-age|ttl)=\d+", "", told[name]) for name in ("cache-control", "cache-status")}


def _urls(value: Any, base: str) -> set[str]:
    if isinstance(value, dict):
        return {url for key, below in value.items() if key != "@context" for url in _urls(below, base)}
    if isinstance(value, list):
        return {url for below in value for url in _urls(below, base)}
    return {value.partition("#")[0]} if isinstance(value, str) and value.startswith(base) else set()
