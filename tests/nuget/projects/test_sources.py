"""Files and directories on the disk, read together."""

import os
from pathlib import Path

import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.projects import files
from nugetproxy.nuget.projects.sources import read_sources

LOCK = '{"version": 1, "dependencies": {"net8.0": {"%s": {"type": "Direct", "resolved": "1.0.0"}}}}'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(*paths: Path) -> list[str]:
    return list(dict.fromkeys(each.identity.id.text for each in read_sources(paths).exact))


def test_files_and_folders_together(tree, tmp_path):
    write(tree / "b" / "packages.lock.json", LOCK % "B")
    write(tree / "a" / "packages.lock.json", LOCK % "A")
    write(tree / "a" / "notes.txt", "not a list of packages")
    listed = write(tmp_path / "list.txt", "C 1.0\nA 1.0.0\n")

    assert names(tree, listed) == ["A", "B", "C"]


@pytest.mark.parametrize("folder", ["bin", "obj", ".git", "node_modules", "packages", "Bin", ".vs"])
def test_what_builds_write_is_left_out(tree, folder):
    write(tree / folder / "packages.lock.json", LOCK % "A")

    assert names(tree) == []


def test_an_unknown_kind_of_file_is_named_with_the_known_ones(tree):
    file = write(tree / "photo.jpg", "")

    with pytest.raises(InvalidRequest, match=r"photo\.jpg: unknown kind of file. Known are: .*packages\.lock\.json"):
        read_sources([file])


def test_a_missing_file_is_an_error(tree):
    with pytest.raises(InvalidRequest, match="none: no such file or directory"):
        read_sources([tree / "none"])


def test_links_out_of_the_tree_are_left_out(tree, tmp_path):
    outside = write(tmp_path / "outside" / "packages.lock.json", LOCK % "Outside")
    write(tree / "in" / "packages.lock.json", LOCK % "Inside")
    (tree / "packages.lock.json").symlink_to(outside)
    (tree / "folder").symlink_to(outside.parent)
    (tree / "loop").symlink_to(tree)
    (tree / "linked").mkdir()
    (tree / "linked" / "packages.lock.json").symlink_to(tree / "in" / "packages.lock.json")

    assert names(tree) == ["Inside"]
    with pytest.raises(InvalidRequest, match="symbolic link"):
        read_sources([tree, tree / "packages.lock.json"])


def test_sizes_are_bounded(tree, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_FILE", 100)
    file = write(tree / "packages.lock.json", LOCK % "A" + " " * 100)

    with pytest.raises(InvalidRequest, match="files of at most 100 bytes are read"):
        read_sources([file])


def test_a_huge_directory_is_refused(tree, monkeypatch):
    monkeypatch.setattr(files, "MOST_FILES", 3)
    for number in range(4):
        write(tree / str(number), "")

    with pytest.raises(InvalidRequest, match="more than 3 files"):
        read_sources([tree])


def test_pipes_and_devices_are_not_read(tree):
    os.mkfifo(tree / "packages.lock.json")

    assert names(tree) == []


def test_a_folder_that_cannot_be_read_is_not_passed_over(tree, monkeypatch):
    (tree / "secret").mkdir()
    scan = os.scandir

    def refusing(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)

    with pytest.raises(InvalidRequest, match="secret: it cannot be read: Permission denied"):
        read_sources([tree])
