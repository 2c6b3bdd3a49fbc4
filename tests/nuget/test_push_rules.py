"""All push rules together, and those for the archive and the contents of the nuspec."""

import hashlib
import io
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.push_rules import PushLimits, check_push
from tests.builders import insert_stored, make_nupkg, make_nuspec, make_zip, sign
from tests.nuget.test_hostile_input import BOUNDED, EDITS, NUPKG, SIGNED, Edit, edited, refusal
from tests.shared import shared

NOON = 1_704_196_800.0
"""2024-01-02T12:00:00Z: the builders date their entries to this day."""


def warnings(package: bytes, limits: PushLimits = PushLimits(), now: float = NOON) -> tuple[str, ...]:  # noqa: B008 - frozen
    return check_push(Nupkg(io.BytesIO(package)), limits, clock=lambda: now)


def why_not(package: bytes, limits: PushLimits = PushLimits(), now: float = NOON) -> str:  # noqa: B008 - frozen
    with pytest.raises(InvalidPackage) as refused:
        warnings(package, limits, now)
    return str(refused.value)


def with_nuspec(**arguments: object) -> bytes:
    return make_nupkg(nuspec=make_nuspec(**arguments))  # type: ignore[arg-type]  # as make_nuspec takes them


def test_a_good_package_has_no_warnings():
    assert () == warnings(make_nupkg(readme="# Hello", license="free", icon=b"\x89PNG\r\n\x1a\n"))


def test_a_signed_package_is_judged_like_any_other():
    assert () == warnings(sign(make_nupkg(readme="# Hello", license="free")))


def test_missing_parts_cause_warnings():
    assert (
        "The package does not contain a readme. Add one: https://aka.ms/nuget/authoring-best-practices/readme",
        "The package has no license. Add the license element with an SPDX expression or a file.",
    ) == warnings(make_nupkg())


def test_deprecated_elements_cause_warnings():
    told = warnings(make_nupkg(more="<licenseUrl>https://x/l</licenseUrl><iconUrl>https://x/i</iconUrl>"))

    assert (
        "The licenseUrl element is deprecated. Use the license element instead.",
        "The iconUrl element is deprecated. Use the icon element instead.",
    ) == told[1:]


def test_real_packages_pass():
    """
    Packages of all years and tools: what nuget.org accepted must be accepted here.
    """
    packages = sorted((shared() / "nuget-org" / "packages").rglob("*.nupkg"))
    refused = {}
    for path in packages:
        with path.open("rb") as file:
            try:
                check_push(Nupkg(file))
            except InvalidPackage as error:
                refused[path.name] = str(error)

    assert {} == refused
    assert len(packages) > 200


# --- messages ---------------------------------------------------------------------------------------------------------


def test_several_problems_are_reported_together():
    told = why_not(with_nuspec(authors="", description="", more="<projectUrl>x</projectUrl>"))

    assert told == (
        "its nuspec has no authors; the element is required; "
        "its nuspec has no description; the element is required; "
        "its projectUrl 'x' is not an absolute http or https URL"
    )


def test_a_symbols_package_is_told_only_where_it_belongs():
    """
    Its nuspec must lack elements that are required in a package.
    """
    assert why_not(with_nuspec(authors="", description="", package_types=["symbolspackage"])) == (
        "it is a symbols package (.snupkg): push it to /api/v2/symbolpackage; this URL takes the package itself"
    )


def test_more_than_three_problems_are_counted():
    many = "".join(f"<{name}>ftp://x</{name}>" for name in ("projectUrl", "iconUrl", "licenseUrl"))

    assert why_not(with_nuspec(authors="", description="", more=many)).endswith("; and 2 more")


# --- the archive ------------------------------------------------------------------------------------------------------


def test_dates_may_be_a_day_ahead():
    """
    The format has no time zones.
    """
    assert warnings(make_nupkg(), now=NOON - 86_400 / 2)
    told = why_not(make_nupkg(), now=NOON - 10 * 86_400)
    assert "is dated 2024-01-02, more than a day in the future: check the clock" in told


