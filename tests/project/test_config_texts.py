"""How values are written in the settings, and how they are shown."""

import re

import pytest

from nugetproxy.config import Config, describe, load, parse_duration, parse_listen, parse_size
from tests.project.settings import loaded


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "size"),
        [("200 GB", 200 * 10**9), ("64MiB", 64 * 2**20), ("1.5 kb", 1500), ("12", 12), (12, 12), ("7 B", 7)],
    )
    def test_sizes(self, text, size):
        assert size == parse_size(text)

    @pytest.mark.parametrize("text", ["", "GB", "-1 GB", "1 XB", True, None, 1.5, "1 GB 2"])
    def test_invalid_sizes(self, text):
        with pytest.raises(ValueError, match="size such as"):
            parse_size(text)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("250ms", 0.25), ("1.5s", 1.5), ("15m", 900), ("2h", 7200), ("7d", 604800), ("3", 3), (3, 3)],
    )
    def test_durations(self, text, seconds):
        assert seconds == parse_duration(text)

    @pytest.mark.parametrize("text", ["", "s", "-1s", "1 week", True, None])
    def test_invalid_durations(self, text):
        with pytest.raises(ValueError, match="duration such as"):
            parse_duration(text)

    @pytest.mark.parametrize(
        ("text", "listen"),
        [
            ("127.0.0.1:8550", ("127.0.0.1", 8550)),
            ("[::1]:8550", ("::1", 8550)),
            (":80", ("", 80)),
            ("localhost:0", ("localhost", 0)),
        ],
    )
    def test_listen(self, text, listen):
        assert listen == parse_listen(text)

    @pytest.mark.parametrize("text", ["", "localhost", "::1:80", "a:b", "http://a:80", "a:99999", "a:80/x"])
    def test_invalid_listen(self, text):
        with pytest.raises(ValueError, match="ADDRESS:PORT"):
            parse_listen(text)


class TestDescribe:
    def test_can_be_read_again(self, tmp_path):
        config = loaded(
            {"NUGETPROXY_SERVER__STOP_TIMEOUT": "1500ms", "NUGETPROXY_MIRRORING__FRESHNESS__SEARCH__FRESH": "90s"},
            server__trusted_proxies=["::1"],
        )
        file = tmp_path / "again.toml"
        file.write_text(describe(config))

        assert config == load(file, {})

    def test_shows_the_default_of_changed_settings(self):
        assert "workers = 4  # default 1" in describe(loaded(server__workers=4))

    def test_writes_every_size_with_its_unit(self):
        assert re.findall(r"^\w+ = \d{6,}$", describe(Config()), re.MULTILINE) == []

    @pytest.mark.parametrize("userinfo", ["me:hunter2", "hunter2"])
    def test_masks_secrets(self, userinfo):
        shown = describe(loaded(mirroring__upstream=[{"proxy": f"http://{userinfo}@proxy:3128"}]))

        assert "hunter2" not in shown
        assert "***@proxy:3128" in shown

    def test_masks_the_query_of_an_upstream(self):
        """
        Signed URLs have their token there.
        """
        url = "https://feed.example.com/index.json?token=hunter2&v=hunter3"
        shown = describe(loaded(mirroring__upstream=[{"service_index": url}]))

        assert 'service_index = "https://feed.example.com/index.json?token=***&v=***"' in shown
