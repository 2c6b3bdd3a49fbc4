"""Where the bytes of hosted packages and symbols lie: for the server and for every command that touches them."""

from pathlib import Path

from nugetproxy.storage.blobs.filesystem import FilesystemBlobs


def open_hosted_blobs(directory: Path) -> FilesystemBlobs:
    """What was pushed, private to the server's user. `directory` is the data directory. Touches no disk."""
    return FilesystemBlobs(directory / "hosted")
