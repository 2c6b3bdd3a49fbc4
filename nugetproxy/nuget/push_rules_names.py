"""Push rules about the names of entries: every client, on every system, unpacks the same files into the same folder.

Clients percent-decode names before they unpack by them: what is asked of a name is asked of both forms.
Sources: nuget-protocol: push validation; for Windows learn.microsoft.com/windows/win32/fileio/naming-a-file.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote

from nugetproxy.nuget.archive import Entry, shown

LONGEST_SEGMENT: Final = 255
"""Bytes of UTF-8 in the name of a file or folder: what file systems allow."""

LONGEST_PATH: Final = 1000
"""Bytes of UTF-8: macOS opens no path of more than 1,024, with the folder that packages lie in."""

MOST_FOLDERS: Final = 65_536
"""In one package. Each costs memory until all names are compared; real packages have fewer than files."""

# Of the whole path, in this order: the first that is found is told.
_IN_PATHS: Final = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (r"\A\Z|[\x00-\x1f\x7f]", "has a name with control characters or without any"),
        (r"\\", "has a backslash in its name; folders are separated by '/'"),
        (r"\A(?:/|[A-Za-z]:)", "has an absolute path; paths in a package are relative to its root"),
        (r"//", "has an empty folder name ('//') in its path"),
        (r"(?:\A|/)\.\.?(?:/|\Z)", "has '.' or '..' in its path, which leads out of the package"),
    )
)

# Of each file and folder name in it.
_IN_SEGMENTS: Final = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (r'[<>:"|?*]', 'cannot be unpacked on Windows: names there have none of < > : " | ? *'),
        # Dropped there: `a.` and `a` are one file, and `.. ` is the folder above.
        (
            r"[.\s]\Z",
            "is unpacked under another name on Windows: no file or folder name there ends in a dot or a blank",
        ),
        (
            r"(?i)\A(?:(?:con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])\s*(?:\..*)?|conin\$|conout\$)\Z",
            "cannot be unpacked on Windows: CON, PRN, AUX, NUL, COM1 and LPT1 are devices there, with any ending",
        ),
    )
)


def name_problem(name: str) -> str:
    """What is wrong with the name of an entry, as the end of a sentence; empty when it is safe to unpack by it."""
    plain = unquote(name)
    for text in dict.fromkeys((name, plain)):
        for pattern, why in _IN_PATHS:
            if pattern.search(text):
                return why
        segments = text.removesuffix("/").split("/")
        for pattern, why in _IN_SEGMENTS:
            if any(pattern.search(segment) for segment in segments):
                return why
    if max(len(segment.encode()) for segment in plain.split("/")) > LONGEST_SEGMENT:
        return f"has a file or folder name of more than {LONGEST_SEGMENT} bytes, which no file system takes"
    if len(plain.encode()) > LONGEST_PATH:
        return f"has a path of more than {LONGEST_PATH} bytes, which some systems do not open"
    return ""


def name_problems(entries: Sequence[Entry]) -> Iterator[str]:
    """Sentences about single names, and about those that would be unpacked over each other."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in (entry.name for entry in entries):
        if problem := name_problem(name):
            yield f"entry {shown(name)} {problem}"
            continue
        key = _folded(unquote(name))
        if key in files:
            yield f"entry {shown(name)} is there twice{_also(name, files[key])}; each name may occur once"
        files.setdefault(key, name)
        while "/" in key:
            key = key.rpartition("/")[0]
            if key in folders:
                break  # and so are those above
            folders[key] = name
        if len(folders) > MOST_FOLDERS:
            yield f"it has more than {MOST_FOLDERS} folders; put its files into fewer"
            return
    for key in files.keys() & folders.keys():
        yield f"entry {shown(files[key])} is a file where entry {shown(folders[key])} needs a folder"


def _also(name: str, other: str) -> str:
    return "" if name == other else f", as {shown(other)}: where casing does not matter both are one file"


def _folded(path: str) -> str:
    """Equal for what may be one file somewhere: Windows and macOS ignore casing, macOS how an accent is written."""
    if path.isascii():
        return path.lower()
    composed = unicodedata.normalize("NFC", path)
    # By characters, as file systems do: ß is no SS there.
    return "".join(upper if len(upper := c.upper()) == 1 else c for c in composed).lower()
