"""Eviction: what goes, what stays, and what is left when it is interrupted."""

import shutil
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from types import SimpleNamespace

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.mirroring.care import asking, ranking
from nugetproxy.mirroring.care import eviction as module
from nugetproxy.mirroring.care.eviction import Eviction, plan
from nugetproxy.mirroring.downloads.keys import lease_of, package_key
from nugetproxy.mirroring.kept import files as kept_files
from nugetproxy.mirroring.kept.files import KeptFile
from nugetproxy.mirroring.kept.inventory import Totals, open_ledger
from nugetproxy.storage.leases import Leases
from tests.mirroring.care.packages import DAY, Mirror

NOW = 100 * DAY


class Upstream:
    """Answers whether it has a package: `answers` by lower id, True for all others."""

    def __init__(self) -> None:
        self.answers: dict[str, bool | None] = {}
        self.asked: list[str] = []

    async def still_offers(self, package) -> bool | None:
        self.asked.append(package.lower_id)
        return self.answers.get(package.lower_id, True)


@pytest.fixture
async def mirror(tmp_path):
    with closing(open_ledger(tmp_path / "inventory.db")) as database:
        made = Mirror(tmp_path, database)
        for number in range(5):
            await made.keep(f"p{number}", used=number * DAY)
        yield made


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def eviction(mirror, upstream, tmp_path) -> Eviction:
    return made(mirror, upstream)


def made(mirror: Mirror, upstream: Upstream, **options) -> Eviction:
    leases = Leases(mirror.data / "locks")
    return Eviction(mirror.files, mirror.blobs, leases, {"up": upstream.still_offers}, clock=lambda: NOW, **options)


async def test_the_least_recently_used_go_until_enough_is_free(mirror, eviction):
    evicted = await eviction.free(1_500)

    assert [file.lower_id for file in evicted.files] == ["p0", "p1"]
    assert (evicted.bytes, mirror.names()) == (2_000, ["p2", "p3", "p4"])
    assert mirror.inventory.totals() == Totals(3, 3_000)
    assert sorted(path.name for path in (mirror.data / "mirror" / "up").iterdir()) == ["p2", "p3", "p4"]


async def test_a_plan_changes_nothing_and_asks_nobody(mirror, upstream):
    planned = await plan(mirror.files, 1_500, NOW)

    assert [file.lower_id for file in planned.files] == ["p0", "p1"]
    assert (len(mirror.names()), upstream.asked) == (5, [])


@pytest.mark.parametrize(("answer", "gone", "unknown"), [(False, 1, 0), (None, 0, 1)])
async def test_what_cannot_be_fetched_again_stays(mirror, eviction, upstream, answer, gone, unknown):
    upstream.answers["p0"] = answer
    evicted = await eviction.free(1_000)

    assert (mirror.names(), evicted.gone, evicted.unknown) == (["p0", "p2", "p3", "p4"], gone, unknown)


async def test_what_is_gone_is_not_asked_about_again(mirror, eviction, upstream):
    upstream.answers["p0"] = False
    await eviction.free(1_000)
    await eviction.free(1_000)

    assert upstream.asked == ["p0", "p1", "p2"]


async def test_an_upstream_that_does_not_answer_is_left_alone_and_loses_nothing(mirror, eviction, upstream):
    for number in range(5, 15):
        await mirror.keep(f"p{number}", used=number * DAY)
    upstream.answers = {f"p{number}": None for number in range(15)}
    evicted = await eviction.free(10**9)

    assert (len(mirror.names()), evicted.unknown, len(upstream.asked)) == (15, 15, 10)


async def test_of_an_id_that_it_could_not_be_asked_about_it_is_asked_once(mirror, eviction, upstream):
    for version in ("2.0.0", "3.0.0"):
        await mirror.keep("p0", version=version)
    upstream.answers["p0"] = None
    await eviction.free(1_000)

    assert upstream.asked == ["p0", "p1"]
    assert len(mirror.names()) == 6


async def test_nobody_is_asked_about_what_is_ours_and_others_go(mirror, upstream):
    for number in range(10, 30):
        await mirror.keep(f"q{number}", used=0)

    async def is_ours(lower_id: str) -> bool:
        return lower_id.startswith("q")

    evicted = await made(mirror, upstream, is_ours=is_ours).free(1_000)

    assert (upstream.asked, [file.lower_id for file in evicted.files]) == (["p0"], ["p0"])


async def test_a_package_of_no_configured_upstream_stays(mirror):
    leases = Leases(mirror.data / "locks")
    await Eviction(mirror.files, mirror.blobs, leases, {}).free(10**9)

    assert len(mirror.names()) == 5


async def test_what_is_downloaded_or_served_stays(mirror, upstream):
    eviction = made(mirror, upstream, in_use=lambda key: key[1] == "p0")
    async with Leases(mirror.data / "locks").hold(lease_of(package_key("up", "p1", "1.0.0"))):
        evicted = await eviction.free(1_000)

    assert evicted.busy == 2
    assert mirror.names() == ["p0", "p1", "p3", "p4"]


