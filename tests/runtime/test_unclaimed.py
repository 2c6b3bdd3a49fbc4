"""Which folders of a mirror belong to nobody."""

from pathlib import Path

import pytest

from nugetproxy.config import Config
from nugetproxy.runtime.unclaimed import unclaimed_mirrors


def config(data: Path, *urls: str) -> Config:
    upstream = [{"service_index": url} for url in urls]
    return Config.model_validate({"storage": {"path": str(data)}, "mirroring": {"upstream": upstream}})


def test_a_directory_that_does_not_exist_has_none(tmp_path):
    assert unclaimed_mirrors(config(tmp_path / "none", "https://api.nuget.org/v3/index.json")) == ()


@pytest.mark.parametrize(
    ("url", "unclaimed"),
    [
        ("https://api.nuget.org/v3/index.json", ("Feed.example.com-81",)),
        ("https://feed.example.com:81/v3/index.json", ("nuget.org",)),
    ],
)
def test_folders_that_keep_something_are_named(tmp_path, url, unclaimed):
    """
    A URL gives the same name at every start. An empty folder, or a file, is nobody's loss.
    """
    for folder in ("nuget.org/a", "Feed.example.com-81/a", "empty"):
        (tmp_path / "mirror" / folder).mkdir(parents=True)
    (tmp_path / "mirror/file").touch()

    assert unclaimed_mirrors(config(tmp_path, url)) == unclaimed
