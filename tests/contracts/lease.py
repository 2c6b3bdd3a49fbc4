"""The contract of leases. A subclass provides `leases` and `others`: the same leases, as seen by two processes."""

import asyncio
import inspect

import pytest


async def take(leases, key):
    """The lease, or None; those of one machine are taken without waiting."""
    taken = leases.try_hold(key)
    return await taken if inspect.isawaitable(taken) else taken


async def release(lease):
    released = lease.release()
    if released is not None:
        await released


class LeaseContract:
    async def test_one_holder_at_a_time(self, leases, others):
        lease = await take(leases, "a")
        assert lease is not None
        assert await take(leases, "a") is None
        assert await take(others, "a") is None
        await release(lease)

    async def test_another_key_is_another_lease(self, leases, others):
        one, two = await take(leases, "a"), await take(others, "b")

        assert (one.shared, two.shared) == (True, True)
        await release(one)
        await release(two)

    async def test_a_released_lease_can_be_acquired(self, leases, others):
        await release(await take(leases, "a"))

        lease = await take(others, "a")
        assert lease is not None
        await release(lease)

    async def test_a_second_release_does_not_affect_the_next_holder(self, leases, others):
        lease = await take(leases, "a")
        await release(lease)
        next_one = await take(others, "a")
        await release(lease)

        assert await take(leases, "a") is None
        await release(next_one)

    async def test_any_text_is_a_key(self, leases, others):
        for key in ("", "../../etc/passwd", "a\x00b", "é" * 5000):
            lease = await take(leases, key)
            assert await take(others, key) is None
            await release(lease)

    async def test_waiters_follow_one_after_another(self, leases, others):
        inside, most = 0, 0

        async def work(which):
            nonlocal inside, most
            async with which.hold("a"):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

        async with asyncio.timeout(10):
            await asyncio.gather(*(work(which) for which in (leases, others) * 6))

        assert (most, inside) == (1, 0)

    async def test_a_waiter_can_give_up(self, leases, others):
        async with leases.hold("a"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), others.hold("a"):
                    pytest.fail("held twice")
        lease = await take(others, "a")
        assert lease is not None
        await release(lease)

    async def test_an_exception_inside_releases_the_lease(self, leases, others):
        with pytest.raises(ValueError, match="broken"):
            async with leases.hold("a"):
                raise ValueError("broken")

        lease = await take(others, "a")
        assert lease is not None
        await release(lease)
