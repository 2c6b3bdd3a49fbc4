"""The settings: all sources, all problems, and the example file that documents them."""

import re
import tomllib
from pathlib import Path

import pytest

from nugetproxy.config import Config, PolicyRuleSettings, RetentionRuleSettings, load
from nugetproxy.config.reading import keys, variable
from nugetproxy.errors import ConfigError
from tests.project.settings import loaded

COMMENTED = (("hosting", "retention"), ("policy", "rule"))
"""Lists of tables that are empty by default: the example has one table of each in comments."""
LISTS = (("mirroring", "upstream"), *COMMENTED)
"""Lists of tables."""
EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


class TestExample:
    """`config.example.toml` is the reference."""

    def test_gives_every_default(self):
        assert Config() == load(EXAMPLE, {})

    def test_has_every_key(self):
        text = EXAMPLE.read_text()
        written = {*_places(tomllib.loads(text)), *_places(tomllib.loads(_commented_tables(text)))}

        assert {place for place in keys() if place not in LISTS} == written

    def test_gives_every_default_of_a_rule(self):
        written = Config.model_validate(tomllib.loads(_commented_tables(EXAMPLE.read_text())))

        assert written.hosting.retention[0].model_copy(update={"name": ""}) == RetentionRuleSettings()
        assert written.policy.rule[0].model_copy(update={"name": ""}) == PolicyRuleSettings()

    def test_names_the_variable_of_every_key(self):
        lines = EXAMPLE.read_text().splitlines()
        named = re.findall(r"# (NUGETPROXY_\w+)$", "\n".join(lines), re.MULTILINE)

        assert [variable(p) for p in keys() if p not in LISTS and p[:2] not in COMMENTED] == named

    def test_describes_every_key(self):
        """
        A key's description is directly above its variable; the freshness keys are described once, above all tables.
        """
        text = EXAMPLE.read_text()

        for place in keys():
            key = str(place[-1])
            if place[:2] == ("mirroring", "freshness"):
                assert re.search(rf"^#   {key}: .*\.$", text, re.MULTILINE), key
            elif place[:2] in COMMENTED:
                assert len(place) == 2 or re.search(rf"^# # .*\.\n# {key} = ", text, re.MULTILINE), key
            elif place not in LISTS:
                assert re.search(rf"^# .*\.\n# {variable(place)}\n{key} = ", text, re.MULTILINE), key


def _commented_tables(text: str) -> str:
    """The tables that the example has in comments, as TOML."""
    tables = re.findall(r"^# \[\[.*\n(?:# .*\n)*", text, re.MULTILINE)
    return "".join(re.sub(r"^# ", "", table, flags=re.MULTILINE) for table in tables)


