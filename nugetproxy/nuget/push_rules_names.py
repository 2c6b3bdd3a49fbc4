"""Push rules for the names of entries: all clients, on all systems, unpack the same files into the same folder.

Clients percent-decode names before they unpack, so the rules apply to both forms.
Sources: nuget-protocol: push validation; for Windows learn.microsoft.com/windows/win32/fileio/naming-a-file.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote

from nugetproxy.nuget.archive import Entry, shown

LONGEST_SEGMENT: Final = 255
"""Bytes of UTF-8 in the name of a file or folder: the limit of file systems."""

LONGEST_PATH: Final = 1000
"""Bytes of UTF-8: macOS opens no path over 1,024, which includes the packages folder."""

MOST_FOLDERS: Final = 65_536
"""In one package. Each costs memory until all names are compared; real packages have fewer folders than files."""

# Applied to the whole path, in this order: the first match is reported.
_IN_PATHS: Final = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (r"\A\Z|[\x00-\x1f\x7f]", "has an empty name or control characters in it"),
        (r"\\", "has a backslash in its name; use '/' to separate folders"),
        (r"\A(?:/|[A-Za-z]:)", "has an absolute path; paths in a package are relative to its root"),
        (r"//", "has an empty folder name ('//') in its path"),
        (r"(?:\A|/)\.\.?(?:/|\Z)", "has '.' or '..' in its path, which leads out of the package"),
    )
)

# Applied to each file and folder name in it.
_IN_SEGMENTS: Final = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (r'[<>:"|?*]', 'cannot be unpacked on Windows: names must not contain < > : " | ? *'),
        # Windows drops them: `a.` and `a` are one file, and `.. ` is the parent folder.
        (
            r"[.\s]\Z",
            "would get another name on Windows: file and folder names must not end in a dot or space",
        ),
        (
            r"(?i)\A(?:(?:con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])\s*(?:\..*)?|conin\$|conout\$)\Z",
            "cannot be unpacked on Windows: CON, PRN, AUX, NUL, COM1 and LPT1 are devices, with any extension",
        ),
    )
)


def name_problem(name: str) -> str:
    """What is wrong with the name of an entry, as the end of a sentence; empty if it is safe to unpack."""
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
        return f"has a file or folder name of more than {LONGEST_SEGMENT} bytes, more than file systems allow"
    if len(plain.encode()) > LONGEST_PATH:
        return f"has a path of more than {LONGEST_PATH} bytes, which some systems cannot open"
    return ""


def name_problems(entries: Sequence[Entry]) -> Iterator[str]:
    """Problems with single names, and with names that would overwrite each other."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in (entry.name for entry in entries):
        if problem := name_problem(name):
            yield f"entry {shown(name)} {problem}"
            continue
        key = _folded(unquote(name))
        if key in files:
            yield f"entry {shown(name)} occurs twice{_also(name, files[key])}; each name may occur once"
        files.setdefault(key, name)
        while "/" in key:
            key = key.rpartition("/")[0]
            if key in folders:
                break  # and so are its parents
            folders[key] = name
        if len(folders) > MOST_FOLDERS:
            yield f"it has more than {MOST_FOLDERS} folders; use fewer"
            return
    for key in files.keys() & folders.keys():
        yield f"entry {shown(files[key])} is a file, but entry {shown(folders[key])} needs a folder there"


def _also(name: str, other: str) -> str:
    return "" if name == other else f", also as {shown(other)}: both are the same file where case is ignored"


def _folded(path: str) -> str:
    """Equal for names of one file on some system: Windows and macOS ignore case, macOS also the form of accents."""
    if path.isascii():
        return path.lower()
    composed = unicodedata.normalize("NFC", path)
    # Per character, as file systems do: ß is not SS there.
    return "".join(upper if len(upper := c.upper()) == 1 else c for c in composed).lower()
