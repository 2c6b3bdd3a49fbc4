"""The data directory: its parts, and who can read them."""

from pathlib import Path

import pytest
import structlog

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.access import AccessName, access_for
from nugetproxy.storage.data_directory import prepare


def modes(path: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in (path, *path.iterdir())}


@pytest.mark.parametrize(
    ("access", "top", "mirror"), [("private", 0o700, 0o700), ("group", 0o710, 0o750), ("all", 0o711, 0o755)]
)
def test_only_mirrored_packages_can_be_opened_to_others(tmp_path: Path, access: AccessName, top: int, mirror: int):
    prepare(tmp_path / "data", access_for(access))

    assert modes(tmp_path / "data") == {
        "data": top, "mirror": mirror, "spool": 0o700, "locks": 0o700, "documents": 0o700,
    }  # fmt: skip


def test_what_an_older_version_left_open_is_closed(tmp_path: Path):
    """
    By the folders: the files below keep their modes, so a million files cost nothing.
    """
    kept = tmp_path / "mirror/up/a/1.0.0/a.1.0.0.nupkg"
    kept.parent.mkdir(parents=True)
    for name in ("spool", "locks", "documents"):
        (tmp_path / name).mkdir()
    for path in (kept, tmp_path / "nugetproxy.db", tmp_path / "inventory.db", tmp_path / "inventory.db-wal"):
        path.touch()
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    prepare(tmp_path, access_for("private"))

    assert {name: mode for name, mode in modes(tmp_path).items() if mode & 0o077} == {}
    assert kept.stat().st_mode & 0o777 == 0o644


def test_a_folder_of_others_stays_open_but_our_parts_in_it_are_closed(tmp_path: Path):
    """
    Naming /tmp or a home directory by mistake must not lock everybody out of it.
    """
    tmp_path.chmod(0o1777)
    (tmp_path / "theirs").mkdir(mode=0o755)
    prepare(tmp_path, access_for("private"))

    assert tmp_path.stat().st_mode & 0o7777 == 0o1777
    assert modes(tmp_path)["theirs"] == 0o755
    assert modes(tmp_path)["mirror"] == 0o700


def test_a_directory_that_cannot_be_closed_is_reported_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    prepare(tmp_path, access_for("private"))
    (tmp_path / "locks").chmod(0o755)

    def refuse(path: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", refuse)
    with structlog.testing.capture_logs() as lines:
        prepare(tmp_path, access_for("private"))
    assert [(line["event"], line["path"]) for line in lines] == [("data_not_private", str(tmp_path / "locks"))]


def test_a_file_where_the_directory_should_be_is_refused(tmp_path: Path):
    (tmp_path / "data").touch()
    with pytest.raises(StorageUnavailable, match=r"data cannot be used: .*; choose one that this user can write to"):
        prepare(tmp_path / "data", access_for("private"))
