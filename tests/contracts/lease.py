"""The contract of leases. A subclass provides `leases` and `others`: the same leases, as seen by two processes."""

import asyncio

import pytest


class LeaseContract:
    def test_one_holder_at_a_time(self, leases, others):
        with leases.try_hold("a"):
            assert leases.try_hold("a") is None
            assert others.try_hold("a") is None

    def test_another_key_is_another_lease(self, leases, others):
        with leases.try_hold("a"), others.try_hold("b") as lease:
            assert lease.shared

    def test_a_released_lease_can_be_acquired(self, leases, others):
        leases.try_hold("a").release()

        with others.try_hold("a") as lease:
            assert lease is not None

    def test_a_second_release_does_not_affect_the_next_holder(self, leases, others):
        lease = leases.try_hold("a")
        lease.release()
        with others.try_hold("a"):
            lease.release()
            assert leases.try_hold("a") is None

    def test_any_text_is_a_key(self, leases, others):
        for key in ("", "../../etc/passwd", "a\x00b", "é" * 5000):
            with leases.try_hold(key):
                assert others.try_hold(key) is None

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
        with others.try_hold("a") as lease:
            assert lease is not None

    async def test_an_exception_inside_releases_the_lease(self, leases, others):
        with pytest.raises(ValueError, match="broken"):
            async with leases.hold("a"):
                raise ValueError("broken")

        with others.try_hold("a") as lease:
            assert lease is not None
