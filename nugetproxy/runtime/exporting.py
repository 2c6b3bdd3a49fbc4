"""Exporting a bundle from a data directory, beside the servers that use it.

Puts together the content, the choice of what travels, and the target. Hosted packages are the part of `hosting`.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import nugetproxy
from nugetproxy.config import Config
from nugetproxy.errors import InvalidRequest, StorageUnavailable
from nugetproxy.hosting.carried import carried_packages
from nugetproxy.mirroring.bundle import kept_documents, kept_packages, kept_symbols
from nugetproxy.mirroring.bundle.base import Base
from nugetproxy.mirroring.bundle.describing import Descriptions
from nugetproxy.mirroring.bundle.head import Head, Holds
from nugetproxy.mirroring.bundle.kept_documents import KeptDocuments
from nugetproxy.mirroring.bundle.kept_packages import KeptPackages
from nugetproxy.mirroring.bundle.kept_symbols import KeptSymbolFiles
from nugetproxy.mirroring.bundle.record import new_id, next_bundle
from nugetproxy.mirroring.bundle.signature import PrivateKey
from nugetproxy.mirroring.bundle.target import Target
from nugetproxy.mirroring.bundle.writing import Draft, Source
from nugetproxy.mirroring.care.leases import EVICTION
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.inventory import open_ledger
from nugetproxy.mirroring.kept.pins import ALL_VERSIONS, Pins
from nugetproxy.mirroring.kept.symbols import KeptSymbols
from nugetproxy.nuget.globs import any_glob_matches
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.runtime import hosted_content
from nugetproxy.runtime.hosted_content import HostedContent
from nugetproxy.runtime.known_upstreams import every_upstream
from nugetproxy.runtime.opened_stores import opened_main
from nugetproxy.storage import occupants
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.data_directory import MIRROR
from nugetproxy.storage.database.opening import INVENTORY, can_write
from nugetproxy.storage.documents.snapshot import documents_snapshot
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.occupants import Occupant


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to travel. `wanted` are the mirrored packages, None for all that are kept.

    Hosted packages travel if they match `holds.hosted`; if `hosted` is not None, only those of it. `symbols`: also the
    PDBs of the mirrored packages, as far as they are kept.
    """

    holds: Holds
    wanted: frozenset[PackageIdentity] | None = None
    hosted: frozenset[PackageIdentity] | None = None
    symbols: bool = False

    def with_hosted(self, globs: tuple[str, ...]) -> "Choice":
        """The same, with the hosted packages that match."""
        return replace(self, holds=replace(self.holds, hosted=globs))

    @property
    def left_out(self) -> list[PackageIdentity]:
        """Hosted packages that are wanted, but do not match."""
        hosted = sorted(self.hosted or (), key=lambda package: (package.lower_id, package.version))
        return [package for package in hosted if not any_glob_matches(self.holds.hosted, package.lower_id)]


@dataclass(frozen=True, slots=True)
class Exported:
    """The result. `files` are the files written, none for a pipe."""

    head: Head
    files: list[Path] = field(default_factory=list)


EVERYTHING: Final = Choice(Holds("everything"))


