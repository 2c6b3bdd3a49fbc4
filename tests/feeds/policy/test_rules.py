"""Rules and verdicts: tables of which version a rule is about, and which rule counts."""

from typing import Any

import pytest

from nugetproxy.config import PolicyRuleSettings
from nugetproxy.feeds.policy.facts import Advisory, Facts, PackageFacts, Severity, SignatureState
from nugetproxy.feeds.policy.rules import Met, Rule, match, rule_of
from nugetproxy.feeds.policy.verdicts import Exemption, judge, judge_all
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.licences import stated_licence
from nugetproxy.nuget.version import NuGetVersion

DAY = 86_400.0
NOW = 1_800_000_000.0
FLAW = Advisory(Severity.HIGH, "https://example.org/1", NOW - 10 * DAY)


def facts(package_id: str = "Contoso.Utils", version: str = "1.0.0", **known: Any) -> Facts:
    return Facts(PackageId.parse(package_id), NuGetVersion.parse(version), **known)


def rule(name: str = "r", action: str = "block", **keys: Any) -> Rule:
    return rule_of(PolicyRuleSettings.model_validate({"name": name, "action": action} | keys))


@pytest.mark.parametrize(
    ("keys", "known", "met"),
    [
        ({"ids": ["contoso.*"]}, {}, Met.YES),
        ({"ids": ["Contoso"]}, {}, Met.NO),
        ({"ids": ["*"], "except_ids": ["CONTOSO.*"]}, {}, Met.NO),
        ({"ids": ["*"], "versions": "(,1.0)"}, {}, Met.NO),
        ({"versions": "(,1.0]"}, {}, Met.YES),
        ({"ids": ["*"], "until": "2020-01-01"}, {}, Met.NO),
        ({"younger_than": "7d"}, {"published": NOW - 6 * DAY}, Met.YES),
        ({"younger_than": "7d"}, {"published": NOW - 7 * DAY}, Met.NO),
        ({"younger_than": "7d"}, {"published": NOW + DAY}, Met.YES),
        ({"younger_than": "7d"}, {"first_seen": NOW}, Met.YES),
        ({"younger_than": "7d"}, {}, Met.UNKNOWN),
        ({"younger_than": "7d"}, {"published": NOW, "is_kept": True}, Met.NO),
        ({"younger_than": "7d"}, {"is_pinned": True}, Met.NO),
        ({"first_seen_within": "7d"}, {"id_first_seen": NOW - DAY}, Met.YES),
        ({"first_seen_within": "7d"}, {"id_first_seen": NOW - 8 * DAY}, Met.NO),
        ({"first_seen_within": "7d"}, {}, Met.UNKNOWN),
        ({"severity": "high"}, {"advisories": (FLAW,)}, Met.YES),
        ({"severity": "critical"}, {"advisories": (FLAW,)}, Met.NO),
        ({"severity": "high", "grace": "11d"}, {"advisories": (FLAW,)}, Met.NO),
        ({"severity": "high", "grace": "11d"}, {"advisories": (Advisory(Severity.HIGH, "x"),)}, Met.YES),
        ({"severity": "low"}, {"advisories": ()}, Met.NO),
        ({"severity": "low"}, {}, Met.UNKNOWN),
        ({"licences": ["GPL-3.0-only"]}, {"licence": stated_licence("GPL-3.0-only")}, Met.YES),
        ({"licences": ["GPL-3.0-only"]}, {"licence": stated_licence("GPL-3.0-only OR MIT")}, Met.NO),
        ({"licences": ["GPL-3.0-only"]}, {"licence": stated_licence("")}, Met.UNKNOWN),
        ({"licences": ["MIT"], "unknown_licence": "ignore"}, {"licence": stated_licence("((")}, Met.NO),
        ({"licences": ["MIT"], "unknown_licence": "ignore"}, {}, Met.UNKNOWN),
        ({"licences_except": ["MIT"]}, {"licence": stated_licence("GPL-3.0-only OR MIT")}, Met.NO),
        ({"licences_except": ["MIT"]}, {"licence": stated_licence("Apache-2.0")}, Met.YES),
        ({"action": "allow", "licences": ["MIT"]}, {"licence": stated_licence("MIT AND Apache-2.0")}, Met.NO),
        ({"action": "allow", "licences": ["MIT"]}, {"licence": stated_licence("MIT OR Apache-2.0")}, Met.YES),
        ({"owners": ["Contoso"]}, {"owners": ("contoso", "other")}, Met.YES),
        ({"owners": ["Contoso"]}, {"owners": ("other",)}, Met.NO),
        ({"owners": ["Contoso"]}, {}, Met.UNKNOWN),
        ({"unsigned": True}, {}, Met.LATER),
        ({"unsigned": True}, {"package": PackageFacts(SignatureState.UNTRUSTED)}, Met.YES),
        ({"unsigned": True}, {"package": PackageFacts(SignatureState.REPOSITORY)}, Met.NO),
        ({"install_scripts": True}, {"package": PackageFacts(SignatureState.AUTHOR, scripts=frozenset("x"))}, Met.YES),
        ({"install_scripts": True}, {"package": PackageFacts(SignatureState.AUTHOR)}, Met.NO),
        ({"severity": "high", "younger_than": "7d"}, {"advisories": (FLAW,), "published": 0.0}, Met.NO),
        ({"severity": "high", "younger_than": "7d"}, {"published": 0.0}, Met.NO),
        ({"severity": "high", "younger_than": "7d"}, {"published": NOW}, Met.UNKNOWN),
    ],
)
def test_a_rule_is_about_a_version(keys, known, met):
    assert match(rule(**keys), facts(**known), NOW).met is met


