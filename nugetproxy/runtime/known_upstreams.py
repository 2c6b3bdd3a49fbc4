"""The record of the upstreams that filled a data directory, so that it can be served offline without naming them.

Names, addresses and patterns, in `upstreams.json`; no credentials. Settings that name an upstream take precedence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson
from pydantic import ValidationError

from nugetproxy.config import Config, UpstreamSettings
from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.data_directory import MIRROR
from nugetproxy.storage.private_files import replace_private

FILE: Final = "upstreams.json"

_FIELDS: Final = frozenset({"name", "service_index", "patterns"})

_log = logger()


def record_of(path: Path) -> Path:
    """The file of the record of a data directory."""
    return path / FILE


def remember(path: Path, upstreams: Sequence[UpstreamSettings]) -> None:
    """
    Record the upstreams of an online start, ahead of those of earlier starts. Never raises: serving needs no record.
    """
    names = {each.name.lower() for each in upstreams}
    before = known(path)
    now = (*upstreams, *(each for each in before if each.name.lower() not in names))
    if [_noted(each) for each in now] == [_noted(each) for each in before]:
        return
    try:
        replace_private(record_of(path), orjson.dumps([_noted(each) for each in now], option=orjson.OPT_INDENT_2))
    except StorageUnavailable as error:
        _log.warning("upstreams_not_noted", error=str(error))


def known(path: Path) -> tuple[UpstreamSettings, ...]:
    """The upstreams that have filled the directory; empty if there is no record, or none that can be read."""
    try:
        noted = orjson.loads(record_of(path).read_bytes())
        return tuple(UpstreamSettings.model_validate({key: each[key] for key in _FIELDS}) for each in noted)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError, ValidationError) as error:
        _log.warning("upstreams_unreadable", path=str(record_of(path)), error=str(error))
        return ()


def depends_on_record(config: Config) -> bool:
    """Whether the upstreams of these settings are those of the record: offline, and without configured upstreams."""
    return config.mirroring.mode == "offline" and not any(each.model_fields_set for each in config.mirroring.upstream)


def with_known_upstreams(config: Config) -> Config:
    """The effective settings: when offline and without configured upstreams, those that filled the directory."""
    if not depends_on_record(config):
        return config
    path = Path(config.storage.path)
    noted = known(path)
    upstreams = tuple(each for each in noted if _keeps_something(path, each)) or noted
    if not upstreams:
        return config
    return config.model_copy(update={"mirroring": config.mirroring.model_copy(update={"upstream": upstreams})})


def with_recorded_upstreams(config: Config) -> Config:
    """As `with_known_upstreams`, also online: for commands that take care of stored packages."""
    if any(each.model_fields_set for each in config.mirroring.upstream):
        return config
    noted = known(Path(config.storage.path))
    if not noted:
        return config
    return config.model_copy(update={"mirroring": config.mirroring.model_copy(update={"upstream": noted})})


def every_upstream(config: Config) -> dict[str, str]:
    """The service indexes, by name, of the upstreams in the settings and of those that filled the directory before."""
    indexes = {each.name: str(each.service_index) for each in config.mirroring.upstream}
    names = {name.lower() for name in indexes}
    return indexes | {
        each.name: str(each.service_index)
        for each in known(Path(config.storage.path))
        if each.name.lower() not in names
    }


def _noted(upstream: UpstreamSettings) -> dict[str, object]:
    return upstream.model_dump(mode="json", include=set(_FIELDS))


def _keeps_something(path: Path, upstream: UpstreamSettings) -> bool:
    try:
        return any((path / MIRROR / upstream.name).iterdir())
    except OSError:
        return False
