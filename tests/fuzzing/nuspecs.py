"""Nuspecs: generated XML, read as a pushed and as a mirrored one, rendered in every form and read again."""

import contextlib
import io
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import orjson

from nugetproxy.errors import DocumentTooLarge, InvalidPackage
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.nuspec import read_identity, read_nuspec
from nugetproxy.nuget.nuspec_parser import MIRRORED, PUSHED, NuspecParser
from nugetproxy.nuget.push_rules import PushLimits, check_push
from nugetproxy.protocol.bounds import LARGEST_VERSION
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v2.atom import write_entry
from nugetproxy.protocol.v3.manifest_leaf import leaf_from_manifest
from nugetproxy.protocol.v3.registration import Hive, read_index, registration_of
from nugetproxy.protocol.v3.version_fitting import LONGEST_VERSION
from tests.builders import NAMESPACE, make_zip
from tests.fuzzing.choices import Choices
from tests.fuzzing.target import Target
from tests.fuzzing.texts import address, framework, odd_text, package_id, version, version_range
from tests.protocol.writing import rows_of_leaves, write_index

LINKS: Final = Links("https://packages.example.com/nuget")
NOON: Final = 1_704_196_800.0
"""2024-01-02T12:00:00Z: the builders date their entries to that day."""

_TEXTS: Final = (
    *("authors", "description", "title", "summary", "owners", "releaseNotes", "copyright", "language", "tags"),
    *("requireLicenseAcceptance", "developmentDependency", "serviceable", "icon", "readme", "unknown", "Id", "VERSION"),
)
_MANY: Final = (33, 129, 257, 1_025, 2_049, 9_000, 70_000)
_DECLARATIONS: Final = (
    "",
    *(f'<?xml version="1.0" encoding="{name}"?>' for name in ("utf-8", "utf-16", "utf-7", "iso-8859-1", "x")),
    '<?xml version="1.1" encoding="utf-8"?>',
    '<!DOCTYPE x [<!ENTITY e "&#x41;">]>',
)
_ENCODINGS: Final = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
# Characters of repeated parts: longer ones only take more time.
_LONGEST: Final = 300_000


def make_nuspec(choices: Choices) -> bytes:
    """A nuspec with everything it may contain, in unusual amounts."""
    head = [f"<id>{_text(package_id(choices))}</id>", f"<version>{_text(version(choices))}</version>"]
    if not choices.chance(4):
        head += ["<authors>A</authors>", "<description>D</description>"]
    body = [*head, *choices.some(lambda: _element(choices), 6)]
    if choices.chance(12):
        body.reverse()
    namespace = choices.one_of((NAMESPACE, "", "urn:other", NAMESPACE.replace("2013/05", "2010/07")))
    opening = f'<package xmlns="{namespace}">' if namespace else "<package>"
    attribute = f' minClientVersion="{escape(version(choices))}"' if choices.chance(6) else ""
    xml = f"{opening}<metadata{attribute}>{''.join(body)}</metadata>{_extra(choices)}</package>"
    declaration, encoding = '<?xml version="1.0" encoding="utf-8"?>\n', "utf-8"
    if choices.chance(4):
        declaration, encoding = choices.one_of(_DECLARATIONS), choices.one_of(_ENCODINGS)
    written = (declaration + xml).encode(encoding, "replace")
    return choices.edited(written, 3) if choices.chance(6) else written


def _element(choices: Choices) -> str:
    match choices.below(14):
        case 0 | 1 | 2:
            return _dependencies(choices)
        case 3:
            kinds = "".join(
                f"<packageType name={_quoted(odd_text(choices)[:40])}/>" for _ in range(1 + choices.below(3))
            )
            return _inside("packageTypes", _repeated(kinds, _times(choices)))
        case 4:
            kind = choices.one_of(("expression", "file", "EXPRESSION", ""))
            texts = ("MIT", "MIT OR (Apache-2.0 AND X)", "LICENSE.txt", "((((MIT", _text(odd_text(choices)))
            return f'<license type="{kind}">{choices.one_of(texts)}</license>'
        case 5:
            return _inside(choices.one_of(("iconUrl", "licenseUrl", "projectUrl")), _text(address(choices)))
        case 6:
            return f"<repository type='git' url={_quoted(address(choices))} commit={_quoted(odd_text(choices)[:40])}/>"
        case 7:
            inner = choices.one_of(("<reference file='a'/>", "<frameworkReference name='b'/>", "<dependency id='c'/>"))
            group = f"<group targetFramework={_quoted(framework(choices))}>{inner * choices.below(4)}</group>"
            name = choices.one_of(("references", "frameworkReferences", "dependencies"))
            return _inside(name, _repeated(group, _times(choices)))
        case 8:
            assembly = "<frameworkAssembly assemblyName='a' targetFramework='net45, net46'/>"
            return _inside("frameworkAssemblies", _repeated(assembly, _times(choices)))
        case 9:
            return _inside("contentFiles", _repeated("<files include='**/*'/>", _times(choices)))
        case 10:
            pieces = ("<!-- c -->", "<?p i?>", "<a><b/></a>", "x", "<![CDATA[y]]>", "&#65;", "&amp;")
            return _repeated(choices.one_of(pieces), _times(choices))
        case 11:
            depth = choices.one_of((2, 15, 16, 17, 255, 257, 5_000))
            return "<d>" * depth + "</d>" * depth
    more = "<x>y</x>" if choices.chance(10) else ""
    return _inside(choices.one_of(_TEXTS), _text(odd_text(choices)) + more)


