"""Descriptors of kept files: how many, which file they belong to, and what of it is in the page cache."""

import os
import time

import pytest

from nugetproxy.web.hot.open_files import FileChangedError, KeptFile, OpenFiles


def kept(folder, name="f", body=b"abc"):
    (folder / name).write_bytes(body)
    return KeptFile(folder / name, len(body))


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_a_file_is_opened_once(tmp_path):
    files, file = OpenFiles(), kept(tmp_path)

    assert files.open(file) is files.open(file)
    assert len(files) == 1


def test_descriptors_are_bounded(tmp_path):
    files = OpenFiles(limit=3)
    opened = [files.open(kept(tmp_path, str(number))) for number in range(10)]
    descriptors = [each.descriptor for each in opened]
    for each in opened:
        each.close()

    assert len(files) == 3
    assert [is_open(descriptor) for descriptor in descriptors] == [False] * 7 + [True] * 3


def test_what_is_being_sent_stays_open(tmp_path):
    files = OpenFiles(limit=1)
    first = files.open(kept(tmp_path, "a"))
    files.open(kept(tmp_path, "b")).close()
    descriptor = first.descriptor

    assert is_open(descriptor)
    first.close()
    assert not is_open(descriptor)


def test_the_least_recently_used_goes_first(tmp_path):
    files = OpenFiles(limit=2)
    a, b = kept(tmp_path, "a"), kept(tmp_path, "b")
    for file in (a, b, a):
        files.open(file).close()
    files.open(kept(tmp_path, "c")).close()

    assert list(files._open) == [a.path, str(tmp_path / "c")]


def test_another_file_at_the_same_place_is_not_opened(tmp_path):
    files, file = OpenFiles(), kept(tmp_path)
    (tmp_path / "g").write_bytes(b"xyz")
    (tmp_path / "g").rename(tmp_path / "f")

    with pytest.raises(FileChangedError):
        files.open(file)
    assert len(files) == 0


def test_a_file_that_is_forgotten_is_closed(tmp_path):
    files, file = OpenFiles(), kept(tmp_path)
    opened = files.open(file)
    descriptor = opened.descriptor
    opened.close()
    files.forget(file)
    files.forget(file)

    assert not is_open(descriptor)


def test_what_was_read_is_in_the_page_cache(tmp_path):
    body = os.urandom(3_000_000)
    files, file = OpenFiles(), kept(tmp_path, body=body)
    opened = files.open(file)
    opened.warm(0, len(body))

    assert opened.is_cached(0, len(body))
    assert opened.is_cached(len(body) - 1, 1)
    opened.close()


def test_bytes_that_the_kernel_dropped_are_not(tmp_path):
    body = os.urandom(3_000_000)
    file = kept(tmp_path, body=body)
    opened = OpenFiles().open(file)
    os.fsync(opened.descriptor)
    os.posix_fadvise(opened.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        os.preadv(opened.descriptor, [bytearray(1)], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        pass
    except OSError:
        pytest.skip("this file system cannot tell what is in the page cache")
    else:
        pytest.skip("this file system keeps its files in memory")

    assert not opened.is_cached(0, len(body))
    opened.close()


def test_where_the_file_system_cannot_tell_what_was_read_is_believed_to_be_there(tmp_path, monkeypatch):
    body = b"x" * 1000
    opened = OpenFiles().open(kept(tmp_path, body=body))
    real = os.preadv

    def preadv(descriptor, buffers, offset, flags=0):
        if flags:
            raise OSError(95, "Operation not supported")
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)

    assert not opened.is_cached(0, 1000)
    opened.warm(0, 1000)
    assert opened.is_cached(0, 1000)
    opened.close()


def test_bytes_that_are_read_all_the_time_are_probed_once_a_second(tmp_path, monkeypatch):
    opened = OpenFiles().open(kept(tmp_path, body=b"x" * 1_000_000))
    opened.warm(0, 1_000_000)
    real, clock = os.preadv, [100.0]
    probes: list[int] = []

    def preadv(descriptor, buffers, offset, flags=0):
        probes.append(offset)
        return real(descriptor, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", preadv)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    counts = []
    for later in (0, 0.5, 0.4, 0.2):
        clock[0] += later
        assert opened.is_cached(0, 1_000_000)
        counts.append(len(probes))
    assert opened.is_cached(1000, 1)

    assert counts == [5, 5, 5, 10]
    assert len(probes) == 12
    opened.close()


def test_a_file_that_replaced_an_open_one_is_opened(tmp_path):
    """
    Nobody asked for the old one since it was replaced, so nobody noticed.
    """
    files, old = OpenFiles(), kept(tmp_path)
    before = files.open(old)
    (tmp_path / "g").write_bytes(b"longer")
    (tmp_path / "g").rename(tmp_path / "f")
    opened = files.open(KeptFile(tmp_path / "f", 6))

    assert os.pread(opened.descriptor, 10, 0) == b"longer"
    assert os.pread(before.descriptor, 10, 0) == b"abc"
    before.close()
    assert not is_open(before.descriptor)


def test_deleted_files_are_closed_once_nobody_reads_them(tmp_path):
    """
    Or the space of evicted packages would not be free.
    """
    files = OpenFiles()
    idle, read, there = (files.open(kept(tmp_path, name)) for name in ("idle", "read", "there"))
    descriptors = [each.descriptor for each in (idle, read, there)]
    idle.close()
    there.close()
    (tmp_path / "idle").unlink()
    (tmp_path / "read").unlink()
    files.close_deleted()

    assert [is_open(descriptor) for descriptor in descriptors] == [False, True, True]
    read.close()
    assert [is_open(descriptor) for descriptor in descriptors] == [False, False, True]
    assert len(files) == 1
