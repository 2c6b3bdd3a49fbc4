"""The record of the upstreams that filled a data directory."""

import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from nugetproxy.config import Config, UpstreamSettings
from nugetproxy.runtime.known_upstreams import FILE, depends_on_record, known, remember, with_known_upstreams

CORP = UpstreamSettings(
    name="corp", service_index="https://feed.example.com/v3/index.json", patterns=("Fabrikam.*",), username="ci",
    password_file="/run/token",
)  # fmt: skip
OTHER = UpstreamSettings(service_index="https://other.example.com/v3/index.json")
PUBLIC = UpstreamSettings()


def keep(data: Path, *names: str) -> None:
    for name in names:
        (data / "mirror" / name / "a").mkdir(parents=True)


def names(config: Config) -> list[str]:
    return [each.name for each in config.mirroring.upstream]


def settings(data: Path, **mirroring: Any) -> Config:
    return Config.model_validate({"storage": {"path": str(data)}, "mirroring": mirroring})


def test_names_addresses_and_patterns_are_noted_and_no_credentials(tmp_path: Path):
    remember(tmp_path, [CORP, PUBLIC])

    assert json.loads((tmp_path / FILE).read_text()) == [
        {"name": "corp", "service_index": CORP.service_index, "patterns": ["Fabrikam.*"]},
        {"name": "nuget.org", "service_index": PUBLIC.service_index, "patterns": ["*"]},
    ]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_those_of_earlier_starts_are_remembered_after_those_of_now(tmp_path: Path):
    """
    A name has one address, the last one; an unchanged record is not written again.
    """
    remember(tmp_path, [CORP, PUBLIC])
    moved = UpstreamSettings(name="Corp", service_index="https://new.example.com/v3/index.json")
    remember(tmp_path, [OTHER, moved])
    written = (tmp_path / FILE).stat().st_ino
    remember(tmp_path, [OTHER, moved])

    assert [(each.name, each.service_index) for each in known(tmp_path)] == [
        ("other.example.com", OTHER.service_index), ("Corp", moved.service_index), ("nuget.org", PUBLIC.service_index),
    ]  # fmt: skip
    assert (tmp_path / FILE).stat().st_ino == written


def test_offline_without_a_word_they_are_taken_from_there(tmp_path: Path):
    """
    Those with stored content.
    """
    remember(tmp_path, [CORP, OTHER])
    keep(tmp_path, "corp")
    config = with_known_upstreams(settings(tmp_path, mode="offline"))

    assert [(each.name, each.service_index, each.patterns) for each in config.mirroring.upstream] == [
        ("corp", CORP.service_index, ("Fabrikam.*",))
    ]
    assert Config.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "mirroring",
    [
        {"mode": "online"},
        {"mode": "offline", "upstream": [{"service_index": OTHER.service_index}]},
        {"mode": "offline", "upstream": [{"name": "nuget.org"}]},
    ],
    ids=["online", "another", "nuget.org by name"],
)
def test_settings_win(tmp_path: Path, mirroring: dict[str, Any]):
    remember(tmp_path, [CORP])
    keep(tmp_path, "corp")
    config = settings(tmp_path, **mirroring)

    assert with_known_upstreams(config) is config


def test_without_a_record_it_is_nuget_org(tmp_path: Path):
    assert names(with_known_upstreams(settings(tmp_path, mode="offline"))) == ["nuget.org"]


def test_nothing_kept_is_no_reason_to_forget_them(tmp_path: Path):
    remember(tmp_path, [CORP])
    assert names(with_known_upstreams(settings(tmp_path, mode="offline"))) == ["corp"]


@pytest.mark.parametrize(
    "text",
    ["{", "{}", "[1]", '[{"name": "corp"}]', '[{"name": "../x", "service_index": "https://a/", "patterns": ["*"]}]'],
)
def test_a_record_that_cannot_be_read_is_reported_and_left_out(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    with structlog.testing.capture_logs() as lines:
        found = known(tmp_path)
    assert found == ()
    assert [line["event"] for line in lines] == ([] if text == "{}" else ["upstreams_unreadable"])


def test_a_record_that_cannot_be_written_is_reported(tmp_path: Path):
    (tmp_path / "file").touch()
    with structlog.testing.capture_logs() as lines:
        remember(tmp_path / "file", [CORP])
    assert {line["event"] for line in lines} == {"upstreams_unreadable", "upstreams_not_noted"}


@pytest.mark.parametrize(
    ("mirroring", "expected"),
    [
        ({"mode": "offline"}, True),
        ({}, False),
        ({"mode": "offline", "upstream": [{"name": "corp", "service_index": CORP.service_index}]}, False),
    ],
)
def test_only_offline_servers_without_settings_depend_on_the_record(
    tmp_path: Path, mirroring: dict[str, Any], expected: bool
):
    assert depends_on_record(settings(tmp_path, **mirroring)) is expected
