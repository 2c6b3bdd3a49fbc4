"""The contents of a backup: one file `manifest.json` beside the files it names, written last.

A folder without it is not a backup, so an interrupted one cannot be mistaken for a complete one.
"""

import base64
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

import orjson

from nugetproxy.errors import InvalidRequest, StorageUnavailable
from nugetproxy.storage.database.opening import INVENTORY, MAIN
from nugetproxy.storage.private_files import replace_private

FILE: Final = "manifest.json"
FORMAT: Final = 1

_PARTS: Final = frozenset({MAIN, INVENTORY, "hosted", "mirror", "documents", "upstreams.json"})
_HASH: Final = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class BackedUpFile:
    """Size in bytes, and the SHA-512 in hex as printed by `sha512sum`."""

    size: int
    sha512: str

    @property
    def base64(self) -> str:
        """The hash as stored in the database."""
        return base64.b64encode(bytes.fromhex(self.sha512)).decode()


@dataclass(frozen=True, slots=True)
class Manifest:
    """`version` is the nugetproxy version that wrote it, `created` ISO 8601 in UTC; `files` by path in the backup.

    `damaged` lists the hosted files that were missing or wrong at that time, and so are not in the backup.
    """

    version: str
    created: str
    files: dict[str, BackedUpFile]
    damaged: tuple[str, ...] = ()
    format: int = field(default=FORMAT)

    def write(self, folder: Path) -> None:
        """Raises StorageUnavailable."""
        replace_private(folder / FILE, orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Raises InvalidRequest when the folder is not a backup, or was written by a newer version."""
        try:
            given = orjson.loads((folder / FILE).read_bytes())
        except FileNotFoundError:
            raise InvalidRequest(f"{folder} is not a backup: it has no {FILE}") from None
        except OSError as error:
            raise StorageUnavailable(f"{folder / FILE} cannot be read: {error.strerror}") from error
        except ValueError:
            raise InvalidRequest(f"{folder / FILE} is not JSON") from None
        if isinstance(given, dict) and isinstance(given.get("format"), int) and given["format"] > FORMAT:
            version = given.get("version")
            shown = version if isinstance(version, str) and version.isprintable() and len(version) < 40 else "?"
            raise InvalidRequest(f"{folder} was written by a newer nugetproxy ({shown}): use that one")
        try:
            return cls._of(given)
        except KeyError as error:
            raise InvalidRequest(f"{folder / FILE} is damaged: it has no {error}") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidRequest(f"{folder / FILE} is damaged: {error}") from None

    @classmethod
    def _of(cls, given: Any) -> "Manifest":
        files = {}
        for path, file in given["files"].items():
            if not _is_safe(path) or type(file["size"]) is not int or not _HASH.fullmatch(file["sha512"]):
                raise ValueError(f"its entry {path!r} is not one that a backup has")
            files[path] = BackedUpFile(file["size"], file["sha512"])
        version, created, damaged = given["version"], given["created"], given["damaged"]
        if not all(isinstance(text, str) for text in (version, created, *damaged)):
            raise ValueError("its version, its time or a damaged file is not a text")
        return cls(version, created, files, tuple(damaged))


def _is_safe(path: object) -> bool:
    """Whether it is below a part of a data directory that is backed up, and does not leave it."""
    parts = PurePosixPath(path).parts if isinstance(path, str) else ()
    return bool(parts) and parts[0] in _PARTS and ".." not in parts and "\0" not in str(path)
