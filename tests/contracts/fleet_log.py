"""The contract of a fleet's log. A subclass provides `log`, and `commit`, which commits a change."""

from nugetproxy.storage.fleet.log import Confirmation
from nugetproxy.storage.fleet.rules import Position
from nugetproxy.storage.revisions import Change

ONE, TWO = Change.of_hosting("contoso.one"), Change.of_accounts() | Change.of_hosting()


class FleetLogContract:
    async def test_there_always_is_a_newest_change(self, log):
        newest = await log.newest()

        assert newest.nonce != 0
        assert await log.oldest() <= newest.revision
        assert await log.since(newest) == []

    async def test_changes_are_read_in_order(self, log, commit):
        start = await log.newest()
        numbers = [await commit(change) for change in (ONE, TWO, ONE)]

        found = await log.since(start)
        assert [entry.change for entry in found] == [ONE, TWO, ONE]
        assert [entry.position.revision for entry in found] == numbers == sorted(set(numbers))
        assert found[-1].position == await log.newest()
        assert len({entry.position.nonce for entry in found}) == 3
        assert await log.since(found[1].position) == found[2:]

    async def test_a_log_without_what_is_known_says_so(self, log, commit):
        await commit(ONE)
        newest = await log.newest()

        assert await log.since(Position(newest.revision, newest.nonce + 1)) is None
        assert await log.since(Position(newest.revision + 1000, newest.nonce)) is None

    async def test_only_the_newest_change_is_confirmed(self, log, commit):
        old = await log.newest()
        await log.enter(5, "one", old, 0)
        number = await commit(ONE)
        assert await log.lagging(number, 0) == 1

        assert await log.confirm(5, 0, old) is Confirmation.BEHIND
        newest = await log.newest()
        assert await log.confirm(5, 0, Position(newest.revision, newest.nonce + 1)) is Confirmation.BEHIND
        assert await log.confirm(5, 0, newest) is Confirmation.ACCEPTED
        assert await log.lagging(number, 0) == 0
        assert await log.confirm(5, 1, newest) is Confirmation.ACCEPTED

    async def test_nobody_confirms_for_another(self, log):
        """
        A session that does not know how often it has confirmed is a copy of another.
        """
        newest = await log.newest()
        assert await log.confirm(5, 0, newest) is Confirmation.LOST
        await log.enter(5, "one", newest, 0)
        await log.confirm(5, 0, newest)

        assert await log.confirm(5, 0, newest) is Confirmation.LOST
        assert await log.confirm(5, 1, newest) is Confirmation.ACCEPTED

    async def test_a_node_that_was_given_up_is_not_waited_for_and_cannot_confirm(self, log, commit):
        old = await log.newest()
        await log.enter(5, "one", old, 0)
        await log.enter(6, "two", old, 0)
        number = await commit(ONE)
        await log.confirm(6, 0, await log.newest())

        assert (await log.lagging(number, 0), await log.lagging(number, 5)) == (1, 0)
        assert await log.give_up(number) == 1
        assert await log.lagging(number, 0) == 0
        assert await log.confirm(5, 0, await log.newest()) is Confirmation.LOST
        assert await log.confirm(6, 1, await log.newest()) is Confirmation.ACCEPTED

    async def test_a_node_enters_instead_of_itself_and_leaves(self, log, commit):
        old = await log.newest()
        await log.enter(5, "one", old, 0)
        await log.enter(6, "one", old, 5)
        number = await commit(ONE)

        assert await log.lagging(number, 0) == 1
        await log.leave(6)
        assert await log.lagging(number, 0) == 0
