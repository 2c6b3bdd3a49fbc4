"""Rules of the policy as settings: what is accepted, and which rule and key an error names."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nugetproxy.config import load, parse_until
from nugetproxy.errors import ConfigError

RULE = '[[policy.rule]]\nname = "r"\naction = "block"\n'


def problems(folder: Path, text: str) -> list[str]:
    file = folder / "n.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(file, {})
    return refused.value.problems


@pytest.mark.parametrize(
    ("keys", "place", "why"),
    [
        ('ids = ["Contoso/*"]', "ids[0]", "expected a package id"),
        ('versions = "(1.0"', "versions", "expected a version range"),
        ('younger_than = "a week"', "younger_than", "expected a duration"),
        ('severity = "bad"', "severity", "expected"),
        ('licences = ["GPL 3"]', "licences[0]", "expected an spdx identifier"),
        ('looks_like = ["Contoso.*"]', "looks_like[0]", "expected a package id"),
        ('unsigned = "maybe"', "unsigned", "expected a valid boolean"),
        ('ids = ["*"]\nuntil = "never"', "until", "expected a date"),
        ('ids = ["*"]\nmode = "log"', "mode", "expected"),
        ('ids = ["*"]\nbecause = "two\\nlines"', "because", "expected one line"),
        ("", "ids", "is missing: a rule needs at least one of"),
        ('ids = ["*"]\ngrace = "7d"', "grace", "needs severity"),
        ('licences = ["MIT"]\nlicences_except = ["MIT"]', "licences_except", "cannot be combined"),
        ('ids = ["*"]\nid = "x"', "id", "unknown key"),
    ],
)
def test_a_bad_rule_is_named_with_its_key(tmp_path, keys, place, why):
    found = problems(tmp_path, RULE + keys)

    assert len(found) == 1
    assert found[0].lower().startswith(f"policy.rule[0].{place} (rule 'r'): {why}")


def test_whom_to_trust_is_checked(tmp_path):
    found = problems(tmp_path, '[policy]\ntrusted_roots = "/nowhere.pem"\nrepository_certificates = ["ab:cd"]\n')

    assert any("repository_certificates[0]" in each and "64 hexadecimal digits" in each for each in found)
    found = problems(tmp_path, '[policy]\ntrusted_roots = "/nowhere.pem"\n')
    assert found[0].startswith("policy.trusted_roots: /nowhere.pem cannot be read")


def test_names_and_actions_are_required_and_names_unique(tmp_path):
    found = problems(
        tmp_path, f'{RULE}ids = ["*"]\n[[policy.rule]]\nids = ["*"]\n{RULE.replace("r", "R", 0)}ids = ["a"]'
    )

    assert [problem.partition(":")[0] for problem in found] == [
        "policy.rule[1].name", "policy.rule[1].action", "policy.rule[2].name (rule 'r')"
    ]  # fmt: skip


def test_an_allow_rule_cannot_only_warn(tmp_path):
    found = problems(tmp_path, '[[policy.rule]]\nname = "r"\naction = "allow"\nids = ["a"]\nmode = "warn"')

    assert found[0].startswith("policy.rule[0].mode (rule 'r')")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-12-31T08:00", datetime(2026, 12, 31, 8, tzinfo=UTC)),
        ("2026-12-31T08:00+02:00", datetime(2026, 12, 31, 6, tzinfo=UTC)),
    ],
)
def test_a_date_lasts_to_the_end_of_the_day(text, moment):
    assert parse_until(text) == moment.timestamp()


@pytest.mark.parametrize("written", ['"2026-12-31"', "2026-12-31"])
def test_an_end_may_be_a_date_of_toml(tmp_path, written):
    (tmp_path / "n.toml").write_text(f'{RULE}ids = ["a"]\nuntil = {written}')

    assert load(tmp_path / "n.toml", {}).policy.rule[0].until == "2026-12-31"


def test_a_rule_can_come_from_the_environment():
    names = {"NAME": "r", "ACTION": "block", "IDS": '["Contoso.*"]', "UNSIGNED": "true"}

    rule = load(None, {f"NUGETPROXY_POLICY__RULE__0__{name}": text for name, text in names.items()}).policy.rule[0]

    assert (rule.name, rule.ids, rule.unsigned) == ("r", ("Contoso.*",), True)