class Export:
    """An export from the data directory of `config`, whose upstreams are those that filled it.

    While it is open, no process evicts packages: what is chosen stays until it is written. To be entered once.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._data = Path(config.storage.path)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Export":
        """Raises StorageUnavailable."""
        async with self._stack as stack:
            if not can_write(self._data):
                raise StorageUnavailable(
                    f"{self._data} cannot be written by this user, so its bundles cannot be numbered: run this as the"
                    " server's user"
                )
            who = Occupant("export", nugetproxy.__version__, os.getpid())
            stack.callback(occupants.enter(self._data, who).leave)
            await stack.enter_async_context(Leases(self._data / "locks").hold(EVICTION))
            database = open_ledger(self._data / INVENTORY)
            stack.callback(database.close)
            self._database, self._files, self._pins = database, KeptFiles(database), Pins(database)
            if self._config.storage.kind == "shared":
                self._pins = Pins(stack.enter_context(opened_main(self._config, self._data)).database)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def pinned(self, name: str) -> Choice:
        """What is pinned under a name. Raises InvalidRequest if nothing is, StorageUnavailable."""
        known = await self._pins.all()
        pins = [pin for pin in known if pin.name == name]
        if not pins:
            names = ", ".join(sorted({pin.name for pin in known})) or "none"
            raise InvalidRequest(f"nothing is pinned under the name {name!r}; names of pins: {names}")
        wanted = {(pin.lower_id, pin.lower_version) for pin in pins if pin.lower_version != ALL_VERSIONS}
        whole = {pin.lower_id for pin in pins if pin.lower_version == ALL_VERSIONS}
        if whole:
            wanted.update((lower_id, version) for _, lower_id, version in self._files.all_keys() if lower_id in whole)
        packages = frozenset(PackageIdentity.parse(lower_id, version) for lower_id, version in wanted)
        return Choice(Holds("pinned", (name,)), packages)

    def packages(self, choice: Choice) -> frozenset[PackageIdentity]:
        """The packages of a choice that the inventory knows. Raises StorageUnavailable."""
        if choice.wanted is not None:
            return choice.wanted
        return frozenset(PackageIdentity.parse(lower_id, version) for _, lower_id, version in self._files.all_keys())

    async def write(
        self,
        choice: Choice,
        key: PrivateKey,
        target: Target,
        base: Base | None = None,
        *,
        verdicts: Mapping[PackageIdentity, str] | None = None,
        advanced: Callable[[int, int], None] = lambda _size, _total: None,
        created: str | None = None,
    ) -> Exported:
        """Write a bundle. Blocks. `verdicts` are those of the policy, `created` its time, by default now.

        `advanced` is called with the size of each piece of content and that of all content, in bytes.

        Raises DamagedContent naming kept files that are damaged or missing, StorageUnavailable, InvalidBundle for the
        base.
        """
        upstreams = every_upstream(self._config)
        hosted = await self._hosted(choice) if choice.holds.hosted else None
        ids = None if choice.wanted is None else {package.id for package in choice.wanted}
        with documents_snapshot(self._data / "documents") as snapshot:
            documents = KeptDocuments(snapshot, upstreams, ids)
            blobs, describe = FilesystemBlobs(self._data / MIRROR), Descriptions(documents, verdicts or {}).of
            packages = KeptPackages(self._files, blobs, tuple(upstreams), choice.wanted, describe)
            with ExitStack() as stack:
                sources = [Source(kept_documents.KINDS, documents), Source(kept_packages.KINDS, packages)]
                if hosted is not None:
                    sources.insert(1, Source(hosted_content.KINDS, hosted))
                if choice.symbols:
                    rows = KeptSymbols(self._database)
                    kept = KeptSymbolFiles(rows, blobs, tuple(upstreams), choice.wanted)
                    sources.append(Source(kept_symbols.KINDS, kept))
                draft = stack.enter_context(closing(Draft(sources, base)))
                record = next_bundle(self._data)
                manifest_size, manifest_sha512 = draft.described()
                head = Head(
                    bundle=new_id(),
                    created=created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    tool=f"nugetproxy {nugetproxy.__version__}",
                    source=record.source,
                    key=key.fingerprint,
                    sequence=record.sequence,
                    since=None if base is None else base.since,
                    holds=choice.holds,
                    upstreams=upstreams,
                    counts=draft.counts,
                    size=draft.size,
                    manifest_size=manifest_size,
                    manifest_sha512=manifest_sha512,
                    format=draft.format,
                )
                draft.write(head, key, target, lambda size: advanced(size, head.size))
        return Exported(head, target.finish())

    async def _hosted(self, choice: Choice) -> HostedContent:
        """Raises StorageUnavailable."""
        shared = self._config if self._config.storage.kind == "shared" else None
        with opened_main(shared, self._data, reading=True) as stores:
            packages = await stores.database.read(carried_packages)
            return HostedContent(packages, stores.hosted, choice.holds.hosted, choice.hosted)
