"""Unlist, relist, deprecate, delete: what each changes, and what it refuses."""

from dataclasses import replace

import pytest

from nugetproxy.accounts.model import Actor
from nugetproxy.errors import (
    Forbidden,
    InvalidRequest,
    PackageNotFound,
    VersionBurnt,
    VersionNotFound,
)
from nugetproxy.hosting.publish import ListedVerb
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.deprecation import LONGEST_MESSAGE, Deprecation
from tests.hosting.house import House

UTILS = PackageId.parse("Contoso.Utils")
ONE = PackageIdentity.parse("contoso.utils", "1.0.0")
HERE = "192.0.2.1"


async def listing(house: House, package: PackageIdentity = ONE) -> tuple[bool, int]:
    found = await house.packages.find(package)
    assert found is not None
    return found.listed, found.published


# --- listing ----------------------------------------------------------------------------------------------------------


async def test_unlisting_keeps_the_date_for_relisting(house: House) -> None:
    alice = await house.actor()
    await house.push(alice)
    _, published = await listing(house)
    await house.publish.unlist(alice, ONE, address=HERE)
    assert await listing(house) == (False, published)
    await house.publish.relist(alice, ONE, address=HERE)
    assert await listing(house) == (True, published)
    assert house.index.told == [("Contoso.Utils 1.0.0", listed) for listed in (True, False, True)]


async def test_unlisting_twice_is_one_event(house: House) -> None:
    alice = await house.actor()
    await house.push(alice)
    for _ in range(3):
        await house.publish.unlist(alice, ONE, address=HERE)
    assert len(await house.events.after(0, 10)) == 2


async def test_unlisting_a_missing_version(house: House) -> None:
    alice = await house.actor()
    await house.push(alice)
    with pytest.raises(VersionNotFound):
        await house.publish.unlist(alice, PackageIdentity.parse("contoso.utils", "9.0.0"), address=HERE)
    with pytest.raises(PackageNotFound):
        await house.publish.unlist(alice, PackageIdentity.parse("contoso.other", "1.0.0"), address=HERE)


@pytest.mark.parametrize("act", ["unlist", "relist"])
async def test_only_owners_list_and_unlist(house: House, act: str) -> None:
    await house.push(await house.actor())
    with pytest.raises(Forbidden):
        await getattr(house.publish, act)(await house.actor("bob"), ONE, address=HERE)
    assert (await listing(house))[0]
    assert (await house.audited())[-1] == (f"package.{act}", "contoso.utils 1.0.0", "refused")


# --- deprecation ------------------------------------------------------------------------------------------------------

OLD = Deprecation(("Legacy",), "use the other", "Contoso.New")


async def test_versions_are_deprecated_together_and_each_has_its_event(house: House) -> None:
    alice = await house.actor()
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await house.push(alice, version=version)
    versions = [NuGetVersion.parse("1.0"), NuGetVersion.parse("2.0.0"), NuGetVersion.parse("1.0.0")]
    await house.publish.deprecate(alice, UTILS, versions, OLD, address=HERE)
    assert [each.deprecation for each in await house.packages.of("contoso.utils")] == [OLD, OLD, None]
    assert len(await house.events.after(0, 10)) == 5


async def test_all_versions_are_deprecated_or_none(house: House) -> None:
    alice = await house.actor()
    await house.push(alice)
    versions = [NuGetVersion.parse("1.0.0"), NuGetVersion.parse("9.0.0")]
    with pytest.raises(VersionNotFound):
        await house.publish.deprecate(alice, UTILS, versions, OLD, address=HERE)
    assert (await house.packages.of("contoso.utils"))[0].deprecation is None


@pytest.mark.parametrize(
    ("verb", "expected"), [(ListedVerb.UNCHANGED, True), (ListedVerb.UNLIST, False), (ListedVerb.RELIST, True)]
)
async def test_a_deprecation_may_unlist_and_relist(house: House, verb: ListedVerb, expected: bool) -> None:
    alice = await house.actor()
    await house.push(alice)
    await house.publish.deprecate(alice, UTILS, [ONE.version], OLD, verb, address=HERE)
    assert (await listing(house))[0] is expected


