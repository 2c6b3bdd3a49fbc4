"""Which tokens fit a policy: the table of what builds may differ in."""

import pytest

from nugetproxy.accounts.model import DAY
from nugetproxy.accounts.trusted_publishing.claims import Differs, Fits, fit, origin_of
from nugetproxy.accounts.trusted_publishing.policy import PublishingPolicy, Source, any_issuer, github, gitlab
from nugetproxy.errors import InvalidRequest
from tests.accounts.actors import ALICE
from tests.accounts.places import NOON
from tests.fakes.issuer import GITHUB, GITLAB

ON_GITHUB = github("contoso/SDK", "release.yml", environment="production")
ON_GITLAB = gitlab("Contoso/Libraries/sdk", ref="refs/tags/v*")
GITHUB_IDS = {"repository_owner_id": "65", "repository_id": "74"}
GITLAB_IDS = {"namespace_id": "72", "project_id": "20"}


def policy(source: Source, pinned: dict[str, str] | None = None) -> PublishingPolicy:
    return PublishingPolicy(1, "release", ALICE, None, source, pinned or {}, ("*",), NOON, None)


def test_the_first_token_pins_the_ids():
    assert fit(policy(ON_GITHUB), GITHUB, NOON) == Fits(GITHUB_IDS)
    assert fit(policy(ON_GITLAB), GITLAB, NOON) == Fits(GITLAB_IDS)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"repository": "CONTOSO/sdk", "repository_owner": "CONTOSO"},
        {"repository_id": 74},
        {"job_workflow_ref": "contoso/sdk/.github/workflows/release.yml@refs/tags/v1"},
        {"ref": "refs/heads/other"},
        {"event_name": "workflow_dispatch"},
        {"event_name": "release"},
    ],
)
def test_builds_on_github_that_fit(changed):
    assert fit(policy(ON_GITHUB, GITHUB_IDS), {**GITHUB, **changed}, NOON + 365 * DAY) == Fits(GITHUB_IDS)


@pytest.mark.parametrize(
    "changed",
    [
        {"repository": "fork/sdk", "repository_owner": "fork"},
        {"repository": "Contoso/sdk2"},
        {"repository_owner": "fork"},
        {"repository_owner": ""},
        {"repository_owner": "con"},
        {"repository": None},
        {"repository": ["Contoso/sdk"]},
        {"repository_id": "75"},
        {"repository_owner_id": "66"},
        {"repository_id": None},
        {"repository_id": True},
    ],
)
def test_another_repository_on_github_learns_nothing(changed):
    assert fit(policy(ON_GITHUB, GITHUB_IDS), {**GITHUB, **changed}, NOON) == Differs()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"event_name": "pull_request"}, "pull request"),
        ({"event_name": "pull_request_target"}, "pull request"),
        ({"event_name": None}, "pull request"),
        ({"job_workflow_ref": "Contoso/sdk/.github/workflows/other.yml@refs/heads/main"}, "other.yml"),
        ({"job_workflow_ref": "Contoso/sdk/.github/workflows/RELEASE.yml@refs/heads/main"}, "RELEASE.yml"),
        ({"job_workflow_ref": "Contoso/sdk/.github/workflows/x/release.yml@refs/heads/main"}, "job_workflow_ref"),
        ({"job_workflow_ref": "evil/sdk/.github/workflows/release.yml@refs/heads/main"}, "evil/sdk"),
        ({"job_workflow_ref": "release.yml"}, "job_workflow_ref"),
        ({"job_workflow_ref": None}, "job_workflow_ref"),
        ({"environment": "Production"}, "expected environment 'production', but it is 'Production'"),
        ({"environment": None}, "expected environment 'production', but it is ''"),
    ],
)
def test_builds_of_the_repository_are_told_why_they_do_not_fit(changed, why):
    answer = fit(policy(ON_GITHUB, GITHUB_IDS), {**GITHUB, **changed}, NOON)

    assert isinstance(answer, Differs)
    assert answer.is_near
    assert why in answer.why
    assert answer.why.startswith("policy 'release': ")


