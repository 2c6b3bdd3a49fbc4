"""The command line: the output and exit code of each command. Serving itself is tested in tests/runtime."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import nugetproxy
from nugetproxy.cli.main import main
from nugetproxy.cli.serve import announcement, command_to_add, source_url
from nugetproxy.config import Config, load
from nugetproxy.runtime.supervisor import Plan

ROOT = Path(__file__).parents[2]


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env=environ)


def test_version():
    assert run("--version").output == f"nugetproxy {nugetproxy.__version__}\n"


def test_help_names_both_purposes():
    told = " ".join(run("--help").output.split())

    assert "caching proxy for nuget.org" in told
    assert "private NuGet server" in told


def test_help_lists_every_command():
    told = run("--help").output

    assert all(command in told for command in ("serve", "prewarm", "check-config"))


@pytest.mark.parametrize("option", ["--config", "--listen", "--public-url", "--data", "--upstream", "--offline",
                                    "--workers", "--tls-cert", "--tls-key", "--log-format"])  # fmt: skip
@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_every_option_is_in_the_help(command, option):
    assert option in run(command, "--help").output


@pytest.mark.parametrize("group", ["", "mirror", "user", "org", "org member", "key", "owner", "prefix", "package"])
def test_summaries_of_commands_fit_a_terminal_of_80_columns(group):
    told = run(*group.split(), "--help", COLUMNS="80").output

    assert "Commands:" in told
    assert [line for line in told.splitlines()[1:] if line.endswith("...")] == []


def test_an_unknown_command_is_refused():
    assert run("serv").exit_code == 2


class TestCheckConfig:
    def test_prints_settings_that_can_be_read_again(self, tmp_path):
        shown = run("check-config", "--workers", "3", "--offline", "--upstream", "http://127.0.0.1:1/index.json")
        file = tmp_path / "n.toml"
        file.write_text(shown.output)

        config = load(file, {})
        assert shown.exit_code == 0
        assert config.server.workers == 3
        assert config.mirroring.mode == "offline"
        assert [each.service_index for each in config.mirroring.upstream] == ["http://127.0.0.1:1/index.json"]

    def test_reports_every_problem(self):
        ended = run("check-config", "--workers", "0", "--listen", "x", NUGETPROXY_SERVR__LISTEN="x")

        assert ended.exit_code == 78
        assert ended.stdout == ""
        assert [line.split(":")[:2] for line in ended.stderr.splitlines()] == [
            ["nugetproxy", " NUGETPROXY_SERVR__LISTEN"],
            ["nugetproxy", " server.listen"],
            ["nugetproxy", " server.workers"],
        ]

    def test_warns_about_packages_that_would_not_be_served(self, tmp_path):
        (tmp_path / "mirror/feed.example.com-81/contoso.utils").mkdir(parents=True)
        ended = run("check-config", "--data", str(tmp_path))
        right = run("check-config", "--data", str(tmp_path), "--upstream", "https://feed.example.com:81/v3/index.json")

        assert (ended.exit_code, right.exit_code, right.stderr) == (0, 0, "")
        assert ended.stderr.startswith("nugetproxy: warning: the content of ")
        assert "no upstream is named feed.example.com-81 (configured: nuget.org)" in ended.stderr

    def test_masks_a_proxys_password(self):
        ended = run("check-config", NUGETPROXY_MIRRORING__UPSTREAM__0__PROXY="http://me:hunter2@proxy:3128")

        assert "hunter2" not in ended.output
        assert 'proxy = "http://me:***@proxy:3128"' in ended.output

    def test_every_option_reaches_its_setting(self, tmp_path):
        """
        Options override both the file and the environment.
        """
        file = tmp_path / "n.toml"
        file.write_text('[server]\npublic_url = "https://file.example.com"\n')
        ended = run(
            "check-config", "--config", str(file), "--public-url", "https://option.example.com", "--data", "/kept",
            "--listen", "[::1]:1", "--log-format", "json",
            NUGETPROXY_SERVER__PUBLIC_URL="https://variable.example.com",
        )  # fmt: skip

        for line in (
            'public_url = "https://option.example.com"',
            'path = "/kept"',
            'listen = "[::1]:1"',
            'format = "json"',
        ):
            assert line in ended.output


def plan(**differing: object) -> Plan:
    usual = {"settings": "", "host": "127.0.0.1", "port": 8550, "public_url": "", "tls": False, "workers": 1,
             "stop_timeout": 1.0, "data": "d", "log_format": "plain", "log_level": "info",
             "begin": "", "watched": ""}  # fmt: skip
    return Plan.from_words({**usual, **differing})


class TestAnnouncement:
    @pytest.mark.parametrize(
        ("differing", "addresses", "url"),
        [
            ({}, [("127.0.0.1", 8550)], "http://127.0.0.1:8550/v3/index.json"),
            ({"port": 0}, [("127.0.0.1", 40000)], "http://127.0.0.1:40000/v3/index.json"),
            ({"tls": True}, [("127.0.0.1", 8550)], "https://127.0.0.1:8550/v3/index.json"),
            ({}, [("0.0.0.0", 80)], "http://127.0.0.1:80/v3/index.json"),
            ({}, [("::", 80)], "http://[::1]:80/v3/index.json"),
            ({}, [("fe80::1", 80)], "http://[fe80::1]:80/v3/index.json"),
            ({"public_url": "https://n.example.com/p"}, [("0.0.0.0", 80)], "https://n.example.com/p/v3/index.json"),
        ],
    )
    def test_the_source_url(self, differing, addresses, url):
        assert source_url(plan(**differing), addresses) == url

    def test_the_command_to_add_a_plain_source_allows_it(self):
        told = command_to_add("http://127.0.0.1:8550/v3/index.json")

        assert told == (
            "dotnet nuget add source http://127.0.0.1:8550/v3/index.json --name nugetproxy --allow-insecure-connections"
        )

    def test_the_command_to_add_a_secure_source_needs_no_permission(self):
        assert "insecure" not in command_to_add("https://n.example.com/v3/index.json")

    def test_the_announcement_has_two_lines(self):
        url = "https://n.example.com/v3/index.json"

        assert announcement(plan(), url).splitlines() == [f"nugetproxy serves {url}", f"Use it:  {command_to_add(url)}"]

    @pytest.mark.parametrize(
        ("addresses", "told"),
        [
            (
                [("0.0.0.0", 8551), ("::", 8551)],
                "It listens on 0.0.0.0:8551 and [::]:8551: other machines reach it too",
            ),
            ([("0.0.0.0", 8551)], "It listens on 0.0.0.0:8551: other machines reach it too"),
            ([("::", 8551)], "It listens on [::]:8551: other machines reach it too"),
            ([("127.0.0.1", 8551)], ""),
            ([("192.0.2.1", 8551)], ""),
        ],
    )
    def test_addresses_beyond_the_url_are_announced(self, addresses, told):
        lines = announcement(plan(), "http://127.0.0.1:8551/v3/index.json", addresses).splitlines()

        assert [line for line in lines if line.startswith("It listens")] == [
            line for line in lines if told and line.startswith(told)
        ]
        assert len(lines) == (3 if told else 2)

    def test_a_json_log_starts_with_json(self):
        """
        Standard output also has the access log: a program that parses it must be able to parse the first line.
        """
        url = "https://n.example.com/v3/index.json"
        told = json.loads(announcement(plan(log_format="json"), url, [("0.0.0.0", 80), ("::", 80)]))

        assert (told["event"], told["source"], told["use"]) == ("serving", url, command_to_add(url))
        assert told["listening"] == "0.0.0.0:80, [::]:80"

    def test_it_explains_how_to_begin(self):
        told = announcement(plan(begin="Make an administrator:\n  like this"), "https://n.example.com/v3/index.json")

        assert told.splitlines()[2:] == ["Make an administrator:", "  like this"]

    def test_a_json_log_has_it_as_an_event(self):
        lines = announcement(plan(begin="like\nthis", log_format="json"), "https://n.example.com/v3/index.json")
        events = [json.loads(line) for line in lines.splitlines()]

        assert [event["event"] for event in events] == ["serving", "nobody_can_push"]
        assert events[1]["begin"] == "like\nthis"


def test_the_default_is_as_documented_in_the_readme():
    config = Config()

    assert config.server.listen == "127.0.0.1:8550"
    assert config.storage.path == "./nugetproxy-data"
    assert [each.service_index for each in config.mirroring.upstream] == ["https://api.nuget.org/v3/index.json"]


def test_serve_loads_nothing_slow_before_its_first_worker_runs():
    """
    Everything `serve` imports delays startup; pydantic, aiohttp and the metrics are loaded by the workers.
    """
    code = "import sys, nugetproxy.cli.serve; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert not {"asyncio", "pydantic", "aiohttp", "structlog", "prometheus_client"} & set(loaded.split())


def test_the_supervisor_never_loads_what_serves():
    code = "import sys, nugetproxy.runtime.supervisor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert not {"aiohttp", "pydantic", "lxml", "prometheus_client", "nugetproxy.metrics"} & set(loaded.split())


def test_a_worker_loads_cryptography_only_for_rules_of_the_policy():
    code = "import sys, nugetproxy.runtime.worker, nugetproxy.runtime.serving; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert not {"cryptography", "nugetproxy.feeds.policy.policy"} & set(loaded.split())
