"""The files of feed.advisories: when they are read again, and what stays when they cannot be."""

import json
from pathlib import Path

import pytest
import structlog

from nugetproxy import metrics
from nugetproxy.config import Config
from nugetproxy.errors import ConfigError
from nugetproxy.runtime.advisory_files import COPY, AdvisoryFiles
from nugetproxy.runtime.advisory_sources import check_advisories, read_files


def page(*ids: str) -> bytes:
    return json.dumps(
        {each: [{"url": "https://c.example", "severity": 1, "versions": "(, 1.0)"}] for each in ids}
    ).encode()


class Files:
    def __init__(self, folder: Path) -> None:
        self.source, self.data = folder / "advisories", folder / "data"
        self.data.mkdir()
        self.source.mkdir()
        self.write("a.json", page("A"))
        self.changes = 0
        """Announced by any of the processes."""
        self.files = self.opened()

    def opened(self) -> AdvisoryFiles:
        return AdvisoryFiles(self.source, self.data, self.changed)

    def changed(self) -> None:
        self.changes += 1

    def write(self, name: str, body: bytes) -> None:
        file = self.source / name
        file.parent.mkdir(exist_ok=True)
        file.with_suffix(".new").write_bytes(body)
        file.with_suffix(".new").replace(file)

    @property
    def ids(self) -> list[str]:
        return sorted(self.files.current().by_id)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def unreadable() -> float:
    return float(metrics.ADVISORIES_UNREADABLE._value.get())


def test_every_json_file_below_a_directory_is_read(files):
    files.write("2026/b.json", page("B"))
    files.write("readme.md", b"no advisory")
    files.write(".hidden.json", b"no advisory")
    files.write(".git/index.json", b"no advisory")

    assert files.files.refresh()
    assert files.ids == ["a", "b"]
    assert metrics.ADVISORIES._value.get() == 2


def test_a_single_file(files, tmp_path):
    assert sorted(AdvisoryFiles(files.source / "a.json", files.data).current().by_id) == ["a"]


def test_unchanged_files_are_not_read_again(files, monkeypatch):
    monkeypatch.setattr("nugetproxy.runtime.advisory_files.read_files", lambda _: pytest.fail("read"))

    assert not files.files.refresh()


def test_a_broken_file_changes_nothing_and_is_reported_once(files):
    files.write("b.json", b"{")
    files.write("c.json", page("C"))
    with structlog.testing.capture_logs() as logs:
        assert not files.files.refresh()
        assert not files.files.refresh()

    assert files.ids == ["a"]
    assert unreadable() == 1
    [line] = logs
    assert (line["event"], line["file"]) == ("advisories_unreadable", str(files.source / "b.json"))

    files.write("b.json", page("B"))
    assert files.files.refresh()
    assert files.ids == ["a", "b", "c"]
    assert unreadable() == 0


def test_a_file_that_is_gone_and_comes_back(files):
    away = files.source.with_name("away")
    files.source.rename(away)
    assert not files.files.refresh()
    assert (files.ids, unreadable()) == (["a"], 1)

    away.rename(files.source)
    assert not files.files.refresh()
    assert (files.ids, unreadable()) == (["a"], 0)


def test_a_removed_advisory_is_gone(files):
    (files.source / "a.json").unlink()

    assert files.files.refresh()
    assert files.ids == []


def test_a_process_that_starts_meanwhile_uses_the_copy(files):
    files.write("a.json", b"{")
    files.files = files.opened()

    assert files.ids == ["a"]
    assert (files.data / COPY).stat().st_mode & 0o777 == 0o600


def test_only_a_start_that_finds_other_advisories_than_the_last_one_announces_a_change(files):
    """
    Answers that survive restarts depend on it.
    """
    osv = {
        "id": "GHSA-1",
        "affected": [{"package": {"ecosystem": "NuGet", "name": "B"}, "versions": ["1.0", "1.1.0-rc.1"]}],
        "published": "2026-02-01T03:04:05.678Z",
    }
    files.write("b.json", json.dumps(osv).encode())
    assert files.changes == 1

    files.files = files.opened()
    assert (files.changes, files.ids) == (2, ["a", "b"])
    files.files = files.opened()
    assert (files.changes, files.ids) == (2, ["a", "b"])
    assert files.files.current().by_id["b"][0].published == 1769915045

    (files.source / "a.json").unlink()
    files.files = files.opened()
    assert (files.changes, files.ids) == (3, ["b"])


def test_a_copy_is_not_used_when_there_are_no_advisories(files):
    (files.source / "a.json").unlink()
    files.files = files.opened()

    assert files.ids == []


@pytest.mark.parametrize("name", ["missing", "broken.json"])
def test_a_server_does_not_start_with_them(tmp_path, name):
    (tmp_path / "broken.json").write_bytes(b'{"A": [{"url": "https://x.example", "severity": 1}]}')
    config = Config.model_validate({"feed": {"advisories": str(tmp_path / name)}})

    with pytest.raises(ConfigError) as refused:
        check_advisories(config)
    [problem] = refused.value.problems
    assert problem.startswith(f"feed.advisories: {tmp_path / name}: ")
    assert "No such file" in problem or 'expected "versions"' in problem


def test_the_time_of_change_is_that_of_the_newest_file(files):
    import os

    files.write("b.json", page("B"))
    os.utime(files.source / "a.json", (1_000_000_000, 1_000_000_000))
    os.utime(files.source / "b.json", (1_000_000_060, 1_000_000_060))

    assert read_files(files.source).updated == "2001-09-09T01:47:40Z"
