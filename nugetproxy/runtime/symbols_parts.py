"""The symbols of mirrored packages in the composition."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from nugetproxy.mirroring.downloads.sharing import FleetPackages
from nugetproxy.mirroring.symbols.mirrored_symbols import ABSENT_SECONDS, MirroredSymbols, SymbolServer
from nugetproxy.mirroring.symbols.shared_symbols import FleetSymbols
from nugetproxy.runtime.care_parts import KeptParts
from nugetproxy.services import CareServices
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.reserve import Reserve
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder


def symbols_over(
    path: Path,
    parts: KeptParts,
    care: CareServices,
    servers: Mapping[str, SymbolServer],
    leases: Leases,
    reserve: Reserve,
    stack: AsyncExitStack,
    shared: FleetPackages | None,
) -> MirroredSymbols:
    """`stack` closes it. `servers` by the name of the upstream, none offline. `shared` are the packages of a fleet."""
    fleet = None
    if shared is not None:
        fleet = FleetSymbols(shared.rows, shared.bucket, shared.leases, shared.threads, ABSENT_SECONDS)
    symbols = MirroredSymbols(
        parts.symbols,
        parts.blobs,
        SpoolFolder(path / "spool", MemoryBudget(0), reserve),
        leases,
        servers,
        is_ours=care.is_ours,
        used=parts.last_use.note,
        shared=fleet,
    )
    stack.push_async_callback(symbols.close)
    return symbols
