"""The examples of docs/care.md work."""

import json
import re
from pathlib import Path

import pytest

from nugetproxy.config import load
from nugetproxy.protocol.advisories.reading import read_advisories

PAGE = (Path(__file__).parents[2] / "docs/care.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("settings", blocks("toml"), ids=lambda text: text.partition("\n")[0])
def test_the_settings_are_valid(settings, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(settings)

    load(file, {})


def test_both_forms_of_an_advisory_say_the_same():
    osv, page = (read_advisories(text.encode()) for text in blocks("json"))

    assert osv == page
    assert [each.versions.normalized for each in osv["contoso.utils"]] == ["[1.0.0, 1.4.2)"]
    assert "wiki.contoso.example" in json.dumps([each.url for each in osv["contoso.utils"]])
