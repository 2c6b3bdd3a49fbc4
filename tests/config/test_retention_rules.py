"""`[[hosting.retention]]`: which values are accepted, and what is said about the others."""

from pathlib import Path

import pytest

from nugetproxy.config import load
from nugetproxy.errors import ConfigError


def rule(text: str) -> str:
    return f"[[hosting.retention]]\n{text}\n"


GOOD = 'name = "ci"\naction = "unlist"\nkeep_prereleases = 20'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        'name = "old"\naction = "delete"\nids = ["Contoso.*.Test"]\nversions = "(,1.0)"\nunused_since = "180d"',
        'name = "old"\naction = "delete"\nunused_since = "2026-01-31"',
        'name = "old"\naction = "delete"\nunused_since = 2026-01-31',
        'name = "lts"\naction = "keep"\nids = ["Contoso.Core"]\nversions = "[8.0,9.0)"',
    ],
)
def test_good_rules(tmp_path: Path, text: str) -> None:
    file = tmp_path / "n.toml"
    file.write_text(rule(text))

    assert len(load(file, {}).hosting.retention) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (rule('action = "unlist"\nkeep_prereleases = 1'), "retention[0].name: is missing"),
        (rule('name = "ci"\nkeep_prereleases = 1'), "retention[0].action: is missing"),
        (rule(GOOD) + rule(GOOD), "retention[1].name: 'ci' is the name of an earlier rule"),
        (rule('name = "x"\naction = "delete"'), "retention[0].keep_prereleases: is missing"),
        (rule('name = "x"\naction = "keep"\nunused_since = "1d"'), "remove keep_prereleases and unused_since"),
        (rule('name = "x"\naction = "keep"\nversions = "[2,1]"'), "retention[0].versions: expected a version range"),
        (rule('name = "x"\naction = "hide"'), "retention[0].action"),
        (rule('name = "x"\naction = "delete"\nunused_since = "soon"'), 'expected a duration such as "180d"'),
        (rule('name = "x"\naction = "delete"\nunused_since = "0s"'), 'expected a duration such as "180d"'),
        (rule('name = "x"\naction = "delete"\nunused_since = "2026-02-30"'), 'expected a duration such as "180d"'),
        (rule('name = "x"\naction = "delete"\nunused_since = 2026-01-31T08:00:00Z'), "retention[0].unused_since"),
        (rule('name = "x"\naction = "delete"\nkeep_prereleases = -1'), "retention[0].keep_prereleases"),
    ],
)
def test_bad_rules(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "n.toml"
    file.write_text(text)

    with pytest.raises(ConfigError) as refused:
        load(file, {})
    assert why in "\n".join(refused.value.problems)
