"""
A service index that is temporarily missing or empty: no client is told that packages do not exist, and no stored
content is lost.
"""

import asyncio

import pytest

from tests.fakes.faults import captive_portal, status
from tests.flows.mirror import MOMENT, running, short_lived

SERVICE_INDEX = "/v3/index.json"
VERSIONS = "/v3/flatcontainer/contoso.base/index.json"
REGISTRATION = "/v3/registration-gz-semver2/contoso.base/index.json"
PACKAGE = "/v3/flatcontainer/contoso.base/1.0.0/contoso.base.1.0.0.nupkg"
ADVISORIES = "/v3/vulnerabilities/base.json"
IMPATIENT = {"patience": 0.05}

pytestmark = pytest.mark.parametrize(
    "fault",
    [
        pytest.param(status(404), id="404"),
        pytest.param(status(410), id="410"),
        pytest.param(status(200, body=b'{"version":"3.0.0","resources":[]}'), id="empty"),
        pytest.param(captive_portal(), id="captive portal"),
    ],
)


@pytest.mark.parametrize("path", [VERSIONS, REGISTRATION, PACKAGE], ids=["versions", "registration", "package"])
async def test_cold_it_is_the_upstreams_failure_and_no_absence(stocked, tmp_path, fault, path):
    """
    Clients take a 404 as final: a package that was never looked up would not exist.
    """
    stocked.fault(SERVICE_INDEX, fault)
    async with running(tmp_path, stocked, upstream_settings=IMPATIENT) as mirror:
        answer = await mirror.get(path)
    assert answer.status == 502
    assert "service index" in answer.reason


async def test_warm_the_kept_one_leads_on(stocked, tmp_path, fault):
    async with running(tmp_path, stocked, upstream_settings=IMPATIENT, freshness=short_lived()) as mirror:
        await mirror.get(VERSIONS)
        stocked.fault(SERVICE_INDEX, fault)
        await asyncio.sleep(MOMENT * 1.5)
        answers = [await mirror.get(path) for path in (VERSIONS, REGISTRATION, PACKAGE)]
    assert [answer.status for answer in answers] == [200, 200, 200]


@pytest.mark.parametrize("offline", [False, True], ids=["online", "offline"])
async def test_what_is_kept_is_found_after_a_restart(stocked, tmp_path, fault, offline):
    """
    The addresses of stored documents are in the index: without it the advisories would be lost, and offline
    permanently.
    """
    async with running(tmp_path, stocked, upstream_settings=IMPATIENT, freshness=short_lived()) as mirror:
        kept = (await mirror.get(ADVISORIES)).body
        stocked.fault(SERVICE_INDEX, fault)
        await asyncio.sleep(MOMENT * 1.5)
        await mirror.get(VERSIONS)
    async with running(
        tmp_path, stocked, upstream_settings=IMPATIENT, freshness=short_lived(), offline=offline
    ) as mirror:
        assert (await mirror.get(ADVISORIES)).body == kept
