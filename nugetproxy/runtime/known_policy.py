"""The record of the rules that the server of a data directory uses, for commands that are not given its settings.

In `policy.json`. Settings with rules take precedence.
"""

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from nugetproxy.config import Config, PolicySettings
from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.runtime.known_upstreams import known
from nugetproxy.storage.private_files import replace_private

FILE: Final = "policy.json"

_log = logger()


def remember_policy(path: Path, policy: PolicySettings) -> None:
    """Record the rules of a server's start. Never raises: serving needs no record."""
    file, text = path / FILE, policy.model_dump_json(exclude_unset=True)
    try:
        if (file.read_text() if file.exists() else PolicySettings().model_dump_json(exclude_unset=True)) != text:
            replace_private(file, text.encode())
    except (OSError, ValueError, StorageUnavailable) as error:
        _log.warning("policy_not_noted", error=str(error))


def with_known_policy(config: Config) -> Config:
    """The settings, with the rules and the upstreams of the directory's server where they name none.

    Raises StorageUnavailable if there is a record that cannot be read: without it, nothing would seem to be withheld.
    """
    path = Path(config.storage.path)
    changed: dict[str, object] = {}
    if not config.policy.rule:
        changed["policy"] = _known_policy(path / FILE)
    if not any(each.model_fields_set for each in config.mirroring.upstream) and (upstreams := known(path)):
        changed["mirroring"] = config.mirroring.model_copy(update={"upstream": upstreams})
    return config.model_copy(update=changed)


def _known_policy(file: Path) -> PolicySettings:
    try:
        return PolicySettings.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return PolicySettings()
    except (OSError, ValidationError) as error:
        raise StorageUnavailable(
            f"{file} cannot be read ({error}); give the settings of the server: --config"
        ) from error
