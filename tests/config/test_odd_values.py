"""Settings that nobody writes on purpose: each is refused in one line that names the setting."""

import pytest

from nugetproxy.config.checked_values import parse_size
from nugetproxy.config.reading import load
from nugetproxy.config.values import parse_duration
from nugetproxy.errors import ConfigError

DIGITS = "9" * 5_000


def problem(tmp_path, text: str = "", **environment: str) -> str:
    file = tmp_path / "nugetproxy.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(file, environment)
    (only,) = refused.value.problems
    assert only.isprintable()
    assert len(only) <= 1_000
    return only


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = " + "[" * 5_000, "is not valid TOML: nested too deeply"),
        (f"a = {DIGITS}", "is not valid TOML"),
        (f"[server]\nstop_timeout = {'9' * 400}", "server.stop_timeout: expected a duration"),
        (f'[server]\nstop_timeout = "{DIGITS}d"', "server.stop_timeout: expected a duration"),
        ('[server]\nstop_timeout = "36501d"', "server.stop_timeout: expected a duration"),
        (f'[server]\nhot_memory = "{DIGITS} GB"', "server.hot_memory: expected a size"),
        ('[mirroring]\nbudget = "120%"', 'mirroring.budget: expected "none", a size'),
        ('[mirroring]\nbudget = "0"', 'mirroring.budget: expected "none", a size'),
        ("[mirroring]\nbudget = 0.5", 'mirroring.budget: expected "none", a size'),
        ("[mirroring]\nbudget = true", 'mirroring.budget: expected "none", a size'),
        (f"[storage]\npath = '{'a' * 5_000}'", "storage.path: "),
        ('[server]\nlisten = "\\u001b[31m\\n"', "server.listen: "),
        ('[server]\n"\\n\\u001b" = 1', "server.??: unknown key"),
    ],
)
def test_in_a_file(tmp_path, text, why):
    assert why in problem(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        (f"NUGETPROXY_MIRRORING__UPSTREAM__{DIGITS}__NAME", "x", "unknown variable"),
        ("NUGETPROXY_MIRRORING__UPSTREAM__\u0663__NAME", "x", "unknown variable"),
        ("NUGETPROXY_SERVER__TRUSTED_PROXIES", "[" * 5_000, "expected a list"),
        ("NUGETPROXY_SERVER__TRUSTED_PROXIES", f"[{DIGITS}]", "expected a list"),
    ],
)
def test_in_a_variable(tmp_path, name, value, why):
    assert why in problem(tmp_path, **{name: value})


@pytest.mark.parametrize("urls", [["http://[::1"], ["http://[::1", "http://[::1"], ["https://[a/index.json"]])
def test_an_upstream_on_the_command_line_must_be_a_url(urls):
    with pytest.raises(ConfigError, match="expected an http or https URL"):
        load(None, {}, {"mirroring.upstream": urls})


def test_the_origin_of_a_long_value_is_still_shown(tmp_path):
    assert problem(tmp_path, NUGETPROXY_SERVER__STOP_TIMEOUT="x" * 100_000).endswith(
        "(from NUGETPROXY_SERVER__STOP_TIMEOUT)"
    )


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -float("inf"), 10**400, 1e13])
def test_durations_beyond_the_range_of_timers_are_refused(seconds):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(seconds)


def test_the_longest_duration_and_the_largest_size():
    assert parse_duration("36500d") == 36_500 * 86_400
    assert parse_size("8000000 TB") == 8 * 10**18
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(2**63)
