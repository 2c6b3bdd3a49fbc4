"""Keys that read only some hosted packages, or only at some addresses: through the lane, with warm answers."""

import pytest

from nugetproxy.accounts.model import DAY, Scope, now_us
from tests.flows.private_feed import basic, opened_with_lane

ONE, TWO, PUBLIC = (
    f"/v3/flatcontainer/{name}/index.json" for name in ("acme.one", "acme.two", "contoso.utils")
)  # fmt: skip
MANY = ("/v3/query?q=&prerelease=true", "/v3/autocomplete?q=")


async def made(house, *networks, scopes=(Scope.READ,), globs=("*",), name="limited"):
    directory = house.accounts.directory
    _, text = await directory.add_key(
        await directory.account("bob"), None, name=name, scopes=scopes, globs=globs, networks=networks,
        expires=now_us() + DAY,
    )  # fmt: skip
    return basic("any", text)


def ids(got):
    return {each["id"] if isinstance(each, dict) else each for each in got.json["data"]}


@pytest.mark.parametrize("mode", ["none", "mirrored"])
async def test_a_key_reads_only_the_hosted_packages_that_it_covers(stocked, tmp_path, mode):
    feed = {"protected_prefixes": ["Acme."]}
    async with opened_with_lane(tmp_path, stocked, feed=feed, accounts={"anonymous_read": mode}) as house:
        for name in ("Acme.One", "Acme.Two"):
            assert (await house.push(name)).status == 201
        full = await made(house, name="full")
        limited = await made(house, globs=["Acme.One", "Other.*"])
        for _ in range(3):  # the second and third time from memory, where that is allowed
            for credentials, expected in ((full, (200, 200, 200)), (limited, (200, 403, 200))):
                got = [await house.get(path, credentials) for path in (ONE, TWO, PUBLIC)]
                assert tuple(each.status for each in got) == expected
                if credentials is limited:
                    assert "may not read acme.two, only Acme.One, Other.*" in got[1].reason
            for path in MANY:
                assert {"Acme.One", "Acme.Two"} <= ids(await house.get(path, full))
                seen = ids(await house.get(path, limited))
                assert not seen & {"Acme.One", "Acme.Two"}
                assert "Contoso.Utils" in seen
            anonymous = [(await house.get(path)).status for path in (ONE, TWO, PUBLIC, MANY[0])]
            assert anonymous == ([401] * 4 if mode == "none" else [401, 401, 200, 200])
        for path in ("/v3/catalog0/index.json", "/api/v2/Packages()", "/api/v2/package-ids"):
            assert (await house.get(path, limited)).status == 403, path
            assert (await house.get(path, full)).status == 200, path
        package = "/v3/flatcontainer/acme.{0}/1.0.0/acme.{0}.1.0.0.nupkg"
        assert (await house.get(package.format("one"), limited)).status == 200
        assert (await house.get(package.format("two"), limited)).status == 403
        assert (await house.get("/v3/registration-gz-semver2/acme.two/index.json", limited)).status == 403
        assert (await house.get("/api/v2/package/Acme.Two/1.0.0", limited)).status == 403


async def test_a_key_works_only_at_its_addresses(stocked, tmp_path):
    here = {
        "feed": {"protected_prefixes": ["Acme."]},
        "accounts": {"anonymous_read": "none"},
        "server": {"trusted_proxies": ["127.0.0.1"]},
    }
    async with opened_with_lane(tmp_path, stocked, **here) as house:
        limited = await made(house, "10.0.0.0/8", "2001:db8::/32", scopes=[Scope.PUSH])
        key = await house.key_of("bob")
        assert (await house.push("Acme.One", key=key)).status == 201
        for _ in range(3):
            for address, status in (
                ("10.1.2.3", 200),
                ("2001:db8::7", 200),
                ("11.1.2.3", 403),
                ("10.1.2.3, 11.1.2.3", 403),  # what a client says about itself, before what the proxy saw
                ("unknown", 403),
                ("", 403),
            ):
                forwarded = {"X-Forwarded-For": address} if address else {}
                got = await house.get(ONE, limited | forwarded)
                assert got.status == status, (address, got.status)
        assert (
            "API key 'limited' may not be used from this address, 127.0.0.1" in (await house.get(ONE, limited)).reason
        )


async def test_a_push_key_is_bound_to_its_addresses(stocked, tmp_path):
    async with opened_with_lane(tmp_path, stocked) as house:
        directory = house.accounts.directory
        for network, status in (("127.0.0.0/8", 201), ("10.0.0.0/8", 403)):
            _, text = await directory.add_key(
                await directory.account("bob"), None, name=network, networks=[network], expires=now_us() + DAY
            )
            assert (await house.push("Contoso.One", key=text)).status == status
