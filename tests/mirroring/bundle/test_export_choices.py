"""What an export is limited to: the needs of sources, and hosted packages by their ids."""

from contextlib import closing
from pathlib import Path

import pytest

from nugetproxy.errors import DamagedContent
from nugetproxy.mirroring.bundle.manifest import HostedFacts, Kind
from nugetproxy.mirroring.prewarm.plan import Extras
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.projects.sources import read_sources
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.runtime.export_choice import choose
from nugetproxy.runtime.exporting import EVERYTHING, Choice
from tests.builders import make_nupkg
from tests.hosting.house import House
from tests.mirroring.bundle.bundles import sha512
from tests.mirroring.bundle.shelf import Shelf, files_of, paths_of


@pytest.fixture
async def shelf(tmp_path):
    made = Shelf(tmp_path / "data")
    needs = make_nupkg("App", "1.0.0", dependencies={"net8.0": [("Library", "[1.0.0, )")]})
    await made.put("App", content=needs)
    for version in ("1.0.0", "2.0.0"):
        await made.put("Library", version)
    return made


async def chosen(shelf: Shelf, source: Path, **settings: object) -> Choice:
    return await choose(shelf.config(**settings), read_sources([source]), Extras(), (str(source),))


def packages_in(bundle: bytes) -> list[str]:
    return [path.split("/")[-1] for path in paths_of(bundle) if path.endswith(".nupkg")]


async def test_a_list_is_resolved_with_what_is_kept(shelf, tmp_path):
    source = tmp_path / "list.txt"
    source.write_text("App [1.0.0, )\n")

    choice = await chosen(shelf, source)

    assert ("sources", (str(source),)) == (choice.holds.what, choice.holds.names)
    assert ["app.1.0.0.nupkg", "library.1.0.0.nupkg"] == packages_in((await shelf.export(choice))[1])


async def test_an_exact_line_is_one_package(shelf, tmp_path):
    source = tmp_path / "list.txt"
    source.write_text("Library 2.0.0\n")

    assert ["library.2.0.0.nupkg"] == packages_in((await shelf.export(await chosen(shelf, source)))[1])


@pytest.mark.parametrize(
    ("line", "why"), [("Absent [1.0.0, )", "Absent .*wanted by"), ("Library [3.0.0, )", r"Library .*wanted by")]
)
async def test_what_cannot_be_resolved_is_named(shelf, tmp_path, line, why):
    source = tmp_path / "list.txt"
    source.write_text(f"{line}\n")

    with pytest.raises(DamagedContent, match=rf"{why}.*nothing was exported: fetch what is missing"):
        await chosen(shelf, source)


async def test_an_exact_package_that_is_not_kept(shelf, tmp_path):
    source = tmp_path / "list.txt"
    source.write_text("Library 3.0.0\n")

    choice = await chosen(shelf, source)
    with pytest.raises(DamagedContent, match=r"Library 3\.0\.0 is not in the mirror"):
        await shelf.export(choice)


# --- hosted ---


@pytest.fixture
async def house(shelf):
    with closing(House(shelf.data)) as opened:
        alice = await opened.actor("alice", administrator=True)
        await opened.push(alice, "Contoso.Utils", "1.0.0")
        await opened.push(alice, "Contoso.Utils", "1.1.0-beta")
        await opened.push(alice, "Contoso.Other", "1.0.0")
        await opened.publish.unlist(alice, PackageIdentity.parse("Contoso.Utils", "1.0.0"), address="")
        yield opened


async def test_hosted_packages_stay_unless_they_are_asked_for(shelf, house):
    _, bundle = await shelf.export()

    assert not [path for path in paths_of(bundle) if path.startswith("hosted/")]


