"""The leases of work on the whole mirror, for those who must keep others from it."""

from typing import Final

EVICTION: Final = "mirror eviction"
"""Held by the process that evicts, and by one that needs what is kept to stay."""
