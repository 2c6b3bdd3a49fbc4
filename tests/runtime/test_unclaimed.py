"""Folders of a mirror that belong to no configured upstream."""

from pathlib import Path

import pytest

from nugetproxy.config import Config, UpstreamSettings
from nugetproxy.runtime.known_upstreams import remember
from nugetproxy.runtime.unclaimed import moved_upstreams, unclaimed_mirrors, what_to_configure


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
    A URL gives the same name at every start. Empty folders and files do not matter.
    """
    for folder in ("nuget.org/a", "Feed.example.com-81/a", "empty"):
        (tmp_path / "mirror" / folder).mkdir(parents=True)
    (tmp_path / "mirror/file").touch()

    assert unclaimed_mirrors(config(tmp_path, url)) == unclaimed


@pytest.mark.parametrize(
    ("upstream", "remedy"),
    [
        ({"service_index": "https://feed.example.com/v3/index.json?sig=abc"},
         "Use --upstream https://feed.example.com/v3/index.json?sig=***"),
        ({"name": "corp", "service_index": "https://feed.example.com/v3/index.json"},
         'Configure an upstream with name = "corp" and service_index = "https://feed.example.com/v3/index.json"'),
    ],
)  # fmt: skip
def test_what_filled_it_is_named(tmp_path, upstream, remedy):
    filled = UpstreamSettings.model_validate(upstream)
    remember(tmp_path, [filled])
    told = what_to_configure(config(tmp_path, "https://api.nuget.org/v3/index.json"), filled.name)

    assert told == (
        f"the content of {tmp_path}/mirror/{filled.name} is not served: no upstream is named {filled.name} "
        f"(configured: nuget.org). {remedy}"
    )


def test_another_address_under_the_same_name_is_reported(tmp_path):
    remember(tmp_path, [UpstreamSettings(name="Feed.example.com", service_index="https://old.example.com/index.json")])

    [told] = moved_upstreams(config(tmp_path, "https://feed.example.com/v3/index.json"))
    assert told == (
        "the upstream feed.example.com was https://old.example.com/index.json before and is "
        "https://feed.example.com/v3/index.json now: its packages are served, but documents stored under the old "
        "address are not"
    )
    assert moved_upstreams(config(tmp_path, "https://api.nuget.org/v3/index.json")) == ()
