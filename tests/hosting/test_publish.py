"""Push: what it changes, what it refuses, and the log that records it."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.accounts.model import ANONYMOUS, Actor
from nugetproxy.errors import (
    ConstraintViolated,
    Forbidden,
    IdReserved,
    InvalidPackage,
    NotAuthenticated,
    PackageExists,
    StorageUnavailable,
)
from nugetproxy.executors.threads import INSPECTION
from nugetproxy.hosting import inspection, publish
from nugetproxy.hosting.inspection import Inspected
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.storage.database.base import Transaction
from tests.builders import make_nupkg
from tests.hosting.house import NOON, SECOND, House

ONE = PackageIdentity.parse("contoso.utils", "1.0.0")
HERE = "192.0.2.1"


async def test_a_pushed_package_is_there_with_its_bytes(house: House) -> None:
    package = make_nupkg(dependencies=[("Serilog", "[4.0.0, )")])
    pushed = await house.publish.push(await house.actor(), house.spool(package), address=HERE)
    found = await house.packages.find(pushed.identity)
    assert found is not None
    assert house.blobs.path(found.blob).read_bytes() == package
    assert (found.size, found.listed, found.manifest.dependency_groups[0].dependencies[0].id) == (
        len(package),
        True,
        "Serilog",
    )
    assert house.leftovers() == []


async def test_large_packages_leave_threads_to_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Only one of them is inspected at a time, and small ones beside it.
    """
    monkeypatch.setattr("nugetproxy.hosting.publish._LARGE", 100_000)
    begun, go_on = [], threading.Event()
    original = inspection.inspect

    def inspect(path: Path, *others: Any) -> Inspected:
        begun.append(path.stat().st_size > 100_000)
        if begun[-1]:
            go_on.wait(10)
        return original(path, *others)

    monkeypatch.setattr(publish, "inspect", inspect)
    alice = await house.actor()
    large = [make_nupkg(version=f"{major}.0.0", payload=bytes(200_000)) for major in range(2, 7)]
    pushes = [asyncio.create_task(house.publish.push(alice, house.spool(one), address=HERE)) for one in large]
    await house.push(alice)
    assert begun.count(True) == 1
    go_on.set()
    await asyncio.gather(*pushes)
    assert len(await house.packages.of("contoso.utils")) == 6


async def test_a_push_is_one_event_one_row_one_audit_line(house: House) -> None:
    await house.push(await house.actor())
    assert [(item.package_id, item.version) for item in await house.events.after(0, 10)] == [("Contoso.Utils", "1.0.0")]
    assert house.index.told == [("Contoso.Utils 1.0.0", True)]
    assert await house.audited() == [("package.push", "Contoso.Utils 1.0.0", "done")]


async def test_a_push_is_seen_by_other_processes_immediately(house: House, other: House) -> None:
    alice = await house.actor()
    before = (other.revisions.hosting, other.revisions.accounts)
    await house.push(alice)
    assert other.revisions.hosting > before[0]
    assert await other.packages.knows("contoso.utils")
    assert [owner.name for owner in await other.ownership.owners("contoso.utils")] == ["alice"]
    # Nobody's rights have changed: learned credentials stay.
    assert other.revisions.accounts == before[1]


async def test_warnings_of_the_rules_reach_the_person_who_pushed(tmp_path) -> None:
    def rules(package: Nupkg) -> tuple[str, ...]:
        return () if package.manifest.readme else ("it has no readme",)

    house = House(tmp_path, rules=rules)
    assert (await house.push(await house.actor())).warnings == ("it has no readme",)
    house.close()


@pytest.mark.parametrize(
    "again",
    ["1.0.0", "1.0", "1.0.0.0", "01.0.0", "1.0.0+other"],
)
async def test_a_version_is_pushed_once_however_it_is_written(house: House, again: str) -> None:
    alice = await house.actor()
    first = make_nupkg(version="1.0.0")
    await house.publish.push(alice, house.spool(first), address=HERE)
    with pytest.raises(PackageExists):
        await house.push(alice, version=again, payload=b"other")
    assert [path.read_bytes() for path in house.files()] == [first]
    assert (await house.audited())[-1][2] == "refused"


