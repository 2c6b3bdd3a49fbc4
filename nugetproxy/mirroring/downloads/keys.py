"""Where a package file is kept, and the lease under which it changes: for all who read or move such files."""

from nugetproxy.storage.blobs.base import BlobKey


def package_key(upstream: str, lower_id: str, lower_version: str) -> BlobKey:
    """Where the package file of a version is kept."""
    return BlobKey.of(upstream, lower_id, lower_version, f"{lower_id}.{lower_version}.nupkg")


def lease_of(key: BlobKey) -> str:
    """The lease under which a package file is downloaded, moved or removed."""
    return f"content:{key}"
