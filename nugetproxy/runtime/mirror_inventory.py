"""What a mirror has, for the sender of its next bundle."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson

import nugetproxy
from nugetproxy.config import Config
from nugetproxy.mirroring.bundle.held import BESIDE, INVENTORY_FORMAT, INVENTORY_FORMAT_WITH_SYMBOLS
from nugetproxy.mirroring.bundle.kept_documents import KeptDocuments
from nugetproxy.mirroring.bundle.kept_packages import KeptPackages
from nugetproxy.mirroring.bundle.kept_symbols import KeptSymbolFiles
from nugetproxy.mirroring.bundle.record import new_id
from nugetproxy.mirroring.bundle.target import Target
from nugetproxy.mirroring.bundle.writing import Problems
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.inventory import open_ledger
from nugetproxy.mirroring.kept.symbols import KeptSymbols
from nugetproxy.runtime.known_upstreams import every_upstream
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.data_directory import MIRROR
from nugetproxy.storage.database.opening import INVENTORY, can_write
from nugetproxy.storage.documents.snapshot import documents_snapshot


def write_inventory(config: Config, target: Target) -> int:
    """Write a line for each package, document and PDB; returns the number of packages. Blocks.

    Files that cannot be right are left out. Raises StorageUnavailable.
    """
    data = Path(config.storage.path)
    upstreams = every_upstream(config)
    packages = 0
    read_only = not can_write(data) or not (data / INVENTORY).exists()
    with closing(open_ledger(data / INVENTORY, read_only=read_only)) as database:
        rows = KeptSymbols(database)
        with_symbols = next(rows.all_kept(), None) is not None
        target.write(orjson.dumps(_first_line(with_symbols=with_symbols)) + b"\n")
        with documents_snapshot(data / "documents") as snapshot:
            documents = KeptDocuments(snapshot, upstreams, None)
            for entry in documents.entries(Problems()):
                target.write(entry.to_line())
        blobs, names = FilesystemBlobs(data / MIRROR), tuple(upstreams)
        kept = KeptPackages(KeptFiles(database), blobs, names, None, lambda _upstream, _package: ("", None, ""))
        for entry in kept.entries(Problems()):
            if entry.kind not in BESIDE:
                target.write(entry.to_line())
                packages += 1
        for entry in KeptSymbolFiles(rows, blobs, names, None).entries(Problems()):
            target.write(entry.to_line())
    return packages


def _first_line(*, with_symbols: bool) -> dict[str, object]:
    return {
        "inventory": new_id(),
        "format": INVENTORY_FORMAT_WITH_SYMBOLS if with_symbols else INVENTORY_FORMAT,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tool": f"nugetproxy {nugetproxy.__version__}",
    }
