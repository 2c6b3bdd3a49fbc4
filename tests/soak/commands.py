"""`nugetproxy` commands on the server's data directory, and the person who runs them."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tests.serving import Server
from tests.soak.truth import Truth

SETTINGS: Final = """
[server]
hot_memory = "8 MB"
stop_timeout = "20s"
[storage]
documents_size = "20 MB"
[logs]
access = false
[feed]
protected_prefixes = ["Contoso."]
[mirroring]
search_timeout = "2s"
budget = "4 MB"
catalog_poll = "1s"
[mirroring.freshness.versions]
fresh = "5s"
[mirroring.freshness.registration]
fresh = "5s"
[[mirroring.upstream]]
name = "up"
service_index = "{url}"
head_timeout = "1s"
read_timeout = "1s"
patience = "2s"
breaker_probe = "500ms"
[[policy.rule]]
name = "no-copyleft"
action = "block"
ids = ["Risky.*"]
licences = ["GPL-3.0-only"]
[[policy.rule]]
name = "range"
action = "block"
ids = ["Risky.*"]
versions = "{range}"
because = "this is a soak"
"""

_RANGES: Final[dict[tuple[str, ...], str]] = {("1.",): "[1.0,2.0)", ("2.",): "[2.0,3.0)"}
FIRST_RANGE: Final = ("2.",)


def settings(url: str, withheld: tuple[str, ...] = FIRST_RANGE) -> str:
    return SETTINGS.format(url=url, range=_RANGES[withheld])


class Commands:
    def __init__(self, data: Path, config: Path, truth: Truth) -> None:
        self._options = ("--json", "--data", str(data), "--config", str(config))
        self._truth = truth

    async def run(self, *arguments: str, may_refuse: bool = False) -> Any:
        """What the command prints, as JSON. A failure is a finding, unless it `may_refuse` with exit code 1."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "nugetproxy", *arguments, *self._options,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, complaint = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        self._truth.counts[" ".join(arguments[:2])] += 1
        if process.returncode and not (may_refuse and process.returncode == 1):
            said = complaint.decode(errors="replace").strip() or out.decode(errors="replace").strip()
            self._truth.found(f"{' '.join(arguments)}: exit code {process.returncode}: {said}")
            return None
        return json.loads(out) if out else None


class Operator:
    """Changes the policy, evicts, verifies, pins, looks; and replaces workers while `may_replace`."""

    def __init__(
        self, server: Server, truth: Truth, commands: Commands, chance: random.Random, config: Path, url: str,
        *, may_kill: bool,
    ) -> None:  # fmt: skip
        self._server = server
        self._truth = truth
        self._commands = commands
        self._chance = chance
        self._config = config
        self._url = url
        self._may_kill = may_kill
        self.may_replace = True
        self._next: list[Callable[[], Awaitable[None]]] = []

    async def step(self) -> None:
        if not self._next:
            self._next = [self._allow, self._revoke, self._evict, self._evict_one, self._verify, self._pin, self._look]
            if self.may_replace:
                self._next += [self._reload] + [self._kill] * self._may_kill
            self._chance.shuffle(self._next)
        act = self._next.pop()
        if self.may_replace or act not in (self._reload, self._kill):
            await act()
        await asyncio.sleep(self._chance.uniform(0.1, 0.6))

    def _set_policy(self, **changes: Any) -> None:
        self._truth.policy.change(replace(self._truth.policy.now, **changes))

    async def _allow(self) -> None:
        withheld = sorted(
            (lower_id, version)
            for lower_id, state in self._truth.lists.items()
            for version in state.now
            if self._truth.policy.now.withholds((lower_id, version))
        )
        if withheld:
            package = self._chance.choice(withheld)
            self._set_policy(allowed=self._truth.policy.now.allowed | {package})
            await self._commands.run("policy", "allow", *package, "--until", "1d", "--because", "soak")
            self._truth.policy.settle()

    async def _revoke(self) -> None:
        allowed = sorted(self._truth.policy.now.allowed)
        if allowed:
            package = self._chance.choice(allowed)
            self._set_policy(allowed=self._truth.policy.now.allowed - {package})
            await self._commands.run("policy", "revoke", *package)
            self._truth.policy.settle()

    async def _reload(self) -> None:
        """SIGHUP with another range in the rule, until only new workers are left."""
        before = self._server.workers()
        withheld = self._chance.choice(sorted(_RANGES))
        self._config.write_text(settings(self._url, withheld))
        self._set_policy(range=withheld)
        os.kill(self._server.pid, signal.SIGHUP)
        deadline = time.monotonic() + 60
        while set(before) & set(self._server.workers()) or len(self._server.workers()) != len(before):
            if time.monotonic() > deadline:
                self._truth.found(f"a reload is not finished after 60 s: {before}, {self._server.workers()}")
                break
            await asyncio.sleep(0.05)
        self._truth.policy.settle()
        self._truth.counts["reloads"] += 1

    async def _kill(self) -> None:
        """kill -9 of one worker."""
        before = self._server.workers()
        self._truth.server_trouble.change(True)
        os.kill(self._chance.choice(before), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while len(set(self._server.workers()) - {0}) < len(before) or self._server.workers() == before:
            if time.monotonic() > deadline:
                self._truth.found("a killed worker is not replaced after 30 s")
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        self._truth.server_trouble.change(False)
        self._truth.server_trouble.settle()
        self._truth.counts["kills"] += 1

    async def _evict(self) -> None:
        size = self._chance.choice(("1 MB", "2 MB", "3 MB"))
        evicted = await self._commands.run("mirror", "evict", "--to", size, may_refuse=True)
        if evicted is not None:
            self._truth.counts["evicted by command"] += evicted["packages"]

    async def _evict_one(self) -> None:
        package = self._chance.choice(sorted(p for p in self._truth.digests if not self._truth.is_hosted(p[0])))
        await self._commands.run("mirror", "evict", *package, may_refuse=True)

    async def _verify(self) -> None:
        await self.verify()

    async def verify(self) -> Any:
        return await self._commands.run("mirror", "verify")

    async def _pin(self) -> None:
        package = self._chance.choice(sorted(p for p in self._truth.digests if not self._truth.is_hosted(p[0])))
        if await self._commands.run("mirror", "pin", *package, "--name", "soak", "--because", "soak") is not None:
            await self._commands.run("mirror", "unpin", *package, "--name", "soak")

    async def _look(self) -> None:
        await self._commands.run("mirror", "statistics")
        await self._commands.run("mirror", "list")
        lower_id = self._chance.choice([each for each in self._truth.lists if each.startswith("risky.")])
        await self._commands.run("explain", lower_id)
