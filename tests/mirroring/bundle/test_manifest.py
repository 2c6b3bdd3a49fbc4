"""What a bundle says about itself: one form, and paths that follow from what a file is."""

import orjson
import pytest

from nugetproxy.mirroring.bundle.head import Head, Since
from nugetproxy.mirroring.bundle.manifest import Entry, HostedFacts, Kind, PackageFacts, SymbolsFacts, path_of
from tests.mirroring.bundle.bundles import FILES, NO_HASH, entry, head, package

CORE = package("Contoso.Core", "1.0.0", b"core")[0][0]
HOSTED = entry(
    Kind.HOSTED_PACKAGE, HostedFacts("Own", "1.0.0", NO_HASH, ("alice",), True, 1, 2, 3, 4, '{"reasons": ["Legacy"]}'),
    b"own",
)[0]  # fmt: skip


SYMBOLS = entry(
    Kind.SYMBOLS, SymbolsFacts("contoso.core.pdb", "0" * 32 + "f" * 8, "SHA256:" + "ab" * 32, ("contoso.core/1.0.0",)),
    b"BSJB",
)[0]  # fmt: skip


@pytest.mark.parametrize("written", [*(file[0] for file in FILES), HOSTED, SYMBOLS], ids=lambda each: each.path[:60])
def test_a_line_is_read_as_it_was_written(written):
    assert written == Entry.from_line(written.to_line()) == Entry.from_checked_line(written.to_line())


def changed(**changes):
    return orjson.dumps(orjson.loads(CORE.to_line()) | changes) + b"\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "empty document"),
        (b"[]\n", "not a JSON object"),
        (CORE.to_line()[:-1], "not written as"),
        (CORE.to_line().replace(b'":', b'": '), "not written as"),
        (CORE.to_line().replace(b'"size":4', b'"size":5,"size":4'), "not written as"),
        (changed(path="../../etc/passwd"), "its path is not that of a package"),
        (changed(path="/packages/contoso.core/1.0.0/contoso.core.1.0.0.nupkg"), "its path"),
        (changed(path="packages/contoso.core/1.0.0/Contoso.Core.1.0.0.nupkg"), "its path"),
        (changed(id="../x"), "is not a package id"),
        (changed(id="Contoso"), "its path is not that"),
        (changed(version="1.0"), "not in the form of URLs, 1.0.0"),
        (changed(version="1.0.0-BETA"), "not in the form of URLs"),
        (changed(size=-1), "its size"),
        (changed(size=True), "its size"),
        (changed(size=4.0), "its size"),
        (changed(size=2**63), "its size"),
        (changed(sha512="00"), "its sha512"),
        (changed(sha512=NO_HASH[:-3] + "B=="), "its sha512"),
        (changed(kind="link"), "link"),
        (changed(kind="package-hash"), "field"),
        (changed(kind="assumed"), "other fields"),
        (changed(upstreams="nuget.org"), "its upstreams"),
        (changed(upstreams=[1]), "its upstreams"),
        (changed(listed=1), "its listed"),
        (changed(more=1), "the field 'more'"),
        (b'{"path":"assumed.jsonl","size":0,"sha512":"%s","kind":"document"}\n' % NO_HASH.encode(), "it has no"),
        (b" " * 70_000, "more than 65536 bytes"),
    ],
)
def test_anything_else_is_refused(line, why):
    with pytest.raises(ValueError, match=why):
        Entry.from_line(line)


def changed_symbols(**changes):
    return orjson.dumps(orjson.loads(SYMBOLS.to_line()) | changes) + b"\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (changed_symbols(path=SYMBOLS.path.lower()), "its path is not that of a symbols"),
        (changed_symbols(file="../x.pdb"), "not the name of a PDB"),
        (changed_symbols(file=".."), "not the name of a PDB"),
        (changed_symbols(file="Contoso.Core.pdb"), "in lower case"),
        (changed_symbols(key="0" * 40), "not that of a portable PDB"),
        (changed_symbols(key="0" * 32 + "F" * 8), "not that of a portable PDB"),
        (changed_symbols(checksums=""), "checksums"),
        (changed_symbols(checksums="SHA256:" + "AB" * 32), "checksums"),
        (changed_symbols(checksums="MD5:" + "ab" * 16), "another algorithm"),
        (changed_symbols(packages=[]), "not in order"),
        (changed_symbols(packages=["contoso/2.0.0", "contoso/1.0.0"]), "not in order"),
        (changed_symbols(packages=["Contoso/1.0.0"]), "not in lower case"),
        (changed_symbols(packages=["contoso/1.0"]), "not in the form of URLs"),
        (changed_symbols(packages=["../1.0.0"]), "not a package id"),
    ],
)
def test_any_other_line_about_symbols_is_refused(line, why):
    with pytest.raises(ValueError, match=why):
        Entry.from_line(line)


def test_a_line_that_would_be_too_long_is_not_written():
    facts = PackageFacts("Contoso.Core", "1.0.0", "x" * 70_000, ("nuget.org",), 1)

    with pytest.raises(ValueError, match="its line has 7"):
        Entry(path_of(Kind.PACKAGE, facts), 1, NO_HASH, Kind.PACKAGE, facts).to_line()


HEAD = head([CORE], b"", since=Since("bundle", "2" * 32))


def test_a_head_is_read_as_it_was_written():
    assert HEAD == Head.from_bytes(HEAD.to_bytes())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": 3}, "it has format 3, and this nugetproxy reads up to 2: use a newer one"),
        ({"counts": {"symbols": 1}}, "it has format 1, and holds symbols"),
        ({"format": 0}, "it has format 0"),
        ({"bundle": "x"}, "its id"),
        ({"source": "1" * 33}, "its id or that of its source"),
        ({"created": "yesterday"}, "its time"),
        ({"manifest_sha512": ""}, "its manifest_sha512"),
        ({"manifest_size": -1}, "negative"),
        ({"size": 1.0}, "its size"),
        ({"counts": {"package": "1"}}, "its counts"),
        ({"since": {"kind": "guess", "id": "x"}}, "something unknown"),
        ({"since": {"kind": "bundle"}}, "it has no id"),
        ({"since": []}, "since or holds"),
        ({"holds": None}, "since or holds"),
        ({"holds": {"what": "all", "names": [], "hosted": []}}, "what it holds is unknown"),
        ({"more": 1}, "the field 'more'"),
        ({"upstreams": {"b": "", "a": ""}}, "not written as"),
    ],
)
def test_any_other_head_is_refused(changes, why):
    content = orjson.dumps(orjson.loads(HEAD.to_bytes()) | changes, option=orjson.OPT_INDENT_2) + b"\n"

    with pytest.raises(ValueError, match=why):
        Head.from_bytes(content)
