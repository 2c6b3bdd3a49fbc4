"""Opening a database where nothing can be written: on read-only media, or in another user's folder.

SQLite reads a database in WAL mode only if it can write the files beside it. Without a log the file is opened as
immutable; with one, left by a killed process or by copying a running server, a copy is opened.
"""

import shutil
import tempfile
from pathlib import Path

from nugetproxy.logs import logger

_log = logger()


class ReadOnlyDatabase:
    """How to open one. Keep it while connections are open: it holds the copy if one is needed."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when a copy is needed and cannot be created."""
        log = path.with_name(path.name + "-wal")
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        if not log.exists() or not log.stat().st_size:
            self.uri = f"{path.absolute().as_uri()}?immutable=1"
            return
        self._copy = tempfile.TemporaryDirectory(prefix="nugetproxy-")
        _log.warning("database_copied", path=str(path), to=self._copy.name)
        for each in (path, log):
            shutil.copyfile(each, Path(self._copy.name) / each.name)
        self.uri = (Path(self._copy.name) / path.name).absolute().as_uri()

    def close(self) -> None:
        """Remove the copy."""
        if self._copy is not None:
            self._copy.cleanup()
