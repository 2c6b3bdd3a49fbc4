"""A client that may not push, or not change an id, is refused before a byte of the body is read."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.accounts.model import Scope
from nugetproxy.executors.processes import ProcessExecutor
from nugetproxy.hosting.acts import MOST_PUSHES
from tests.builders import make_nupkg
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Got
from tests.flows.private_feed import House, hang_up, head, opened, read_answer

PUSH, SYMBOLS = "/api/v2/package", "/api/v2/symbolpackage"
DEPRECATE = "/api/v2/package/contoso.utils/deprecations"
LENGTH = 50_000_000
NO_SCOPE = "lacks the required scope: "
NOTHING = "can push nothing: "

# The owner of the key, its scopes and globs, the path, and the expected response.
REFUSED: dict[str, tuple[str, tuple[Scope, ...], tuple[str, ...], str, int, str]] = {
    "a key that reads": ("alice", (Scope.READ,), ("*",), PUSH, 403, NO_SCOPE + "push or push-version"),
    "a key that unlists": ("alice", (Scope.UNLIST,), ("*",), PUSH, 403, NO_SCOPE + "push or push-version"),
    "a key for ids that nobody may push": ("alice", (Scope.PUSH,), ("Nowhere.*",), PUSH, 403, NOTHING),
    "a key for new versions, of nothing": ("bob", (Scope.PUSH_VERSION,), ("*",), PUSH, 403, NOTHING),
    "symbols, a key that reads": ("alice", (Scope.READ,), ("*",), SYMBOLS, 403, NO_SCOPE + "push or push-version"),
    "symbols, an owner of nothing": ("bob", (Scope.PUSH,), ("*",), SYMBOLS, 403, NOTHING),
    "symbols, a key for other ids": ("alice", (Scope.PUSH,), ("Contoso.Other",), SYMBOLS, 403, NOTHING),
    "deprecation, a key that pushes": ("alice", (Scope.PUSH,), ("*",), DEPRECATE, 403, NO_SCOPE + "unlist"),
    "deprecation, not an owner": ("bob", (Scope.UNLIST,), ("*",), DEPRECATE, 403, "bob is not an owner"),
    "deprecation, a key for other ids": ("alice", (Scope.UNLIST,), ("Other",), DEPRECATE, 403, "does not cover"),
    "deprecation of what is not here": (
        "bob", (Scope.READ,), ("*",), DEPRECATE.replace("utils", "gone"), 404, "'contoso.gone' does not exist here",
    ),
}  # fmt: skip


async def sent(house: House, path: str, key: str, **headers: str) -> Got:
    """The response to the head alone: none of the body is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    try:
        lines = {"Host": "us", "X-NuGet-ApiKey": key, "Content-Length": str(LENGTH), **headers}
        writer.write(head("PUT", path, lines))
        async with asyncio.timeout(10):
            return await read_answer(reader)
    finally:
        await hang_up(writer)


@pytest.mark.parametrize("waits", [True, False], ids=["Expect", "sends"])
@pytest.mark.parametrize("who", REFUSED)
async def test_nothing_of_the_body_is_read(upstream: FakeUpstream, tmp_path: Path, who: str, waits: bool) -> None:
    owner, scopes, globs, path, status, words = REFUSED[who]
    async with opened(tmp_path, upstream, hosting={"max_package_size": LENGTH, "max_symbols_size": LENGTH}) as house:
        assert (await house.push("Contoso.Utils")).status == 201
        key = await house.key_of(owner, scopes, globs)
        more = {"Expect": "100-continue"} if waits else {}
        told = await sent(house, path, key, **more)
        assert (told.status, words in told.reason) == (status, True), told.reason
        assert house.leftovers() == []


async def test_a_refusal_is_in_the_audit_log(upstream: FakeUpstream, tmp_path: Path) -> None:
    async with opened(tmp_path, upstream) as house:
        told = await sent(house, PUSH, await house.key_of("bob", (Scope.READ,), name="ci"))
        [line] = await house.accounts.audit.latest(action="package.push")
        assert (line.actor, line.subject, line.result, line.detail) == (
            "bob/key ci", "any package", "refused", told.reason,
        )  # fmt: skip


@pytest.mark.processes
async def test_what_such_a_key_pushes_is_never_inspected(
    upstream: FakeUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    run = ProcessExecutor.run

    async def counted(self: ProcessExecutor, *work: Any) -> Any:
        begun.append(work)
        return await run(self, *work)

    monkeypatch.setattr(ProcessExecutor, "run", counted)
    async with opened(tmp_path, upstream) as house:
        for scopes, globs in (((Scope.READ,), ("*",)), ((Scope.PUSH,), ("Nowhere.*",))):
            told = await house.push(make_nupkg("Contoso.Utils"), key=await house.key_of("bob", scopes, globs))
            assert told.status == 403
        assert begun == []
        assert (await house.push("Contoso.Utils")).status == 201
        assert begun != []


async def test_a_full_queue_is_reported_before_the_body(upstream: FakeUpstream, tmp_path: Path) -> None:
    async with opened(tmp_path, upstream) as house:
        assert (await house.push("Contoso.Utils")).status == 201
        with ExitStack() as others:
            for _ in range(MOST_PUSHES):
                others.enter_context(house.hosting.queue.entered())
            for path in (PUSH, SYMBOLS):
                told = await sent(house, path, house.key)
                assert (told.status, told.headers["retry-after"]) == (503, "5")
                assert told.reason.startswith("the server is busy")
        assert (await house.push("Contoso.Utils", "2.0.0")).status == 201
