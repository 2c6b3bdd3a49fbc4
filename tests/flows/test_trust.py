"""Advisories and repository signatures: a failure here would affect every restore, so there is none."""

import asyncio
import hashlib
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY

from nugetproxy import metrics
from nugetproxy.runtime import assembly
from tests.fakes.faults import captive_portal, closed, gzip_unasked, reset, silent, status, truncated
from tests.flows.mirror import MOMENT, Mirror, running, short_lived

HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "nuget.example.com"}
BEHIND_A_FRONT: dict[str, Any] = {"server": {"trusted_proxies": ["127.0.0.1"]}}
INDEX = "/v3/vulnerabilities/index.json"
BASE = "/v3/vulnerabilities/base.json"
SIGNATURES = "/v3/repository-signatures/5.0.0/index.json"
IMPATIENT = {"patience": 0.05, "head_timeout": 0.6, "read_timeout": 0.6}

FAULTS = [
    pytest.param(status(500), id="500"),
    pytest.param(status(503), id="503"),
    pytest.param(status(404), id="404"),
    pytest.param(status(403), id="403"),
    pytest.param(status(429, retry_after=1), id="429"),
    pytest.param(reset(), id="reset"),
    pytest.param(closed(), id="closed"),
    pytest.param(silent(), id="silent"),
    pytest.param(truncated(20), id="truncated"),
    pytest.param(captive_portal(), id="captive portal"),
    pytest.param(status(200, body=b'[{"@name":"x"}]'), id="nonsense"),
]
DEFINITE = [pytest.param(status(404), id="404"), pytest.param(status(410), id="410")]
EMPTY = pytest.param(status(200, body=b"[]"), id="empty")


async def types(mirror: Mirror) -> set[str]:
    index = await mirror.json("/v3/index.json", HTTPS)
    return {resource["@type"].partition("/")[0] for resource in index["resources"]}


