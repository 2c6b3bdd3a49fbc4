"""Bundles that are damaged in every way that occurs by accident, and many that take intent.

Each is made from a good bundle and a random generator; a good bundle never comes out.
"""

import io
import random
import tarfile
from collections.abc import Callable
from dataclasses import replace

import orjson

from nugetproxy.mirroring.bundle.container import ContainerWriter
from nugetproxy.mirroring.bundle.head import HEAD, Head
from nugetproxy.mirroring.bundle.manifest import MANIFEST, Kind, SymbolsFacts
from nugetproxy.mirroring.bundle.signature import SIGNATURE, PrivateKey
from tests.flows.symbols import Build
from tests.mirroring.bundle.bundles import KEY, entry, sha512
from tests.mirroring.bundle.importer import bundle, document, package
from tests.symbol_builders import checksum_of

_BUILD = Build("Contoso.A")
_SYMBOLS = SymbolsFacts(
    "contoso.a.pdb", f"{_BUILD.guid.hex}ffffffff", f"SHA256:{checksum_of(_BUILD.pdb, guid=_BUILD.guid).hex()}",
    ("contoso.a/1.0.0", "contoso.b/2.0.0-beta.1"),
)  # fmt: skip
GOOD = bundle(
    *package("Contoso.A"),
    *package("Contoso.B", "2.0.0-beta.1", payload=b"b" * 3000),
    document("https://feed.test/v3/flat/contoso.a/index.json", b'{"versions":["1.0.0"]}'),
    document("https://feed.test/v3/index.json", b'{"resources":[]}'),
    entry(Kind.SYMBOLS, _SYMBOLS, _BUILD.pdb),
    format=2,
)
OTHER = bundle(*package("Contoso.C"), bundle="f" * 32, sequence=2)
BLOCK = 512

Parts = list[tuple[str, bytes]]
Damage = Callable[[random.Random], bytes]


