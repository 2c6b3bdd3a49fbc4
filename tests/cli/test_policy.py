"""nugetproxy policy and explain: exceptions, and what rules withhold, beside a server."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.config import PolicySettings
from nugetproxy.runtime.known_policy import remember_policy
from tests.cli.command_line import ME, CommandLine
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running

RULE = '[[policy.rule]]\nname = "cooling-off"\naction = "block"\nyounger_than = "7d"\n'
DOWNLOAD = "/v3/flatcontainer/risky/2.0.0/risky.2.0.0.nupkg"


@pytest.fixture
async def risky(upstream: FakeUpstream, line: CommandLine) -> FakeUpstream:
    """Two versions, the second a day old, and a data directory whose server has the rule."""
    line.data.mkdir()
    upstream.add_package("Risky", "1.0.0")
    upstream.add_package("Risky", "2.0.0", published=(datetime.now(UTC) - timedelta(days=1)).isoformat())
    rules = [{"name": "cooling-off", "action": "block", "younger_than": "7d"}]
    remember_policy(line.data, PolicySettings.model_validate({"rule": rules}))
    return upstream


async def run(line: CommandLine, *arguments: str, code: int = 0) -> str:
    ended = await asyncio.to_thread(line.run, *arguments)
    assert ended.exit_code == code, ended.output
    return ended.stdout


async def told(line: CommandLine, *arguments: str, code: int = 0) -> Any:
    return json.loads(await run(line, *arguments, "--json", code=code))


class TestExplain:
    async def test_says_which_rule_until_when_and_who_may_allow_it(self, line, risky):
        found = await told(line, "explain", "risky", "2.0.0", "--upstream", risky.url)

        assert {key: found[key] for key in ("id", "version", "state", "rule", "evaluated")} == {
            "id": "Risky", "version": "2.0.0", "state": "withheld", "rule": "cooling-off", "evaluated": True
        }  # fmt: skip
        since, until = (datetime.fromisoformat(found[key]) for key in ("since", "until"))
        assert until - since == timedelta(days=7)
        assert found["allow"]["command"].startswith("nugetproxy policy allow Risky 2.0.0 --until ")

    async def test_lists_all_versions(self, line, risky):
        found = await told(line, "explain", "Risky", "--upstream", risky.url)
        assert [(each["version"], each["state"]) for each in found["versions"]] == [
            ("1.0.0", "visible"), ("2.0.0", "withheld")
        ]  # fmt: skip

        assert "cooling-off" in await run(line, "explain", "Risky", "--upstream", risky.url)

    async def test_of_what_does_not_exist(self, line, risky):
        await run(line, "explain", "Risky", "9.0.0", "--upstream", risky.url, code=1)


class TestExceptions:
    async def test_a_running_server_knows_at_once(self, line, risky):
        rules = {"rule": [{"name": "cooling-off", "action": "block", "younger_than": "7d"}]}
        async with running(line.data, risky, policy=rules) as mirror:
            assert (await mirror.get(DOWNLOAD)).status == 403
            await run(line, "policy", "allow", "Risky", "2.0.0", "--until", "3d", "--because", "we need it")
            assert (await mirror.json("/v3/flatcontainer/risky/index.json"))["versions"] == ["1.0.0", "2.0.0"]
            assert (await mirror.json("/v3/explain/risky/2.0.0"))["exception"]["because"] == "we need it"
            await run(line, "policy", "revoke", "risky", "2.0")
            assert (await mirror.get(DOWNLOAD)).status == 403
            assert (await mirror.json("/v3/explain/risky/2.0.0"))["rule"] == "cooling-off"

    def test_are_audited_and_listed(self, alice):
        alice.done("policy", "allow", "Risky", "2.0", "--until", "2099-12-31", "--because", "we need it")
        listed = alice.json("policy", "list")
        alice.done("policy", "revoke", "Risky", "2.0")

        assert [(e["id"], e["version"], e["until"], e["by"]) for e in listed["exceptions"]] == [
            ("risky", "2.0.0", "2100-01-01T00:00:00Z", ME)
        ]
        acts = [(row["action"], row["subject"], row["detail"]) for row in alice.audited()][-2:]
        assert acts == [("policy.allow", "Risky 2.0.0", "we need it"), ("policy.revoke", "Risky 2.0.0", "")]

    @pytest.mark.parametrize("until", ["2001-01-01", "30", "soon"])
    def test_need_an_end_in_the_future(self, alice, until):
        alice.refused("policy", "allow", "Risky", "2.0", "--until", until, "--because", "x", code=2)

    def test_need_a_reason(self, alice):
        alice.refused("policy", "allow", "Risky", "2.0", "--until", "3d", "--because", " ", code=2)

    def test_only_existing_ones_can_be_revoked(self, alice):
        alice.refused("policy", "revoke", "Risky", "2.0", code=2)


async def test_versions_of_a_prewarmed_lock_file_are_exempt_from_rules_about_age(line, risky, tmp_path: Path):
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("Risky 2.0.0\n")
    rules = tmp_path / "n.toml"
    rules.write_text(RULE)

    await run(line, "prewarm", str(wanted), "--config", str(rules), "--upstream", risky.url)

    assert (await told(line, "explain", "Risky", "2.0.0", "--upstream", risky.url))["state"] == "visible"


class TestTry:
    async def test_against_a_lock_file_a_log_and_what_is_kept(self, line, risky, tmp_path: Path):
        rules, lock, log = tmp_path / "rules.toml", tmp_path / "packages.lock.json", tmp_path / "access.log"
        rules.write_text(RULE.replace("7d", "2d") + 'because = "hijacks"\n')
        wanted = {"Risky": {"type": "Direct", "resolved": "2.0.0"}}
        lock.write_text(json.dumps({"version": 1, "dependencies": {"net8.0": wanted}}))
        log.write_text(f'127.0.0.1 "GET {DOWNLOAD} HTTP/1.1" 200\n{{"path":"{DOWNLOAD.replace("2.0.0", "1.0.0")}"}}\n')

        for against, count in ((lock, 1), (log, 2)):
            found = await told(
                line, "policy", "try", str(rules), "--against", str(against), "--upstream", risky.url, code=1
            )
            assert found["packages"] == count
            assert [(e["id"], e["version"], e["because"]) for e in found["withheld"]] == [("Risky", "2.0.0", "hijacks")]

        async with running(line.data, risky) as mirror:
            assert (await mirror.get(DOWNLOAD)).status == 200
        kept = await told(line, "policy", "try", str(rules), "--against", "KEPT")
        assert kept == {"packages": 1, "withheld": [], "warned": []}

    async def test_check_judges_what_is_kept_by_the_rules_of_the_server(self, line, risky):
        async with running(line.data, risky) as mirror:
            assert (await mirror.get(DOWNLOAD)).status == 200
        assert (await told(line, "policy", "check"))["withheld"] == []

        rules = [{"name": "no-2", "action": "block", "ids": ["Risky"], "versions": "[2.0]"}]
        remember_policy(line.data, PolicySettings.model_validate({"rule": rules}))
        found = await told(line, "policy", "check", code=1)
        assert [(each["version"], each["rule"]) for each in found["withheld"]] == [("2.0.0", "no-2")]

    def test_with_unusable_rules(self, alice, tmp_path: Path):
        (tmp_path / "rules.toml").write_text(RULE.replace("7d", "soon"))

        assert "younger_than (rule 'cooling-off')" in alice.refused(
            "policy", "try", str(tmp_path / "rules.toml"), "--against", "KEPT", code=78
        )
