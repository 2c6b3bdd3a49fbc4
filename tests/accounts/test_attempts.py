"""Failed log-ins: bounded for an address, without locking anybody out who is right."""

import pytest

from nugetproxy.accounts.attempts import Attempts

FARM = "192.0.2.7"


def exhausted(per_minute: int = 3, address: str = FARM) -> Attempts:
    attempts = Attempts(per_minute)
    for number in range(per_minute):
        attempts.failed(address, f"wrong{number}", 0.0)
    return attempts


def test_failures_up_to_the_limit_are_free():
    attempts = Attempts(2)
    attempts.failed(FARM, "wrong", 0.0)

    assert attempts.wait(FARM, "guess", 0.0) == 0


def test_then_an_address_waits_for_the_next():
    assert exhausted().wait(FARM, "guess", 0.0) == pytest.approx(20)


def test_the_wait_passes():
    assert exhausted().wait(FARM, "guess", 20.0) == 0


def test_other_addresses_do_not_wait():
    assert exhausted().wait("192.0.2.8", "guess", 0.0) == 0


def test_what_was_right_is_always_looked_at():
    """
    A build farm goes on while a neighbour behind the same address guesses.
    """
    attempts = exhausted()
    attempts.succeeded("ci:right")

    assert attempts.wait(FARM, "ci:right", 0.0) == 0
    assert attempts.wait(FARM, "ci:other", 0.0) > 0


def test_until_it_is_wrong():
    attempts = exhausted()
    attempts.succeeded("ci:right")
    attempts.failed(FARM, "ci:right", 0.0)

    assert attempts.wait(FARM, "ci:right", 0.0) > 0


def test_success_costs_nothing():
    attempts = Attempts(1)
    for _ in range(100):
        attempts.succeeded("ci:right")

    assert attempts.wait(FARM, "guess", 0.0) == 0


def test_one_ipv6_network_is_one_address():
    attempts = exhausted(address="2001:db8::1")

    assert attempts.wait("2001:db8::ffff", "guess", 0.0) > 0
    assert attempts.wait("2001:db8:0:1::1", "guess", 0.0) == 0


def test_an_ipv4_address_inside_ipv6_is_itself():
    assert exhausted(address="::ffff:192.0.2.7").wait(FARM, "guess", 0.0) > 0


def test_a_clock_that_stands_still_or_goes_back_gives_nothing():
    assert exhausted().wait(FARM, "guess", -1000.0) > 0


def test_no_limit():
    attempts = Attempts(0)
    for _ in range(1000):
        attempts.failed(FARM, "wrong", 0.0)

    assert attempts.wait(FARM, "guess", 0.0) == 0


def test_an_address_that_is_none_is_a_name():
    assert exhausted(address="unix").wait("unix", "guess", 0.0) > 0


def test_memory_is_bounded():
    attempts = Attempts(1)
    for number in range(60_000):
        attempts.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "wrong", 0.0)
        attempts.succeeded(str(number))

    assert len(attempts._buckets) <= 50_000
    assert len(attempts._right) <= 20_000


def test_it_keeps_no_secret():
    attempts = Attempts(1)
    attempts.succeeded("alice:hunter2hunter2")

    assert "hunter2" not in repr(vars(attempts))


def test_the_same_wrong_credentials_again_count_little():
    """
    One restore with a wrong password sends it some eighteen times; two of them must not use up a farm's minute.
    """
    attempts = Attempts(per_minute=5)
    for _ in range(18):
        attempts.failed("10.0.0.1", "bob:typo", 0.0)
    assert attempts.wait("10.0.0.1", "alice:right", 0.0) == 0

    for guess in range(5):
        attempts.failed("10.0.0.1", f"bob:guess{guess}", 0.0)
    assert attempts.wait("10.0.0.1", "bob:another", 0.0) > 0
