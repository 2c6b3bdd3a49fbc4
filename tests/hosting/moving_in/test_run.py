"""Folders of every layout into a feed: what comes, what is kept of its history, what is refused, and a second run."""

import asyncio
import base64
import hashlib
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from nugetproxy.accounts.model import Actor
from nugetproxy.errors import InvalidRequest, StorageUnavailable
from nugetproxy.hosting.moving_in.folder import FolderSource
from nugetproxy.hosting.moving_in.report import Outcome
from nugetproxy.hosting.moving_in.selection import Selection
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobKey
from tests.builders import make_nupkg, make_nuspec
from tests.engines.main_database import fetched
from tests.hosting.house import NOON, House
from tests.hosting.moving_in.desk import Desk, baget_database, outcomes, stored, write
from tests.symbol_builders import make_debuggable, make_snupkg

ONE = make_nupkg("Contoso.Utils", "1.0.0")
TWO = make_nupkg("Contoso.Utils", "2.0.0")
LONG_AGO = int(datetime(2019, 5, 6, 7, 8, 9, tzinfo=UTC).timestamp()) * 1_000_000


def dated(path: Path, microseconds: int = LONG_AGO) -> Path:
    os.utime(path, ns=(microseconds * 1000, microseconds * 1000))
    return path


# --- layouts ----------------------------------------------------------------------------------------------------------


async def test_loose_files_keep_their_dates(desk: Desk, folder: Path):
    dated(write(folder, "Contoso.Utils.1.0.0.nupkg", ONE))
    dated(write(folder, "deep/er/whatever.nupkg", TWO), 0)
    write(folder, "readme.txt", b"no package")
    write(folder, "cache.bin", b"no package")
    report = await desk.move_in(folder)

    assert outcomes(report) == [
        ("Contoso.Utils.1.0.0.nupkg", "imported", ""),
        ("deep/er/whatever.nupkg", "imported", ""),
    ]
    assert await desk.bytes_of("Contoso.Utils 1.0.0") == ONE
    found = {each.manifest.version.full: each for each in await desk.house.packages.of("contoso.utils")}
    assert found["1.0.0"].published == LONG_AGO
    assert found["2.0.0"].published >= NOON // 1000, "1970 is no date of publication"


async def test_baget(desk: Desk, folder: Path):
    for version in ("1.0.0", "2.0.0-Beta", "3.0.0"):
        stored(folder / "packages", "Contoso.Utils", version)
    baget_database(
        folder / "baget.db",
        [
            ("contoso.utils", "1.0.0", 0, "2019-05-06 07:08:09", 7),
            ("Contoso.Utils", "2.0.0-beta", 1, "2020-05-06 07:08:09.1234567", 0),
            ("Contoso.Utils", "3.0.0", 1, "nonsense", -5),
            ("Contoso.Lost", "1.0.0", 1, "2020-05-06 07:08:09", 0),
        ],
    )
    report = await desk.move_in(folder)

    assert [(row.outcome, row.kind) for row in report.rows[3:]] == [("refused", "unusable")]
    assert "no file of it" in report.refused[0].why
    one, two, three = await desk.house.packages.of("contoso.utils")
    assert (one.listed, one.published, two.listed, three.listed) == (False, LONG_AGO, True, True)
    assert two.published == int(datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC).timestamp()) * 1_000_000 + 123_456
    assert await desk.downloads("contoso.utils") == {"1.0.0": 7}


async def test_another_database_is_refused(desk: Desk, folder: Path):
    database = write(folder, "baget.db", b"not SQLite, but long enough to be looked at" * 100)
    with pytest.raises(InvalidRequest, match="not the SQLite database of a BaGet server"):
        await desk.move_in(FolderSource(folder, database=database))
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE VIEW Packages AS SELECT 1 AS Id, 1 AS Version")
    with pytest.raises(InvalidRequest, match="it has no table Packages"):
        await desk.move_in(folder)