def test_a_ref_on_github():
    tagged = policy(github("contoso/sdk", "release.yml", ref="refs/tags/v*"), GITHUB_IDS)

    assert isinstance(fit(tagged, {**GITHUB, "ref": "refs/tags/v1.0"}, NOON), Fits)
    for ref in ("refs/heads/main", "refs/heads/v1", "refs/pull/7/merge", None):
        assert isinstance(fit(tagged, {**GITHUB, "ref": ref}, NOON), Differs)


@pytest.mark.parametrize(
    ("changed", "is_near"),
    [
        ({"project_path": "fork/libraries/sdk", "namespace_path": "fork/libraries"}, False),
        ({"namespace_path": "contoso"}, False),
        ({"project_id": "21"}, False),
        ({"namespace_id": "73"}, False),
        ({"ref": "main", "ref_type": "branch"}, True),
        ({"ref": "v1.0.0", "ref_type": "branch"}, True),
        ({"ref_type": None}, True),
        ({"pipeline_source": "merge_request_event"}, True),
        ({"pipeline_source": "external_pull_request_event"}, True),
        ({"pipeline_source": None}, True),
    ],
)
def test_builds_on_gitlab_that_do_not_fit(changed, is_near):
    answer = fit(policy(ON_GITLAB, GITLAB_IDS), {**GITLAB, **changed}, NOON)

    assert isinstance(answer, Differs)
    assert (answer.is_near, bool(answer.why)) == (is_near, is_near)


def test_any_issuer_needs_exact_values():
    source = any_issuer("https://ci.test", {"sub": "build", "groups": "release"})
    fitting = {"sub": "build", "groups": ["dev", "release"]}

    assert fit(policy(source), fitting, NOON + 365 * DAY) == Fits({})
    others: list[dict[str, object]] = [
        {"sub": "Build"}, {"sub": None}, {"groups": []}, {"groups": ["releases"]}, {"groups": {"release": 1}}
    ]  # fmt: skip
    for changed in others:
        assert isinstance(fit(policy(source), {**fitting, **changed}, NOON), Differs)


def test_a_policy_waits_seven_days_for_its_first_token():
    assert isinstance(fit(policy(ON_GITHUB), GITHUB, NOON + 7 * DAY - 1), Fits)
    late = fit(policy(ON_GITHUB), GITHUB, NOON + 7 * DAY)
    assert isinstance(late, Differs)
    assert "7 days" in late.why


def test_a_first_token_without_ids_pins_nothing():
    answer = fit(policy(ON_GITHUB), {**GITHUB, "repository_id": None}, NOON)
    assert isinstance(answer, Differs)
    assert "repository_id" in answer.why


def test_people_may_write_names_as_they_see_them():
    assert github("https://github.com/contoso/sdk/", "/.github/workflows/release.yml").conditions == {
        "repository": "contoso/sdk",
        "workflow": "release.yml",
    }


@pytest.mark.parametrize(
    "create",
    [
        lambda: github("contoso", "release.yml"),
        lambda: github("contoso/sdk/x", "release.yml"),
        lambda: github("contoso/*", "release.yml"),
        lambda: github("contoso/sdk", "release"),
        lambda: github("contoso/sdk", "../release.yml"),
        lambda: github("contoso/sdk", "release.yml", ref="main"),
        lambda: github("contoso/sdk", "release.yml", ref="refs/heads/*x"),
        lambda: github("contoso/sdk", "release.yml", issuer="http://token.test"),
        lambda: gitlab("contoso/sdk"),
        lambda: gitlab("sdk", ref="refs/heads/main"),
        lambda: any_issuer("https://ci.test", {}),
        lambda: any_issuer("https://ci.test", {"aud": "x"}),
        lambda: any_issuer("https://ci.test", {"sub": ""}),
        lambda: any_issuer("ci.test", {"sub": "x"}),
        lambda: any_issuer("https://user@ci.test", {"sub": "x"}),
        lambda: any_issuer("https://ci.test/?x", {"sub": "x"}),
    ],
)
def test_policies_that_cannot_be_meant(create):
    with pytest.raises(InvalidRequest):
        create()


def test_the_origin_of_a_token_is_one_short_line():
    told = origin_of({**GITHUB, "environment": "a\nb" + "x" * 500})

    assert told.startswith("repository 'Contoso/sdk', repository_id '74', ")
    assert told.isprintable()
    assert len(told) < 500
