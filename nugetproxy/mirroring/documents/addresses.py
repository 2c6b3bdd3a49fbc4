"""Package ids in the addresses of an upstream's documents."""

from urllib.parse import quote


def quoted(lower_id: str) -> str:
    """A lower-case id as a path segment: old packages have non-ASCII ids."""
    return quote(lower_id, safe="")
