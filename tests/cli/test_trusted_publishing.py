"""nugetproxy trusted-publishing: what administrators see of policies."""

import pytest


def test_a_policy_for_github(alice):
    told = alice.done(
        "trusted-publishing",
        "add",
        "release",
        "--owner",
        "alice",
        "--github",
        "contoso/sdk",
        "--workflow",
        "release.yml",
    )
    assert told.startswith("Created trusted publishing policy release.")
    [shown] = alice.json("trusted-publishing", "list")
    assert (shown["platform"], shown["issuer"]) == ("github", "https://token.actions.githubusercontent.com")
    assert (shown["user"], shown["globs"], shown["pinned"]) == ("alice", ["*"], {})
    assert "waits for its first build until" in alice.done("trusted-publishing", "list")
    assert alice.audited()[-1]["action"] == "trusted-publishing.add"


def test_others(alice):
    alice.done("org", "add", "acme", "--admin", "alice")
    gitlab = alice.json(
        "trusted-publishing", "add", "tags", "--owner", "acme", "--by", "alice", "--gitlab", "contoso/libraries/sdk",
        "--ref", "refs/tags/v*", "--issuer", "https://gitlab.contoso.test", "--glob", "Contoso.*", "--glob", "Solo",
    )  # fmt: skip
    assert (gitlab["owner"], gitlab["user"], gitlab["globs"]) == ("acme", "alice", ["Contoso.*", "Solo"])
    claims = ("--claim", "sub=system:build", "--claim", "team=a=b")
    other = alice.json("trusted-publishing", "add", "k8s", "--owner", "alice", "--issuer", "https://ci.test", *claims)
    assert other["conditions"] == {"sub": "system:build", "team": "a=b"}
    assert other["first_use_until"] is None
    alice.done("trusted-publishing", "remove", "TAGS")
    assert [each["name"] for each in alice.json("trusted-publishing", "list")] == ["k8s"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "say which builds"),
        (["--github", "contoso/sdk"], "--workflow"),
        (["--github", "contoso/sdk", "--gitlab", "a/b"], "say which builds"),
        (["--gitlab", "contoso/sdk"], "--ref or --environment"),
        (["--gitlab", "contoso/sdk", "--workflow", "a.yml"], "--workflow belongs"),
        (["--issuer", "https://ci.test", "--claim", "sub"], "NAME=VALUE"),
        (["--issuer", "https://ci.test", "--claim", "a=1", "--claim", "a=2"], "once"),
        (["--issuer", "https://ci.test", "--claim", "a=1", "--ref", "refs/heads/x"], "as claims"),
        (["--claim", "a=1"], "not an issuer"),
    ],
)
def test_usage_errors(alice, given, why):
    assert why in alice.refused("trusted-publishing", "add", "x", "--owner", "alice", *given, code=2)
