"""Which bundles were imported into a data directory: no older one is accepted, and a delta needs its base.

One small file, replaced as a whole. It outlives the inventory, which can be rebuilt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from nugetproxy.errors import BundleRefused, StorageUnavailable
from nugetproxy.mirroring.bundle.head import Head
from nugetproxy.storage.data_directory import IMPORTED
from nugetproxy.storage.private_files import replace_private


@dataclass(frozen=True, slots=True)
class ImportedBundle:
    """One import. `bundle`, `source` and `sequence` as in `Head`; `key` is the fingerprint of the key that signed.

    `created` as in `Head`, `imported` in unix seconds; `manifest_sha512` in base64. `packages` and `documents` are the
    numbers of those that were new here.
    """

    bundle: str
    source: str
    sequence: int
    key: str
    created: str
    imported: int
    manifest_sha512: str
    packages: int
    documents: int


def read_imported(data: Path) -> list[ImportedBundle]:
    """The imports of a data directory, oldest first. Blocks; raises StorageUnavailable if they cannot be read."""
    path = data / IMPORTED
    try:
        return [ImportedBundle(**each) for each in orjson.loads(path.read_bytes())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise StorageUnavailable(f"{path} cannot be read: {error}; restore it, or move it away") from error


def newest_created(data: Path) -> float:
    """When the newest of the imported bundles was created, in unix seconds; 0 if there is none.

    Blocks; raises StorageUnavailable.
    """
    newest = max((each.created for each in read_imported(data)), default="")
    return datetime.fromisoformat(newest).timestamp() if newest else 0.0


def note_imported(data: Path, bundle: ImportedBundle) -> None:
    """Add one, unless it was imported before. Raises StorageUnavailable."""
    before = read_imported(data)
    if bundle.bundle not in {each.bundle for each in before}:
        replace_private(data / IMPORTED, orjson.dumps([*before, bundle], option=orjson.OPT_INDENT_2))


def refuse_out_of_order(head: Head, imported: Sequence[ImportedBundle], where: str, *, allow_older: bool) -> None:
    """Raises BundleRefused for a bundle older than one imported from its source, and for a delta without its base."""
    of_source = [each for each in imported if each.source == head.source]
    newest = max(of_source, key=lambda each: each.sequence, default=None)
    is_known = head.bundle in {each.bundle for each in imported}
    if newest is not None and head.sequence <= newest.sequence and not (is_known or allow_older):
        raise BundleRefused(
            where,
            f"it is number {head.sequence} of its source, created {head.created}, and number {newest.sequence}, created"
            f" {newest.created}, was imported: use --allow-older if that is intended",
        )
    since = head.since
    known = {each.bundle for each in imported} | {each.manifest_sha512 for each in imported}
    if since is not None and since.kind in ("bundle", "manifest") and since.id not in known:
        raise BundleRefused(
            where,
            f"it holds only what is new since the {since.kind} {since.id}, which was not imported here: import that one"
            " first, or export without --since",
        )
