"""What a trusted publishing policy says: which builds may get a key, for whom, for which ids. Values and their checks.

Whether a token fits a policy is decided in `claims`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from nugetproxy.accounts.model import DAY, Account, AccountKind
from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.globs import checked_glob

FIRST_USE: Final = 7 * DAY
"""How long a policy waits for its first token, which pins the ids of the repository. As on nuget.org."""

LONGEST_VALUE: Final = 255

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_PROJECT: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)+")
_WORKFLOW: Final = re.compile(r"[^/\\@\s]+\.ya?ml")
_REF: Final = re.compile(r"refs/(?:heads|tags)/[^\s*]*\*?")
_WORKFLOWS: Final = ".github/workflows/"


class Platform(StrEnum):
    """What builds run on, which decides what their tokens say."""

    GITHUB = "github"
    GITLAB = "gitlab"
    ANY = "any"
    """An issuer of any kind, with exact values for some of its claims."""


ISSUERS: Final[Mapping[Platform, str]] = {
    Platform.GITHUB: "https://token.actions.githubusercontent.com",
    Platform.GITLAB: "https://gitlab.com",
}
"""The public issuers. Others, of a company's own GitHub or GitLab, are named in the policy."""

PINNED: Final[Mapping[Platform, tuple[str, ...]]] = {
    Platform.GITHUB: ("repository_owner_id", "repository_id"),
    Platform.GITLAB: ("namespace_id", "project_id"),
    Platform.ANY: (),
}
"""Claims whose values at the first use are required from then on: names can be given to somebody else, ids cannot."""


@dataclass(frozen=True, slots=True)
class Source:
    """The builds that a policy trusts.

    `conditions`: for GITHUB `repository`, `workflow` and if wanted `environment` and `ref`; for GITLAB `project` and if
    wanted `environment` and `ref`; for ANY the names of claims. All must be met.
    """

    platform: Platform
    issuer: str
    conditions: Mapping[str, str]

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {value}" for name, value in self.conditions.items())
        return f"{self.issuer}: {listed}"


@dataclass(frozen=True, slots=True)
class PublishingPolicy:
    """A policy as stored. Its keys act for `owner`; they belong to `creator`, and end with that membership.

    `pinned`: empty until the first use. The times are in unix microseconds.
    """

    policy_id: int
    name: str
    owner: Account
    creator: Account | None
    source: Source
    pinned: Mapping[str, str]
    globs: tuple[str, ...]
    created: int
    last_used: int | None

    @property
    def user(self) -> Account:
        """The account that a build names when it asks for a key: who created the policy, as on nuget.org."""
        return self.creator or self.owner

    @property
    def waits_until(self) -> int | None:
        """Until when the first token must come; None if there was one, or if nothing has to be pinned."""
        return None if self.pinned or not PINNED[self.source.platform] else self.created + FIRST_USE


def github(repository: str, workflow: str, environment: str = "", ref: str = "", issuer: str = "") -> Source:
    """Builds of one workflow file of a repository on GitHub. Raises InvalidRequest."""
    repository = repository.removeprefix("https://github.com/").rstrip("/")
    if not _REPOSITORY.fullmatch(repository):
        raise InvalidRequest(f"{repository!r} is not a repository: expected OWNER/NAME, such as contoso/sdk")
    workflow = workflow.removeprefix("/").removeprefix(_WORKFLOWS)
    if not _WORKFLOW.fullmatch(workflow):
        raise InvalidRequest(f"{workflow!r} is not a workflow: expected a file in {_WORKFLOWS}, such as release.yml")
    conditions = {"repository": repository, "workflow": workflow, **_optional(environment, ref)}
    return Source(Platform.GITHUB, checked_issuer(issuer or ISSUERS[Platform.GITHUB]), conditions)


def gitlab(project: str, ref: str = "", environment: str = "", issuer: str = "") -> Source:
    """Builds of a project on GitLab. Raises InvalidRequest."""
    project = project.removeprefix("https://gitlab.com/").strip("/")
    if not _PROJECT.fullmatch(project):
        raise InvalidRequest(f"{project!r} is not a project: expected NAMESPACE/NAME, such as contoso/libraries/sdk")
    if not ref and not environment:
        raise InvalidRequest(
            "a GitLab project needs --ref or --environment: without, everybody who may push a branch could publish"
        )
    conditions = {"project": project, **_optional(environment, ref)}
    return Source(Platform.GITLAB, checked_issuer(issuer or ISSUERS[Platform.GITLAB]), conditions)


def any_issuer(issuer: str, claims: Mapping[str, str]) -> Source:
    """Tokens of any issuer with these values in these claims. Raises InvalidRequest."""
    if not claims:
        raise InvalidRequest("name at least one claim, such as sub=...: otherwise every token of the issuer would do")
    for name, value in claims.items():
        if name in ("iss", "aud", "exp", "nbf", "iat", "jti"):
            raise InvalidRequest(f"{name} is always checked, and cannot be a condition")
        _checked_value(name, name)
        _checked_value(name, value)
    return Source(Platform.ANY, checked_issuer(issuer), dict(claims))


def checked_issuer(text: str) -> str:
    """An https URL, exactly as tokens name it. Raises InvalidRequest: keys fetched over http could be anybody's."""
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or re.search(r"[\s?#@]", text) or len(text) > LONGEST_VALUE:
        raise InvalidRequest(f"{text[:LONGEST_VALUE]!r} is not an issuer: expected an https URL without query")
    return text


def checked_policy_name(text: str) -> str:
    """Raises InvalidRequest."""
    if not _NAME.fullmatch(text):
        raise InvalidRequest("the name of a policy has 1 to 50 of A-Z a-z 0-9 . _ - and begins with a letter or digit")
    return text


def checked_globs(globs: tuple[str, ...]) -> tuple[str, ...]:
    """Raises InvalidRequest."""
    if not globs:
        raise InvalidRequest("a policy needs at least one pattern of package ids; '*' covers all of its owner")
    for glob in globs:
        checked_glob(glob)
    return globs


def check_creator(creator: Account | None) -> None:
    """Raises InvalidRequest for an organisation: members are users."""
    if creator is not None and creator.kind is not AccountKind.USER:
        raise InvalidRequest(f"{creator.name} is an organisation; a policy is created by a user")


def _optional(environment: str, ref: str) -> dict[str, str]:
    found: dict[str, str] = {}
    if environment:
        found["environment"] = _checked_value("environment", environment)
    if ref:
        if not _REF.fullmatch(ref):
            raise InvalidRequest(f"{ref!r} is not a full ref: expected refs/heads/main, or with * such as refs/tags/v*")
        found["ref"] = _checked_value("ref", ref)
    return found


def _checked_value(name: str, value: str) -> str:
    if not value or len(value) > LONGEST_VALUE or not value.isprintable():
        raise InvalidRequest(f"{name}: expected 1 to {LONGEST_VALUE} printable characters")
    return value