async def test_named_packages_go_even_if_they_cannot_be_fetched_again(mirror, eviction, upstream):
    upstream.answers["p4"] = False
    wanted = [file for file in await mirror.files.all() if file.lower_id == "p4"]
    assert (await eviction.evict(wanted)).gone == 1
    assert (await eviction.evict(wanted, ask=False)).bytes == 1_000
    assert mirror.names() == ["p0", "p1", "p2", "p3"]


async def test_a_file_that_is_missing_only_loses_its_row(mirror, eviction):
    """
    As left by a process that was killed between the file and its row.
    """
    mirror.blobs.delete(package_key("up", "p0", "1.0.0"))
    await eviction.free(1_000)

    assert mirror.inventory.totals() == Totals(4, 4_000)
    assert not (mirror.data / "mirror" / "up" / "p0").exists()


async def test_a_package_that_was_committed_again_keeps_its_row(mirror):
    [old] = await mirror.files.all("p0")
    shutil.rmtree(mirror.data / "mirror" / "up" / "p0")
    await mirror.keep("p0", used=50)
    await mirror.files.remove([old])

    assert mirror.inventory.totals() == Totals(5, 5_000)


async def test_uses_in_the_future_become_now(mirror, eviction):
    await mirror.files.note_uses({("up", "p0", "1.0.0"): NOW + 9 * DAY})
    await eviction.free(1_000)

    assert max(file.used for file in await mirror.files.all()) == NOW


async def test_the_disk_fails(mirror, eviction, monkeypatch):
    async def full(*_):
        raise StorageUnavailable("no space left on device")

    monkeypatch.setattr(mirror.files, "_write", full)
    with pytest.raises(StorageUnavailable):
        await eviction.free(1_000)


async def test_a_disk_that_fills_up_between_a_file_and_its_row_loses_nothing(mirror, eviction, monkeypatch):
    async def full(_):
        raise StorageUnavailable("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(mirror.files, "remove", full)
        with pytest.raises(StorageUnavailable):
            await eviction.free(1_500)
    assert mirror.names() == ["p2", "p3", "p4"]

    await eviction.free(2_000)  # what is gone already counts
    assert (mirror.names(), mirror.inventory.totals()) == (["p2", "p3", "p4"], Totals(3, 3_000))


def enter(names: Iterable[str]):
    """A write that enters rows without files."""

    def write(connection) -> None:
        rows = ((name, number, number) for number, name in enumerate(names))
        connection.executemany(
            "INSERT INTO mirrored_files VALUES ('up', ?, '1', 1000, 0, '', 0, ?, ?, 0, 0, 0, 0)", rows
        )

    return write


async def test_beside_clients_it_works_in_small_batches_off_the_event_loop(mirror, upstream, monkeypatch):
    """
    Of the rows, those of one window are in memory, and none is created or ranked on the loop's thread.
    """
    created, ranked_in, windows, batches = set(), set(), [], []
    oldest, remove, rank = mirror.files.oldest, mirror.files.remove, ranking.weight

    def create(*row):
        created.add(threading.get_ident())
        return KeptFile(*row)

    def weigh(*of):
        ranked_in.add(threading.get_ident())
        return rank(*of)

    async def read(limit, after=None):
        windows.append(limit)
        return await oldest(limit, after=after)

    async def forget(files):
        batches.append(len(files))
        await remove(files)

    await mirror.database.write(enter(f"q{number}" for number in range(120)))
    monkeypatch.setattr(kept_files, "KeptFile", create)
    monkeypatch.setattr(ranking, "weight", weigh)
    monkeypatch.setattr(mirror.files, "oldest", read)
    monkeypatch.setattr(mirror.files, "remove", forget)
    evicted = await made(mirror, upstream).free(10**9, is_listed=False)

    assert (evicted.packages, evicted.bytes, evicted.files) == (125, 125_000, [])
    assert len(created) == len(ranked_in) == 1
    assert threading.get_ident() not in created | ranked_in
    assert (max(windows), batches) == (2000, [50, 50, 25])


async def test_it_rests_after_each_file(mirror, upstream, monkeypatch):
    rests: list[float] = []
    eviction = made(mirror, upstream)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=rests.append))
    await eviction.free(3_000)

    assert len(rests) == 3
    assert min(rests) > 0


async def test_it_rests_after_each_question_as_long_as_the_process_is_busy(mirror, upstream, monkeypatch):
    now = 0.0
    rests: list[float] = []
    costs = iter([0.001, 0.004, 1.0])

    async def slow(_):
        nonlocal now
        now += next(costs)
        return False

    async def rest(seconds):
        rests.append(round(seconds, 6))

    files = (await mirror.files.all())[:3]
    eviction = Eviction(mirror.files, mirror.blobs, Leases(mirror.data / "locks"), {"up": slow})
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(asking, "asyncio", SimpleNamespace(sleep=rest))
    await eviction.evict(files)

    assert rests == [0.003, 0.012, 0.02]  # a distant upstream costs no more than a close one


async def test_a_plan_for_a_hundred_thousand_packages(mirror):
    """
    A command that only looks must not take minutes.
    """

    await mirror.database.write(enter(f"q{number}" for number in range(100_000)))
    began = time.process_time()
    planned = await plan(mirror.files, 50_000_000, NOW)

    assert len(planned.files) == 50_000
    assert time.process_time() - began < 10
