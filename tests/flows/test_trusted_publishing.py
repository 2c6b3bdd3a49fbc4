"""A build without a secret: token, key, push, as the public login action and `dotnet nuget push` do it."""

import json
from contextlib import asynccontextmanager

from nugetproxy.accounts.model import COMMAND_LINE
from nugetproxy.accounts.trusted_publishing.acts import Policies
from nugetproxy.accounts.trusted_publishing.policy import github, gitlab
from tests.fakes.issuer import (
    AUDIENCE,
    GITHUB,
    GITLAB,
    FakeIssuer,
    claims_of,
    public,
    rsa_key,
    signed,
    signed_with_public_key,
    unsigned,
)
from tests.flows.private_feed import House, opened

TOKEN = "/api/v2/token"


class Site:
    """A private feed that trusts one workflow of Contoso/sdk and tags of a project, both for bob."""

    def __init__(self, house: House, issuer: FakeIssuer) -> None:
        self.house, self.issuer = house, issuer

    async def ask(self, token: str, user: str = "bob", *, body: bytes | None = None, **headers: str):
        body = json.dumps({"username": user, "tokenType": "ApiKey"}).encode() if body is None else body
        sent = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
            "User-Agent": "nuget/login-action",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        given = {name: value for name, value in sent.items() if value}
        return await self.house.send("POST", TOKEN, key="", body=body, headers=given)


@asynccontextmanager
async def site(tmp_path, upstream, **accounts):
    async with FakeIssuer(tmp_path / "issuer") as issuer:
        sections = {
            "trusted_publishing": {"audiences": [AUDIENCE], "ca_file": str(issuer.ca_file)},
            "accounts": accounts or {"failed_logins_per_minute": 10_000},
        }
        async with opened(tmp_path / "data", upstream, **sections) as house:
            bob = await house.accounts.directory.account("bob")
            assert house.services.revisions is not None
            policies = Policies(house.accounts.directory._database, house.services.revisions)
            for name, source in (
                ("release", github("contoso/sdk", "release.yml", "production", issuer=issuer.url)),
                ("tags", gitlab("contoso/libraries/sdk", "refs/tags/v*", issuer=issuer.url)),
            ):
                await policies.add(name, source, bob, None, ("Contoso.Sdk*",), by=COMMAND_LINE)
            yield Site(house, issuer)


async def test_a_build_pushes_with_the_key_of_its_token(stocked, tmp_path):
    async with site(tmp_path, stocked) as here:
        token = here.issuer.token()
        got = await here.ask(token)

        assert (got.status, got.headers["content-type"], got.headers["cache-control"]) == (
            200,
            "application/json",
            "no-store",
        )
        assert set(got.json) == {"tokenType", "expires", "apiKey"}
        assert got.json["tokenType"] == "ApiKey"
        assert len(got.json["expires"]) == len("2026-01-01T01:00:00.0000000Z")
        assert got.json["expires"].endswith("0Z")
        pushed = await here.house.push("Contoso.Sdk", key=got.json["apiKey"])
        assert pushed.status == 201, pushed.reason
        other = await here.house.push("Contoso.Other", key=got.json["apiKey"])
        assert (other.status, "does not cover" in other.reason) == (403, True)
        unlisting = await here.house.send("DELETE", "/api/v2/package/Contoso.Sdk/1.0.0", key=got.json["apiKey"])
        assert (unlisting.status, "lacks the required scope" in unlisting.reason) == (403, True)

        again = await here.ask(token)
        assert (again.status, again.headers["www-authenticate"]) == (401, "Bearer")
        assert again.json["error"] == again.reason == "the token was used before: request a new one for each key"

        assert (await here.ask(here.issuer.token(GITLAB))).status == 200
        assert len(here.issuer.asked) == 2


async def test_an_issuer_rotates_its_keys(stocked, tmp_path, monkeypatch):
    monkeypatch.setattr("nugetproxy.mirroring.issuers.AGAIN", 0.0)
    async with site(tmp_path, stocked) as here:
        assert (await here.ask(here.issuer.token())).status == 200
        here.issuer.key = rsa_key("second")
        here.issuer.published = [public(here.issuer.key)]
        assert (await here.ask(here.issuer.token())).status == 200


