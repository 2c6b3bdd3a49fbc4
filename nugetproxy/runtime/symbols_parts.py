"""The symbols of mirrored packages in the composition."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from nugetproxy.mirroring.symbols.mirrored_symbols import MirroredSymbols, SymbolServer
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
) -> MirroredSymbols:
    """`stack` closes it. `servers` by the name of the upstream, none offline."""
    symbols = MirroredSymbols(
        parts.symbols,
        parts.blobs,
        SpoolFolder(path / "spool", MemoryBudget(0), reserve),
        leases,
        servers,
        is_ours=care.is_ours,
        used=parts.last_use.note,
    )
    stack.push_async_callback(symbols.close)
    return symbols
