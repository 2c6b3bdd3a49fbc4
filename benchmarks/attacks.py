"""Requests that are expensive to refuse, check or render, for `hostile.py`."""

import asyncio
import base64
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.private import GIANT, Feed
from benchmarks.processes import fetch
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import DAY, Scope, now_us
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import Dependency, DependencyGroup, PackageManifest
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.database.opening import open_main_database
from nugetproxy.storage.revisions import Revisions

_NUSPEC: Final = (
    "<package><metadata><id>{id}</id><version>1.0.{number}</version><authors>a</authors><description>d</description>"
    "{rest}</metadata></package>"
)
FIRST: Final = 1_000_000
"""The number of the first request; all numbers have as many digits."""


_LOCAL_CRC, _RECORD_CRC = 14, 16

Make = Callable[[int], tuple[Mapping[str, str], bytes]]
"""Headers and body of one request by its number; numbers begin at `FIRST`."""

_HEAVY: Final = "Contoso.Heavy"
HEAVY_VERSIONS: Final = 150
# As many as a nuspec may have; a version with them adds 200 KB to a document.
_MOST_DEPENDENCIES: Final = 2_048


@dataclass(frozen=True)
class Attack:
    """`make` is called in each attacking process, with numbers that are unique to it; `{n}` in `target` is one too."""

    name: str
    make: Make
    method: str = "PUT"
    target: str = "/api/v2/package"


def attacks(over: Feed) -> list[Attack]:
    """Ordered by how far they get."""
    keys = asyncio.run(_keys(over))
    groups = nuspec("<dependencies>" + "<group/>" * 400_000 + "</dependencies>", "Contoso.Hostile")
    hostile = _zip({}, groups, zipfile.ZIP_DEFLATED)
    many = {f"content/folder{number % 100}/file{number}.txt": b"x" for number in range(19_000)}
    many_files = _Numbered(_zip(many, nuspec("", "Contoso.Files"), zipfile.ZIP_STORED), "Contoso.Files")
    bomb = _Numbered(_bomb(), "Contoso.Bomb")
    page = _first_page(over)

    def with_key(key: str, body: Callable[[int], bytes]) -> Make:
        return lambda number: ({"X-NuGet-ApiKey": key}, body(number))

    def anonymous(_: int) -> tuple[Mapping[str, str], bytes]:
        return {}, hostile

    def wrong_key(number: int) -> tuple[Mapping[str, str], bytes]:
        return {"X-NuGet-ApiKey": f"npk_{number:040}", "X-Forwarded-For": _address(number)}, hostile

    def reading(_: int) -> tuple[Mapping[str, str], bytes]:
        return {}, b""

    return [
        Attack("400,000 groups, no key", anonymous),
        Attack("400,000 groups, unknown keys", wrong_key),
        Attack("400,000 groups, a key that only reads", with_key(keys["read"], lambda _: hostile)),
        Attack("400,000 groups, a key for another id", with_key(keys["other"], lambda _: hostile)),
        Attack("400,000 groups, a key that pushes", with_key(over.key, lambda _: hostile)),
        Attack("19,000 files, a key for another id", with_key(keys["other"], many_files)),
        Attack("19,000 files, published", with_key(over.key, many_files)),
        Attack("400 MB in a package of 2 MB, published", with_key(over.key, bomb)),
        Attack("wrong passwords", lambda number: (_wrong(number), hostile)),
        Attack("metrics", reading, "GET", "/metrics"),
        Attack(
            "V2 list of 3,600 versions, not hot", reading, "GET", f"/api/v2/FindPackagesById()?id='{GIANT}'&n={{n}}"
        ),
        Attack("registration page of the largest versions, not hot", reading, "GET", f"{page}?{{n}}"),
        Attack(
            "V2 list of the largest versions, not hot",
            reading,
            "GET",
            f"/api/v2/FindPackagesById()?id='{_HEAVY}'&n={{n}}",
        ),
    ]


def heavy(number: int) -> PackageManifest:
    version = f"1.{number}.0"
    return PackageManifest(
        id=PackageId.parse(_HEAVY),
        version=NuGetVersion.parse(version),
        verbatim_version=version,
        authors="Contoso",
        description="It depends on everything.",
        dependency_groups=(
            DependencyGroup(None, tuple(Dependency(f"D{each:04}", "1.0.0") for each in range(_MOST_DEPENDENCIES))),
        ),
    )


def _first_page(over: Feed) -> str:
    """The target of the first page of the heavy id's registration."""
    index = fetch(f"{over.base}/v3/registration-gz-semver2/{_HEAVY.lower()}/index.json")
    url: str = json.loads(index)["items"][0]["@id"]
    return url.removeprefix(over.base)


def _bomb() -> bytes:
    """As much as a package of this size may unpack to: zeros, and a part that does not compress."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("content/zeros.bin", bytes(400_000_000), zipfile.ZIP_DEFLATED)
        archive.writestr("content/random.bin", os.urandom(1_650_000), zipfile.ZIP_STORED)
        archive.writestr("a.nuspec", nuspec("", "Contoso.Bomb"), zipfile.ZIP_STORED)
    return buffer.getvalue()


def nuspec(rest: str, package_id: str, number: int = FIRST) -> bytes:
    return _NUSPEC.format(id=package_id, number=number, rest=rest).encode()


def _wrong(number: int) -> Mapping[str, str]:
    """Credentials and an address that were not used before."""
    credentials = base64.b64encode(f"nobody{number}:wrong password".encode()).decode()
    return {"Authorization": f"Basic {credentials}", "X-Forwarded-For": _address(number)}


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _zip(files: Mapping[str, bytes], manifest: bytes, method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("a.nuspec", manifest, method)
    return buffer.getvalue()


class _Numbered:
    """An archive whose stored nuspec gets another number; packing it again would take seconds of the clients' core."""

    def __init__(self, whole: bytes, package_id: str) -> None:
        self._whole = whole
        self._package_id = package_id
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            entry = archive.getinfo("a.nuspec")
        self._header = entry.header_offset
        self._content = whole.index(b"<package>", self._header)
        self._record = whole.rindex(b"PK\x01\x02")

    def __call__(self, number: int) -> bytes:
        manifest = nuspec("", self._package_id, number)
        whole = bytearray(self._whole)
        whole[self._content : self._content + len(manifest)] = manifest
        for at in (self._header + _LOCAL_CRC, self._record + _RECORD_CRC):
            struct.pack_into("<L", whole, at, zlib.crc32(manifest))
        return bytes(whole)


async def _keys(over: Feed) -> dict[str, str]:
    database, revisions = open_main_database(over.data), Revisions(over.data)
    directory = Directory(database, revisions)
    bobby = await directory.add_user("bobby")
    await Ownership(database, revisions).add_owner("contoso.other", bobby)
    found = {}
    for name, scope, glob in (("read", Scope.READ, "*"), ("other", Scope.PUSH, "*")):
        _, found[name] = await directory.add_key(
            bobby, bobby, name=name, scopes=(scope,), globs=(glob,), expires=now_us() + DAY
        )
    directory.close()
    database.close()
    revisions.close()
    return found
