"""Who sends a request: keys, passwords, what is remembered of them, and how many may be tried."""

import asyncio
import json
from collections import Counter

import pytest

from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.permissions import CREDENTIALS_NEEDED, KEY_REFUSED
from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.web.requests.authentication import Gate
from tests.builders import make_nupkg
from tests.flows.mirror import Got
from tests.flows.private_feed import (
    EVERYTHING,
    PUSH,
    House,
    basic,
    hang_up,
    head,
    opened,
    opened_with_lane,
    read_answer,
)

CLOSED = {"accounts": {"anonymous_read": "none"}}
FEW = {"accounts": {"anonymous_read": "none", "failed_logins_per_minute": 3}}
INDEX = "/v3/index.json"
PASSWORD = "correct horse"


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the directory was asked to identify a client."""
    counts: Counter[str] = Counter()
    by_key, by_password = Directory.actor_by_key, Directory.actor_by_password

    def counted_key(self, text, now):
        counts["key"] += 1
        return by_key(self, text, now)

    async def counted_password(self, name, password):
        counts["password"] += 1
        return await by_password(self, name, password)

    monkeypatch.setattr(Directory, "actor_by_key", counted_key)
    monkeypatch.setattr(Directory, "actor_by_password", counted_password)
    return counts


async def status(house: House, headers: dict[str, str], path: str = INDEX) -> int:
    return (await house.get(path, headers)).status


class TestWho:
    async def test_a_password_and_a_key_as_password_and_a_key_header_read(self, upstream, tmp_path):
        async with opened(tmp_path, upstream, **CLOSED) as house:
            await house.accounts.directory.set_password("bob", PASSWORD)
            key = await house.key_of("carol", name="ci")
            for headers in (
                basic("bob", PASSWORD), basic("BOB", PASSWORD), basic("carol", key), basic("whoever", key),
                basic("", key), {"X-NuGet-ApiKey": key},
                {"Authorization": basic("bob", PASSWORD)["Authorization"].replace("Basic", "bASIC")},
                # A source with a password needs an arbitrary text as key to push at all.
                basic("bob", PASSWORD) | {"X-NuGet-ApiKey": "any text"},
            ):  # fmt: skip
                assert await status(house, headers) == 200, headers

    @pytest.mark.parametrize(
        "authorization",
        ["Basic", "Basic ", "Basic !!!", "Basic Ym9i", "Basic /w==", "Bearer abc", "Negotiate abc", "x" * 5000,
         basic("bob", "wrong")["Authorization"], basic("nobody", PASSWORD)["Authorization"],
         basic("bob", "")["Authorization"], basic("", "")["Authorization"], basic("bob", "\0é" * 9)["Authorization"]],
    )  # fmt: skip
    async def test_anything_else_is_asked_for_basic(self, upstream, tmp_path, authorization):
        async with opened(tmp_path, upstream, **CLOSED) as house:
            await house.accounts.directory.set_password("bob", PASSWORD)
            told = await house.get(INDEX, {"Authorization": authorization})
            assert (told.status, told.headers["www-authenticate"]) == (401, 'Basic realm="nugetproxy"')

    async def test_a_dead_key_is_not_tried_as_a_password(self, upstream, tmp_path, looked_up):
        async with opened(tmp_path, upstream, **CLOSED) as house:
            key = await house.key_of("bob", name="ci")
            await house.accounts.directory.set_password("bob", key)
            await house.accounts.directory.revoke_key("ci")
            assert await status(house, basic("bob", key)) == 401
            assert looked_up == {"key": 1}

    async def test_a_disabled_user_and_an_expired_key_do_not_read(self, upstream, tmp_path):
        async with opened(tmp_path, upstream, **CLOSED) as house:
            await house.accounts.directory.set_password("bob", PASSWORD)
            key = await house.key_of("carol", days=2 / 86_400)
            assert await status(house, basic("x", key)) == 200
            assert await status(house, basic("bob", PASSWORD)) == 200
            await house.accounts.directory.disable("bob")
            assert await status(house, basic("bob", PASSWORD)) == 401
            async with asyncio.timeout(10):
                while await status(house, basic("x", key)) == 200:
                    await asyncio.sleep(0.05)
            assert await status(house, {"X-NuGet-ApiKey": key}) == 403

    async def test_an_expired_key_is_not_remembered_beyond_its_expiry(self, upstream, tmp_path):
        async with opened_with_lane(tmp_path, upstream, **CLOSED) as house:
            key = await house.key_of("carol", days=3 / 86_400)
            assert [await status(house, basic("x", key)) for _ in range(3)] == [200] * 3
            async with asyncio.timeout(10):
                while await status(house, basic("x", key)) == 200:
                    await asyncio.sleep(0.05)


class TestLearned:
    async def test_reading_again_costs_no_look_up(self, upstream, tmp_path, looked_up):
        """
        In the lane and behind it: the directory is asked once for each kind of credentials.
        """
        upstream.add_package("Public", "1.0.0")
        async with opened_with_lane(tmp_path, upstream, **CLOSED) as house:
            await house.accounts.directory.set_password("bob", PASSWORD)
            key = await house.key_of("carol")
            for headers in (basic("bob", PASSWORD), basic("x", key)) * 10:
                assert await status(house, headers) == 200
                assert await status(house, headers, "/v3/flatcontainer/public/index.json") == 200
                assert await status(house, headers, "/v3/query?q=public") == 200
            assert looked_up == {"password": 1, "key": 1}

    async def test_simultaneous_requests_of_one_user_cost_one_look_up(self, upstream, tmp_path, looked_up):
        async with opened(tmp_path, upstream, **CLOSED) as house:
            await house.accounts.directory.set_password("bob", PASSWORD)
            answers = await asyncio.gather(*(status(house, basic("bob", PASSWORD)) for _ in range(30)))
            assert set(answers) == {200}
            assert looked_up["password"] == 1

    async def test_simultaneous_requests_with_one_key_cost_a_look_up(self, upstream, tmp_path, looked_up, monkeypatch):
        """
        Also where the database is across a network, so that a look-up takes its time.
        """
        look = SqliteDatabase.look

        async def slow(self, work):
            await asyncio.sleep(0.02)
            return await look(self, work)

        async with opened(tmp_path, upstream, **CLOSED) as house:
            key = await house.key_of("carol")
            monkeypatch.setattr(SqliteDatabase, "look", slow)
            for expected in ({"key": 1}, {"key": 2}):
                answers = await asyncio.gather(*(status(house, basic("x", key)) for _ in range(30)))
                assert (set(answers), looked_up) == ({200}, expected)
                await house.accounts.directory.add_user(f"user{expected['key']}")

    async def test_a_revoked_key_is_forgotten_immediately(self, upstream, tmp_path):
        """
        Responses are hot and go through the lane; the request after the revocation is refused.
        """
        async with opened_with_lane(tmp_path, upstream, **CLOSED) as house:
            made, key = await house.new_key("carol")
            for _ in range(3):
                assert await status(house, basic("x", key)) == 200
            await house.accounts.directory.revoke_key(made.key_id)
            assert await status(house, basic("x", key)) == 401
            assert await status(house, {"X-NuGet-ApiKey": key}) == 403

    async def test_a_changed_password_is_forgotten_immediately(self, upstream, tmp_path):
        async with opened_with_lane(tmp_path, upstream, **CLOSED) as house:
            await house.accounts.directory.set_password("bob", PASSWORD)
            assert await status(house, basic("bob", PASSWORD)) == 200
            await house.accounts.directory.set_password("bob", "another one")
            assert await status(house, basic("bob", PASSWORD)) == 401

    async def test_what_was_wrong_is_looked_at_again_when_accounts_change(self, upstream, tmp_path, looked_up):
        """
        A hundred agents with an old password cost one hash, and are admitted as soon as it is their password again.
        """
        async with opened_with_lane(tmp_path, upstream, **FEW) as house:
            answers = await asyncio.gather(*(status(house, basic("bob", PASSWORD)) for _ in range(30)))
            assert set(answers) == {401}
            assert looked_up["password"] == 1
            await house.accounts.directory.set_password("bob", PASSWORD)
            assert await status(house, basic("bob", PASSWORD)) == 200


class TestAttempts:
    async def test_wrong_passwords_run_out(self, upstream, tmp_path, looked_up):
        async with opened(tmp_path, upstream, **FEW) as house:
            told = [await house.get(INDEX, basic("bob", f"wrong {n}")) for n in range(5)]
            assert [each.status for each in told] == [401, 401, 401, 429, 429]
            assert 1 <= int(told[-1].headers["retry-after"]) <= 60
            assert looked_up["password"] == 3

    async def test_simultaneous_guesses_do_not_bypass_the_limit(self, upstream, tmp_path, looked_up):
        async with opened(tmp_path, upstream, **FEW) as house:
            told = await asyncio.gather(*(status(house, basic("bob", f"wrong {n}")) for n in range(60)))
            assert Counter(told) == {401: 3, 429: 57}
            assert looked_up["password"] == 3

    async def test_a_build_farm_behind_the_same_address_is_not_locked_out(self, upstream, tmp_path):
        """
        Passwords that were right before, those of other users, and all keys still work, even keys never used before.
        """
        async with opened(tmp_path, upstream, **FEW) as house:
            await house.accounts.directory.set_password("bob", PASSWORD)
            await house.accounts.directory.set_password("carol", PASSWORD)
            assert await status(house, basic("bob", PASSWORD)) == 200
            for n in range(6):
                await house.get(INDEX, basic("bob", f"wrong {n}"))
            assert await status(house, basic("carol", PASSWORD)) == 200
            key = await house.key_of("carol")  # and everything that was remembered is dropped
            assert await status(house, basic("bob", PASSWORD)) == 200
            assert await status(house, basic("x", key)) == 200
            assert (await house.push(key=house.key)).status == 201

    async def test_requests_without_credentials_do_not_count(self, upstream, tmp_path):
        async with opened(tmp_path, upstream, **FEW) as house:
            await house.accounts.directory.set_password("bob", PASSWORD)
            for _ in range(20):
                assert await status(house, {}) == 401
            assert await status(house, basic("bob", PASSWORD)) == 200

    async def test_a_client_that_has_no_credentials_tries_nothing(self, upstream, tmp_path, looked_up):
        """
        When challenged, the SDK and nuget.exe send an empty name and password. They are told that credentials are
        missing, not wrong, and nothing is looked up or counted.
        """
        async with opened(tmp_path, upstream, **FEW) as house:
            for _ in range(20):
                got = await house.get(INDEX, basic("", ""))
                assert (got.status, got.reason) == (401, CREDENTIALS_NEEDED)
            assert await status(house, basic("", "") | {"X-NuGet-ApiKey": house.key}) == 200
            got = await house.send("PUT", PUSH, key="any text", headers=basic("", ""))
            assert (got.status, got.reason) == (403, KEY_REFUSED)
            assert "password" not in looked_up

    async def test_wrong_keys_run_out_too(self, upstream, tmp_path):
        async with opened(tmp_path, upstream, **FEW) as house:
            wrong = house.key[:-1] + ("a" if house.key[-1] != "a" else "b")
            told = [(await house.push(key=text)).status for text in (wrong, "x", "y", "z", wrong)]
            assert told == [403, 403, 403, 429, 429]
            assert (await house.push()).status == 201


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("nobody", [{}, basic("", "")], ids=["nothing", "empty"])
async def test_private_hot_answers_are_refused_in_the_lane(upstream, tmp_path, monkeypatch, method, nobody):
    """
    With the same response as before it was hot, and the connection stays open.
    """
    passed = Counter[str]()
    reader_of = Gate.reader

    async def counted(self, request, address, *, hosted):
        passed[request.path] += 1
        return await reader_of(self, request, address, hosted=hosted)

    monkeypatch.setattr(Gate, "reader", counted)
    async with opened_with_lane(tmp_path, upstream, **CLOSED) as house:
        cold = await house.send(method, INDEX, key="", headers=nobody)
        for _ in range(2):
            assert await status(house, basic("x", house.key)) == 200
        before = passed[INDEX]
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        for _ in range(3):
            writer.write(head(method, INDEX, {"Host": f"127.0.0.1:{house.port}", **nobody}))
            hot = await read_answer(reader, is_head=method == "HEAD")
            assert (hot.status, hot.reason) == (401, CREDENTIALS_NEEDED)
            assert _lasting(hot) == _lasting(cold)
        writer.write(head(method, INDEX, {"Host": f"127.0.0.1:{house.port}", **basic("x", house.key)}))
        assert (await read_answer(reader, is_head=method == "HEAD")).status == 200
        await hang_up(writer)
        assert passed[INDEX] == before
        assert await status(house, basic("x", "wrong password")) == 401
        assert passed[INDEX] == before + 1


def _lasting(got: Got) -> tuple[object, ...]:
    """What does not change from one response to the next."""
    of_request = ("date", "x-request-id", "connection")
    headers = {name: value for name, value in got.headers.items() if name not in of_request}
    told = json.loads(got.body)["error"] if got.body else None
    return got.status, got.reason, headers, told


async def test_a_key_header_wins_over_basic(upstream, tmp_path):
    async with opened(tmp_path, upstream) as house:
        await house.accounts.directory.set_password("alice", PASSWORD)
        read_only = await house.key_of("alice", (EVERYTHING[1],))
        told = await house.send(
            "PUT", "/api/v2/package", key=read_only, headers=basic("alice", PASSWORD), body=b"x" * 9
        )
        assert told.status == 403
        assert "lacks the required scope: push or push-version" in told.reason


async def test_a_password_pushes(upstream, tmp_path):
    async with opened(tmp_path, upstream) as house:
        await house.accounts.directory.set_password("bob", PASSWORD)
        headers = basic("bob", PASSWORD)
        assert (await house.send("PUT", "/api/v2/package", key="", headers=headers, body=make_nupkg())).status == 201
        assert [owner.name for owner in await house.accounts.ownership.owners("contoso.utils")] == ["bob"]