async def test_hosted_packages_travel_with_owners_and_listing(shelf, house):
    exported, bundle = await shelf.export(EVERYTHING.with_hosted(("Contoso.U*",)))

    files = {entry.path: (entry, content) for entry, content in files_of(bundle) if entry.path.startswith("hosted/")}
    assert [
        "hosted/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg",
        "hosted/contoso.utils/1.1.0-beta/contoso.utils.1.1.0-beta.nupkg",
    ] == list(files)
    entry, content = files["hosted/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"]
    assert make_nupkg("Contoso.Utils", "1.0.0") == content
    stored = await house.packages.find(PackageIdentity.parse("Contoso.Utils", "1.0.0"))
    assert HostedFacts(
        "Contoso.Utils", "1.0.0", sha512(content), ("alice",), False, stored.published, stored.created,
        stored.last_edited, 0,
    ) == entry.facts  # fmt: skip
    assert ("Contoso.U*",) == exported.head.holds.hosted


async def count_downloads(house, count):
    row = ("contoso.other", "1.0.0", count)
    await house.database.write(lambda db: db.execute("INSERT OR REPLACE INTO hosted_downloads VALUES (?, ?, ?)", row))


async def test_deprecation_downloads_and_symbols(shelf, house):
    package = PackageIdentity.parse("Contoso.Other", "1.0.0")
    deprecation = Deprecation(("Legacy",), "gone")
    alice = await house.actor("alice", administrator=True)
    await house.publish.deprecate(alice, package.id, [package.version], deprecation, address="")
    symbols = b"symbols"
    path = house.path / "hosted" / "symbols" / "a.snupkg"
    path.parent.mkdir(parents=True)
    path.write_bytes(symbols)
    row = ((await house.packages.find(package)).push, "symbols/a.snupkg", len(symbols), sha512(symbols), 1)
    await house.database.write(lambda db: db.execute("INSERT INTO symbol_packages VALUES (?, ?, ?, ?, ?)", row))
    await count_downloads(house, 7)

    _, bundle = await shelf.export(EVERYTHING.with_hosted(("contoso.other",)))

    hosted = [(entry, content) for entry, content in files_of(bundle) if entry.path.startswith("hosted/")]
    assert [Kind.HOSTED_PACKAGE, Kind.HOSTED_SYMBOLS] == [entry.kind for entry, _ in hosted]
    assert isinstance(hosted[0][0].facts, HostedFacts)
    assert (7, '{"reasons":["Legacy"],"message":"gone","alternate":["","*"]}') == (
        hosted[0][0].facts.downloads, hosted[0][0].facts.deprecation,
    )  # fmt: skip
    assert symbols == hosted[1][1]


async def test_a_hosted_file_that_is_missing(shelf, house):
    for path in house.files():
        path.unlink()

    with pytest.raises(DamagedContent, match=r"the file of the hosted Contoso\.Other 1\.0\.0 is missing or damaged"):
        await shelf.export(EVERYTHING.with_hosted(("*",)))


async def test_a_hosted_package_that_is_needed(shelf, house, tmp_path):
    source = tmp_path / "list.txt"
    source.write_text("Contoso.Other 1.0.0\nLibrary 1.0.0\n")

    choice = await chosen(shelf, source, hosting={"enabled": True}, feed={"protected_prefixes": ["Contoso."]})

    assert ["library.1.0.0.nupkg"] == packages_in((await shelf.export(choice))[1])
    assert ["Contoso.Other 1.0.0"] == [str(each) for each in choice.left_out]
    whole = choice.with_hosted(("*",))
    assert [] == whole.left_out
    # Not the other hosted packages.
    assert ["contoso.other.1.0.0.nupkg", "library.1.0.0.nupkg"] == packages_in((await shelf.export(whole))[1])


async def test_only_a_hosted_package_that_changed_is_new(shelf, house, tmp_path):
    choice = EVERYTHING.with_hosted(("*",))
    (tmp_path / "first.bundle").write_bytes((await shelf.export(choice))[1])
    await count_downloads(house, 7)

    _, unchanged = await shelf.export(choice, tmp_path / "first.bundle")
    (tmp_path / "second.bundle").write_bytes(unchanged)
    alice = await house.actor("alice", administrator=True)
    await house.publish.unlist(alice, PackageIdentity.parse("Contoso.Other", "1.0.0"), address="")
    _, changed = await shelf.export(choice, tmp_path / "second.bundle")

    assert ["assumed.jsonl"] == paths_of(unchanged)
    assert ["assumed.jsonl", "hosted/contoso.other/1.0.0/contoso.other.1.0.0.nupkg"] == paths_of(changed)
