"""What a follower asks for, in which order, and what the processes of its node are told."""

import asyncio

import pytest

from nugetproxy.metrics import FLEET_CHANGES_LOST
from nugetproxy.storage.fleet.follower import Follower
from nugetproxy.storage.fleet.log import Entry
from nugetproxy.storage.fleet.revisions import FleetRevisions
from nugetproxy.storage.fleet.rules import Position, Timing
from nugetproxy.storage.fleet.standing import Standing
from nugetproxy.storage.revisions import ANYTHING, Change
from tests.fakes.fleet_log import FakeFleetLog, FakeTables, Network
from tests.fakes.virtual_time import run_in_virtual_time

ONE, TWO = Change.of_hosting("contoso.one"), Change.of_accounts()
TIMING = Timing()


class Setting:
    def __init__(self, tables: FakeTables | None = None) -> None:
        self.tables = tables or FakeTables()
        self.network = Network()
        self.log = FakeFleetLog(self.tables, self.network)
        loop = asyncio.get_running_loop()
        self.standing = Standing(None, lambda: int((1000 + loop.time()) * 1e9))
        self.bumped: list[Change] = []
        self.losses = 0
        self.follower = Follower(
            self.log, self.standing, self.bumped.append, "one", TIMING, went_back=self._went_back
        )  # fmt: skip
        self.following = asyncio.create_task(self.follower.follow())

    def _went_back(self) -> None:
        self.losses += 1

    def revisions(self) -> FleetRevisions:
        return FleetRevisions(None, self.standing, self.log, lambda _, change: self.tables.commit(change), TIMING)

    async def after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @property
    def row(self):
        [row] = self.tables.nodes.values()
        return row


