"""A source and its credentials in the NuGet.Config of a user, as the .NET client reads them. Other settings stay."""

import os
import re
import tempfile
from pathlib import Path
from typing import Final

from lxml import etree

from nugetproxy.errors import InvalidRequest, StorageUnavailable

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_EMPTY: Final = b'<?xml version="1.0" encoding="utf-8"?>\n<configuration>\n</configuration>\n'


def default_path() -> Path:
    """Where the client looks on Linux and macOS."""
    return Path.home() / ".nuget" / "NuGet" / "NuGet.Config"


def checked_source_name(name: str) -> str:
    """Raises InvalidRequest for what could not be the name of an element."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest("the name of a source has A-Z a-z 0-9 . _ - and begins with a letter")
    return name


def write_credentials(path: Path, source: str, index: str, username: str, key: str) -> None:
    """Add the source if the file lacks it, and replace its credentials. The file is readable by its owner only.

    Raises InvalidRequest for a file that cannot be read as a NuGet.Config, or whose source of this name is another
    one; StorageUnavailable.
    """
    checked_source_name(source)
    root = _read(path)
    sources = _section(root, "packageSources")
    known = next((each for each in sources.findall("add") if each.get("key", "").lower() == source.lower()), None)
    if known is None:
        added = etree.SubElement(sources, "add", key=source, value=index, protocolVersion="3")
        if index.startswith("http:"):
            added.set("allowInsecureConnections", "true")
    elif known.get("value") != index:
        raise InvalidRequest(f"{path} has a source {source} already, with another URL; choose another --name")
    else:
        source = known.get("key", source)
    credentials = _section(root, "packageSourceCredentials")
    for old in [each for each in credentials.iterchildren("*") if each.tag.lower() == source.lower()]:
        credentials.remove(old)
    own = etree.SubElement(credentials, source)
    etree.SubElement(own, "add", key="Username", value=username)
    etree.SubElement(own, "add", key="ClearTextPassword", value=key)
    etree.indent(root)
    _write(path, etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def _read(path: Path) -> "etree._Element":
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_blank_text=True)
    try:
        body = path.read_bytes() if path.exists() else _EMPTY
        root = etree.fromstring(body, parser)
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be read: {error.strerror}") from error
    except etree.XMLSyntaxError as error:
        raise InvalidRequest(f"{path} is not XML: {error.msg}") from error
    if root.tag != "configuration":
        raise InvalidRequest(f"{path} is not a NuGet.Config: it has no configuration")
    return root


def _section(root: "etree._Element", name: str) -> "etree._Element":
    found = root.find(name)
    return etree.SubElement(root, name) if found is None else found


def _write(path: Path, body: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, half = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
            Path(half).replace(path)
        except BaseException:  # Ctrl-C, too: the file has a credential
            Path(half).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be written: {error.strerror}") from error
