"""Whether a verified token comes from the builds that a policy trusts. Pure.

The signature and the times of a token are checked in `tokens`.

A refusal quotes what a policy expects only to builds of its own repository; others learn just what their token says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nugetproxy.accounts.trusted_publishing.policy import PINNED, Platform, PublishingPolicy, Source

Claims = Mapping[str, Any]

_MERGE_REQUESTS: Final = ("merge_request_event", "external_pull_request_event")
_LONGEST_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Fits:
    """`pins`: the ids that the policy requires from now on."""

    pins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Differs:
    """`is_near`: the token is from the policy's own repository, so `why` may be shown; otherwise it is empty."""

    why: str = ""
    is_near: bool = False


def fit(policy: PublishingPolicy, claims: Claims, now: int) -> Fits | Differs:
    """`now` in unix microseconds."""
    source = policy.source
    is_theirs = {Platform.GITHUB: _is_github_repository, Platform.GITLAB: _is_gitlab_project}.get(source.platform)
    if is_theirs is not None and not is_theirs(source, claims):
        return Differs()
    pins = {name: text_of(claims, name) for name in PINNED[source.platform]}
    if policy.pinned:
        if dict(policy.pinned) != pins:
            return Differs()
    elif missing := [name for name, value in pins.items() if not value]:
        return _near(policy, f"the token has no claim '{missing[0]}'")
    elif policy.waits_until is not None and now >= policy.waits_until:
        return _near(policy, "it was not used within 7 days of its creation; remove it and add it again")
    check = {Platform.GITHUB: _github, Platform.GITLAB: _gitlab, Platform.ANY: _any}[source.platform]
    why = check(source, claims)
    if why:
        return _near(policy, why)
    return Fits(pins)


def origin_of(claims: Claims) -> str:
    """Where a token comes from, by its own claims: for refusals and for the audit log."""
    for what, names in (
        ("repository", ("repository", "repository_id", "job_workflow_ref", "event_name", "environment", "run_id")),
        ("project", ("project_path", "project_id", "ref_type", "ref", "pipeline_source", "environment", "pipeline_id")),
    ):
        if text_of(claims, names[0]):
            told = [f"{name} {shown(value)}" for name in names[1:] if (value := text_of(claims, name))]
            return ", ".join([f"{what} {shown(text_of(claims, names[0]))}", *told])
    return f"subject {shown(text_of(claims, 'sub'))}"


def shown(text: str) -> str:
    """A value of a token in a message: quoted, printable, short."""
    cut = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
    return "'" + "".join(c if c.isprintable() else "?" for c in cut) + "'"


def text_of(claims: Claims, name: str) -> str:
    """A claim as text; empty if it is missing or neither text, a number nor a truth value."""
    value = claims.get(name)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) else ""


def _near(policy: PublishingPolicy, why: str) -> Differs:
    return Differs(f"policy '{policy.name}': {why}", is_near=True)


# --- GitHub ---


def _is_github_repository(source: Source, claims: Claims) -> bool:
    wanted = source.conditions["repository"].lower()
    owner = text_of(claims, "repository_owner").lower()
    return text_of(claims, "repository").lower() == wanted and wanted.startswith(f"{owner}/") and bool(owner)


def _github(source: Source, claims: Claims) -> str:
    event = text_of(claims, "event_name")
    if not event or event.startswith("pull_request"):
        # Also pull_request_target: it may run what an outsider wrote.
        return f"expected a build that no pull request started, but event_name is {shown(event)}"
    repository, workflow = source.conditions["repository"], source.conditions["workflow"]
    file, _, _ = text_of(claims, "job_workflow_ref").partition("@")
    folder, slash, name = file.rpartition("/")
    if folder.lower() + slash != f"{repository.lower()}/.github/workflows/" or name != workflow:
        return f"expected workflow '{workflow}' of {repository}, but job_workflow_ref is {shown(file)}"
    return _environment(source, claims) or _ref(source, text_of(claims, "ref"))


# --- GitLab ---


def _is_gitlab_project(source: Source, claims: Claims) -> bool:
    wanted = source.conditions["project"].lower()
    namespace = text_of(claims, "namespace_path").lower()
    return text_of(claims, "project_path").lower() == wanted and wanted.rpartition("/")[0] == namespace


def _gitlab(source: Source, claims: Claims) -> str:
    how = text_of(claims, "pipeline_source")
    if not how or how in _MERGE_REQUESTS:
        return f"expected a pipeline that no merge request started, but pipeline_source is {shown(how)}"
    kind = {"branch": "heads", "tag": "tags"}.get(text_of(claims, "ref_type"), "")
    ref = f"refs/{kind}/{text_of(claims, 'ref')}" if kind else ""
    return _environment(source, claims) or _ref(source, ref)


# --- any ---


def _any(source: Source, claims: Claims) -> str:
    for name, wanted in source.conditions.items():
        value = claims.get(name)
        listed = value if isinstance(value, list) else [text_of(claims, name)]
        if wanted not in [each for each in listed if isinstance(each, str)]:
            return f"claim '{name}' does not have the value that is expected"
    return ""


def _environment(source: Source, claims: Claims) -> str:
    wanted, actual = source.conditions.get("environment"), text_of(claims, "environment")
    if wanted is None or wanted == actual:
        return ""
    return f"expected environment '{wanted}', but it is {shown(actual)}"


def _ref(source: Source, actual: str) -> str:
    wanted = source.conditions.get("ref")
    if wanted is None or wanted == actual or (wanted.endswith("*") and actual.startswith(wanted[:-1])):
        return ""
    return f"expected ref '{wanted}', but it is {shown(actual)}"