def in_virtual_time(test):
    """Run a test that is a coroutine function, with the time that it waits skipped."""

    def run():
        run_in_virtual_time(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@in_virtual_time
async def test_it_enters_before_it_confirms():
    """
    A writer that did not find the node in the table had committed before the confirmation.
    """
    setting = Setting()
    await setting.after(0.1)

    assert setting.log.calls == ["newest", "enter", "confirm"]
    assert (setting.bumped, setting.standing.may_remember()) == ([ANYTHING], True)


@in_virtual_time
async def test_the_right_counts_from_before_the_confirmation_was_sent():
    """
    What the database did not find then may have been committed while its answer was on the way.
    """
    setting = Setting()
    await setting.after(0.1)
    setting.network.delay = 1.5
    sent = setting.standing.now() + 0.9
    await setting.after(0.9 + 3 * 1.5 + 0.1)

    assert setting.standing.until == pytest.approx(sent + TIMING.right)


@in_virtual_time
async def test_a_quiet_fleet_costs_one_question_a_second():
    setting = Setting()
    await setting.after(0.1)
    setting.log.calls.clear()
    await setting.after(10)

    assert setting.log.calls == ["confirm"] * 10
    assert setting.standing.may_remember()


@in_virtual_time
async def test_it_tidies_every_few_minutes():
    setting = Setting()
    await setting.after(1000)

    assert setting.log.calls.count("tidy") == 3


@in_virtual_time
async def test_a_hint_brings_a_change_at_once():
    setting = Setting()
    await setting.after(0.1)
    setting.tables.commit(ONE)
    setting.tables.commit(TWO)
    setting.follower.hint()
    await setting.after(0.01)

    assert setting.bumped == [ANYTHING, ONE, TWO]
    assert setting.row.confirmed == 2


@in_virtual_time
async def test_without_hints_it_is_seen_with_the_next_beat():
    setting = Setting()
    await setting.after(0.1)
    setting.tables.commit(ONE)
    await setting.after(TIMING.beat)

    assert setting.bumped == [ANYTHING, ONE]


@in_virtual_time
async def test_lost_commits_outdate_everything_and_are_reported():
    before = FLEET_CHANGES_LOST._value.get()
    setting = Setting()
    for change in (ONE, TWO, ONE):
        setting.tables.commit(change)
    await setting.after(0.1)
    setting.tables.lose(2)
    setting.tables.commit(TWO)  # with the number of one that was lost
    await setting.after(TIMING.beat)

    assert (setting.bumped, setting.losses) == ([ANYTHING, ANYTHING], 1)
    assert FLEET_CHANGES_LOST._value.get() == before + 1
    assert setting.standing.position == setting.tables.newest


@in_virtual_time
async def test_lost_commits_are_reported_even_if_there_are_newer_ones():
    """
    After a crash, the numbers of PostgreSQL leap.
    """
    setting = Setting()
    for change in (ONE, TWO):
        setting.tables.commit(change)
    await setting.after(0.1)
    setting.tables.lose(1)
    setting.tables.entries.append(Entry(Position(33, 5), TWO))
    await setting.after(TIMING.beat)

    assert (setting.bumped, setting.losses) == ([ANYTHING, ANYTHING], 1)


@in_virtual_time
async def test_changes_that_were_removed_as_old_are_no_loss():
    setting = Setting()
    await setting.after(0.1)
    setting.tables.commit(ONE)
    setting.tables.commit(TWO)
    del setting.tables.entries[:2]
    await setting.after(TIMING.beat)

    assert (setting.bumped, setting.losses) == ([ANYTHING, ANYTHING], 0)


@in_virtual_time
async def test_a_node_that_was_given_up_enters_again():
    setting = Setting()
    await setting.after(0.1)
    first = setting.standing.session
    await setting.log.give_up(1)
    assert not setting.row.is_waited_for
    await setting.after(TIMING.beat)

    assert setting.standing.session not in (first, 0)
    assert setting.row.is_waited_for
    assert setting.bumped == [ANYTHING]  # nothing was missed


@in_virtual_time
async def test_it_leaves_when_it_ends():
    setting = Setting()
    await setting.after(0.1)
    setting.following.cancel()
    await asyncio.gather(setting.following, return_exceptions=True)

    assert (setting.tables.nodes, setting.standing.may_remember()) == ({}, False)


@in_virtual_time
async def test_without_a_database_memory_lasts_for_the_outage_and_no_longer():
    setting = Setting()
    await setting.after(0.1)
    setting.network.is_cut = True
    remembered = []
    for _ in range(int(TIMING.outage) + 5):
        await setting.after(1)
        remembered.append(setting.standing.may_remember())

    assert (remembered[60], remembered[-1]) == (True, False)
    assert remembered.index(False) == int(TIMING.outage) - 1 - int(TIMING.beat) + 1
    setting.network.is_cut = False
    await setting.after(TIMING.beat)
    assert setting.standing.may_remember()


@in_virtual_time
async def test_a_node_that_learned_that_it_was_given_up_uses_nothing_it_remembers_while_it_is_cut_off():
    """
    There was a change that it does not know, and its writer was told that nobody answers from before it.
    """
    setting = Setting()
    await setting.after(0.1)
    enter = setting.log.enter

    async def cut_off(*given):
        setting.network.is_cut = True
        await enter(*given)

    setting.log.enter = cut_off  # type: ignore[method-assign]
    setting.tables.commit(ONE)
    await setting.log.give_up(1)
    await setting.after(TIMING.beat)
    remembered = []
    for _ in range(10):
        await setting.after(1)
        remembered.append(setting.standing.may_remember())

    assert not any(remembered)


@in_virtual_time
async def test_a_node_that_was_stopped_is_not_cut_off():
    """
    Its attempt fails because it did not see the answer in time. Meanwhile a writer has waited for it in vain.
    """
    setting = Setting()
    await setting.after(0.1)
    setting.network.is_cut, setting.network.delay = True, TIMING.wait  # as if its clock had jumped
    await setting.after(TIMING.beat + TIMING.wait)
    remembered = setting.standing.may_remember()
    setting.network.is_cut, setting.network.delay = False, 0.0
    await setting.after(TIMING.beat)

    assert (remembered, setting.standing.may_remember()) == (False, True)


@in_virtual_time
async def test_a_bug_is_no_excuse_and_no_end():
    """
    The database can be asked meanwhile, so what is remembered is used for as long as the right lasts, and no longer.
    """
    setting = Setting()
    await setting.after(0.1)
    confirm = setting.log.confirm

    async def broken(*_):
        raise ValueError("a bug")

    setting.log.confirm = broken  # type: ignore[method-assign]
    await setting.after(TIMING.right + TIMING.beat)
    remembered = setting.standing.may_remember()
    setting.log.confirm = confirm  # type: ignore[method-assign]
    await setting.after(TIMING.beat)

    assert (remembered, setting.standing.may_remember()) == (False, True)


@in_virtual_time
async def test_counters_never_repeat_while_nothing_may_be_remembered():
    setting = Setting()
    revisions = setting.revisions()
    values = [revisions.accounts, revisions.accounts, revisions.hosting, revisions.hosting]
    values += [revisions.of_package("a"), revisions.of_package("a")]
    assert len({-1, *values}) == 7  # caches begin with -1
    await setting.after(0.1)

    assert (revisions.accounts, revisions.hosting, revisions.of_package("a")) == (0, 0, 0)
    assert revisions.may_remember()


@pytest.mark.parametrize(("is_killed", "expected"), [(False, 0.5), (True, 5.1)])
def test_a_writer_waits_for_the_others(is_killed, expected):
    async def waiting():
        writer, other = Setting(), Setting()
        other.log._tables = writer.tables
        await writer.after(0.1)
        other.network.is_cut = is_killed
        loop, revisions = asyncio.get_running_loop(), writer.revisions()
        began = loop.time()
        number = writer.tables.commit(ONE)
        asyncio.get_running_loop().call_later(0.2, other.follower.hint)
        await revisions.seen_everywhere(number)
        took = loop.time() - began
        await revisions.seen_everywhere(number)  # nobody is waited for twice
        return took, loop.time() - began - took

    first, second = run_in_virtual_time(waiting())
    assert 0.2 <= first <= expected
    assert (first > 4.9) == is_killed
    assert second < 0.1