class TestVulnerabilities:
    async def test_arrive_as_the_upstream_states_them(self, stocked, tmp_path):
        async with running(tmp_path, stocked) as mirror:
            pages = {page["@name"]: page for page in await mirror.json(INDEX)}
            base = await mirror.json(pages["base"]["@id"].removeprefix(mirror.base))
        assert pages.keys() == {"base", "update"}
        assert base == stocked.gallery.advisories

    @pytest.mark.parametrize("fault", [*FAULTS, EMPTY])
    async def test_a_cold_failure_is_no_5xx_and_is_not_advertised(self, stocked, tmp_path, fault):
        """
        A 5xx would delay every restore by six seconds, and then fail it.
        """
        stocked.fault("/v3/vulnerabilities/*", fault)
        async with running(tmp_path, stocked, upstream_settings=IMPATIENT) as mirror:
            for path in (INDEX, BASE):
                assert (await mirror.get(path)).status == 404
            assert "VulnerabilityInfo" not in await types(mirror)

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("pattern", ["*vulnerabilit*", "/v3-vulnerabilities/*"], ids=["all", "pages"])
    async def test_kept_ones_are_served_through_every_fault(self, stocked, tmp_path, fault, pattern):
        """
        However old: far beyond the rule's stale_if_error.
        """
        freshness = short_lived(stale_if_error=0.0, absent=0.0)
        async with running(tmp_path, stocked, upstream_settings=IMPATIENT, freshness=freshness) as mirror:
            kept = [(await mirror.get(path)).body for path in (INDEX, BASE)]
            stocked.fault(pattern, fault)
            await asyncio.sleep(MOMENT * 1.5)
            for _ in range(2):
                assert [(await mirror.get(path)).body for path in (INDEX, BASE)] == kept
            assert "VulnerabilityInfo" in await types(mirror)

    async def test_an_empty_index_does_not_replace_the_kept_one(self, stocked, tmp_path):
        """
        Clients would take it for "nothing is vulnerable".
        """
        async with running(tmp_path, stocked, upstream_settings=IMPATIENT, freshness=short_lived()) as mirror:
            kept = (await mirror.get(INDEX)).body
            stocked.fault("/v3/vulnerabilities/*", status(200, body=b"[]"))
            await asyncio.sleep(MOMENT * 1.5)
            assert (await mirror.get(INDEX)).body == kept

    async def test_kept_ones_are_served_when_the_upstream_is_dead_and_we_restarted(self, stocked, tmp_path):
        async with running(tmp_path, stocked) as mirror:
            kept = (await mirror.get(BASE)).body
        await stocked.die()
        freshness = short_lived(stale_if_error=0.0)
        await asyncio.sleep(MOMENT * 1.5)
        async with running(tmp_path, stocked, upstream_settings=IMPATIENT, freshness=freshness) as mirror:
            assert "VulnerabilityInfo" in await types(mirror)
            assert (await mirror.get(BASE)).body == kept

    @pytest.mark.parametrize("fault", DEFINITE)
    async def test_no_fault_is_remembered_in_place_of_kept_ones(self, stocked, tmp_path, fault):
        """
        Neither across a restart nor by another worker, which has nothing in its memory.
        """
        freshness = short_lived(stale_if_error=0.0)
        async with running(tmp_path, stocked, upstream_settings=IMPATIENT, freshness=freshness) as mirror:
            kept = (await mirror.get(BASE)).body
            stocked.fault("*vulnerabilit*", fault)
            await asyncio.sleep(MOMENT * 1.5)
            await mirror.get(BASE)
        async with running(tmp_path, stocked, upstream_settings=IMPATIENT, freshness=freshness) as mirror:
            assert "VulnerabilityInfo" in await types(mirror)
            assert (await mirror.get(BASE)).body == kept

    async def test_old_ones_are_told_as_old(self, stocked, tmp_path):
        """
        Including those used in place of a new index whose pages cannot be fetched.
        """
        async with running(tmp_path, stocked, upstream_settings=IMPATIENT, freshness=short_lived()) as mirror:
            await mirror.get(BASE)
            moved = [{"@name": "base", "@id": f"{stocked.base}/gone", "@updated": "2030-01-01T00:00:00Z"}]
            stocked.fault("/v3/vulnerabilities/*", status(200, body=orjson.dumps(moved)))
            await asyncio.sleep(MOMENT * 1.5)
            answer = await mirror.get(BASE)
        assert answer.status == 200
        assert "detail=upstream-failed" in answer.cache

    async def test_a_page_that_cannot_be_had_does_not_take_the_others_along(self, stocked, tmp_path):
        stocked.fault("*/vulnerability.update.json", status(503))
        async with running(tmp_path, stocked, upstream_settings=IMPATIENT) as mirror:
            assert [page["@name"] for page in await mirror.json(INDEX)] == ["base"]

    async def test_unrequested_gzip_is_read(self, stocked, tmp_path):
        stocked.fault("*vulnerabilit*", gzip_unasked())
        async with running(tmp_path, stocked) as mirror:
            assert await mirror.json(BASE) == stocked.gallery.advisories

    async def test_are_not_advertised_when_the_upstream_has_none(self, stocked, tmp_path):
        stocked.gallery.resources = [r for r in stocked.gallery.resources if "Vulnerability" not in r[0]]
        async with running(tmp_path, stocked) as mirror:
            assert (await mirror.get(INDEX)).status == 404
            assert "VulnerabilityInfo" not in await types(mirror)

    async def test_their_age_is_a_metric(self, stocked, tmp_path, monkeypatch):
        monkeypatch.setattr(assembly, "_GAUGE_SECONDS", 0.01)
        metrics.VULNERABILITY_AGE.set(-1)
        async with running(tmp_path, stocked) as mirror:
            await mirror.get(INDEX)
            async with asyncio.timeout(20):
                while (age := REGISTRY.get_sample_value("nugetproxy_vulnerability_data_age_seconds")) == -1:
                    await asyncio.sleep(0.01)
        assert age is not None
        assert 0.0 <= age < 5.0