@pytest.mark.parametrize(("first", "again"), [("1.0.0-RC.1", "1.0.0-rc.1"), ("1.0.0-rc", "1.0-RC+x")])
async def test_labels_that_differ_in_case_are_one_version(house: House, first: str, again: str) -> None:
    alice = await house.actor()
    await house.push(alice, version=first)
    with pytest.raises(PackageExists):
        await house.push(alice, "CONTOSO.utils", version=again)


async def test_each_version_keeps_the_casing_of_its_id(house: House) -> None:
    alice = await house.actor()
    await house.push(alice, "Contoso.Utils", "1.0.0")
    await house.push(alice, "CONTOSO.UTILS", "2.0.0")
    assert [each.manifest.id.text for each in await house.packages.of("contoso.utils")] == [
        "Contoso.Utils",
        "CONTOSO.UTILS",
    ]


async def test_the_first_push_sets_the_owner(house: House) -> None:
    alice, bob = await house.actor("alice"), await house.actor("bob")
    await house.push(alice)
    assert [owner.name for owner in await house.ownership.owners("contoso.utils")] == ["alice"]
    with pytest.raises(Forbidden):
        await house.push(bob, version="2.0.0")


async def test_two_pushes_of_a_new_id_do_not_share_it(house: House, other: House) -> None:
    """
    Both may push the id while it does not exist; the second one then finds an owner.
    """
    alice, bob = await house.actor("alice"), await house.actor("bob")
    for round_ in range(5):
        results = await asyncio.gather(
            house.push(alice, f"Contoso.N{round_}", "1.0.0"),
            other.push(bob, f"Contoso.N{round_}", "2.0.0"),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["Forbidden", "Pushed"]
        assert len(await house.ownership.owners(f"contoso.n{round_}")) == 1
        assert len(await house.packages.of(f"contoso.n{round_}")) == 1


async def test_pushes_succeed_while_accounts_change_constantly(house: House, other: House) -> None:
    """
    Forty new ids together from two processes, among as many account changes as possible.
    """
    alice = await house.actor("alice")
    pushing = True

    async def change() -> None:
        number = 0
        while pushing:
            number += 1
            await house.ownership.reserve(f"Else.N{number}.*", alice.account)  # type: ignore[arg-type]  # a user has one

    changing = asyncio.create_task(change())
    results = await asyncio.gather(
        *((house, other)[number % 2].push(alice, f"Contoso.N{number}") for number in range(40)), return_exceptions=True
    )
    pushing = False
    await changing
    assert [result for result in results if isinstance(result, BaseException)] == []
    assert len(await house.packages.ids()) == 40


@pytest.mark.parametrize("content", [b"", b"not a zip", make_nupkg()[:-30]])
async def test_a_file_that_is_not_a_package_is_refused(house: House, content: bytes) -> None:
    with pytest.raises(InvalidPackage):
        await house.publish.push(await house.actor(), house.spool(content), address=HERE)
    assert (house.files(), house.leftovers()) == ([], [])


async def test_a_signed_package_with_a_flipped_byte_is_refused(house: House) -> None:
    package = bytearray(make_nupkg(payload=b"x" * 1000, signed=True))
    package[package.index(b"x" * 100)] ^= 1
    with pytest.raises(InvalidPackage):
        await house.publish.push(await house.actor(), house.spool(bytes(package)), address=HERE)


async def test_a_public_id_cannot_be_shadowed_by_accident(house: House) -> None:
    with pytest.raises(Forbidden, match="protected"):
        await house.push(await house.actor(), "Newtonsoft.Json")
    assert (house.files(), house.leftovers()) == ([], [])
    assert await house.audited() == [("package.push", "Newtonsoft.Json 1.0.0", "refused")]


async def test_an_anonymous_client_pushes_nothing_and_fills_no_log(house: House) -> None:
    with pytest.raises(NotAuthenticated):
        await house.push(ANONYMOUS)
    assert (house.files(), await house.audited()) == ([], [])


async def test_a_failing_part_of_the_transaction_undoes_all(house: House) -> None:
    house.index.error = StorageUnavailable("full")
    with pytest.raises(StorageUnavailable):
        await house.push(await house.actor())
    assert not await house.packages.knows("contoso.utils")
    assert await house.events.after(0, 10) == ()
    assert await house.ownership.owners("contoso.utils") == ()
    assert await house.audited() == []


async def test_a_push_whose_file_vanished_is_not_entered(house: House) -> None:
    alice = await house.actor()
    commit = house.contents.commit

    def lose(key: Any, spool: Any) -> None:
        commit(key, spool)
        house.blobs.delete(key)

    house.contents.commit = lose  # type: ignore[method-assign]  # stands for a hand on the disk
    with pytest.raises(StorageUnavailable, match="vanished"):
        await house.push(alice)
    assert not await house.packages.knows("contoso.utils")


async def test_a_cancelled_caller_does_not_stop_the_push(house: House) -> None:
    """
    A complete upload is published, whether or not anyone still waits for the answer.
    """
    alice = await house.actor()
    pushing = asyncio.create_task(house.push(alice))
    await asyncio.sleep(0)
    pushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pushing
    await house.publish.close()
    assert await house.packages.find(ONE) is not None
    assert house.leftovers() == []


async def test_owners_that_change_meanwhile_are_judged_again(house: House) -> None:
    alice, bob = await house.actor("alice"), await house.actor("bob")
    await house.push(alice)
    assert bob.account is not None
    assert alice.account is not None
    await house.ownership.add_owner("contoso.utils", bob.account)
    submit, removed = house.database.submit, False

    def submit_late(work: Any) -> Any:
        nonlocal removed
        if not removed:
            removed = True
            submit(
                lambda transaction: transaction.change("DELETE FROM package_owners WHERE account_id = ?", (leaving,))
            )
        return submit(work)

    leaving = alice.account.account_id
    house.database.submit = submit_late  # type: ignore[method-assign]  # another process acts in between
    with pytest.raises(Forbidden):
        await house.push(alice, version="2.0.0")


# --- the log ----------------------------------------------------------------------------------------------------------


async def test_stamps_grow_when_a_clock_goes_backwards(house: House, other: House) -> None:
    """
    Two processes with different clocks, one of them set back in between: a cursor still misses nothing.
    """
    alice = await house.actor()
    other.now = NOON - 3600 * SECOND
    for number in range(10):
        await (house if number % 2 else other).push(alice, version=f"1.0.{number}")
    stamps = [item.stamp for item in await house.events.after(0, 100)]
    assert stamps == sorted(set(stamps))
    assert [item.version for item in await house.events.after(0, 100)] == [f"1.0.{number}" for number in range(10)]


@pytest.mark.parametrize("table", ["hosted_events", "hosted_pushes"])
async def test_the_log_is_not_rewritten(house: House, table: str) -> None:
    await house.push(await house.actor())
    for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET lower_id = 'x'"):

        def rewrite(transaction: Transaction, sql: str = sql) -> None:
            transaction.change(sql)

        with pytest.raises(ConstraintViolated):
            await house.database.write(rewrite)


@pytest.mark.parametrize("why", ["not an owner", "reserved", "outside", "exists", "anonymous"])
async def test_what_may_not_be_pushed_is_not_inspected(house: House, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """
    It is refused once its id and version are known: nothing is unpacked, and no rule is applied.
    """
    begun: list[str] = []
    run = INSPECTION.run

    async def counted(work: Any, *args: Any) -> Any:
        begun.append(work.__name__)
        return await run(work, *args)

    monkeypatch.setattr(INSPECTION, "run", counted)
    alice, bobby = await house.actor(), await house.actor("bobby")
    await house.push(alice)
    begun.clear()
    pushed: tuple[Actor, str, str] = {
        "not an owner": (bobby, "Contoso.Utils", "2.0.0"),
        "reserved": (bobby, "Contoso.Reserved", "1.0.0"),
        "outside": (alice, "Fabrikam.Utils", "1.0.0"),
        "exists": (alice, "Contoso.Utils", "1.0.0"),
        "anonymous": (ANONYMOUS, "Contoso.Utils", "2.0.0"),
    }[why]
    assert alice.account is not None
    await house.ownership.reserve("Contoso.Reserved", alice.account)
    with pytest.raises((Forbidden, IdReserved, PackageExists, NotAuthenticated)):
        await house.push(*pushed)
    assert begun == ["identify"] + ["refuse_symbols"] * (why == "exists")
    assert house.leftovers() == []
    await house.push(alice, "Contoso.Utils", "2.0.0")
    assert begun[-2:] == ["identify", "inspect"]