async def test_wrong_tokens_are_refused_with_a_reason_in_the_status_line(stocked, tmp_path):
    async with site(tmp_path, stocked) as here:
        issuer, now = here.issuer, int(claims_of("", {})["iat"])
        assert (await here.ask(issuer.token())).status == 200  # pins the ids
        right, stranger = claims_of(issuer.url, GITHUB), rsa_key("first")
        elsewhere = "The token is from repository"
        wrong = [
            ("x", "not a JSON Web Token"),
            (unsigned(right, alg="none"), "algorithm 'none' is not accepted"),
            (unsigned(right, alg="NONE"), "algorithm 'NONE' is not accepted"),
            (signed_with_public_key(right, issuer.key), "algorithm 'HS256' is not accepted"),
            (signed(right, stranger), "signature is wrong"),
            (signed(right, stranger, kid="unknown"), "publishes no key 'unknown'"),
            (issuer.token()[:-20], "signature is wrong"),
            (issuer.token(aud="https://www.nuget.org"), f"request one for '{AUDIENCE}'"),
            (issuer.token(aud=[AUDIENCE, "x"]), f"request one for '{AUDIENCE}'"),
            (issuer.token(exp=now - 61), "the token has expired"),
            (issuer.token(exp=None), "no claim 'exp'"),
            (issuer.token(nbf=now + 120), "not valid yet"),
            (issuer.token(jti=None), "no claim 'jti'"),
            (issuer.token(iss="https://evil.test"), "The token's issuer is 'https://evil.test'"),
            (issuer.token(iss=issuer.url + "/"), "The token's issuer is"),
            (issuer.token(repository="Contoso/other"), elsewhere),
            (issuer.token(repository="fork/sdk", repository_owner="fork"), elsewhere),
            (issuer.token(repository_id="75"), elsewhere),
            (issuer.token(repository_owner_id="66"), elsewhere),
            (issuer.token(repository=None), "The token is from subject"),
            (issuer.token({}), "The token is from subject ''"),
            (issuer.token(event_name="pull_request"), "event_name is 'pull_request'"),
            (issuer.token(event_name="pull_request_target"), "event_name is 'pull_request_target'"),
            (issuer.token(environment="Production"), "expected environment 'production', but it is 'Production'"),
            (issuer.token(environment=None), "expected environment 'production'"),
            (issuer.token(job_workflow_ref="Contoso/sdk/.github/workflows/ci.yml@refs/heads/main"), "ci.yml"),
            (issuer.token(job_workflow_ref="fork/sdk/.github/workflows/release.yml@refs/heads/main"), "fork/sdk"),
            (issuer.token(GITLAB, ref="main", ref_type="branch"), "expected ref 'refs/tags/v*'"),
            (issuer.token(GITLAB, ref_type="branch"), "expected ref 'refs/tags/v*'"),
            (issuer.token(GITLAB, pipeline_source="merge_request_event"), "merge request"),
            (issuer.token(GITLAB, project_path="contoso/libraries/sdk2"), "The token is from project"),
            (issuer.token(GITLAB, namespace_path="contoso"), "The token is from project"),
        ]
        for number, (token, why) in enumerate(wrong):
            got = await here.ask(token)
            assert (got.status, got.headers["www-authenticate"]) == (401, "Bearer"), number
            assert why in got.reason, (number, got.reason)
            assert token not in got.reason or token == "x"
        for user in ("alice", "nobody", "rel\nease"):
            got = await here.ask(issuer.token(), user)
            assert (got.status, "No matching trust policy" in got.reason) == (401, True)
        # All of them together were two readings of the issuer's keys.
        assert len(issuer.asked) == 2
        assert len(await here.house.accounts.directory.keys()) == 2  # alice's, and that of the first token


async def test_wrong_requests(stocked, tmp_path):
    async with site(tmp_path, stocked) as here:
        token = here.issuer.token()
        for status, why, given in (
            (401, "Authorization header", {"Authorization": ""}),
            (401, "Bearer", {"Authorization": f"Basic {token}"}),
            (401, "Bearer", {"Authorization": "Bearer "}),
            (415, "Content-Type", {"Content_Type": "text/plain"}),
            (400, "User-Agent", {"User_Agent": ""}),
            (400, "JSON object", {"body": b"{"}),
            (400, "JSON object", {"body": b"[]"}),
            (400, "username", {"body": b'{"tokenType":"ApiKey"}'}),
            (400, "username", {"body": b'{"username":7,"tokenType":"ApiKey"}'}),
            (400, "tokenType", {"body": b'{"username":"bob","tokenType":"api_key"}'}),
            (413, "larger", {"body": b" " * 20_000}),
        ):
            got = await here.ask(token, **given)
            assert (got.status, why in got.reason) == (status, True), (got.status, got.reason)
        assert (await here.house.get(TOKEN)).status in (404, 405)
        assert here.issuer.asked == []
        assert (await here.ask(token, body=b'{"UserName":" BOB ","TokenType":"ApiKey"}')).status == 200


async def test_an_issuer_that_is_down_is_no_refusal(stocked, tmp_path):
    async with site(tmp_path, stocked) as here:
        here.issuer.down = True
        got = await here.ask(here.issuer.token())
        assert got.status in (502, 503)


async def test_refused_tokens_are_limited(stocked, tmp_path):
    async with site(tmp_path, stocked, failed_logins_per_minute=2) as here:
        statuses = [(await here.ask(here.issuer.token(aud=f"x{number}"))).status for number in range(4)]
        assert statuses == [401, 401, 429, 429]


async def test_it_can_be_switched_off(stocked, tmp_path):
    async with opened(tmp_path, stocked, trusted_publishing={"enabled": False}) as house:
        assert (await house.send("POST", TOKEN, key="", headers={"Authorization": "Bearer x"})).status == 404
