import errno
import gc
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage import spool as spools
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.spool import MemoryBudget, OpenedFile, SpoolFolder
from nugetproxy.storage.spool_notices import SpoolNotice, SpoolNotices, Stage

KEY = "content:nuget.org/contoso.utils/1.0.0"


@pytest.fixture
def budget() -> MemoryBudget:
    return MemoryBudget(1000)


@pytest.fixture
def folder(tmp_path: Path, budget: MemoryBudget) -> SpoolFolder:
    return SpoolFolder(tmp_path / "spool", budget)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_ended_spool_is_closed_although_somebody_refers_to_it(folder: SpoolFolder):
    spool = folder.create("x")
    spool.append(b"abc")
    descriptor = spool._file.descriptor
    spool.end()

    assert names(folder.directory) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    with pytest.raises(StorageUnavailable):
        spool.append(b"d")
    with pytest.raises(OSError, match="Bad file descriptor"):
        spool.read(0, 1)


# --- growing ---


@pytest.mark.parametrize("in_memory", [False, True])
def test_what_is_appended_can_be_read_and_is_hashed(folder: SpoolFolder, in_memory: bool):
    spool = folder.create_in_memory(None) if in_memory else folder.create("x")
    spool.append(b"first ")
    spool.append(b"second")

    assert spool.size == 12
    assert spool.read_now(0, 100) == spool.read(0, 100) == b"first second"
    assert spool.read_now(6, 3) == b"sec"
    assert spool.sha512 == hashlib.sha512(b"first second").digest()
    assert spool.md5 == hashlib.md5(b"first second").digest()
    with spool.binary() as file:
        assert file.read() == b"first second"


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_spool_can_be_read_as_a_file_when_no_descriptor_is_left(folder: SpoolFolder, in_memory: bool):
    """
    Every reader has its own position; all share the spool's descriptor.
    """
    spool = folder.create_in_memory(None) if in_memory else folder.create("x")
    content = bytes(range(256)) * 3
    spool.append(content)
    before = len(os.listdir("/proc/self/fd"))

    with spool.binary() as one, spool.binary() as other:
        assert len(os.listdir("/proc/self/fd")) == before
        assert (one.read(10), other.read(20)) == (content[:10], content[:20])
        assert one.read() == content[10:]
        assert (other.seek(-5, os.SEEK_END), other.read()) == (763, content[-5:])
        with pytest.raises(OSError, match="before the start"):
            other.seek(-1)


def test_a_discarded_spool_has_no_name_and_can_be_read(folder: SpoolFolder, tmp_path: Path):
    spool = folder.create("x")
    spool.append(b"bytes")
    spool.discard()

    assert names(tmp_path / "spool") == []
    assert spool.read(0, 5) == b"bytes"


def test_the_descriptor_is_closed_with_the_last_reference(folder: SpoolFolder):
    gc.collect()  # garbage of other tests
    before = len(os.listdir("/proc/self/fd"))
    spool = folder.create("x")
    memory = folder.create_in_memory(10)
    del spool, memory
    gc.collect()

    assert len(os.listdir("/proc/self/fd")) == before


def test_another_process_reads_the_growing_file(folder: SpoolFolder):
    spool = folder.create("x")
    spool.append(b"one")
    assert spool.path is not None
    part = folder.open_part(spool.path.name)
    assert part is not None
    spool.append(b"two")

    assert part.size == 6
    assert part.read(0, 10) == b"onetwo"


@pytest.mark.parametrize("name", ["../secret.part", "/etc/passwd", "passwd", "gone.part"])
def test_only_parts_of_the_folder_can_be_opened(folder: SpoolFolder, name: str):
    assert folder.open_part(name) is None


def test_a_committed_spool_is_recognised(folder: SpoolFolder, tmp_path: Path):
    """
    A follower's open file and the committed one are the same file.
    """
    spool = folder.create("x")
    spool.append(b"bytes")
    assert spool.path is not None
    assert spool.path.stat().st_mode & 0o777 == 0o600  # private while it arrives: it may be a private package
    part = OpenedFile.open(spool.path)
    spool.move_to(tmp_path / "target")
    (tmp_path / "other").write_bytes(b"bytes")

    assert part.is_file(tmp_path / "target")
    assert not part.is_file(tmp_path / "other")
    assert not part.is_file(tmp_path / "missing")


# --- a disk that fails ---


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_a_failed_write_can_be_repeated_in_memory(
    folder: SpoolFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
):
    """
    Half a block was written when the disk failed: none of it counts, and none of it remains.
    """
    spool = folder.create("x")
    spool.append(b"first ")

    def half(descriptor: int, block: bytes | memoryview, offset: int) -> int:
        if len(block) < 4:
            raise OSError(code, os.strerror(code))
        return os.pwrite(descriptor, block[:3], offset)

    monkeypatch.setattr(spools, "write_to_disk", half)
    with pytest.raises(StorageUnavailable):
        spool.append(b"second")
    assert spool.size == 6
    spool.move_to_memory(None)
    spool.append(b"second")

    assert spool.read(0, 100) == b"first second"
    assert spool.sha512 == hashlib.sha512(b"first second").digest()
    assert spool.path is None
    assert names(tmp_path / "spool") == []