def _places(value: object, above: tuple[str | int, ...] = ()):
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _places(each, (*above, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from _places(value[0], (*above, 0))
    else:
        yield above


class TestSources:
    def test_later_sources_win(self, tmp_path):
        """
        Defaults < file < environment < command line.
        """
        file = tmp_path / "n.toml"
        file.write_text('[server]\nworkers = 2\nlisten = "127.0.0.1:1"\nmax_body = "2 MB"\n')
        environ = {"NUGETPROXY_SERVER__WORKERS": "3", "NUGETPROXY_SERVER__LISTEN": "127.0.0.1:2"}

        server = load(file, environ, {"server.listen": "127.0.0.1:3"}).server

        assert (server.max_body, server.workers, server.listen) == (2_000_000, 3, "127.0.0.1:3")

    def test_the_environment_may_name_the_file(self, tmp_path):
        file = tmp_path / "n.toml"
        file.write_text("[server]\nworkers = 2\n")

        assert loaded({"NUGETPROXY_CONFIG": str(file)}).server.workers == 2

    @pytest.mark.parametrize("text", ['["10.0.0.0/8", "::1"]', "['10.0.0.0/8', '::1']"])
    def test_a_list_in_the_environment_is_json_or_toml(self, text):
        assert loaded({"NUGETPROXY_SERVER__TRUSTED_PROXIES": text}).server.trusted_proxies == ("10.0.0.0/8", "::1")

    def test_variables_address_upstreams_by_index(self, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text("x")
        environ = {
            "NUGETPROXY_MIRRORING__UPSTREAM__1__SERVICE_INDEX": "https://feed.example.com/v3/index.json",
            "NUGETPROXY_MIRRORING__UPSTREAM__0__PASSWORD_FILE": str(secret),
        }

        first, second = loaded(environ).mirroring.upstream

        assert ("nuget.org", str(secret)) == (first.name, first.password_file)
        assert (second.name, second.password_file) == ("feed.example.com", "")

    def test_a_partial_freshness_table_keeps_the_other_defaults(self):
        rule = loaded({"NUGETPROXY_MIRRORING__FRESHNESS__SEARCH__FRESH": "5m"}).mirroring.freshness.search

        assert (rule.fresh, rule.stale_if_error) == (300.0, 3600.0)

    def test_an_upstream_by_url_is_named_after_its_host(self):
        (upstream,) = loaded(mirroring__upstream=["http://127.0.0.1:5000/v3/index.json"]).mirroring.upstream

        assert upstream.name == "127.0.0.1-5000"

    @pytest.mark.parametrize(
        ("urls", "names"),
        [
            (
                ["https://a.test/index.json", "https://b.test/index.json"],
                ["a.test", "b.test"],
            ),
            (["https://h/one/v3/index.json", "https://h/two/v3/index.json"], ["h-one", "h-two"]),
            (["https://h/two/v3/index.json", "https://h/one/v3/index.json"], ["h-two", "h-one"]),
            (["https://h/v3/index.json", "https://h/nuget/Feed-A/index.json"], ["h", "h-nuget-feed-a-index-json"]),
        ],
    )
    def test_upstreams_by_url_on_one_host_are_named_by_their_paths(self, urls, names):
        """
        In any order: documents of one feed must never be served as those of another.
        """
        assert [each.name for each in loaded(mirroring__upstream=urls).mirroring.upstream] == names

    def test_long_and_secret_parts_of_urls_do_not_get_into_names(self):
        long = "https://h/" + "x" * 100
        urls = [f"{long}/v3/index.json", f"{long}y/v3/index.json", "https://h/v3/index.json?sig=hunter2"]
        names = [each.name for each in loaded(mirroring__upstream=urls).mirroring.upstream]

        assert len(set(names)) == 3
        assert "hunter2" not in " ".join(names)

    def test_an_upstream_by_url_keeps_what_the_file_says_about_it(self, tmp_path):
        file = tmp_path / "n.toml"
        url = "https://feed.example.com/index.json"
        file.write_text(f'[[mirroring.upstream]]\nname = "corp"\nservice_index = "{url}"\nconnections = 3\n')

        (upstream,) = load(file, {}, {"mirroring.upstream": [url]}).mirroring.upstream

        assert (upstream.name, upstream.connections) == ("corp", 3)

    def test_variables_of_the_scripts_are_not_settings(self):
        assert Config() == loaded({"NUGETPROXY_SHARED": "x", "NUGETPROXY_VENV": "y", "PATH": "z"})


class TestProblems:
    def test_all_problems_are_reported_together(self, problems):
        """
        Unknown keys, unknown variables, invalid values and values that contradict each other, in one start.
        """
        told = problems(
            '[server]\nlisten = "x"\nwokers = 2\ntls_cert = "a.pem"\n[mirroring]\nmode = "of"\n',
            {"NUGETPROXY_SERVER__WORKER": "1"},
            logs__format="xml",
        )

        assert len(told.splitlines()) == 6

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[server]\nlisen = 1", "server.lisen: unknown key (in nugetproxy.toml); did you mean server.listen?"),
            ('listen = "x"', "listen: unknown key (in nugetproxy.toml); did you mean server.listen?"),
            ("[sever]\nx = 1", "sever: unknown key (in nugetproxy.toml); did you mean server?"),
            ("[[mirroring.upstream]]\nconections = 1", "did you mean mirroring.upstream[0].connections?"),
            ("[mirroring.freshness.version]\nfresh = 1", "did you mean mirroring.freshness.versions?"),
            ("[zzz]\nqqq = 1", "zzz: unknown key (in nugetproxy.toml)"),
        ],
    )
    def test_an_unknown_key_names_the_nearest(self, problems, text, expected):
        assert expected in problems(text)

    def test_an_unknown_variable_names_the_nearest(self, problems):
        told = problems(environ={"NUGETPROXY_MIRORING__MODE": "offline"})

        assert told == "NUGETPROXY_MIRORING__MODE: unknown variable; did you mean NUGETPROXY_MIRRORING__MODE?"

    @pytest.mark.parametrize(
        ("name", "expected"),
        [("NUGETPROXY_X", ""), ("NUGETPROXY_SHAERD", ""), ("NUGETPROXY_CONFG", "; did you mean NUGETPROXY_CONFIG?")],
    )
    def test_variables_of_the_scripts_are_never_suggested(self, problems, name, expected):
        assert problems(environ={name: "1"}) == f"{name}: unknown variable{expected}"

    @pytest.mark.parametrize(
        ("key", "value", "why"),
        [
            ("server.listen", "8550", "ADDRESS:PORT"),
            ("server.listen", "unix:/run/nugetproxy.sock", "Unix sockets are not supported"),
            ("server.listen", "/run/nugetproxy.sock", "Unix sockets are not supported"),
            ("server.listen", "127.0.0.1:70000", "ADDRESS:PORT"),
            ("server.public_url", "nuget.example.com", "http or https URL"),
            ("server.public_url", "https://nuget.example.com/?a=b", "not have a query"),
            ("server.public_url", "https://u:p@nuget.example.com", "a user name or password"),
            (
                "server.public_url",
                "https://x/nuget/V3/index.json/",
                'without /v3/index.json: "https://x/nuget"',
            ),
            ("server.workers", 0, "greater than or equal to 1"),
            ("server.workers", "many", "valid integer"),
            ("server.trusted_proxies", ["10.0.0.1/8"], "host bits"),
            ("server.max_body", "1 parsec", "a size such as"),
            ("server.idle_timeout", "1 minute", "a duration such as"),
            ("server.idle_timeout", float("inf"), "expected a duration"),
            ("server.idle_timeout", -1, "greater than or equal to 0"),
            ("server.loop", "trio", "'auto', 'asyncio' or 'uvloop'"),
            ("mirroring.upstream", [], "at least one"),
            ("mirroring.upstream", [{"service_index": "ftp://x/index.json"}], "http or https URL"),
            ("mirroring.upstream", [{"service_index": "/v3/index.json"}], "http or https URL"),
            ("mirroring.upstream", [{"service_index": "https://u:p@x/index.json"}], "password_file"),
            ("mirroring.upstream", [{"name": "../etc", "service_index": "https://x/"}], "A-Z a-z"),
            ("mirroring.upstream", [{"name": "a b", "service_index": "https://x/"}], "A-Z a-z"),
            ("mirroring.upstream", [{"name": "corp"}], "service_index: is missing"),
            ("mirroring.upstream", [{}, {}], "an earlier upstream"),
            ("mirroring.upstream", [{"patterns": ["a*b"]}], "a prefix such as"),
            ("mirroring.upstream", [{"patterns": []}], "at least one"),
            ("mirroring.upstream", [{"username": "me"}], "password_file: is missing"),
            ("mirroring.upstream", [{"header_name": "X-Key"}], "header_value_file: is missing"),
            ("mirroring.upstream", [{"header_name": "Host"}], "sets this header itself"),
            ("mirroring.upstream", [{"password_file": "/nowhere/password"}], "No such file"),
            ("mirroring.upstream", [{"ca_file": "/"}], "directory"),
            ("mirroring.upstream", [{"proxy": "socks5://x:1"}], "http or https URL"),
            ("mirroring.upstream", [{"allowed_hosts": ["https://x"]}], "without a scheme"),
            ("mirroring.upstream", [{"allowed_hosts": ["*"]}], "the whole first label of a domain"),
            ("mirroring.upstream", [{"allowed_hosts": ["*.com"]}], 'as in "*.blob.example.net"'),
            ("mirroring.upstream", [{"service_index": "https://08.0.0.1/index.json"}], "neither an ASCII name"),
            ("storage.path", "/proc/self/status", "is a file"),
            ("storage.path", "", "expected at least 1 character"),
            ("storage.documents_size", 5, "without a unit: bytes"),
            ("storage.documents_size", "9 MB", 'expected at least "10 MB"'),
        ],
    )
    def test_a_bad_value_says_what_would_be_right(self, key, value, why):
        with pytest.raises(ConfigError) as refused:
            load(None, {}, {key: value})

        assert len(refused.value.problems) == 1, refused.value.problems
        assert refused.value.problems[0].startswith(key)
        assert why in refused.value.problems[0]

    @pytest.mark.parametrize(
        ("content", "why"), [(b"[server", "is not valid TOML"), (b"\xff\xfe", "is not UTF-8"), (None, "no such file")]
    )
    def test_an_unreadable_file_is_named(self, tmp_path, content, why):
        file = tmp_path / "n.toml"
        if content is not None:
            file.write_bytes(content)

        with pytest.raises(ConfigError, match=why) as refused:
            load(file, {})

        assert str(file) in str(refused.value)

    def test_a_problem_shows_the_origin_of_the_value(self, problems):
        assert "(from NUGETPROXY_SERVER__WORKERS)" in problems(environ={"NUGETPROXY_SERVER__WORKERS": "x"})
        assert "(in nugetproxy.toml)" in problems("[server]\nworkers = 0")
        assert "(on the command line)" in problems(server__workers=0)

    @pytest.mark.parametrize("anonymous", ["none", "mirrored"])
    def test_anonymous_reading_cannot_be_disabled_without_accounts(self, problems, anonymous):
        """
        A server without hosting has no accounts: it would let everyone read.
        """
        told = problems(accounts__anonymous_read=anonymous, hosting__enabled=False)
        assert told.startswith("accounts.anonymous_read: needs accounts")
        assert problems(accounts__anonymous_read="all", hosting__enabled=False) == ""

    def test_a_problem_shows_no_password(self, problems):
        assert "hunter2" not in problems(mirroring__upstream=[{"proxy": "socks5://me:hunter2@proxy:1"}])

    def test_indexes_of_upstreams_have_no_gaps(self, problems):
        assert "without a gap" in problems(environ={"NUGETPROXY_MIRRORING__UPSTREAM__2__NAME": "x"})


def test_settings_survive_the_transfer_to_a_worker():
    config = loaded(mirroring__upstream=["https://feed.example.com/index.json"])

    assert config == Config.model_validate_json(config.model_dump_json())
