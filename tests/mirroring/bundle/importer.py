"""Importing bundles of bytes into a data directory, with the parts that the command puts together."""

import hashlib
import io
import sqlite3
from pathlib import Path

from nugetproxy.config import Config, load
from nugetproxy.mirroring.bundle.container import Read
from nugetproxy.mirroring.bundle.importing import Imported, Options, Steps
from nugetproxy.mirroring.bundle.manifest import DocumentFacts, FileFacts, Kind, PackageFacts
from nugetproxy.mirroring.bundle.reading import open_bundle
from nugetproxy.mirroring.bundle.signature import PrivateKey
from nugetproxy.runtime.imports import importing_into
from nugetproxy.storage.documents.disk import DiskDocuments
from tests.builders import Dependencies, make_nupkg
from tests.mirroring.bundle.bundles import KEY, TRUSTED, File, entry, sha512, written

FEED = "https://feed.test/v3/index.json"
BY_DEFAULT = Options()
UNSEEN = Steps()


def package(
    package_id: str, version: str = "1.0.0", *, upstreams: tuple[str, ...] = ("nuget.org",), payload: bytes = b"",
    dependencies: Dependencies = (),
) -> list[File]:  # fmt: skip
    """A real package and the files beside it."""
    content = make_nupkg(package_id, version, payload=payload, dependencies=dependencies)
    digest = sha512(content)
    beside = FileFacts(package_id, version)
    return [
        entry(Kind.PACKAGE, PackageFacts(package_id, version, digest, upstreams, 1), content),
        entry(Kind.PACKAGE_HASH, beside, digest.encode()),
        entry(Kind.NUSPEC, beside, b"<package/>"),
    ]


def document(url: str, body: bytes, *, confirmed: float = 2.0) -> File:
    facts = DocumentFacts(url, 200, "", "", "application/json", 1.0, confirmed, expired=False)
    return entry(Kind.DOCUMENT, facts, body)


def bundle(*files: File, signer: PrivateKey = KEY, **changes: object) -> bytes:
    """A signed bundle of these files, whose id follows from them."""
    listed = sorted(files, key=lambda file: file[0].path.encode())
    followed = hashlib.sha256(b"".join(each.to_line() for each, _ in listed)).hexdigest()[:32]
    changes.setdefault("bundle", followed)
    return written(listed, signer=signer, **changes)


async def import_bytes(
    data: Path, content: bytes, options: Options = BY_DEFAULT, steps: Steps = UNSEEN, **settings: object
) -> Imported:
    """Raises as `Importing.run`. `settings` are those of the receiver, with `__` in place of the dot."""
    return await import_stream(data, io.BytesIO(content).read, options, steps, **settings)


async def import_stream(
    data: Path, read: Read, options: Options = BY_DEFAULT, steps: Steps = UNSEEN, **settings: object
) -> Imported:
    given = {name.replace("__", "."): value for name, value in settings.items()}
    config = load(None, {}, {"storage.path": str(data), "storage.reserve": 0} | given)
    async with importing_into(config) as importing:
        with importing.alone(), open_bundle(read, "team.bundle", TRUSTED, folder=data / "spool") as reader:
            return await importing.run(reader, "team.bundle", options, steps)


def kept(data: Path) -> dict[str, bytes]:
    """The files of the mirror, by their path in it."""
    mirror = data / "mirror"
    return {str(each.relative_to(mirror)): each.read_bytes() for each in sorted(mirror.rglob("*")) if each.is_file()}


def rows(data: Path, sql: str) -> list[tuple[object, ...]]:
    """Of the inventory."""
    connection = sqlite3.connect(data / "inventory.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def stored(data: Path, url: str) -> bytes | None:
    """The body of a document."""
    documents = DiskDocuments(data / "documents", 10_000_000)
    try:
        found = documents.get(url)
        return None if found is None else found.body
    finally:
        documents.close()


def config_of(data: Path) -> Config:
    return load(None, {}, {"storage.path": str(data)})


def traces(data: Path) -> list[str]:
    """What is in the directory beside what every command creates there."""
    usual = {"mirror", "spool", "locks", "locks/door", "documents", "documents/cache.db", "inventory.db", "revisions"}
    found = {str(each.relative_to(data)) for each in data.rglob("*")} if data.exists() else set()
    return sorted(each for each in found - usual if not each.endswith(("-wal", "-shm")))


LIST = "https://feed.test/v3/flat/contoso.a/index.json"
A, B = package("Contoso.A"), package("Contoso.B", "2.0.0-beta.1", payload=b"b" * 3000)
PATH_A = "nuget.org/contoso.a/1.0.0/contoso.a.1.0.0.nupkg"
PLAIN = bundle(*A, *B, document(LIST, b'{"versions":["1.0.0"]}'))