def test_a_folder_that_cannot_be_written_is_our_own_failure(tmp_path: Path, budget: MemoryBudget):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageUnavailable, match="create a spool"):
        SpoolFolder(tmp_path / "file", budget).create("x")


def test_memory_is_bounded_over_all_spools(folder: SpoolFolder):
    first = folder.create_in_memory(600)

    with pytest.raises(StorageUnavailable):
        folder.create_in_memory(600)
    del first
    gc.collect()
    assert folder.create_in_memory(1000).size == 0


def test_memory_of_unknown_length_is_bounded_as_it_grows(folder: SpoolFolder):
    spool = folder.create_in_memory(None)
    spool.append(b"x" * 900)

    with pytest.raises(StorageUnavailable):
        spool.append(b"x" * 200)
    assert spool.size == 900


def test_without_anonymous_memory_a_nameless_file_serves(folder: SpoolFolder, monkeypatch: pytest.MonkeyPatch):
    def missing(*_: object) -> int:
        raise OSError(errno.ENOSYS, "no such call")

    monkeypatch.setattr(os, "memfd_create", missing)
    spool = folder.create_in_memory(None)
    spool.append(b"bytes")

    assert spool.read(0, 10) == b"bytes"


# --- leftovers ---


def test_sweep_leaves_what_a_living_process_writes(folder: SpoolFolder, tmp_path: Path):
    living = folder.create("living")
    (tmp_path / "spool" / "dead.0.part").write_bytes(b"half")

    assert folder.sweep() == 1
    assert living.path is not None
    assert names(tmp_path / "spool") == [living.path.name]


def test_sweep_removes_what_a_killed_process_wrote(folder: SpoolFolder, tmp_path: Path):
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from nugetproxy.storage.spool import MemoryBudget, SpoolFolder\n"
        "spool = SpoolFolder(Path(sys.argv[1]), MemoryBudget(0)).create('x'); spool.append(b'half')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "spool")], check=False, timeout=30)
    assert len(names(tmp_path / "spool")) == 1

    assert folder.sweep() == 1
    assert names(tmp_path / "spool") == []


def test_sweep_of_a_folder_that_does_not_exist_does_nothing(folder: SpoolFolder):
    assert folder.sweep() == 0


# --- notices ---


@pytest.fixture
def notices(tmp_path: Path) -> SpoolNotices:
    (tmp_path / "notices").mkdir()
    return SpoolNotices(tmp_path / "notices")


def test_a_notice_is_read_as_it_was_written(notices: SpoolNotices):
    notice = SpoolNotice(KEY, Stage.GROWING, "a.part", 5, "application/octet-stream", "0x8D", "c2hh", "bWQ1")
    notices.write(SpoolNotice(KEY, Stage.FAILED, failure="UpstreamTimeout", why="late", retry_after=1.5, ended=2.5))
    notices.write(notice)

    assert notices.read(KEY) == notice
    notices.withdraw(KEY)
    notices.withdraw(KEY)
    assert notices.read(KEY) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"stage":"unknown"}', b'{"stage":"failed","odd":1}'])
def test_an_unreadable_notice_is_none(notices: SpoolNotices, tmp_path: Path, content: bytes):
    notices.write(SpoolNotice(KEY, Stage.GROWING))
    next((tmp_path / "notices").iterdir()).write_bytes(content)

    assert notices.read(KEY) is None


def test_a_notice_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(OSError, match="exists"):
        SpoolNotices(tmp_path / "file").write(SpoolNotice(KEY, Stage.GROWING))
    assert names(tmp_path) == ["file"]


def test_sweep_leaves_the_notices_of_lease_holders(notices: SpoolNotices, tmp_path: Path):
    notices.write(SpoolNotice(KEY, Stage.GROWING))
    notices.write(SpoolNotice("content:dead", Stage.GROWING))
    with Leases(tmp_path / "leases").try_hold(KEY) or pytest.fail("nobody holds it"):
        notices.sweep(Leases(tmp_path / "leases"))

        assert notices.read(KEY) is not None
        assert notices.read("content:dead") is None


def test_sweep_removes_old_half_written_notices(notices: SpoolNotices, tmp_path: Path):
    old, new = tmp_path / "notices" / "a.notice.0.tmp", tmp_path / "notices" / "b.notice.0.tmp"
    for path in (old, new):
        path.write_bytes(b"{")
    os.utime(old, (0, 0))
    notices.sweep(Leases(tmp_path / "leases"))

    assert names(tmp_path / "notices") == [new.name]
