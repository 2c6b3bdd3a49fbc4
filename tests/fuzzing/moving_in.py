"""What other servers say about their packages: V2 feeds, blob properties, and the file that names the owners."""

from typing import Final

from nugetproxy.errors import InvalidRequest, UnreadableDocument
from nugetproxy.hosting.moving_in.names import contradicts, stated_by_path
from nugetproxy.hosting.moving_in.nexus import read_blob
from nugetproxy.hosting.moving_in.selection import read_owner_names
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.protocol.v2.feed_reader import read_feed
from tests.fuzzing.choices import Choices
from tests.fuzzing.target import Target
from tests.fuzzing.texts import odd_text, package_id, version

_NAMES: Final = (
    *("Id", "Version", "Listed", "Published", "Created", "PackageSize", "PackageHash", "PackageHashAlgorithm"),
    *("VersionDownloadCount", "Title"),
)
_VALUES: Final = (
    *("true", "false", "1900-01-01T00:00:00", "2019-05-06T07:08:09.123Z", "9999-12-31T23:59:59", "123", "-1"),
    *("9" * 30, "SHA512", "A" * 86 + "==", "A", ""),
)


def make_feed(choices: Choices) -> bytes:
    entries = "".join(choices.some(lambda: _entry(choices), 4))
    link = choices.one_of(("", '<link rel="next" href="x"/>', '<link rel="next"/>', '<link rel="self" href="y"/>'))
    head = choices.one_of(("", "<?xml version='1.0'?>", "<!DOCTYPE feed [<!ENTITY e 'x'>]>"))
    whole = f'{head}<feed xmlns="a" xmlns:d="b" xmlns:m="c">{entries}{link}</feed>'.encode("utf-8", "replace")
    return choices.edited(whole) if choices.chance(2) else whole


def _entry(choices: Choices) -> str:
    values = [(choices.one_of(_NAMES), choices.one_of(_VALUES)) for _ in range(choices.below(6))]
    values += [("Id", package_id(choices)), ("Version", version(choices))]
    told = "".join(f"<d:{name}>{_escaped(value)}</d:{name}>" for name, value in values)
    inside = f"<m:properties>{told}</m:properties>"
    if choices.chance(3):
        return f"<entry><title>{_escaped(odd_text(choices))}</title><content>{inside}</content></entry>"
    return f'<entry><content src="{_escaped(odd_text(choices))}"/>{inside}</entry>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def use_feed(body: bytes) -> None:
    page = read_feed(body)
    assert len(page.entries) <= page.count
    for entry in page.entries:
        assert entry.package.nupkg_name
        assert entry.downloads >= 0
        assert entry.size is None or entry.size > 0
        assert len(entry.sha512) in (0, 88)


def make_blob(choices: Choices) -> str:
    name = choices.one_of((f"{package_id(choices)}/{version(choices)}", odd_text(choices)))
    lines = [f"@BlobStore.blob-name={name}", f"size={odd_text(choices)}", f"creationTime={choices.number()}", "deleted"]
    return "\n".join((*lines, odd_text(choices)))


def use_blob(text: str) -> None:
    blob = read_blob(text)
    if (package := blob.package) is not None:
        assert blob.kind is not None
        assert "/" not in package.nupkg_name
        assert not contradicts(f"{package.id.text}.{package.version.normalized}.nupkg", package)
        stated = stated_by_path((package.lower_id, package.lower_version, package.nupkg_name))
        assert stated == package


def make_owners(choices: Choices) -> str:
    lines = choices.some(lambda: f'"{package_id(choices)}*" = {choices.one_of(("1", "[]", "{}", chr(34) * 2))}', 3)
    return "\n".join((*lines, f'"{package_id(choices)}" = "alice"', odd_text(choices) if choices.chance(3) else ""))


def use_owners(text: str) -> None:
    names = read_owner_names(text, "bob")
    assert names.find("no.such.id") in (*names.by_glob.values(), "bob")
    for glob, owner in names.by_glob.items():
        if "*" not in glob:
            assert names.find(lower_invariant(glob)) == owner or len(names.by_glob) > 1


TARGETS: Final = (
    Target("V2 feed to leave", make_feed, use_feed, (UnreadableDocument,)),
    Target("blob properties", make_blob, use_blob),
    Target("file of owners", make_owners, use_owners, (InvalidRequest,)),
)
