"""The keys of issuers: discovered, rotated, kept during an outage, never fetched from where they may not be."""

import asyncio

import pytest

from nugetproxy.errors import UpstreamError
from nugetproxy.mirroring.issuers import AFTER_FAILURE, AGAIN, FRESH, STALE, Issuers
from tests.fakes.issuer import FakeIssuer, public, rsa_key


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def issuer(tmp_path):
    async with FakeIssuer(tmp_path) as running:
        yield running


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def issuers(issuer, clock):
    opened = Issuers(user_agent="test", environ={}, ca_file=str(issuer.ca_file), clock=clock)
    yield opened
    await opened.close()


def names(keys):
    return [key["kid"] for key in keys]


async def test_keys_are_read_once(issuer, issuers, clock):
    for read in await asyncio.gather(*(issuers.keys(issuer.url, "first") for _ in range(5))):
        assert names(read) == ["first"]
    clock.now += FRESH - 1
    await issuers.keys(issuer.url, "first")
    await issuers.keys(issuer.url, "")

    assert issuer.asked == ["/.well-known/openid-configuration", "/jwks"]
    clock.now += 1
    await issuers.keys(issuer.url, "first")
    assert len(issuer.asked) == 4


async def test_a_new_key_is_found_when_a_token_names_it(issuer, issuers, clock):
    await issuers.keys(issuer.url, "first")
    issuer.published = [public(rsa_key("second"))]
    clock.now += AGAIN

    assert names(await issuers.keys(issuer.url, "second")) == ["second"]


async def test_tokens_with_made_up_keys_cost_the_issuer_little(issuer, issuers, clock):
    for number in range(100):
        await issuers.keys(issuer.url, f"unknown {number}")
    assert len(issuer.asked) == 2


async def test_known_keys_outlive_an_outage_for_a_day(issuer, issuers, clock):
    await issuers.keys(issuer.url, "first")
    issuer.down = True
    clock.now += STALE

    assert names(await issuers.keys(issuer.url, "first")) == ["first"]
    clock.now += AFTER_FAILURE
    with pytest.raises(UpstreamError):
        await issuers.keys(issuer.url, "first")


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://other.test"},
        {"jwks_uri": None},
        {"jwks_uri": "/jwks"},
        {"jwks_uri": "http://169.254.169.254/latest/meta-data"},
        {"jwks_uri": "https://169.254.169.254/latest/meta-data"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_a_configuration_that_leads_astray(issuer, issuers, clock, configuration):
    issuer.configuration = configuration

    with pytest.raises(UpstreamError):
        await issuers.keys(issuer.url, "first")
    assert issuer.asked == ["/.well-known/openid-configuration"]
    with pytest.raises(UpstreamError):
        await issuers.keys(issuer.url, "first")
    assert len(issuer.asked) == 1  # not asked again at once


async def test_a_certificate_that_nobody_trusts(issuer, clock):
    opened = Issuers(user_agent="test", environ={}, clock=clock)
    try:
        with pytest.raises(UpstreamError):
            await asyncio.wait_for(opened.keys(issuer.url, "first"), 20)
        assert issuer.asked == []
    finally:
        await opened.close()