def test_what_the_file_does_not_tell_is_unknown():
    assert match(rule(unsigned=True), facts(), NOW, has_file=True).met is Met.UNKNOWN


BLOCK, OTHER, UNKNOWN = rule("b", ids=["*"]), rule("o", ids=["*"]), rule("u", severity="low")
WARN, ALLOW = rule("w", ids=["*"], mode="warn"), rule("a", "allow", ids=["*"])
ALLOW_UNKNOWN = rule("x", "allow", owners=["contoso"])


@pytest.mark.parametrize(
    ("rules", "is_withheld", "name"),
    [
        ((), False, ""),
        ((BLOCK, OTHER), True, "b"),
        ((OTHER, BLOCK), True, "o"),
        ((UNKNOWN, BLOCK), True, "b"),
        ((UNKNOWN,), True, "u"),
        ((BLOCK, ALLOW), False, "a"),
        ((BLOCK, ALLOW_UNKNOWN), True, "b"),
        ((WARN,), False, ""),
        ((WARN, BLOCK), True, "b"),
    ],
)
def test_which_rule_counts(rules, is_withheld, name):
    verdict = judge(facts(), rules, None, NOW)

    assert (verdict.is_withheld, verdict.rule) == (is_withheld, name)


def test_an_exception_wins_until_it_ends():
    exemption = Exemption(NOW + DAY, "needed", "somebody")

    assert not judge(facts(), (BLOCK,), exemption, NOW).is_withheld
    assert judge(facts(), (BLOCK,), exemption, NOW + DAY).is_withheld


def test_a_verdict_says_when_it_changes():
    young = judge(facts(published=NOW), (rule(younger_than="7d"),), None, NOW)
    assert (young.since, young.until, young.changes) == (NOW, NOW + 7 * DAY, NOW + 7 * DAY)

    forever = judge(facts(published=NOW), (rule(younger_than="7d"), BLOCK), None, NOW)
    assert (forever.until, forever.changes) == (None, NOW + 7 * DAY)


def test_a_fix_of_the_newest_visible_version_is_visible():
    old = facts(version="1.0.0", published=0.0, advisories=(FLAW,))
    fix = facts(version="1.1.0", published=NOW, advisories=())
    other = facts(version="1.2.0", published=NOW, advisories=(FLAW,))

    verdicts = judge_all([old, fix, other], (rule(younger_than="7d"),), {}, NOW)

    assert [str(version) for version, verdict in verdicts.items() if verdict.is_withheld] == ["1.2.0"]