def parts_of(content: bytes) -> Parts:
    """The files of a bundle by name, in order."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return [(each.name, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]


PARTS = parts_of(GOOD)


def container(parts: Parts) -> bytes:
    out = io.BytesIO()
    writer = ContainerWriter(out.write)
    for name, content in parts:
        writer.add(name, len(content), [content])
    writer.end()
    return out.getvalue()


# --- by accident ------------------------------------------------------------------------------------------------------


def flipped(chance: random.Random) -> bytes:
    at = chance.randrange(len(GOOD))
    return GOOD[:at] + bytes([GOOD[at] ^ 1 << chance.randrange(8)]) + GOOD[at + 1 :]


def flipped_in_the_beginning(chance: random.Random) -> bytes:
    at = chance.randrange(_end_of(MANIFEST))
    return GOOD[:at] + bytes([GOOD[at] ^ 1 << chance.randrange(8)]) + GOOD[at + 1 :]


def cut(chance: random.Random) -> bytes:
    return GOOD[: chance.randrange(len(GOOD))]


def cut_at_a_boundary(chance: random.Random) -> bytes:
    return GOOD[: max(0, chance.randrange(len(GOOD) // BLOCK) * BLOCK + chance.choice((-1, 0, 1)))]


def without_a_piece(chance: random.Random) -> bytes:
    at = chance.randrange(len(GOOD))
    return GOOD[:at] + GOOD[at + chance.choice((1, 2, BLOCK, 10_000)) :]


def with_a_piece(chance: random.Random) -> bytes:
    at = chance.randrange(len(GOOD) + 1)
    return GOOD[:at] + chance.randbytes(chance.choice((1, 2, BLOCK, 10_240))) + GOOD[at:]


def overwritten(chance: random.Random) -> bytes:
    at, size = chance.randrange(len(GOOD)), chance.choice((1, 16, BLOCK))
    return GOOD[:at] + bytes(min(size, len(GOOD) - at)) + GOOD[at + size :]


def block_elsewhere(chance: random.Random) -> bytes:
    blocks = [GOOD[at : at + BLOCK] for at in range(0, len(GOOD), BLOCK)]
    one, other = chance.randrange(len(blocks)), chance.randrange(len(blocks))
    blocks[one], blocks[other] = blocks[other], blocks[one]
    return b"".join(blocks)


# --- the files of the container ---------------------------------------------------------------------------------------


def swapped(chance: random.Random) -> bytes:
    parts = list(PARTS)
    one, other = chance.sample(range(len(parts)), 2)
    parts[one], parts[other] = parts[other], parts[one]
    return container(parts)


def doubled(chance: random.Random) -> bytes:
    parts = list(PARTS)
    parts.insert(chance.randrange(len(parts) + 1), chance.choice(PARTS))
    return container(parts)


def removed(chance: random.Random) -> bytes:
    parts = list(PARTS)
    del parts[chance.randrange(len(parts))]
    return container(parts)


def added(chance: random.Random) -> bytes:
    parts = list(PARTS)
    name = chance.choice(("packages/x/1.0.0/x.1.0.0.nupkg", "x", "bundle.json", "a" * 300, "ü"))
    parts.insert(chance.randrange(len(parts) + 1), (name, chance.randbytes(chance.randrange(600))))
    return container(parts)


def renamed(chance: random.Random) -> bytes:
    parts = list(PARTS)
    at = chance.randrange(len(parts))
    name = chance.choice((f"/{parts[at][0]}", f"../{parts[at][0]}", f"./{parts[at][0]}", parts[at][0].upper(), "x"))
    parts[at] = name, parts[at][1]
    return container(parts)


def exchanged(chance: random.Random) -> bytes:
    """A file of another good bundle of the same sender."""
    parts, others = list(PARTS), parts_of(OTHER)
    at = chance.randrange(len(parts))
    parts[at] = parts[at][0], chance.choice(others)[1]
    if chance.random() < 0.5:
        parts[: 1 + at % 3] = others[: 1 + at % 3]
    return container(parts)


def other_header(chance: random.Random) -> bytes:
    """A header with another field, and the right checksum."""
    starts = [at for at in range(0, len(GOOD), BLOCK) if GOOD[at + 257 : at + 262] == b"ustar"]
    at = chance.choice(starts)
    block = bytearray(GOOD[at : at + BLOCK])
    place, value = chance.choice(
        (
            (156, chance.choice(b"1234567gxLKSVX\0").to_bytes(1, "big")),  # links, devices, folders, extensions
            (0, b"/etc/passwd\0"),
            (0, b"../../x\0"),
            (100, b"0004777\0"),
            (108, b"0001750\0"),
            (124, b"%011o\0" % chance.choice((0, 1, 511, 8**11 - 1))),
            (124, b"\x80" + bytes(7) + b"\xff" * 4),
            (157, b"/etc/shadow\0"),
            (257, b"ustar  \0"),
            (265, b"root\0"),
            (345, b"/\0"),
        )
    )
    block[place : place + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return GOOD[:at] + bytes(block) + GOOD[at + BLOCK :]


def of_tarfile(chance: random.Random) -> bytes:
    """The same files, written by another program."""
    out = io.BytesIO()
    form = chance.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in PARTS:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), chance.randrange(10**9)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("packages/link")
        link.type, link.linkname = chance.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)), "/etc/passwd"
        tar.addfile(link)
    return out.getvalue()


# --- signed again: by a stranger, or by a sender that makes mistakes --------------------------------------------------


def signed(head: Head, manifest: bytes, files: Parts, key: PrivateKey = KEY) -> bytes:
    content = head.to_bytes()
    return container([(HEAD, content), (SIGNATURE, key.sign(content)), (MANIFEST, manifest), *files])


HEAD_OF_GOOD = Head.from_bytes(PARTS[0][1])


def signed_by_a_stranger(chance: random.Random) -> bytes:
    key = PrivateKey.generate()
    claimed = chance.choice((KEY.fingerprint, key.fingerprint))
    return signed(replace(HEAD_OF_GOOD, key=claimed), PARTS[2][1], PARTS[3:], key)


def other_head(chance: random.Random) -> bytes:
    """A trusted signature of a head that says something wrong, or says it in another form."""
    fields = orjson.loads(PARTS[0][1])
    name = chance.choice([each for each in fields if each not in ("tool", "created", "holds", "sequence", "source",
                                                                  "bundle")])  # fmt: skip
    fields[name] = chance.choice((None, -1, 2**70 % 2**63, "", "x", [], {}, {"x": "../.."}, fields[name] == 1))
    if chance.random() < 0.2:
        fields["more"] = 1
    content = orjson.dumps(fields)
    return container([(HEAD, content), (SIGNATURE, KEY.sign(content)), *PARTS[2:]])


def other_line(chance: random.Random) -> bytes:
    """A trusted signature of a manifest with a line that is wrong."""
    lines = PARTS[2][1].splitlines(keepends=True)
    at = chance.randrange(len(lines))
    fields = orjson.loads(lines[at])
    path = fields["path"]
    changes = {
        "path": (f"../{path}", f"/{path}", path.upper(), "", "a" * 70_000, f"{path}\0", path.replace("/", "\\")),
        "size": (-1, 0, fields["size"] + 1, fields["size"] - 1, 2**61, "1", None),
        "sha512": (sha512(b"x"), "", "x", fields["sha512"].lower(), None),
        "kind": ("link", "document", "package", "assumed", "nuspec", "hosted-package", None),
        "id": ("..", "", "Contoso.Z", "a" * 101, None),
        "version": ("..", "", "1.0", "9.9.9", None),
        "content_hash": (sha512(b"x"), None),
        "upstreams": ([], [".."], ["nowhere"], None),
        "file": ("..", "", "CONTOSO.A.PDB", "a/b.pdb", None),
        "key": ("", "0" * 40, None),
        "checksums": ("", "SHA256:" + "00" * 32, None),
        "packages": ([], [".."], ["../.."], None),
        "url": ("file:///etc/passwd", "", "https://other.test/", None),
        "status": (404, 0, -1, "200"),
        "confirmed": ("now", None, 10**400 if chance.random() < 0 else None),
    }
    name = chance.choice([each for each in changes if each in fields])
    fields[name] = chance.choice([each for each in changes[name] if each != fields[name]])
    match chance.randrange(6):
        case 0:
            lines[at] = orjson.dumps(fields)  # no line break
        case 1:
            lines[at] = b"{" * 100_000 + b"\n"
        case 2:
            lines.insert(chance.randrange(len(lines)), lines[at])
        case _:
            lines[at] = orjson.dumps(fields) + b"\n"
    manifest = b"".join(lines)
    head = replace(HEAD_OF_GOOD, manifest_size=len(manifest), manifest_sha512=sha512(manifest))
    return signed(head, manifest, PARTS[3:])


def other_package(chance: random.Random) -> bytes:
    """A trusted signature of a bundle whose packages are not what they should be."""
    files = [*package("Contoso.A"), *package("Contoso.B", payload=chance.randbytes(500))]
    entry, content = files[chance.choice((0, 3))]
    match chance.randrange(4):
        case 0:
            content = chance.randbytes(len(content))
        case 1:
            content = content[: chance.randrange(len(content) - 30)]
        case 2:
            content = package("Contoso.Other")[0][1]
        case _:
            content = b"PK\x05\x06" + bytes(18)
    bad = replace(entry, size=len(content), sha512=sha512(content)), content
    return bundle(*(bad if each[0] == entry else each for each in files))


DAMAGES: dict[str, Damage] = {
    made.__name__: made
    for made in (
        flipped, flipped_in_the_beginning, cut, cut_at_a_boundary, without_a_piece, with_a_piece, overwritten,
        block_elsewhere, swapped, doubled, removed, added, renamed, exchanged, other_header, of_tarfile,
        signed_by_a_stranger, other_head, other_line, other_package,
    )
}  # fmt: skip


def damaged(number: int) -> tuple[str, bytes] | None:
    """The bundle of this number and how it was damaged; None if that changed nothing."""
    chance = random.Random(number)
    name = list(DAMAGES)[number % len(DAMAGES)]
    made = DAMAGES[name](chance)
    return None if made == GOOD else (name, made)


def _end_of(name: str) -> int:
    at = GOOD.index(f"{name}\0".encode())
    size = int(GOOD[at + 124 : at + 135], 8)
    return at + BLOCK + size
