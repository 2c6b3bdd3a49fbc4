"""The container: what is written is a tar to ordinary tools, and only what is written is read."""

import io
import os
import shutil
import subprocess
import tarfile

import pytest

from nugetproxy.errors import InvalidBundle
from nugetproxy.mirroring.bundle.container import BLOCK, ContainerReader, ContainerWriter, header

PATHS = [
    "a",
    "n" * 100,
    "n" * 101,
    f"{'p' * 155}/{'n' * 100}",
    f"{'p' * 156}/{'n' * 100}",
    f"packages/{'i' * 100}/{'v' * 60}/{'i' * 100}.{'v' * 60}.nupkg",
    "packages/больший/1.0.0/больший.1.0.0.nupkg",
    f"packages/{'ж' * 100}/1.0.0/{'ж' * 100}.1.0.0.nupkg",
]


def container(*files):
    out = io.BytesIO()
    writer = ContainerWriter(out.write)
    for path, content in files:
        writer.add(path, len(content), [content])
    writer.end()
    return out.getvalue()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{len(path)}")
def test_pythons_tarfile_reads_each_path(path):
    written = container((path, b"content"), ("last", b""))

    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        assert [path, "last"] == tar.getnames()
        member = tar.getmember(path)
        extracted = tar.extractfile(path)
        assert extracted is not None
        assert b"content" == extracted.read()
        assert (tarfile.REGTYPE, 0o644, 0, 0, "", "") == (
            member.type, member.mode, member.uid, member.gid, member.uname, member.gname,
        )  # fmt: skip


def run(*command):
    # In a locale whose file names are not ASCII alone.
    environment = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
    return subprocess.run(command, check=True, capture_output=True, env=environment)


@pytest.mark.parametrize("tool", ["tar", "bsdtar"])
def test_ordinary_tools_list_and_extract(tool, tmp_path):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    file = tmp_path / "a.bundle"
    file.write_bytes(container(*((path, path.encode()) for path in PATHS)))

    listed = run(tool, "-tf", file, *(["--quoting-style=literal"] if tool == "tar" else []))
    extracted = run(tool, "-xf", file, "-C", tmp_path)

    assert PATHS == listed.stdout.decode().splitlines()
    assert (b"", b"") == (listed.stderr, extracted.stderr)
    for path in PATHS:
        assert path.encode() == (tmp_path / path).read_bytes()


def test_a_file_of_more_than_8_gib_has_its_size_in_a_pax_header():
    size = 9 * 1024**3

    with tarfile.open(fileobj=io.BytesIO(header("large.nupkg", size) + bytes(BLOCK))) as tar:
        found = tar.next()

    assert found is not None
    assert ("large.nupkg", size) == (found.name, found.size)


def test_the_same_files_are_the_same_bytes():
    assert container(("a", b"1"), ("b", b"2")) == container(("a", b"1"), ("b", b"2"))


@pytest.mark.parametrize("chunks", [[b"ab"], [b"abc", b"d"], []])
def test_a_file_with_another_size_is_refused_while_writing(chunks):
    with pytest.raises(ValueError, match=r"a\.txt does not have 3 bytes"):
        ContainerWriter(io.BytesIO().write).add("a.txt", 3, chunks)


def reader_of(content):
    return ContainerReader(io.BytesIO(content).read, "x.bundle")


def test_what_was_written_is_read():
    reader = reader_of(container(*((path, path.encode() * 1000) for path in PATHS)))

    for path in PATHS:
        content = path.encode() * 1000
        reader.expect(path, len(content))
        assert content == b"".join(reader.chunks())
    reader.expect_end()


def test_files_that_are_not_read_are_skipped():
    reader = reader_of(container(("a", b"1" * 1000), ("b", b"2" * 600), ("c", b"3")))

    reader.expect("a", 1000)
    reader.expect("b", 600)
    next(reader.chunks())
    reader.expect("c", 1)
    assert [b"3"] == list(reader.chunks())


def test_a_pipe_that_gives_few_bytes_at_a_time():
    content = io.BytesIO(container(("a", b"1" * 1000)))
    reader = ContainerReader(lambda count: content.read(min(count, 7)), "x.bundle")

    reader.expect("a", 1000)
    assert b"1" * 1000 == b"".join(reader.chunks())
    reader.expect_end()


def test_every_truncation_is_noticed():
    whole = container(("a", b"1" * 600), ("b", b"2"))

    for end in range(0, len(whole), 64):
        reader = reader_of(whole[:end])
        with pytest.raises(InvalidBundle, match=r"'x\.bundle' is not a complete bundle: it is truncated"):
            read_two(reader)


def read_two(reader):
    reader.expect("a", 600)
    reader.expect("b", 1)
    reader.expect_end()


def test_every_change_outside_the_content_is_noticed():
    whole = container(("a", b"1" * 600), ("b", b"2"))
    content = {*range(512, 512 + 600), 512 + 1024 + 512}

    for at in set(range(len(whole))) - content:
        changed = bytearray(whole)
        changed[at] ^= 0x21
        with pytest.raises(InvalidBundle):
            read_two(reader_of(bytes(changed)))


def test_nothing_may_follow_the_end():
    with pytest.raises(InvalidBundle, match="data follows its end, at byte 3584"):
        read_two(reader_of(container(("a", b"1" * 600), ("b", b"2")) + b"\0"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.XHDTYPE]
)
def test_only_plain_files_are_read(kind):
    member = tarfile.TarInfo("a")
    member.type, member.linkname = kind, "/etc/passwd"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(member)

    with pytest.raises(InvalidBundle, match="expected a"):
        reader_of(out.getvalue()).expect("a", 0)
    with pytest.raises(InvalidBundle, match="expected a"):
        reader_of(out.getvalue()).expect_small("a", 100)


def test_a_small_file_has_a_limit():
    reader = reader_of(container(("bundle.json", b"1" * 101)))

    with pytest.raises(InvalidBundle, match=r"expected bundle\.json of at most 100 bytes at byte 0"):
        reader.expect_small("bundle.json", 100)


def test_a_small_file_is_read_whole():
    reader = reader_of(container(("bundle.json", b"1" * 100), ("b", b"")))

    assert b"1" * 100 == reader.expect_small("bundle.json", 100)
    reader.expect("b", 0)
