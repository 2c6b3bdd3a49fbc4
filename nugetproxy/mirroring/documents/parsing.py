"""Running readers over documents: short ones on the event loop, long ones in threads of their own.

What a reader understands is its own business. How large a document may be is bounded where it is fetched
(`upstream/client.py`) and where it is parsed (`protocol/documents.py`).
"""

from collections.abc import Callable
from typing import Final, TypeVar

from nugetproxy.executors.threads import DOCUMENTS

T = TypeVar("T")

LONGEST_ON_LOOP: Final = 65_536
"""Bytes that take a few milliseconds at most."""


async def parsed(read: Callable[[bytes], T], body: bytes) -> T:
    """`read(body)`. Raises what it raises, and Busy when too many long documents wait."""
    return read(body) if len(body) <= LONGEST_ON_LOOP else await DOCUMENTS.run(read, body)