def test_an_invalid_date_is_ignored():
    package = make_nupkg()
    date = struct.pack("<2H", 3 << 11 | 4 << 5 | 3, 44 << 9 | 1 << 5 | 2)
    assert date in package

    assert warnings(package.replace(date, bytes(4)), now=0.0)


def test_a_bomb_is_refused_by_what_it_declares():
    package = make_nupkg(files={"zeros": bytes(300_000)})
    limits = PushLimits(max_ratio=20, ratio_free_size=100_000)

    assert "more than 20 times its size" in why_not(package, limits)
    assert warnings(package, PushLimits(max_ratio=20))


def test_a_bomb_that_declares_little_is_found_out():
    package = make_nupkg(files={"zeros": bytes(300_000)})
    size = struct.pack("<L", 300_000)
    assert package.count(size) == 2

    told = why_not(package.replace(size, struct.pack("<L", 3)))
    assert "'zeros' is damaged: its size or checksum differs" in told


def test_damage_is_found():
    content = b"a library"
    package = insert_stored(make_nupkg(), "lib/a.dll", content)

    assert "'lib/a.dll' is damaged" in why_not(package.replace(content, b"a lobrary"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_is_found_in_entries_of_any_size(method, tmp_path):
    """
    One byte in the middle of 40 MB, which are never all in memory.
    """
    content = b"".join(hashlib.sha256(b"%d" % number).digest() * 32 for number in range(40_000))
    assert len(content) > 40 * 1_000_000
    kept = {} if method == zipfile.ZIP_DEFLATED else {"lib/a.dll": content}
    files = {"a.nuspec": make_nuspec(), **({} if kept else {"lib/a.dll": content})}
    path = tmp_path / "a.nupkg"
    path.write_bytes(make_zip(files, stored=kept))
    with path.open("r+b") as file:
        tracemalloc.start()
        try:
            assert check_push(Nupkg(file))
            file.seek(path.stat().st_size // 2)
            damaged = bytes([file.read(1)[0] ^ 1])
            file.seek(-1, 1)
            file.write(damaged)
            file.flush()
            with pytest.raises(InvalidPackage, match=r"'lib/a\.dll' is damaged"):
                check_push(Nupkg(file))
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
        finally:
            tracemalloc.stop()


def test_the_two_headers_of_an_entry_agree():
    """
    Otherwise readers that use one and readers that use the other would get different files.
    """
    package = insert_stored(make_nupkg(), "lib/a.dll", b"12345")
    at = package.index(b"lib/a.dll")

    told = why_not(package[:at] + b"lib/b.exe" + package[at + 9 :])
    assert "'lib/a.dll' has another name or compression method in its local header" in told
    assert "'lib/b.exe'" in told
    for field in (at - 22, at - 16, at - 12, at - 8):  # compression, checksum, both sizes
        assert "header" in why_not(package[:field] + b"\7" + package[field + 1 :])


def test_a_stored_entry_has_one_size():
    package = insert_stored(make_nupkg(), "a.dll", b"12345")
    sizes = struct.pack("<3L", zlib.crc32(b"12345"), 5, 5)
    lying = struct.pack("<3L", zlib.crc32(b"12345"), 5, 500)

    assert "has two different sizes" in why_not(package.replace(sizes, lying))


# --- the nuspec -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"authors": ""}, "no authors"),
        ({"description": " "}, "no description"),
        ({"id": "Größe"}, "non-ASCII letters"),
        ({"version": "1.0.0-" + "a" * 59}, "its version has 65 characters; the limit is 64"),
        ({"id": "a" * 100, "version": "1.0.0-" + "a" * 58}, "more than 160 characters in total"),
        ({"more": f"<title>{'x' * 257}</title>"}, "its title has 257 characters; the limit is 256"),
        ({"more": f"<releaseNotes>{'x' * 35_001}</releaseNotes>"}, "its releaseNotes has 35001 characters"),
        ({"more": f"<language>{'x' * 21}</language>"}, "language has 21"),
        ({"more": f"<owners>{'x' * 4001}</owners>"}, "owners has 4001"),
        ({"description": "x" * 4001}, "description has 4001"),
        ({"more": f"<projectUrl>https://{'x' * 4000}</projectUrl>"}, "projectUrl has 4008"),
        ({"more": "<projectUrl>example.org</projectUrl>"}, "'example.org' is not an absolute http or https URL"),
        ({"more": "<projectUrl>javascript:alert(1)</projectUrl>"}, "not an absolute"),
        ({"more": "<projectUrl>https://</projectUrl>"}, "not an absolute"),
        ({"more": "<iconUrl>//x/y</iconUrl>"}, "iconUrl '//x/y' is not"),
        ({"more": "<licenseUrl>http://[x</licenseUrl>"}, "licenseUrl 'http://[x' is not"),
        ({"more": "<developmentDependency>yes</developmentDependency>"}, "is 'yes'; expected true or false"),
        ({"more": "<serviceable></serviceable>"}, "serviceable is ''; expected true or false"),
        ({"package_types": ["SymbolsPackage"]}, "it is a symbols package (.snupkg): push it to /api/v2/symbolpackage"),
        ({"package_types": ["not a name"]}, "package type 'not a name' is not a name"),
        ({"package_types": [""]}, "package type '' is not a name"),
        (
            {"more": '<packageTypes><packageType name="Tool" version="1" /></packageTypes>'},
            "the version '1' of its package type 'Tool' is not two to four numbers",
        ),
        ({"more": f'<repository type="{"g" * 101}" />'}, "its repository type has more than 100"),
    ],
)
def test_a_nuspec_that_breaks_a_rule_is_refused(arguments, why):
    assert why in why_not(with_nuspec(**arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        {"id": "a" * 100, "version": "1.0.0-" + "a" * 54},
        {"more": "<projectUrl>HTTP://Example.org/x y</projectUrl>"},
        {"more": "<projectUrl></projectUrl>"},
        {"more": "<serviceable>True</serviceable><developmentDependency>0</developmentDependency>"},
        {"package_types": ["DotnetTool", "McpServer"]},
        {"more": '<packageTypes><packageType name="My.Type-2" version="1.2.3.4" /></packageTypes>'},
        {"more": '<repository type="git" url="git@example.org:x/y.git" />'},
        {"namespace": ""},
    ],
)
def test_a_nuspec_within_the_rules_is_accepted(arguments):
    assert warnings(with_nuspec(**arguments))


@pytest.mark.parametrize(("version", "is_taken"), [("2.12", True), ("7.3.1.1", True), ("99.0.0", True), ("new", False)])
def test_min_client_version_is_a_version(version, is_taken):
    nuspec = make_nuspec().replace(b"<metadata>", f'<metadata minClientVersion="{version}">'.encode())
    package = make_nupkg(nuspec=nuspec)

    if is_taken:
        assert warnings(package)
    else:
        assert "its minClientVersion cannot be read: 'new' is not" in why_not(package)


def test_min_client_version_is_short():
    nuspec = make_nuspec().replace(b"<metadata>", b'<metadata minClientVersion="1.0.0+%b">' % (b"x" * 59))

    assert "its minClientVersion has 65 characters; the limit is 64" in why_not(make_nupkg(nuspec=nuspec))


# --- anything ---------------------------------------------------------------------------------------------------------


def judge(package: bytes) -> None:
    for line in warnings(package):
        assert "\n" not in line


@pytest.mark.parametrize("whole", [NUPKG, SIGNED], ids=["unsigned", "signed"])
@given(edits=EDITS)
@BOUNDED
def test_edited_packages_are_judged_or_refused(whole: bytes, edits: list[Edit]):
    assert "\n" not in refusal(judge, edited(whole, edits))


@given(
    texts=st.dictionaries(
        st.sampled_from(
            ["title", "projectUrl", "language", "license", "readme", "icon", "packageTypes", "serviceable"]
        ),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="<&\ufffe\uffff")),
    ),
    version=st.text("0123456789.*[](),-+a ", max_size=12),
    framework=st.text("net8.0-w,=+;* ", max_size=12),
)
@BOUNDED
def test_any_texts_are_judged_or_refused(texts: dict[str, str], version: str, framework: str):
    more = "".join(f"<{name}>{text}</{name}>" for name, text in texts.items())
    nuspec = make_nuspec(dependencies={framework: [("A", version)]}, more=more)

    assert "\n" not in refusal(judge, make_zip({"a.nuspec": nuspec}))