class TestSignatures:
    async def test_are_advertised_over_https_only(self, stocked, tmp_path):
        """
        Clients fail every restore if this document contains an http address.
        """
        async with running(tmp_path, stocked, **BEHIND_A_FRONT) as mirror:
            assert "RepositorySignatures" in await types(mirror)
            plain = await mirror.json("/v3/index.json")
            assert not [r for r in plain["resources"] if r["@type"].startswith("RepositorySignatures")]
            assert (await mirror.get(SIGNATURES)).status == 404

    async def test_are_not_advertised_while_none_is_kept(self, stocked, tmp_path):
        stocked.fault("/v3-index/*", status(503))
        async with running(tmp_path, stocked, upstream_settings=IMPATIENT, **BEHIND_A_FRONT) as mirror:
            assert "RepositorySignatures" not in await types(mirror)

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_are_always_answered_once_kept(self, stocked, tmp_path, fault):
        """
        Clients remember the service index for half an hour, and any failure here fails every restore.
        """
        freshness = short_lived(stale_if_error=0.0, absent=0.0)
        async with running(
            tmp_path, stocked, upstream_settings=IMPATIENT, freshness=freshness, **BEHIND_A_FRONT
        ) as mirror:
            kept = await mirror.get(SIGNATURES, HTTPS)
            stocked.fault("/v3-index/*", fault)
            await asyncio.sleep(MOMENT * 1.5)
            assert (await mirror.get(SIGNATURES, HTTPS)).body == kept.body
            assert "RepositorySignatures" in await types(mirror)

    @pytest.mark.parametrize("fault", DEFINITE)
    async def test_are_answered_after_a_fault_and_a_restart(self, stocked, tmp_path, fault):
        freshness = short_lived(stale_if_error=0.0)
        settings: dict[str, Any] = {"upstream_settings": IMPATIENT, "freshness": freshness, **BEHIND_A_FRONT}
        async with running(tmp_path, stocked, **settings) as mirror:
            kept = await mirror.get(SIGNATURES, HTTPS)
            stocked.fault("/v3-index/*", fault)
            await asyncio.sleep(MOMENT * 1.5)
            await mirror.get(SIGNATURES, HTTPS)
        async with running(tmp_path, stocked, **settings) as mirror:
            assert (await mirror.get(SIGNATURES, HTTPS)).body == kept.body

    async def test_are_answered_to_who_remembers_what_the_upstream_named(self, stocked, tmp_path):
        """
        The upstream no longer names them, so neither do we; clients remember our index for half an hour.
        """
        async with running(
            tmp_path, stocked, upstream_settings=IMPATIENT, freshness=short_lived(), **BEHIND_A_FRONT
        ) as mirror:
            kept = await mirror.get(SIGNATURES, HTTPS)
            stocked.gallery.resources = [r for r in stocked.gallery.resources if "Signatures" not in r[0]]
            await asyncio.sleep(MOMENT * 1.5)
            assert "RepositorySignatures" not in await types(mirror)
            assert (await mirror.get(SIGNATURES, HTTPS)).body == kept.body

    async def test_certificates_are_ours_and_checked(self, stocked, tmp_path):
        async with running(tmp_path, stocked, **BEHIND_A_FRONT) as mirror:
            signatures = await mirror.json(SIGNATURES, HTTPS)
            url = signatures["signingCertificates"][0]["contentUrl"]
            certificate = await mirror.get(url.removeprefix("https://nuget.example.com"), HTTPS)
        assert certificate.body == stocked.gallery.certificates[0]
        fingerprint = signatures["signingCertificates"][0]["fingerprints"]["2.16.840.1.101.3.4.2.1"]
        assert fingerprint == hashlib.sha256(certificate.body).hexdigest()

    async def test_a_certificate_of_other_bytes_is_refused_and_not_kept(self, stocked, tmp_path):
        stocked.fault("*.crt", status(200, body=b"another"))
        digest = hashlib.sha256(stocked.gallery.certificates[0]).hexdigest()
        path = f"/v3/repository-signatures/certificates/{digest}.crt"
        async with running(tmp_path, stocked, upstream_settings={"patience": 0.05}, **BEHIND_A_FRONT) as mirror:
            assert (await mirror.get(path, HTTPS)).status == 502
            stocked.heal()
            assert (await mirror.get(path, HTTPS)).body == stocked.gallery.certificates[0]

    async def test_certificates_are_kept_before_anyone_asks(self, stocked, tmp_path):
        """
        Offline there are certificates although no client ever requested one.
        """
        digest = hashlib.sha256(stocked.gallery.certificates[0]).hexdigest()
        path = f"/v3/repository-signatures/certificates/{digest}.crt"
        async with running(tmp_path, stocked, **BEHIND_A_FRONT) as mirror:
            await mirror.json(SIGNATURES, HTTPS)
            async with asyncio.timeout(5):
                while not stocked.requests_for("*.crt"):
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
        async with running(tmp_path, stocked, offline=True, **BEHIND_A_FRONT) as mirror:
            assert (await mirror.get(path, HTTPS)).body == stocked.gallery.certificates[0]
            assert (await mirror.get(SIGNATURES, HTTPS)).status == 200

    async def test_an_unknown_certificate_is_not_found(self, stocked, tmp_path):
        async with running(tmp_path, stocked, **BEHIND_A_FRONT) as mirror:
            for name in ("ab" * 32, "..", "x", "AB" * 32):
                path = f"/v3/repository-signatures/certificates/{name}.crt"
                assert (await mirror.get(path, HTTPS)).status == 404