def _times(choices: Choices) -> int:
    return choices.one_of(_MANY) if choices.chance(5) else 1 + choices.below(3)


def _repeated(text: str, times: int) -> str:
    return text * min(times, 1 + _LONGEST // (len(text) + 1))


def _inside(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>"


def _dependencies(choices: Choices) -> str:
    def dependency() -> str:
        return f"<dependency id={_quoted(package_id(choices))} version={_quoted(version_range(choices))} exclude='x'/>"

    def group() -> str:
        inner = _repeated("".join(choices.some(dependency, 3)), _times(choices))
        return f"<group targetFramework={_quoted(framework(choices))}>{inner}</group>"

    parts = choices.some(group if choices.chance(2) else dependency, 5)
    return _inside("dependencies", _repeated("".join(parts), _times(choices)))


def _extra(choices: Choices) -> str:
    return choices.one_of(("", "", "", "<files/>", "<metadata><id>B</id></metadata>", "<m:metadata xmlns:m='urn:m'/>"))


def _text(text: str) -> str:
    return escape(_valid(text))


def _quoted(text: str) -> str:
    return quoteattr(_valid(text))


def _valid(text: str) -> str:
    """Characters that XML allows; byte edits cover the rest."""
    return "".join(c for c in text if c >= " " and c not in "\ufffe\uffff")


def use_nuspec(nuspec: bytes) -> None:
    """As a mirrored one: it is rendered within limits, and reading the result gives the same."""
    parser = NuspecParser(MIRRORED)
    try:
        parser.parse(nuspec)
    finally:
        assert parser.visited <= MIRRORED.elements
    manifest = read_nuspec(nuspec)
    assert read_identity(nuspec) == manifest.identity
    assert PackageManifest.from_dict(orjson.loads(orjson.dumps(manifest.as_dict()))) == manifest
    check_renderings(manifest)


def check_renderings(manifest: PackageManifest) -> None:
    leaf = leaf_from_manifest(manifest, published="2024-01-02T03:04:05.0000000+00:00")
    assert (
        leaf.fits or manifest.is_partial or manifest.dependency_groups or len(manifest.version.full) > LONGEST_VERSION
    )
    registration = registration_of(manifest.id.text, [leaf])
    for hive in Hive:
        try:
            written = write_index(registration, hive, LINKS)
        except DocumentTooLarge:
            assert not leaf.fits
            continue
        if written is None:
            assert leaf.is_semver2
            assert not hive.has_semver2
            continue
        assert len(written) <= LARGEST_VERSION + 4_096
        (again,) = read_index(written, manifest.id).leaves
        assert (again.version, again.package_id, again.listed) == (leaf.version, manifest.id.text, True)
        # Build metadata of a range is not rendered, although it makes the version SemVer 2.
        assert again.is_semver2 <= leaf.is_semver2
        assert [[each.id for each in group.dependencies] for group in manifest.dependency_groups] == [
            [each["id"] for each in group.get("dependencies", ())] for group in again.entry.get("dependencyGroups", ())
        ]
    for row in rows_of_leaves([leaf], LINKS, level2=True):
        try:
            assert len(write_entry(row, LINKS)) <= LARGEST_VERSION + 1_000
        except DocumentTooLarge:
            assert sum(len(group.dependencies) or 1 for group in manifest.dependency_groups) > 100


def use_pushed(nuspec: bytes) -> None:
    """As a pushed one, in an otherwise valid package."""
    parser = NuspecParser(PUSHED)
    with contextlib.suppress(InvalidPackage):
        parser.parse(nuspec)
    assert parser.visited <= PUSHED.elements
    package = make_zip({"x.nuspec": nuspec, "lib/net8.0/_._": b"", "readme": b"r", "icon": b"\x89PNG\r\n\x1a\n"})
    nupkg = Nupkg(io.BytesIO(package))
    warnings = check_push(nupkg, PushLimits(), clock=lambda: NOON)
    for warning in warnings:
        assert warning.isprintable()
    manifest = nupkg.manifest
    assert not manifest.is_partial
    leaf = leaf_from_manifest(manifest, published="2024-01-02T03:04:05.0000000+00:00")
    assert leaf.fits, "a nuspec accepted on push is rendered in full"
    check_renderings(manifest)


TARGETS: Final = (
    Target("nuspec", make_nuspec, use_nuspec, (InvalidPackage,)),
    Target("pushed nuspec", make_nuspec, use_pushed, (InvalidPackage,)),
)