async def test_nexus(desk: Desk, folder: Path):
    def blob(name: str, content: bytes, properties: str) -> None:
        write(folder, f"content/vol-01/chap-02/{name}.bytes", content)
        write(folder, f"content/vol-01/chap-02/{name}.properties", properties.encode())

    here = "@Bucket.repo-name=nuget-hosted\ncreationTime=1557126489000\n@BlobStore.blob-name="
    blob("a", ONE, f"{here}Contoso.Utils/1.0.0")
    blob("b", TWO, f"{here}Contoso.Utils/2.0.0\ndeleted=true")
    blob("c", make_nupkg("Contoso.Other"), f"{here}Contoso.Utils/3.0.0")
    blob("d", b"{}", f"{here}v3/registration/contoso.utils/1.0.0.json")
    blob("e", TWO, f"{here}Contoso.Utils/2.0.0".replace("hosted", "proxy"))
    write(folder, "content/tmp/f.bytes", TWO)
    report = await desk.move_in(FolderSource(folder, repository="nuget-hosted"))

    assert [(row.outcome, row.kind) for row in report.rows] == [("imported", ""), ("refused", "another_package")]
    [found] = await desk.house.packages.of("contoso.utils")
    assert found.published == LONG_AGO
    assert report.rows[0].notes == ("In the repository nuget-hosted: Contoso.Utils/1.0.0",)


async def test_sleet(desk: Desk, folder: Path):
    for version in ("1.0.0", "2.0.0"):
        stored(folder / "flatcontainer", "Contoso.Utils", version)
    entry = {
        "id": "Contoso.Utils",
        "version": "1.0.0",
        "listed": False,
        "published": "2019-05-06T07:08:09Z",
        "deprecation": {
            "reasons": ["CriticalBugs", "Unheard"],
            "message": "Do not.",
            "alternatePackage": {"id": "Contoso.New", "range": "[2.0.0, )"},
        },
    }
    leaves = [{"catalogEntry": entry}, {"catalogEntry": {**entry, "version": "2.0.0", "deprecation": {"reasons": 1}}}]
    index = {"count": 1, "items": [{"@id": "https://x/p", "count": 2, "items": leaves, "lower": "1.0.0"}]}
    write(folder, "registration/contoso.utils/index.json", orjson.dumps(index))
    await desk.move_in(folder)

    one, two = await desk.house.packages.of("contoso.utils")
    assert (one.listed, one.published) == (False, LONG_AGO)
    assert one.deprecation is not None
    assert two.deprecation is not None
    assert one.deprecation.as_dict() == {
        "reasons": ["CriticalBugs"], "message": "Do not.", "alternate": ["Contoso.New", "[2.0.0, )"],
    }  # fmt: skip
    assert two.deprecation.reasons == ("Other",)


async def test_the_stated_hash_of_a_v3_folder_is_checked(desk: Desk, folder: Path):
    path = stored(folder, "Contoso.Utils", "1.0.0", ONE)
    hash_file = path.with_name(f"{path.name}.sha512")
    hash_file.write_bytes(base64.b64encode(hashlib.sha512(TWO).digest()))
    assert outcomes(await desk.move_in(folder))[0][1:] == ("refused", "damaged")
    assert desk.here() == []
    hash_file.write_bytes(base64.b64encode(hashlib.sha512(ONE).digest()) + b"\n")
    assert outcomes(await desk.move_in(folder))[0][1:] == ("imported", "")


async def test_symbols_come_after_their_package(desk: Desk, folder: Path):
    write(folder, "a.snupkg", make_snupkg())
    write(folder, "z.nupkg", make_debuggable())
    write(folder, "z.symbols.nupkg", b"old")
    assert outcomes(await desk.move_in(folder)) == [
        ("z.nupkg", "imported", ""), ("a.snupkg", "imported", ""), ("z.symbols.nupkg", "left out", "unusable"),
    ]  # fmt: skip
    assert outcomes(await desk.move_in(folder))[:2] == [("z.nupkg", "kept", "kept"), ("a.snupkg", "kept", "kept")]
    write(folder, "a.snupkg", make_snupkg() + b"")
    write(folder, "b.snupkg", make_snupkg("Contoso.Absent"))
    assert ("b.snupkg", "refused", "no_package") in outcomes(await desk.move_in(folder))


