"""Where a bundle is written: nothing under a final name before all of it is there."""

import stat

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.mirroring.bundle.target import files


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def test_a_file_appears_at_the_end(tmp_path):
    with files(tmp_path / "a.bundle", None, is_private=False) as target:
        target.write(b"content")
        assert ["a.bundle.partial"] == names(tmp_path)
        assert [tmp_path / "a.bundle"] == target.finish()

    assert b"content" == (tmp_path / "a.bundle").read_bytes()
    assert ["a.bundle"] == names(tmp_path)


@pytest.mark.parametrize("volume_size", [None, 4])
def test_an_export_that_does_not_finish_leaves_nothing(tmp_path, volume_size):
    with files(tmp_path / "a.bundle", volume_size, is_private=False) as target:
        target.write(b"content")

    assert [] == names(tmp_path)


def test_an_earlier_bundle_stays_until_the_new_one_is_complete(tmp_path):
    (tmp_path / "a.bundle").write_bytes(b"old")

    with files(tmp_path / "a.bundle", None, is_private=False) as target:
        target.write(b"new")
        assert b"old" == (tmp_path / "a.bundle").read_bytes()
        target.finish()

    assert b"new" == (tmp_path / "a.bundle").read_bytes()


def test_volumes_have_the_size(tmp_path):
    with files(tmp_path / "a.bundle", 4, is_private=False) as target:
        target.write(b"0123456789")
        target.write(b"ab")
        target.finish()

    assert ["a.bundle.001", "a.bundle.002", "a.bundle.003"] == names(tmp_path)
    assert [b"0123", b"4567", b"89ab"] == [each.read_bytes() for each in sorted(tmp_path.iterdir())]


def test_volumes_of_an_earlier_bundle_are_removed(tmp_path):
    for number in range(1, 6):
        (tmp_path / f"a.bundle.00{number}").write_bytes(b"old")
    (tmp_path / "a.bundle.006.partial").write_bytes(b"of a killed export")

    with files(tmp_path / "a.bundle", 4, is_private=False) as target:
        target.write(b"01234567")
        target.finish()

    assert ["a.bundle.001", "a.bundle.002"] == names(tmp_path)


def test_what_a_killed_export_left_is_replaced(tmp_path):
    (tmp_path / "a.bundle.partial").write_bytes(b"much more than there is now")

    with files(tmp_path / "a.bundle", None, is_private=False) as target:
        target.write(b"new")
        target.finish()

    assert b"new" == (tmp_path / "a.bundle").read_bytes()


def test_two_exports_do_not_write_the_same_file(tmp_path):
    with files(tmp_path / "a.bundle", None, is_private=False) as target:
        with (
            pytest.raises(StorageUnavailable, match=r"another export is writing .*a\.bundle\.partial"),
            files(tmp_path / "a.bundle", None, is_private=False),
        ):
            pass
        target.write(b"content")
        target.finish()

    assert b"content" == (tmp_path / "a.bundle").read_bytes()


def test_a_folder_that_does_not_exist(tmp_path):
    with (
        pytest.raises(StorageUnavailable, match="No such file or directory"),
        files(tmp_path / "none" / "a.bundle", None, is_private=False),
    ):
        pass


@pytest.mark.parametrize(("is_private", "others"), [(True, 0), (False, 0o044)])
def test_a_private_bundle_is_not_for_others(tmp_path, is_private, others):
    (tmp_path / "a.bundle.partial").touch(0o644)

    with files(tmp_path / "a.bundle", None, is_private=is_private) as target:
        target.finish()

    assert others == stat.S_IMODE((tmp_path / "a.bundle").stat().st_mode) & 0o077


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "a.bundle.partial").symlink_to(tmp_path / "victim")

    with pytest.raises(StorageUnavailable), files(tmp_path / "a.bundle", None, is_private=False):
        pass
    assert not (tmp_path / "victim").exists()