async def test_a_deprecation_can_be_removed(house: House) -> None:
    alice = await house.actor()
    await house.push(alice)
    await house.publish.deprecate(alice, UTILS, [ONE.version], OLD, address=HERE)
    await house.publish.deprecate(alice, UTILS, [ONE.version], None, address=HERE)
    assert (await house.packages.of("contoso.utils"))[0].deprecation is None
    assert (await house.audited())[-1][0] == "package.undeprecate"


async def test_a_deprecation_names_versions(house: House) -> None:
    with pytest.raises(InvalidRequest):
        await house.publish.deprecate(await house.actor(), UTILS, [], OLD, address=HERE)


async def test_the_message_of_a_deprecation_is_limited(house: House) -> None:
    alice = await house.actor()
    await house.push(alice)
    fits, too_long = (replace(OLD, message="\u00e4" * length) for length in (LONGEST_MESSAGE, LONGEST_MESSAGE + 1))
    await house.publish.deprecate(alice, UTILS, [ONE.version], fits, address=HERE)
    with pytest.raises(InvalidRequest, match="at most 4000 characters; this one has 4001"):
        await house.publish.deprecate(alice, UTILS, [ONE.version], too_long, address=HERE)
    assert (await house.packages.of("contoso.utils"))[0].deprecation == fits


# --- delete -----------------------------------------------------------------------------------------------------------


async def the_administrator(house: House) -> Actor:
    return await house.actor("root", administrator=True)


async def test_a_deleted_version_is_gone_with_its_bytes(house: House) -> None:
    await house.push(await house.actor())
    await house.publish.delete(await the_administrator(house), ONE, address=HERE)
    assert (await house.packages.find(ONE), house.files()) == (None, [])
    assert [item.is_delete for item in await house.events.after(0, 10)] == [False, True]
    assert house.index.told[-1] == ("contoso.utils 1.0.0", None)


async def test_a_deleted_version_stays_burnt(house: House) -> None:
    """
    A client that restored it must never get other bytes under the same name; and the id stays ours.
    """
    alice = await house.actor()
    await house.push(alice)
    await house.publish.delete(await the_administrator(house), ONE, address=HERE)
    with pytest.raises(VersionBurnt, match=r"nugetproxy package delete Contoso\.Utils 1\.0\.0 --allow-reuse"):
        await house.push(alice, version="1.0")
    assert await house.packages.knows("contoso.utils")
    assert [version.normalized for version, _ in await house.packages.burnt("contoso.utils")] == ["1.0.0"]


async def test_a_deleted_version_can_be_released_now_or_later(house: House) -> None:
    alice, root = await house.actor(), await the_administrator(house)
    await house.push(alice)
    await house.publish.delete(root, ONE, address=HERE, allow_reuse=True)
    assert not await house.packages.knows("contoso.utils")
    await house.push(alice)
    await house.publish.delete(root, ONE, address=HERE)
    await house.publish.delete(root, ONE, address=HERE, allow_reuse=True)
    await house.push(alice)
    assert await house.packages.find(ONE) is not None


async def test_owners_do_not_delete(house: House) -> None:
    alice = await house.actor()
    await house.push(alice)
    with pytest.raises(Forbidden):
        await house.publish.delete(alice, ONE, address=HERE)
    assert await house.packages.find(ONE) is not None


async def test_deleting_a_missing_version(house: House) -> None:
    root = await the_administrator(house)
    with pytest.raises(PackageNotFound):
        await house.publish.delete(root, ONE, address=HERE)
    await house.push(await house.actor())
    await house.publish.delete(root, ONE, address=HERE)
    with pytest.raises(VersionNotFound):
        await house.publish.delete(root, ONE, address=HERE)
