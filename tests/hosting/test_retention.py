"""Which versions rules retire: pure tables; and what retiring does to a real feed."""

import random
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.accounts.model import DAY
from nugetproxy.hosting.retention import Action, Rule, Version, retirements
from nugetproxy.hosting.retiring import Retiring
from nugetproxy.hosting.statistics import Statistics
from nugetproxy.hosting.upkeep import sweep_unreferenced_blobs
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.runtime.retention_job import ACTOR
from tests.hosting.house import NOON, House

NOW = 1000 * DAY


def version(text: str, days: float = 0, *, downloads: int = 0, listed: bool = True, of: str = "Contoso.A") -> Version:
    """Pushed `days` ago."""
    return Version(PackageIdentity.parse(of, text), listed, round(NOW - days * DAY), downloads)


def rule(name: str = "r", action: Action = Action.UNLIST, **conditions: Any) -> Rule:
    return Rule(name, action, **conditions)


KEEP_2 = rule(keep_prereleases=2)
UNUSED = rule(unused_since=NOW - 30 * DAY)
BUILDS = [version("1.0.0-ci.1", 9), version("1.0.0-ci.2", 8), version("1.0.0-ci.10", 7), version("1.0.0", 6)]


@pytest.mark.parametrize(
    ("rules", "versions", "retired"),
    [
        ([], BUILDS, []),
        ([KEEP_2], BUILDS, ["1.0.0-ci.1"]),
        ([rule(keep_prereleases=3)], BUILDS, []),
        # The newest are those that were pushed last, whatever their numbers are.
        ([rule(keep_prereleases=1)], [version("2.0.0-a", 9), version("1.0.1-b", 1)], ["2.0.0-a"]),
        ([rule(keep_prereleases=1)], [version("1.0.0-a", 5), version("1.0.0-b", 5)], ["1.0.0-a"]),
        # Downloads do not protect a prerelease, unless the rule is also about unused ones.
        ([KEEP_2], [version(f"1.0.0-{n}", 9 - n, downloads=5) for n in range(4)], ["1.0.0-0", "1.0.0-1"]),
        ([rule(keep_prereleases=1, unused_since=NOW - 5 * DAY)],
         [version("1.0.0-1", 9), version("1.0.0-2", 8, downloads=1), version("1.0.0-3", 4), version("1.0.0-4", 3)],
         ["1.0.0-1"]),
        # What is unlisted is not unlisted again, and does not take the place of one that is not.
        ([KEEP_2], [version("1.0.0-1", 9), version("1.0.0-2", 8), version("1.0.0-3", 7, listed=False)], []),
        ([rule(action=Action.DELETE, keep_prereleases=1)],
         [version("1.0.0-1", 9, listed=False), version("1.0.0-2", 8)], ["1.0.0-1"]),
        ([UNUSED], [version("1.0", 31), version("2.0", 30), version("3.0", 31, downloads=1)], ["1.0.0"]),
        ([UNUSED], [version("1.0", 31, listed=False)], []),
        ([rule(ids=("contoso.b*",), unused_since=NOW)], [version("1.0", 31)], []),
        ([rule(ids=("Fabrikam", "CONTOSO.*"), unused_since=NOW)], [version("1.0", 31)], ["1.0.0"]),
        ([rule(versions=VersionRange.parse("(,2.0)"), unused_since=NOW)], [version("1.0", 1), version("2.0", 1)],
         ["1.0.0"]),
        # Protection comes first, wherever it stands.
        ([UNUSED, rule(action=Action.KEEP, versions=VersionRange.parse("[1.0]"))],
         [version("1.0", 31), version("1.1", 31)], ["1.1.0"]),
        ([KEEP_2, rule(action=Action.KEEP, ids=("Contoso.*",))], BUILDS, []),
        # A rule without a condition is about nothing.
        ([rule(action=Action.DELETE)], BUILDS, []),
    ],
)  # fmt: skip
def test_rules(rules, versions, retired):
    random.shuffle(versions)

    assert [each.version.version.normalized for each in retirements(versions, rules)] == retired


def test_the_first_rule_that_applies_decides():
    unlist, delete = rule("old"), rule("older", Action.DELETE, unused_since=NOW - 90 * DAY)
    rules = [Rule("old", Action.UNLIST, unused_since=NOW - 30 * DAY), delete]
    versions = [version("1.0", 100), version("2.0", 100, listed=False), version("3.0", 40)]

    assert unlist.keep_prereleases == 0
    assert [(str(each.version.version), each.rule.name) for each in retirements(versions, rules)] == [
        ("1.0.0", "old"), ("2.0.0", "older"), ("3.0.0", "old"),
    ]  # fmt: skip


