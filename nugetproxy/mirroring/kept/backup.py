"""
Backing up mirrored content: packages, documents and the inventory. All of it can be fetched again while the upstream
has it.
"""

from pathlib import Path

from nugetproxy.storage.backup.writing import BackupWriter
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.data_directory import IMPORTED, MIRROR
from nugetproxy.storage.database.opening import INVENTORY
from nugetproxy.storage.documents.strict import DATABASE


def back_up_mirror(data: Path, backup: BackupWriter) -> None:
    """Add the content kept in `data`, while more may be fetched. Raises StorageUnavailable."""
    for path in (INVENTORY, f"documents/{DATABASE}"):
        if (data / path).exists():
            backup.add_database(path)
    backup.add("upstreams.json")
    backup.add(IMPORTED)
    for blob in FilesystemBlobs(data / MIRROR).walk():
        backup.add(f"{MIRROR}/{blob.key}")