# --- how it is pushed -------------------------------------------------------------------------------------------------


async def test_the_catalog_and_the_audit_log_tell_it_as_a_push(desk: Desk, folder: Path):
    dated(write(folder, "Contoso.Utils.2.0.0.nupkg", TWO), LONG_AGO)
    dated(write(folder, "Contoso.Utils.1.0.0.nupkg", ONE), LONG_AGO + 1_000_000)
    await desk.move_in(folder)

    items = await desk.house.events.after(0, 10)
    assert [item.version for item in items] == ["2.0.0", "1.0.0"], "in the order of publication"
    leaf = await desk.house.events.find(items[0].stamp)
    assert leaf is not None
    assert leaf.details is not None
    assert (leaf.details.published, leaf.details.listed) == (LONG_AGO, True)
    assert leaf.details.created >= NOON // 1000
    entries = [(line.actor, line.action, line.detail) for line in await desk.house.audit.entries()]
    assert ("alice", "package.push", f"from {folder}") in entries
    assert [each.name for each in await desk.house.ownership.owners("contoso.utils")] == ["alice"]


async def test_a_date_in_the_future_becomes_now(desk: Desk, folder: Path):
    dated(write(folder, "a.nupkg", ONE), NOON // 1000 + 10**15)
    await desk.move_in(folder)
    [found] = await desk.house.packages.of("contoso.utils")
    assert found.published == found.created


async def test_downloads_are_found_in_searches(desk: Desk, folder: Path):
    stored(folder / "packages", "Contoso.Utils", "1.0.0")
    baget_database(folder / "baget.db", [("Contoso.Utils", "1.0.0", 1, "2019-05-06 07:08:09", 41)])
    await desk.move_in(folder)
    await desk.move_in(folder)
    rows = fetched(desk.house.database, "SELECT downloads FROM hosted_downloads")
    assert rows == [(41,)], "a second run adds nothing"


async def test_a_second_run_does_nothing(desk: Desk, folder: Path):
    write(folder, "a.nupkg", ONE)
    stored(folder, "Contoso.Utils", "2.0.0", TWO)
    await desk.move_in(folder)
    files, events = desk.house.files(), await desk.house.events.after(0, 10)
    report = await desk.move_in(folder)
    assert [row.outcome.value for row in report.rows] == ["kept", "kept"]
    assert (desk.house.files(), await desk.house.events.after(0, 10)) == (files, events)
    assert desk.house.leftovers() == []


async def test_two_runs_at_the_same_time(desk: Desk, other: House, folder: Path):
    """
    Of each file one of them imports it; to the other it is here already, unless its bytes are others.
    """
    for number in range(12):
        write(folder, f"{number}.nupkg", make_nupkg(f"Contoso.Id{number}"))
    second = Desk(other, await other.actor())
    reports = await asyncio.gather(desk.move_in(folder), second.move_in(folder))
    assert {row.outcome.value for report in reports for row in report.rows} <= {"imported", "kept"}
    assert sum(report.counts[Outcome.IMPORTED] for report in reports) == 12
    assert (len(desk.house.files()), desk.house.leftovers()) == (12, [])


# --- what is refused --------------------------------------------------------------------------------------------------


async def test_a_version_is_never_replaced(desk: Desk, folder: Path):
    write(folder, "a.nupkg", ONE)
    await desk.move_in(folder)
    write(folder, "a.nupkg", make_nupkg("Contoso.Utils", "1.0.0", payload=b"other"))
    [row] = (await desk.move_in(folder)).rows
    assert (row.kind, row.why) == (
        "different_bytes",
        "Contoso.Utils 1.0.0 is here with different bytes; a version is never replaced",
    )
    assert await desk.bytes_of("Contoso.Utils 1.0.0") == ONE


async def test_a_deleted_version_does_not_come_back(desk: Desk, folder: Path):
    write(folder, "a.nupkg", ONE)
    await desk.move_in(folder)
    boss = await desk.house.actor("boss", administrator=True)
    await desk.publish.delete(boss, PackageIdentity.parse("Contoso.Utils", "1.0.0"), address="")
    assert outcomes(await desk.move_in(folder)) == [("a.nupkg", "refused", "deleted")]


@pytest.mark.parametrize("dry_run", [False, True])
async def test_one_version_under_several_spellings(desk: Desk, folder: Path, dry_run: bool):
    write(folder, "1.nupkg", make_nupkg("Contoso.Utils", "1.0"))
    write(folder, "2.nupkg", make_nupkg("contoso.utils", "1.0.0.0"))
    write(folder, "3.nupkg", make_nupkg("Contoso.Utils", "1.0"))
    assert outcomes(await desk.move_in(folder, dry_run=dry_run)) == [
        ("1.nupkg", "imported", ""),
        ("2.nupkg", "refused", "different_bytes"),
        ("3.nupkg", "kept", "kept"),
    ]


@pytest.mark.parametrize("dry_run", [False, True])
async def test_hostile_files(desk: Desk, folder: Path, dry_run: bool):
    secret = write(folder.with_name(f"{folder.name}-secret"), "secret.nupkg", ONE)
    (folder / "link.nupkg").symlink_to(secret)
    (folder / "folder").symlink_to(secret.parent)
    os.mkfifo(folder / "pipe.nupkg")
    write(folder, "bomb.nupkg", make_nupkg("Contoso.Bomb", files={"zeros": bytes(80_000_000)}))
    write(folder, "empty.nupkg", b"")
    write(folder, "noise.nupkg", os.urandom(100_000))
    write(folder, "cut.nupkg", ONE[:-30])
    write(folder, "climbing.nupkg", make_nupkg("Contoso.Climbing", files={"../../evil": b""}))
    write(folder, "Contoso.Good.1.0.0.nupkg", make_nupkg("Contoso.Evil"))
    stored(folder, "Contoso.Good", "2.0.0", make_nupkg("Contoso.Good", "2.0.1"))
    (folder / os.fsdecode(b"\xff\xfe.nupkg")).write_bytes(b"no package")
    report = await desk.move_in(folder, dry_run=dry_run)

    assert {row.outcome.value for row in report.rows} == {"refused"}
    assert {row.offer.place: row.kind for row in report.rows} == {
        "link.nupkg": "unusable",
        "folder": "unusable",
        "pipe.nupkg": "unusable",
        "bomb.nupkg": "invalid",
        "empty.nupkg": "unreadable",
        "noise.nupkg": "unreadable",
        "cut.nupkg": "unreadable",
        "climbing.nupkg": "invalid",
        "Contoso.Good.1.0.0.nupkg": "another_package",
        "contoso.good/2.0.0/contoso.good.2.0.0.nupkg": "another_package",
        "\ufffd\ufffd.nupkg": "unreadable",
    }
    orjson.dumps(report.as_dict())
    assert (desk.here(), desk.house.leftovers()) == ([], [])


async def test_a_file_over_the_limit_of_the_settings(house: House, folder: Path):
    desk = Desk(house, await house.actor(), package_size=1000)
    write(folder, "a.nupkg", make_nupkg("Contoso.Utils", payload=bytes(2000)))
    for dry_run in (True, False):
        assert outcomes(await desk.move_in(folder, dry_run=dry_run))[0][1:] == ("refused", "too_large")


async def test_ids_that_their_owner_may_not_push(desk: Desk, folder: Path):
    bob = await desk.house.actor("bob")
    assert bob.account is not None
    await desk.house.ownership.reserve("Contoso.Bob.*", bob.account)
    await desk.house.publish.push(bob, desk.house.spool(make_nupkg("Contoso.Taken")), address="")
    for package_id in ("Contoso.Bob.Tools", "Serilog", "Contoso.Nobody"):
        write(folder, f"{package_id}.nupkg", make_nupkg(package_id))
    write(folder, "Contoso.Taken.2.0.0.nupkg", make_nupkg("Contoso.Taken", "2.0.0"))
    before = len(await desk.house.audited())

    def actor_for(package_id: object) -> Actor | None:
        return None if str(package_id) == "Contoso.Nobody" else desk.alice

    report = await desk.move_in(folder, actor_for=actor_for)
    assert {row.offer.place: row.kind for row in report.rows} == {
        "Contoso.Bob.Tools.nupkg": "not_allowed",
        "Serilog.nupkg": "not_allowed",
        "Contoso.Nobody.nupkg": "no_owner",
        "Contoso.Taken.2.0.0.nupkg": "not_allowed",
    }
    assert "is not below a protected prefix" in next(row.why for row in report.rows if "Serilog" in row.offer.place)
    assert len(await desk.house.audited()) == before, "thousands of them would hide what matters there"


async def test_what_an_old_server_accepted_is_imported_with_a_remark(desk: Desk, folder: Path):
    write(folder, "a.nupkg", make_nupkg(nuspec=make_nuspec("Contoso.Old", description="", authors="")))
    [row] = (await desk.move_in(folder)).rows
    assert row.outcome.value == "imported"
    assert row.notes[0] == "its nuspec has no authors; the element is required"
    assert desk.here() == ["contoso.old 1.0.0"]


# --- selection and dry run --------------------------------------------------------------------------------------------


async def test_a_dry_run_changes_nothing(desk: Desk, folder: Path):
    write(folder, "a.nupkg", ONE)
    write(folder, "b.nupkg", make_nupkg(nuspec=make_nuspec("Contoso.Old", description="")))
    write(folder, "c.snupkg", make_snupkg("Contoso.Absent"))
    report = await desk.move_in(folder, dry_run=True)
    assert sorted(outcomes(report)) == [
        ("a.nupkg", "imported", ""), ("b.nupkg", "imported", ""), ("c.snupkg", "refused", "no_package"),
    ]  # fmt: skip
    assert report.bytes_imported == sum((folder / name).stat().st_size for name in ("a.nupkg", "b.nupkg"))
    assert report.rows[1].notes, "remarks are known before"
    assert (desk.here(), desk.house.files(), desk.house.leftovers()) == ([], [], [])


async def test_selected_ids_and_versions(desk: Desk, folder: Path):
    for version in ("1.0.0", "2.0.0", "10.0.0"):
        write(folder, f"{version}.nupkg", make_nupkg("Contoso.Utils", version))
    write(folder, "x.nupkg", make_nupkg("Contoso.Other"))
    report = await desk.move_in(folder, selection=Selection(("Contoso.*",), ("*.Other",), 2))
    assert desk.here() == ["contoso.utils 10.0.0", "contoso.utils 2.0.0"]
    assert [(row.kind, row.offer.place) for row in report.rows if row.outcome == "left out"] == [
        ("not_selected", "x.nupkg"), ("older", "1.0.0.nupkg"),
    ]  # fmt: skip


async def test_a_full_disk_ends_the_run(desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """
    What was imported until then stays, and the next run continues.
    """
    for number in range(6):
        write(folder, f"{number}.nupkg", make_nupkg("Contoso.Utils", f"{number}.0.0"))
    real, commits = desk.house.contents.commit, 0

    def commit(key: BlobKey, spool: object) -> None:
        nonlocal commits
        commits += 1
        if commits > 3:
            raise StorageUnavailable("the disk is full")
        real(key, spool)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.house.contents, "commit", commit)
    with pytest.raises(StorageUnavailable, match="full"):
        await desk.move_in(folder)
    assert (len(desk.here()), desk.house.leftovers()) == (3, [])
    monkeypatch.undo()
    assert (await desk.move_in(folder)).counts == {"imported": 3, "kept": 3}
    assert len(desk.here()) == 6
