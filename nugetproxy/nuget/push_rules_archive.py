"""Push rules for the archive: the dates of its entries, and their unpacked sizes.

`push_rules_names.py` checks names, and `archive_layout.py` where the bytes are: declared sizes are reliable only after
that.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from nugetproxy.nuget.archive import STORED, Entry, shown
from nugetproxy.nuget.push_rules_names import name_problems

_MEGABYTE: Final = 1024 * 1024
_DAY: Final = 86_400.0
# Directory record: DOS time and date.
_TIME_AT: Final = 12


@dataclass(frozen=True, slots=True)
class PushLimits:
    """Limits on unpacking a pushed package. Sizes in bytes; `max_ratio` is unpacked to packed."""

    # Text compresses to a tenth; 200 is far above real packages and far below an archive bomb.
    max_ratio: int = 200
    # Below this no ratio is dangerous: an empty bitmap alone may reach a thousand.
    ratio_free_size: int = 64 * _MEGABYTE
    # All entries are unpacked once: about four seconds per gigabyte. Eight times the default size limit of packages.
    max_unpacked_size: int = 4_000_000_000


def date_problems(entries: Sequence[Entry], now: float) -> Iterator[str]:
    """Problems with dates. `now` is in Unix seconds."""
    for entry in entries:
        if (stamp := _modified(entry)) is not None and stamp > now + _DAY:
            yield (
                f"entry {shown(entry.name)} is dated {datetime.fromtimestamp(stamp, UTC):%Y-%m-%d}, more than a day in "
                "the future: check the clock of the build machine"
            )


def entry_problems(entries: Sequence[Entry], limits: PushLimits) -> Iterator[str]:
    """Problems with names and sizes."""
    yield from name_problems(entries)
    for entry in entries:
        if entry.method == STORED and entry.compressed_size != entry.size:
            yield f"entry {shown(entry.name)} is stored uncompressed but has two different sizes"
    yield from _size_problems(entries, limits)


def _size_problems(entries: Sequence[Entry], limits: PushLimits) -> Iterator[str]:
    packed, unpacked = sum(entry.compressed_size for entry in entries), sum(entry.size for entry in entries)
    if unpacked > limits.ratio_free_size and unpacked > max(packed, 1) * limits.max_ratio:
        yield (
            f"it unpacks to {unpacked // _MEGABYTE} MB, more than {limits.max_ratio} times its size: "
            "the limit protects against archive bombs"
        )
    if unpacked > limits.max_unpacked_size:
        yield (
            f"it unpacks to {unpacked // 10**6} MB, more than the limit of {limits.max_unpacked_size // 10**6} MB: "
            "split it into several packages, or have the server's hosting.max_unpacked_size raised"
        )


def _modified(entry: Entry) -> float | None:
    """The entry's date in Unix seconds, read as UTC; None if it is not a valid date."""
    clock, date = struct.unpack_from("<2H", entry.raw, _TIME_AT)
    try:
        return datetime(
            1980 + (date >> 9), date >> 5 & 15, date & 31, clock >> 11, clock >> 5 & 63, (clock & 31) * 2, tzinfo=UTC
        ).timestamp()
    except ValueError:
        return None
