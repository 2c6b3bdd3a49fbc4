"""Run readers over documents: short ones on the event loop, long ones in separate threads.

What a reader does is up to the caller. The size of documents is limited where they are fetched (`upstream/client.py`)
and where they are parsed (`protocol/documents.py`).
"""

from collections.abc import Callable
from typing import Final, TypeVar

from nugetproxy.executors.threads import DOCUMENTS

T = TypeVar("T")

LONGEST_ON_LOOP: Final = 65_536
"""In bytes; parsing this many takes a few milliseconds at most."""


async def parsed(read: Callable[[bytes], T], body: bytes) -> T:
    """`read(body)`. Raises its exceptions, and Busy if too many long documents are waiting."""
    return read(body) if len(body) <= LONGEST_ON_LOOP else await DOCUMENTS.run(read, body)