def test_what_is_protected_newest_or_downloaded_stays_whatever_the_rules_are():
    """
    For random versions and rules.
    """
    chance = random.Random(7)
    for _ in range(300):
        versions = [
            version(f"1.{n}.0{chance.choice(['', '-a'])}", chance.randint(0, 9), downloads=chance.randint(0, 1))
            for n in range(chance.randint(0, 8))
        ]
        rules = [
            rule(
                str(n),
                chance.choice(list(Action)),
                versions=VersionRange.parse(f"[1.{chance.randint(0, 8)},)"),
                keep_prereleases=chance.choice([0, 1, 3]),
                unused_since=chance.choice([None, NOW - 5 * DAY]),
            )
            for n in range(3)
        ]
        for retired in retirements(versions, rules):
            found, by = retired.version, retired.rule
            assert not any(each.action is Action.KEEP and each.concerns(found.identity) for each in rules)
            if by.unused_since is not None:
                assert not found.downloads
                assert found.pushed < by.unused_since
            if by.keep_prereleases:
                newer = [each for each in versions if each.version.is_prerelease and each.pushed >= found.pushed]
                assert found.version.is_prerelease
                assert len(newer) > by.keep_prereleases


class TestRetiring:
    async def test_versions_are_unlisted_and_deleted_as_by_a_person(self, house: House):
        alice = await house.actor("alice")
        for text in ("1.0.0-1", "1.0.0-2", "1.0.0-3"):
            await house.push(alice, version=text)
        await house.push(alice, "Contoso.Used")
        await house.push(alice, "Contoso.Unused")
        statistics = Statistics(house.database)
        statistics.count(PackageIdentity.parse("Contoso.Used", "1.0.0"))
        await statistics.flush()
        rules = (
            rule("ci", Action.DELETE, ids=("Contoso.Utils",), keep_prereleases=1),
            rule("old", Action.UNLIST, ids=("Contoso.U*ed",), unused_since=NOON // 1000 + DAY),
        )
        retiring = Retiring(house.database, lambda: rules)
        due = [(str(each.version.identity), each.rule.name) async for each in retiring.due()]

        assert due == [
            ("Contoso.Unused 1.0.0", "old"), ("Contoso.Utils 1.0.0-1", "ci"), ("Contoso.Utils 1.0.0-2", "ci"),
        ]  # fmt: skip
        assert len(house.files()) == 5

        done = [str(each.version.identity) async for each in retiring.retire(house.publish, ACTOR)]

        assert done == [name for name, _ in due]
        assert len(house.files()) == 3
        assert [each.listed for each in await house.packages.of("contoso.unused")] == [False]
        assert [str(each.identity.version) for each in await house.packages.of("contoso.utils")] == ["1.0.0-3"]
        audited = [(line.actor, line.action, line.subject) for line in await house.audit.entries()]
        assert ("retention, rule ci", "package.delete", "Contoso.Utils 1.0.0-1") in audited
        assert ("retention, rule old", "package.unlist", "Contoso.Unused 1.0.0") in audited
        assert [each async for each in retiring.due()] == []

    async def test_without_rules_nothing_is_read(self, house: House, monkeypatch):
        monkeypatch.setattr(house.database, "read", lambda _: pytest.fail("read"))

        assert [each async for each in Retiring(house.database, tuple).due()] == []

    async def test_a_version_that_somebody_deleted_meanwhile_is_passed_over(self, house: House, monkeypatch):
        alice = await house.actor("alice", administrator=True)
        await house.push(alice, "Contoso.A")
        await house.push(alice, "Contoso.B")
        retiring = Retiring(house.database, lambda: (rule(unused_since=NOON // 1000 + DAY),))
        unlist = house.publish.unlist

        async def after_a_deletion(actor, package, *, address):
            if package.id.text == "Contoso.A":
                await house.publish.delete(alice, package, address="")
            await unlist(actor, package, address=address)

        monkeypatch.setattr(house.publish, "unlist", after_a_deletion)

        assert [each.version.identity.id.text async for each in retiring.retire(house.publish, ACTOR)] == ["Contoso.B"]

    async def test_a_file_that_cannot_be_removed_is_swept_later(self, house: House, monkeypatch):
        """
        A read-only or failing disk: the version is gone for everyone, and its bytes go with the next sweep.
        """
        alice = await house.actor()
        for number in range(3):
            await house.push(alice, version=f"1.0.0-ci.{number}")
        retiring = Retiring(house.database, lambda: (rule(action=Action.DELETE, keep_prereleases=1),))
        with monkeypatch.context() as failing:
            failing.setattr(
                Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(30, "Read-only file system"))
            )
            assert len([each async for each in retiring.retire(house.publish, ACTOR)]) == 2
        assert (len(house.files()), len(await house.packages.versions("contoso.utils"))) == (3, 1)
        await sweep_unreferenced_blobs(house.database, house.packages, house.blobs, unneeded_for=0, older_than=-60)
        assert len(house.files()) == 1
