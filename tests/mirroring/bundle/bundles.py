"""Bundles for tests, made of bytes in memory with the format modules alone."""

import base64
import hashlib
import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nugetproxy.mirroring.bundle.container import ContainerWriter
from nugetproxy.mirroring.bundle.head import HEAD, Head, Holds
from nugetproxy.mirroring.bundle.manifest import (
    MANIFEST,
    DocumentFacts,
    Entry,
    Facts,
    FileFacts,
    Kind,
    PackageFacts,
    path_of,
)
from nugetproxy.mirroring.bundle.reading import BundleReader, open_bundle
from nugetproxy.mirroring.bundle.signature import SIGNATURE, PrivateKey, PublicKey

KEY = PrivateKey.generate()
TRUSTED = (KEY.public("builds"),)
NO_HASH = base64.b64encode(bytes(64)).decode()

File = tuple[Entry, bytes]


def key_of(name: str) -> PrivateKey:
    """A key that every process finds the same. It protects nothing."""
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(name.ljust(32).encode()))


def sha512(content: bytes) -> str:
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


def entry(kind: Kind, facts: Facts, content: bytes) -> File:
    return Entry(path_of(kind, facts), len(content), sha512(content), kind, facts), content


def package(package_id: str, version: str, content: bytes) -> list[File]:
    """A package and the files beside it. Its bytes may be anything."""
    digest = sha512(content)
    facts, beside = PackageFacts(package_id, version, digest, ("nuget.org",), 1), FileFacts(package_id, version)
    return [
        entry(Kind.PACKAGE, facts, content),
        entry(Kind.PACKAGE_HASH, beside, digest.encode()),
        entry(Kind.NUSPEC, beside, b"<package/>"),
    ]


def document(url: str, body: bytes) -> File:
    return entry(Kind.DOCUMENT, DocumentFacts(url, 200, "", "", "application/json", 1.0, 2.0, expired=False), body)


FILES: list[File] = sorted(
    [
        document("https://feed.test/v3/index.json", b'{"resources": []}'),
        *package("Contoso.Core", "1.0.0", b"core" * 1000),
        *package("Contoso", "2.0.0-beta", b""),
        *package("Больший.Пакет", "1.0.0", b"unicode"),
        *package("A" * 100, "1.0.0-" + "b" * 58, b"long"),
    ],
    key=lambda file: file[0].path.encode(),
)


def head(entries: Sequence[Entry], manifest: bytes, **changes: object) -> Head:
    counts: dict[str, int] = {}
    for each in entries:
        counts[each.kind.value] = counts.get(each.kind.value, 0) + 1
    made = Head(
        bundle="0" * 32, created="2026-11-29T18:00:00Z", tool="nugetproxy 0.1.0", source="1" * 32, key=KEY.fingerprint,
        sequence=1, since=None, holds=Holds("everything"), upstreams={"nuget.org": "https://feed.test/v3/index.json"},
        counts=counts, size=sum(each.size for each in entries), manifest_size=len(manifest),
        manifest_sha512=sha512(manifest),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def written(files: Iterable[File] = FILES, *, signer: PrivateKey = KEY, **changes: object) -> bytes:
    """The bytes of a bundle; `changes` are made to its head."""
    listed = list(files)
    manifest = b"".join(each.to_line() for each, _ in listed)
    content = head([each for each, _ in listed], manifest, **changes).to_bytes()
    out = io.BytesIO()
    writer = ContainerWriter(out.write)
    for path, small in ((HEAD, content), (SIGNATURE, signer.sign(content)), (MANIFEST, manifest)):
        writer.add(path, len(small), [small])
    for each, small in listed:
        writer.add(each.path, each.size, [small])
    writer.end()
    return out.getvalue()


def opened(bundle: bytes, trusted: Sequence[PublicKey] | None = TRUSTED) -> AbstractContextManager[BundleReader]:
    return open_bundle(io.BytesIO(bundle).read, "team.bundle", trusted)


def read_all(bundle: bytes) -> list[File]:
    """All files of a bundle, after all that is checked."""
    with opened(bundle) as reader:
        return [(file.entry, file.read()) for file in reader.files()]
