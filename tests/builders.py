"""
Builds packages for tests: valid by default, invalid where a test asks for it. The same arguments give the same bytes.
"""

import base64
import functools
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from asn1crypto import algos, cms, core, x509
from cryptography import x509 as certificates
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

NAMESPACE = "http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"
SERVICE_INDEX_URL = "https://api.nuget.org/v3/index.json"
SIGNATURE_NAME = ".signature.p7s"

Dependencies = Sequence[tuple[str, str]] | Mapping[str | None, Sequence[tuple[str, str]]]
Signer = Literal["author", "repository"]

_DATE = (2024, 1, 2, 3, 4, 6)
_ALGORITHM_OIDS = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}


def make_nuspec(
    id: str = "Contoso.Utils",  # noqa: A002 - the word of the nuspec
    version: str = "1.0.0",
    *,
    authors: str = "Contoso",
    description: str = "Utilities of Contoso.",
    dependencies: Dependencies = (),
    readme: str = "",
    icon: str = "",
    license_file: str = "",
    license_expression: str = "",
    tags: str = "",
    package_types: Sequence[str] = (),
    namespace: str = NAMESPACE,
    more: str = "",
) -> bytes:
    """A nuspec. `dependencies` are pairs of id and range, or such pairs by framework; `more` is raw XML."""
    texts = {"authors": authors, "description": description, "readme": readme, "icon": icon, "tags": tags}
    elements = [f"<{name}>{escape(text)}</{name}>" for name, text in texts.items() if text]
    if license_file:
        elements.append(f'<license type="file">{escape(license_file)}</license>')
    if license_expression:
        elements.append(f'<license type="expression">{escape(license_expression)}</license>')
    if package_types:
        kinds = "".join(f"<packageType name={quoteattr(kind)} />" for kind in package_types)
        elements.append(f"<packageTypes>{kinds}</packageTypes>")
    if dependencies:
        elements.append(f"<dependencies>{_dependencies(dependencies)}</dependencies>")
    root = f'<package xmlns="{namespace}">' if namespace else "<package>"
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n{root}<metadata>'
        f"<id>{escape(id)}</id><version>{escape(version)}</version>"
        f"{''.join(elements)}{more}</metadata></package>"
    ).encode()


def make_nupkg(
    id: str = "Contoso.Utils",  # noqa: A002 - the word of the nuspec
    version: str = "1.0.0",
    *,
    dependencies: Dependencies = (),
    readme: str | bytes | None = None,
    icon: bytes | None = None,
    license: str | None = None,  # noqa: A002 - the word of the nuspec
    payload: bytes = b"",
    files: Mapping[str, bytes] | None = None,
    nuspec: bytes | None = None,
    signed: bool | Signer = False,
    owners: Sequence[str] = ("contoso",),
    more: str = "",
) -> bytes:
    """A package. `payload` is stored uncompressed as a library, so the package is about as large as it."""
    parts: dict[str, bytes] = {}
    if readme is not None:
        parts["README.md"] = readme if isinstance(readme, bytes) else readme.encode()
    if icon is not None:
        parts["images/icon.png"] = icon
    if license is not None:
        parts["LICENSE.txt"] = license.encode()
    nuspec = nuspec or make_nuspec(
        id,
        version,
        dependencies=dependencies,
        readme="README.md" if readme is not None else "",
        icon="images/icon.png" if icon is not None else "",
        license_file="LICENSE.txt" if license is not None else "",
        more=more,
    )
    entries = {f"{id}.nuspec": nuspec, **parts, **(files or {})}
    package = make_zip(entries, stored={"lib/netstandard2.0/_.dll": payload} if payload else {})
    if signed:
        return sign(package, "repository" if signed is True else signed, owners=owners)
    return package


