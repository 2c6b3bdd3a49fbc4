"""Where the bytes of hosted packages and symbols are stored: for the server and for all commands that use them."""

from pathlib import Path

from nugetproxy.storage.blobs.filesystem import FilesystemBlobs


def open_hosted_blobs(directory: Path) -> FilesystemBlobs:
    """The store of pushed files, private to the server's user. `directory` is the data directory. No disk access."""
    return FilesystemBlobs(directory / "hosted", only_copy=True)
