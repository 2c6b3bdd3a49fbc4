"""Failed logins: limited per name and address, and per address, without locking out correct credentials."""

import pytest

from nugetproxy.accounts.attempts import WIDTH, Attempts

FARM = "192.0.2.7"


def exhausted(per_minute: int = 3, address: str = FARM) -> Attempts:
    """Bob has no attempts left from this address."""
    attempts = Attempts(per_minute)
    for number in range(per_minute):
        attempts.failed(address, "bob", f"wrong{number}", 1, 0.0)
    return attempts


def test_failures_up_to_the_limit_are_free():
    attempts = Attempts(2)
    attempts.failed(FARM, "bob", "wrong", 1, 0.0)

    assert attempts.wait(FARM, "bob", "guess", 0.0) == 0


def test_then_an_address_waits_for_the_next():
    assert exhausted().wait(FARM, "bob", "guess", 0.0) == pytest.approx(20)


def test_the_wait_passes():
    assert exhausted().wait(FARM, "bob", "guess", 20.0) == 0


def test_other_addresses_do_not_wait():
    assert exhausted().wait("192.0.2.8", "bob", "guess", 0.0) == 0


def test_what_was_right_is_always_looked_at():
    """
    A build farm continues while a neighbour behind the same address guesses.
    """
    attempts = exhausted()
    attempts.succeeded("ci:right")

    assert attempts.wait(FARM, "bob", "ci:right", 0.0) == 0
    assert attempts.wait(FARM, "bob", "ci:other", 0.0) > 0


def test_until_they_are_wrong():
    attempts = exhausted()
    attempts.succeeded("ci:right")
    attempts.failed(FARM, "bob", "ci:right", 1, 0.0)

    assert attempts.wait(FARM, "bob", "ci:right", 0.0) > 0


def test_success_costs_nothing():
    attempts = Attempts(1)
    for _ in range(100):
        attempts.succeeded("ci:right")

    assert attempts.wait(FARM, "bob", "guess", 0.0) == 0


def test_one_ipv6_network_is_one_address():
    attempts = exhausted(address="2001:db8::1")

    assert attempts.wait("2001:db8::ffff", "bob", "guess", 0.0) > 0
    assert attempts.wait("2001:db8:0:1::1", "bob", "guess", 0.0) == 0


def test_an_ipv4_address_inside_ipv6_is_itself():
    assert exhausted(address="::ffff:192.0.2.7").wait(FARM, "bob", "guess", 0.0) > 0


def test_a_clock_that_stands_still_or_goes_back_restores_nothing():
    assert exhausted().wait(FARM, "bob", "guess", -1000.0) > 0


def test_no_limit():
    attempts = Attempts(0)
    for _ in range(1000):
        attempts.failed(FARM, "bob", "wrong", 1, 0.0)

    assert attempts.wait(FARM, "bob", "guess", 0.0) == 0


def test_an_invalid_address_is_used_as_a_name():
    assert exhausted(address="unix").wait("unix", "bob", "guess", 0.0) > 0


def test_memory_is_bounded():
    attempts = Attempts(1)
    for number in range(60_000):
        attempts.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "bob", "wrong", 1, 0.0)
        attempts.succeeded(str(number))

    assert len(attempts._buckets) <= 50_000
    assert len(attempts._right) <= 20_000


def test_it_keeps_no_secret():
    attempts = Attempts(1)
    attempts.succeeded("alice:hunter2hunter2")

    assert "hunter2" not in repr(vars(attempts))


def sprayed(per_minute: int = 3, names: int = WIDTH) -> Attempts:
    """This many names have no attempts left from the farm."""
    attempts = Attempts(per_minute)
    for name in range(names):
        for number in range(per_minute):
            attempts.failed(FARM, f"name{name}", f"wrong{name}.{number}", 1, 0.0)
    return attempts


@pytest.mark.parametrize("names", [1, 2, WIDTH - 1])
def test_broken_neighbours_lock_nobody_else_out(names):
    """
    Also when nothing was ever right: after a restart, and in each new worker.
    """
    assert sprayed(names=names).wait(FARM, "alice", "alice:right", 0.0) == 0


def test_who_tries_many_names_uses_up_the_address():
    attempts = sprayed()

    assert attempts.wait(FARM, "alice", "alice:guess", 0.0) == pytest.approx(2)
    assert attempts.wait(FARM, "alice", "alice:guess", 2.0) == 0
    assert attempts.wait("192.0.2.8", "alice", "alice:guess", 0.0) == 0


def test_one_name_never_uses_more_than_its_share():
    """
    Unchecked attempts do not count: however often a broken agent tries, its name uses one share of the address.
    """
    attempts, taken = Attempts(3), 0
    for number in range(10_000):
        now = number * 60 / 10_000
        if not attempts.wait(FARM, "bob", f"wrong{number}", now):
            attempts.failed(FARM, "bob", f"wrong{number}", 1, now)
            taken += 1

    assert taken <= 2 * 3
    assert attempts.wait(FARM, "alice", "alice:right", 60.0) == 0


@pytest.mark.parametrize("name", ["BOB", "Bob"])
def test_a_name_in_any_case_is_the_same(name):
    assert exhausted().wait(FARM, name, "guess", 0.0) > 0


def test_a_name_that_is_too_long_is_not_remembered_whole():
    attempts = Attempts(1)
    attempts.failed(FARM, "x" * 5000, "wrong", 1, 0.0)

    assert max(len(name or "") for _, name in attempts._buckets) < 100


def test_wrong_credentials_stay_wrong_until_accounts_change():
    attempts = exhausted()

    assert attempts.is_wrong("wrong1", 1)
    assert not attempts.is_wrong("wrong1", 2)
    assert not attempts.is_wrong("guess", 1)


def test_or_until_they_are_right():
    attempts = exhausted()
    attempts.succeeded("wrong1")

    assert not attempts.is_wrong("wrong1", 1)


def test_the_same_wrong_credentials_again_count_little():
    """
    After every change of accounts the wrong ones are checked again; a busy day must not use up a farm's limit.
    """
    attempts = Attempts(per_minute=5)
    for revision in range(18):
        attempts.failed("10.0.0.1", "bob", "bob:typo", revision, 0.0)
    assert attempts.wait("10.0.0.1", "bob", "bob:right", 0.0) == 0

    for guess in range(5):
        attempts.failed("10.0.0.1", "bob", f"bob:guess{guess}", 18, 0.0)
    assert attempts.wait("10.0.0.1", "bob", "bob:another", 0.0) > 0