def make_zip(entries: Mapping[str, bytes], stored: Mapping[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
        for name, content in (stored or {}).items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_STORED)
    return buffer.getvalue()


def sign(
    package: bytes,
    signer: Signer = "repository",
    *,
    countersigned: bool = False,
    algorithm: str = "sha256",
    owners: Sequence[str] = ("contoso",),
    after: int | None = None,
) -> bytes:
    """The package with a signature inside, behind its last entry or behind its first `after` ones.

    The signed hash is simply that of the whole unsigned file, because the signature is appended to it.
    """
    digest = hashlib.new(algorithm, package).digest()
    p7s = make_signature(digest, algorithm, signer, countersigned=countersigned, owners=owners)
    return insert_stored(package, SIGNATURE_NAME, p7s, after)


def insert_stored(package: bytes, name: str, content: bytes, after: int | None = None) -> bytes:
    """Adds one entry to an archive that otherwise stays the same byte for byte."""
    end = len(package) - 22
    count, directory_size, directory = struct.unpack("<HLL", package[end + 10 : end + 20])
    records = _records(package[directory : directory + directory_size])
    by_offset = sorted(struct.unpack("<L", record[42:46])[0] for record in records)
    position = directory if after is None or after >= count else by_offset[after]
    shared = struct.pack("<5H3L", 20, 0, 0, 0, 33, _crc(content), len(content), len(content))
    local = b"PK\3\4" + shared + struct.pack("<2H", len(name), 0) + name.encode() + content
    moved = b"".join(
        record[:42]
        + struct.pack(
            "<L", offset + len(local) if (offset := struct.unpack("<L", record[42:46])[0]) >= position else offset
        )
        + record[46:]
        for record in records
    )
    own = b"PK\1\2\x14\0" + shared + struct.pack("<5H2L", len(name), 0, 0, 0, 0, 0, position) + name.encode()
    counted = struct.pack("<2H2L", count + 1, count + 1, directory_size + len(own), directory + len(local))
    return (
        package[:position]
        + local
        + package[position:directory]
        + moved
        + own
        + package[end : end + 8]
        + counted
        + package[end + 20 :]
    )


def make_signature(
    digest: bytes,
    algorithm: str = "sha256",
    signer: Signer = "repository",
    *,
    countersigned: bool = False,
    owners: Sequence[str] = ("contoso",),
    content: bytes | None = None,
) -> bytes:
    """A .signature.p7s over a content hash, with a certificate of our own and no timestamp."""
    if content is None:
        content = f"Version:1\n\n{_ALGORITHM_OIDS[algorithm]}-Hash:{base64.b64encode(digest).decode()}\n\n".encode()
    info = _signer_info(content, signer, owners)
    used = [_certificate(signer)]
    if countersigned:
        counter = _signer_info(info["signature"].native, "repository", owners)
        info["unsigned_attrs"] = cms.CMSAttributes(
            [cms.CMSAttribute({"type": "counter_signature", "values": [counter]})]
        )
        used.append(_certificate("repository"))
    signed = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
            "encap_content_info": {"content_type": "data", "content": content},
            "certificates": used,
            "signer_infos": [info],
        }
    )
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump())


def _signer_info(content: bytes, signer: Signer, owners: Sequence[str]) -> cms.SignerInfo:
    attributes = [
        _attribute("1.2.840.113549.1.9.3", core.ObjectIdentifier("1.2.840.113549.1.7.1")),
        _attribute("1.2.840.113549.1.9.4", core.OctetString(hashlib.sha256(content).digest())),
        _attribute(
            "1.2.840.113549.1.9.16.2.16",
            _sequence(core.ObjectIdentifier(f"1.2.840.113549.1.9.16.6.{1 if signer == 'author' else 2}")),
        ),
    ]
    if signer == "repository":
        attributes.append(_attribute("1.3.6.1.4.1.311.84.2.1.1.1", core.IA5String(SERVICE_INDEX_URL)))
        attributes.append(_attribute("1.3.6.1.4.1.311.84.2.1.1.2", _sequence(*map(core.UTF8String, owners))))
    signed_attributes = cms.CMSAttributes(attributes)
    certificate = _certificate(signer)
    return cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                name="issuer_and_serial_number",
                value={"issuer": certificate.issuer, "serial_number": certificate.serial_number},
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": signed_attributes,
            "signature_algorithm": {"algorithm": "ed25519"},
            "signature": _key(signer).sign(signed_attributes.dump()),
        }
    )


def _attribute(oid: str, value: core.Asn1Value) -> cms.CMSAttribute:
    encoded = core.ObjectIdentifier(oid).dump() + _tagged(b"\x31", value.dump())
    return cms.CMSAttribute.load(_tagged(b"\x30", encoded))


def _sequence(*values: core.Asn1Value) -> core.Any:
    return core.Any.load(_tagged(b"\x30", b"".join(value.dump() for value in values)))


def _tagged(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return tag + bytes([size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return tag + bytes([0x80 | len(length)]) + length + content


@functools.cache
def _key(signer: Signer) -> ed25519.Ed25519PrivateKey:
    # Not secret: it protects nothing, and gives the same bytes every time.
    return ed25519.Ed25519PrivateKey.from_private_bytes(signer.ljust(32).encode())


@functools.cache
def _certificate(signer: Signer) -> x509.Certificate:
    key = _key(signer)
    name = certificates.Name([certificates.NameAttribute(NameOID.COMMON_NAME, f"Contoso {signer}")])
    made = (
        certificates.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2044, 1, 1, tzinfo=UTC))
        .sign(key, None)
    )
    return x509.Certificate.load(made.public_bytes(serialization.Encoding.DER))


def certificate_fingerprint(signer: Signer) -> str:
    return str(_certificate(signer).sha256.hex())


def _dependencies(dependencies: Dependencies) -> str:
    if not isinstance(dependencies, Mapping):
        return _dependency_elements(dependencies)
    return "".join(
        f"<group{'' if framework is None else f' targetFramework={quoteattr(framework)}'}>"
        f"{_dependency_elements(wanted)}</group>"
        for framework, wanted in dependencies.items()
    )


def _dependency_elements(dependencies: Sequence[tuple[str, str]]) -> str:
    return "".join(f"<dependency id={quoteattr(name)} version={quoteattr(wanted)} />" for name, wanted in dependencies)


def _records(directory: bytes) -> list[bytes]:
    records = []
    while directory:
        size = 46 + sum(struct.unpack("<3H", directory[28:34]))
        records.append(directory[:size])
        directory = directory[size:]
    return records


def _crc(content: bytes) -> int:
    return zlib.crc32(content)
