"""What every engine of the main database does: SQLite for one machine, PostgreSQL for a fleet.

Each test runs on both. Two databases that are opened on one place stand for two processes, or two nodes.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from nugetproxy.errors import ConstraintViolated, StorageUnavailable, TakesNoChanges
from nugetproxy.storage.database.base import Database, Fetch, Transaction
from nugetproxy.storage.database.holds import hold, prolong, release, require_no_hold
from nugetproxy.storage.database.sqlite import SqliteDatabase

Open = Callable[[], Database]
NAMES = "SELECT lower_name FROM accounts ORDER BY lower_name"


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Database]]:
    """Opens the same empty database again and again; all are closed in the end."""
    if request.param == "sqlite":
        once_more: Callable[..., Database] = partial(SqliteDatabase, tmp_path / "test.db", "main")
    else:
        postgres, name = request.getfixturevalue("postgres"), request.getfixturevalue("shared_database")
        from nugetproxy.storage.database.postgres import PostgresDatabase

        once_more = partial(PostgresDatabase, postgres.dsn(name))
    databases: list[Database] = []

    def open_it(**options: bool) -> Database:
        databases.append(once_more(**options))
        return databases[-1]

    yield open_it
    for each in databases:
        each.close()


@pytest.fixture
def opened(place: Callable[..., Database]) -> Open:
    return place


@pytest.fixture
def moving(place: Callable[..., Database]) -> Open:
    """As a command that moves a feed."""
    return lambda: place(always_writes=True)


@pytest.fixture
def database(opened: Open) -> Database:
    return opened()


def adding(name: str) -> Callable[[Transaction], int]:
    return lambda transaction: transaction.insert(
        "INSERT INTO accounts (name, lower_name, kind, created) VALUES (?, ?, 'user', 0)",
        (name, name),
        key="account_id",
    )


async def names(database: Database) -> list[str]:
    return [name for (name,) in await database.fetch(NAMES)]


# --- reading ----------------------------------------------------------------------------------------------------------


async def test_a_write_can_be_read_elsewhere_once_it_is_done(opened: Open) -> None:
    one, two = opened(), opened()
    await one.write(adding("a"))
    assert await names(two) == ["a"]


async def test_rows_are_tuples_of_plain_values(database: Database) -> None:
    """Numbers are int, also sums of them; bytes are bytes; what is missing is None."""
    await database.write(adding("a"))
    rows = await database.fetch(
        "SELECT account_id, name, disabled, (SELECT sum(created) FROM accounts), count(*) OVER () FROM accounts"
    )
    assert rows == [(1, "a", None, 0, 1)]
    assert [type(value) for value in rows[0]] == [int, str, type(None), int, int]
    assert type(rows[0]) is tuple


async def test_a_parameter_may_be_used_twice(database: Database) -> None:
    await database.write(lambda t: [adding(name)(t) for name in ("a", "b", "c")])
    rows = await database.fetch(
        "SELECT lower_name FROM accounts WHERE lower_name = ?2 OR (name = ?1 AND kind = ?3)", ("b", "a", "user")
    )
    assert sorted(rows) == [("a",), ("b",)]
    assert await database.fetch("SELECT count(*) FROM accounts WHERE name <> '?' AND name = ?", ("b",)) == [(1,)]


async def test_a_look_is_a_few_queries_of_one_piece_of_work(database: Database) -> None:
    await database.write(adding("a"))
    assert await database.look(lambda fetch: fetch(NAMES, ()) + fetch("SELECT count(*) FROM accounts", ())) == [
        ("a",),
        (1,),
    ]


async def test_one_read_sees_one_snapshot(opened: Open) -> None:
    database, other = opened(), opened()

    def work(fetch: Fetch) -> tuple[object, object]:
        before = fetch(NAMES, ())
        other.submit(adding("a")).result(10)
        return before, fetch(NAMES, ())

    assert await database.read(work) == ([], [])
    assert await names(database) == ["a"]


async def test_reads_run_beside_each_other(database: Database) -> None:
    together = threading.Barrier(3, timeout=20)
    await asyncio.gather(*(database.read(lambda fetch: (fetch("SELECT 1", ()), together.wait())) for _ in range(3)))


@pytest.mark.parametrize("how", ["fetch", "look", "read"])
async def test_nothing_is_written_by_reading(database: Database, how: str) -> None:
    await database.write(adding("a"))
    deleting = "DELETE FROM accounts"
    with pytest.raises(StorageUnavailable):
        await {
            "fetch": lambda: database.fetch(deleting),
            "look": lambda: database.look(lambda fetch: fetch(deleting, ())),
            "read": lambda: database.read(lambda fetch: fetch(deleting, ())),
        }[how]()
    assert await names(database) == ["a"]


async def test_a_cancelled_query_harms_no_other(database: Database) -> None:
    asked = [asyncio.create_task(database.fetch(NAMES)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in asked[::2]:
        task.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[1::2] == [[]] * 10
    assert await names(database) == []


# --- writing ----------------------------------------------------------------------------------------------------------


async def test_a_write_sees_what_it_has_changed(database: Database) -> None:
    def work(transaction: Transaction) -> tuple[int, int, int, list[tuple[object, ...]]]:
        numbers = adding("a")(transaction), adding("b")(transaction)
        changed = transaction.change("UPDATE accounts SET disabled = ?", (7,))
        transaction.change_many("UPDATE accounts SET created = ? WHERE lower_name = ?", [(1, "a"), (2, "b")])
        return (
            *numbers,
            changed,
            transaction.fetch("SELECT lower_name, disabled, created FROM accounts ORDER BY created"),
        )

    first, second, changed, rows = await database.write(work)
    assert second > first
    assert (changed, rows) == (2, [("a", 7, 1), ("b", 7, 2)])


async def test_changes_are_counted(database: Database) -> None:
    await database.write(lambda t: [adding(name)(t) for name in ("a", "b")])
    nothing = (
        "INSERT INTO accounts (name, lower_name, kind, created) VALUES ('A', 'a', 'user', 0) ON CONFLICT DO NOTHING"
    )
    counts = await database.write(
        lambda t: (
            t.change(nothing),
            t.change("UPDATE accounts SET disabled = 1 WHERE lower_name = ?", ("nobody",)),
            t.change("DELETE FROM accounts"),
        )
    )
    assert counts == (0, 0, 2)


async def test_one_failing_write_does_not_undo_its_neighbours(database: Database) -> None:
    results = await asyncio.gather(
        *(database.write(adding(name)) for name in ("a", "b", "a", "c")), return_exceptions=True
    )
    assert [type(result) for result in results].count(ConstraintViolated) == 1
    assert await names(database) == ["a", "b", "c"]


async def test_what_raises_writes_nothing(database: Database) -> None:
    def work(transaction: Transaction) -> None:
        adding("a")(transaction)
        raise KeyError("a failure of the caller's own")

    with pytest.raises(KeyError):
        await database.write(work)
    await database.write(adding("b"))
    assert await names(database) == ["b"]


@pytest.mark.parametrize(
    "breaking",
    [
        "INSERT INTO accounts (name, lower_name, kind, created) VALUES ('x', 'x', 'robot', 0)",
        "INSERT INTO accounts (name, lower_name, kind, created) VALUES ('x', NULL, 'user', 0)",
        "INSERT INTO members VALUES (99, 99, 'collaborator', 0)",
        "DELETE FROM audit_log",
        "UPDATE audit_log SET actor = 'nobody'",
    ],
)
async def test_the_rules_of_the_tables_are_kept(database: Database, breaking: str) -> None:
    await database.write(
        lambda t: t.change("INSERT INTO audit_log VALUES (1, 0, 'alice', 'push', 'a 1.0.0', '::1', 'done', '')")
    )
    with pytest.raises(ConstraintViolated):
        await database.write(lambda t: t.change(breaking))
    assert await names(database) == []
    assert await database.fetch("SELECT actor FROM audit_log") == [("alice",)]


async def test_values_that_cannot_be_stored_are_refused(database: Database) -> None:
    """The limits are those of 64 bits; an error says nothing of the value, which may be a secret."""
    adding_number = "INSERT INTO policy_seen VALUES ('a', ?, ?)"
    limits = (-(2**63), 2**63 - 1)
    await database.write(lambda t: t.change_many(adding_number, [(str(limit), limit) for limit in limits]))
    assert await database.fetch("SELECT at FROM policy_seen ORDER BY at") == [(limit,) for limit in limits]
    with pytest.raises(ConstraintViolated) as refused:
        await database.write(lambda t: t.change(adding_number, ("secret", 2**63)))
    assert "9223372036854775808" not in str(refused.value)


async def test_bytes_are_kept_as_they_are(database: Database) -> None:
    await database.write(adding("a"))
    every = bytes(range(256))
    insert = (
        "INSERT INTO api_keys (key_id, digest, name, owner_id, scopes, globs, created, expires)"
        " VALUES ('k', ?, ?, 1, '', '', 0, 0)"
    )
    await database.write(lambda t: t.change(insert, (every, "größer 🎉\r\n")))
    assert await database.fetch("SELECT digest, name FROM api_keys") == [(every, "größer 🎉\r\n")]


async def test_texts_are_compared_by_code_point(database: Database) -> None:
    """Not by a language: all engines and all machines list in one order."""
    unordered = ["ä", "a", "Z", "z", "_", "a-b", "aa", "😀", "\ufffd", "0"]
    await database.write(lambda t: [adding(name)(t) for name in unordered])
    assert await names(database) == sorted(unordered)


async def test_what_is_left_for_later_is_done_in_time_and_in_order(database: Database) -> None:
    add, delete = "INSERT INTO policy_seen VALUES (?, '', ?)", "DELETE FROM policy_seen WHERE at > ?"
    pin = "INSERT INTO policy_pins SELECT lower_id, lower_version, at FROM policy_seen WHERE at = ?"
    rows = "SELECT lower_id, at FROM policy_seen ORDER BY at"

    def work(transaction: Transaction) -> list[object]:
        transaction.change_later(add, ("a", 1))
        transaction.change_later("INSERT INTO policy_pins VALUES (?, '', ?)", ("z", 9))
        transaction.change_later(add, ("b", 2))
        seen: list[object] = [transaction.fetch(rows)]
        transaction.change_later(add, ("c", 3))
        transaction.change_later(pin, (3,))
        transaction.change_later(delete, (2,))
        seen.append(transaction.change(delete, (1,)))
        transaction.change_later(add, ("d", 4))
        return seen

    assert await database.write(work) == [[("a", 1), ("b", 2)], 1]
    assert await database.fetch(rows) == [("a", 1), ("d", 4)]
    assert await database.fetch("SELECT lower_id FROM policy_pins ORDER BY at") == [("c",), ("z",)]


async def test_what_is_left_for_later_may_fail_the_write(database: Database) -> None:
    def work(transaction: Transaction) -> str:
        adding("a")(transaction)
        transaction.change_later("INSERT INTO policy_seen VALUES ('a', '', 1)")
        transaction.change_later("INSERT INTO members VALUES (99, 99, 'collaborator', 0)")
        return "not reached in time"

    with pytest.raises(ConstraintViolated):
        await database.write(work)
    assert (await names(database), await database.fetch("SELECT 1 FROM policy_seen")) == ([], [])


async def test_queries_that_were_asked_ahead_see_changes_all_the_same(database: Database) -> None:
    seen = "SELECT at, lower_id FROM policy_seen WHERE at > ? ORDER BY at DESC"
    pins = "SELECT count(*) FROM policy_pins"
    empty = "SELECT digest, 1, 1 FROM api_keys WHERE name = ?"

    def work(transaction: Transaction) -> list[object]:
        transaction.fetch_ahead([(seen, (0,)), (pins, ()), (empty, ("k",))])
        assert transaction.fetch(empty, ("k",)) == []
        found: list[object] = [transaction.fetch(seen, (0,)), transaction.fetch(seen, (1,)), transaction.fetch(pins)]
        transaction.change_later("INSERT INTO policy_pins VALUES ('a', '', 1)")
        found += [transaction.fetch(seen, (0,)), transaction.fetch(pins)]
        transaction.change("UPDATE policy_seen SET at = at + 1")
        return [*found, transaction.fetch(seen, (0,))]

    await database.write(lambda t: t.change_many("INSERT INTO policy_seen VALUES (?, '', ?)", [("a", 1), ("b", 2)]))
    assert await database.write(work) == [
        [(2, "b"), (1, "a")], [(2, "b")], [(0,)], [(2, "b"), (1, "a")], [(1,)], [(3, "b"), (2, "a")],
    ]  # fmt: skip


async def test_a_single_statement_need_not_wait_for_other_writes(database: Database) -> None:
    """Only where writes wait for a server; SQLite has one writer."""
    goes_on = threading.Event()
    if database.dialect == "sqlite":
        goes_on.set()
    waiting = asyncio.create_task(database.write(lambda _: goes_on.wait(20)))
    async with asyncio.timeout(20):
        assert await database.change("INSERT INTO policy_seen VALUES (?, '', ?), ('b', '', 2)", ("a", 1)) == 2
        with pytest.raises(ConstraintViolated):
            await database.change("INSERT INTO policy_seen VALUES ('a', '', 1)")
    goes_on.set()
    await waiting
    assert await database.fetch("SELECT lower_id FROM policy_seen ORDER BY at") == [("a",), ("b",)]


# --- concurrency ------------------------------------------------------------------------------------------------------


async def test_no_two_writes_decide_on_the_same_past(opened: Open) -> None:
    """Each takes the number after the highest, from several processes at the same time: no gap, nothing twice."""
    databases = [opened() for _ in range(3)]

    def work(transaction: Transaction) -> int:
        [(highest,)] = transaction.fetch("SELECT coalesce(max(at), 0) FROM policy_seen")
        transaction.change("INSERT INTO policy_seen VALUES ('a', ?, ?)", (str(highest + 1), highest + 1))
        return int(highest) + 1

    taken = await asyncio.gather(*(database.write(work) for _ in range(15) for database in databases))
    assert sorted(taken) == list(range(1, 46))


async def test_two_writes_cannot_both_rely_on_the_other(opened: Open) -> None:
    """Write skew: each may leave while the other stays; they change different rows."""
    one, two = opened(), opened()

    def leaving(name: str) -> Callable[[Transaction], bool]:
        def work(transaction: Transaction) -> bool:
            [(here,)] = transaction.fetch("SELECT count(*) FROM accounts WHERE is_administrator = 1")
            time.sleep(0.01)
            if here > 1:
                transaction.change("UPDATE accounts SET is_administrator = 0 WHERE lower_name = ?", (name,))
            return bool(here > 1)

        return work

    await one.write(lambda t: [adding(name)(t) for name in ("a", "b")])
    for _ in range(5):
        await one.write(lambda t: t.change("UPDATE accounts SET is_administrator = 1"))
        assert sorted(await asyncio.gather(one.write(leaving("a")), two.write(leaving("b")))) == [False, True]


async def test_submitted_writes_keep_their_order(database: Database) -> None:
    futures = [
        database.submit(
            lambda t: t.insert(
                "INSERT INTO audit_log (at, actor, action, subject, address, result, detail)"
                " VALUES (0, '', '', '', '', '', '')",
                (),
                key="number",
            )
        )
        for _ in range(20)
    ]
    numbers = [future.result(20) for future in futures]
    assert numbers == sorted(numbers)


async def test_a_cancelled_write_that_has_not_begun_is_withdrawn(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        begun.set()
        go_on.wait(10)

    holding = asyncio.create_task(database.write(hold))
    await asyncio.to_thread(begun.wait, 10)
    leaving = asyncio.create_task(database.write(adding("left")))
    await asyncio.sleep(0)
    leaving.cancel()
    holding.cancel()
    await asyncio.gather(leaving, holding, return_exceptions=True)
    go_on.set()
    await database.write(adding("stayed"))
    assert await names(database) == ["stayed"]


# --- closing ----------------------------------------------------------------------------------------------------------


async def test_closing_finishes_what_was_submitted(opened: Open) -> None:
    database = opened()
    for number in range(50):
        database.submit(adding(f"id{number}"))
    database.close()
    assert len(await names(opened())) == 50


async def test_a_closed_database_says_so(opened: Open) -> None:
    database = opened()
    await database.fetch(NAMES)
    database.close()
    with pytest.raises(StorageUnavailable, match="is closed"):
        await database.fetch(NAMES)
    with pytest.raises(StorageUnavailable, match="is closed"):
        await database.look(lambda fetch: fetch(NAMES, ()))
    with pytest.raises(StorageUnavailable, match="is closed"):
        await database.read(lambda fetch: fetch(NAMES, ()))
    with pytest.raises(StorageUnavailable, match="is closed"):
        await asyncio.wait_for(database.write(adding("late")), 10)


# --- holds ------------------------------------------------------------------------------------------------------------


async def test_nothing_is_written_during_a_hold(opened: Open, moving: Open) -> None:
    """In any process, except by the command that made it; reads go on."""
    database, other, command = opened(), opened(), moving()
    await database.write(adding("a"))
    await command.write(lambda transaction: hold(transaction, 60, "it is being moved"))
    for each in (database, other):
        with pytest.raises(TakesNoChanges, match="no changes are accepted at the moment: it is being moved"):
            await each.write(adding("b"))
        with pytest.raises(TakesNoChanges):
            await each.look(lambda fetch: require_no_hold(fetch, database.dialect))
    await command.write(adding("c"))
    assert await names(database) == ["a", "c"]
    assert await command.write(lambda transaction: prolong(transaction, 60, "still"))
    await command.write(release)
    assert not await command.write(lambda transaction: prolong(transaction, 60, "still"))
    await database.write(adding("d"))
    await other.look(lambda fetch: require_no_hold(fetch, database.dialect))


async def test_a_hold_ends_by_itself(database: Database, moving: Open) -> None:
    await moving().write(lambda transaction: hold(transaction, 0.05, "it is being moved"))
    await asyncio.sleep(0.1)
    await database.write(adding("a"))


async def test_a_hold_begins_after_the_writes_before_it(opened: Open, moving: Open) -> None:
    """What a write has been doing for some time is seen once the hold is committed."""
    database, command, doing, go_on = opened(), moving(), threading.Event(), threading.Event()

    def slow(transaction: Transaction) -> None:
        adding("a")(transaction)
        doing.set()
        go_on.wait(10)

    writing = asyncio.create_task(database.write(slow))
    assert await asyncio.to_thread(doing.wait, 10)
    holding = asyncio.create_task(command.write(lambda transaction: hold(transaction, 60, "it is being moved")))
    done, _ = await asyncio.wait({holding}, timeout=0.2)
    assert not done
    go_on.set()
    await holding
    assert await names(command) == ["a"]
    await writing
