"""Clients of a fleet: each sends one request after another to nodes at random, and notes what it was told."""

import asyncio
import base64
import contextlib
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final

from tests.builders import make_nupkg
from tests.flows.mirror import Got
from tests.flows.private_feed import head, read_answer
from tests.soak.fleet.history import Act, Seen, Step
from tests.soak.fleet.nodes import Node

PATIENCE: Final = 4.0
"""Seconds until a client gives up."""

VERSIONS: Final = ("1.0.0", "1.1.0", "2.0.0")
_SIZES: Final = (500, 20_000, 150_000)


@dataclass
class Notes:
    """What all clients of a round noted."""

    steps: dict[str, list[Step]] = field(default_factory=lambda: defaultdict(list))
    """By register."""
    findings: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    contents: dict[str, str] = field(default_factory=dict)
    """By SHA-256, what each package that was ever pushed is called."""

    def found(self, what: str) -> None:
        self.findings.append(what)


@dataclass(frozen=True)
class Stage:
    """What the clients of a round work on."""

    ids: tuple[str, ...]
    nodes: list[Node]
    key: str
    """Of an administrator, always valid."""
    volatile: dict[str, str]
    """Keys that may be revoked, by register."""


class Client:
    """`step` does one thing. Every package that it pushes has other bytes."""

    def __init__(self, name: str, stage: Stage, notes: Notes, chance: random.Random) -> None:
        self._name = name
        self._stage = stage
        self._notes = notes
        self._chance = chance
        self._pushed = 0

    async def step(self) -> None:
        chance, package_id = self._chance, self._chance.choice(self._stage.ids)
        node, version = chance.choice(self._stage.nodes), chance.choice(VERSIONS)
        what = chance.random()
        if what < 0.15:
            await self.push(node, package_id, version)
        elif what < 0.32:
            act = chance.choice((Act.UNLIST, Act.UNLIST, Act.RELIST))
            await self._change(node, act, package_id, chance.choice((VERSIONS[0], version)))
        elif what < 0.38:
            await self._change(node, Act.DELETE, package_id, version)
        elif what < 0.48 and self._stage.volatile:
            await self._use_key(node, chance.choice(sorted(self._stage.volatile)), package_id)
        else:
            await chance.choice((self.read_list, self.read_registration, self.read_search, self._read_content))(
                node, package_id, version
            )

    async def push(self, node: Node, package_id: str, version: str) -> bool:
        """Whether it was acknowledged."""
        self._pushed += 1
        content = f"{self._name}.{self._pushed}"
        seed = f"{package_id} {version} {content}".encode()
        package = make_nupkg(package_id, version, payload=hashlib.shake_128(seed).digest(self._chance.choice(_SIZES)))
        self._notes.contents[hashlib.sha256(package).hexdigest()] = content
        change = Step(Act.PUSH, monotonic(), content=content, node=node.name)
        return await self._sent(node, change, "PUT", "/api/v2/package/", package_id, version, package, {201})

    async def read_everything(self, node: Node, package_id: str) -> bool:
        """Everything about an id, as it must be readable without faults. Whether it was."""
        done = [await read(node, package_id, "") for read in (self.read_list, self.read_registration, self.read_search)]
        return all([*done, *[await self._read_content(node, package_id, version) for version in VERSIONS]])

    async def read_list(self, node: Node, package_id: str, _: str) -> bool:
        path = f"/v3/flatcontainer/{package_id.lower()}/index.json"
        return await self._read(node, path, package_id, lambda got: _of_list(got.json["versions"]))

    async def read_registration(self, node: Node, package_id: str, _: str) -> bool:
        path = f"/v3/registration-gz-semver2/{package_id.lower()}/index.json"
        return await self._read(node, path, package_id, _of_registration)

    async def read_search(self, node: Node, package_id: str, _: str) -> bool:
        path = f"/v3/query?q=packageid:{package_id.lower()}&prerelease=true&semVerLevel=2.0.0"
        return await self._read(node, path, package_id, _of_search)

    async def _read_content(self, node: Node, package_id: str, version: str) -> bool:
        lower = package_id.lower()
        path = f"/v3/flatcontainer/{lower}/{version}/{lower}.{version}.nupkg"

        def seen(got: Got) -> dict[str, Seen]:
            content = self._notes.contents.get(hashlib.sha256(got.body).hexdigest())
            if content is None:
                self._notes.found(f"{node.name} {path}: {len(got.body)} bytes that nobody pushed")
            return {version: Seen(is_there=True, content=content)}

        return await self._read(node, path, package_id, seen, (version,))

    async def _use_key(self, node: Node, register: str, package_id: str) -> None:
        """Read with a key that may be revoked, as a password or as a header, which is always looked up."""
        key, begun = self._stage.volatile[register], monotonic()
        is_exact = self._chance.random() < 0.3
        headers = {"X-NuGet-ApiKey": key} if is_exact else _basic(key)
        got = await self._ask(node, "GET", f"/v3/flatcontainer/{package_id.lower()}/index.json", headers)
        if got is None or got.status == 503:
            return
        if got.status not in (200, 404, 401, 403):
            self._notes.found(f"{node.name}: a key was answered with {got.status} {got.reason}")
            return
        works = got.status in (200, 404)
        self._note(node, register, Step(Act.READ, begun, seen=Seen(is_there=works), is_exact=is_exact, note="key"))

    async def _change(self, node: Node, act: Act, package_id: str, version: str) -> None:
        method = "POST" if act is Act.RELIST else "DELETE"
        path = f"/api/v2/package/{package_id}/{version}"
        if act is Act.DELETE:
            path += "?Type=HardDelete&AllowReuse=true"
        change = Step(act, monotonic(), node=node.name)
        await self._sent(node, change, method, path, package_id, version, b"", {200, 204})

    async def _sent(
        self, node: Node, change: Step, method: str, path: str, package_id: str, version: str, body: bytes,
        done: set[int],
    ) -> bool:  # fmt: skip
        register = f"{package_id} {version}"
        got = await self._ask(node, method, path, {"X-NuGet-ApiKey": self._stage.key}, body)
        if got is not None and got.status in done:
            self._note(node, register, change)
            self._notes.counts[f"acknowledged: {change.act.value}"] += 1
            return True
        if got is not None and got.status in (404, 409):
            is_there = got.status == 409
            if is_there != (change.act is Act.PUSH):
                self._notes.found(f"{node.name}: {change} was answered with {got.status} {got.reason}")
            refused = f"refused to {change.act.value}"
            why = Step(Act.READ, change.begun, seen=Seen(is_there), is_exact=True, note=refused)
            self._note(node, register, why)
            return False
        if got is not None and got.status != 503:
            self._notes.found(f"{node.name}: {change} was answered with {got.status} {got.reason}")
        self._notes.counts[f"unknown: {change.act.value}"] += 1
        self._notes.steps[register].append(change)
        return False

    async def _read(
        self, node: Node, path: str, package_id: str, seen: Callable[[Got], dict[str, Seen]],
        about: Iterable[str] = VERSIONS,
    ) -> bool:  # fmt: skip
        begun = monotonic()
        got = await self._ask(node, "GET", path, _basic(self._stage.key))
        if got is None or got.status == 503:
            return False
        if got.status not in (200, 404):
            self._notes.found(f"{node.name}: {path} was answered with {got.status} {got.reason}")
            return False
        known = seen(got) if got.status == 200 else {}
        absent = Seen(is_listed=False) if "/query" in path else Seen(is_there=False)
        for version in about:
            what = path.split("/")[2].split("?")[0]
            step = Step(Act.READ, begun, seen=known.get(version, absent), note=what)
            self._note(node, f"{package_id} {version}", step)
        self._notes.counts["reads"] += 1
        return True

    def _note(self, node: Node, register: str, step: Step) -> None:
        """A step that has ended just now."""
        ended = monotonic()
        is_memory = step.act is Act.READ and not step.is_exact
        outdated = node.outdated(step.begun, ended) if is_memory else 0.0
        self._notes.steps[register].append(replace(step, ended=ended, node=node.name, outdated=outdated))

    async def _ask(self, node: Node, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Got | None:
        """The answer; None without one. Each request has its own connection: nothing sends it a second time."""
        lines = {"Host": "fleet.example", **headers, **({"Content-Length": str(len(body))} if method != "GET" else {})}
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", node.from_clients.port)
                try:
                    writer.write(head(method, path, lines) + body)
                    return await read_answer(reader)
                finally:
                    writer.transport.abort()
        self._notes.counts["no answer"] += 1
        await asyncio.sleep(0.02)
        return None


def _basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"key:{key}".encode()).decode()}


def _of_list(versions: Iterable[str]) -> dict[str, Seen]:
    return {version: Seen(is_there=True) for version in versions}


def _of_registration(got: Got) -> dict[str, Seen]:
    leaves = [leaf["catalogEntry"] for page in got.json["items"] for leaf in page["items"]]
    return {leaf["version"]: Seen(is_there=True, is_listed=leaf["listed"]) for leaf in leaves}


def _of_search(got: Got) -> dict[str, Seen]:
    return {each["version"]: Seen(is_listed=True) for hit in got.json["data"] for each in hit["versions"]}
