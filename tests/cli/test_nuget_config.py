"""What `nugetproxy login` writes into a NuGet.Config, and what it leaves alone."""

import pytest
from lxml import etree

from nugetproxy.cli.nuget_config import write_credentials
from nugetproxy.errors import InvalidRequest

INDEX = "https://nuget.test/v3/index.json"
GIVEN = """<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <!-- ours -->
  <packageSources>
    <add key="nuget.org" value="https://api.nuget.org/v3/index.json" protocolVersion="3" />
    <add key="Feed" value="https://nuget.test/v3/index.json" />
  </packageSources>
  <packageSourceCredentials>
    <Feed><add key="Username" value="old" /><add key="ClearTextPassword" value="old" /></Feed>
    <Other><add key="Username" value="x" /></Other>
  </packageSourceCredentials>
</configuration>
"""


def test_only_the_credentials_of_the_source_change(tmp_path):
    file = tmp_path / "NuGet.Config"
    file.write_text(GIVEN)
    write_credentials(file, "feed", INDEX, "alice", 'k"<&')

    root = etree.parse(str(file)).getroot()
    assert [each.get("key") for each in root.findall("packageSources/add")] == ["nuget.org", "Feed"]
    [credentials] = root.findall("packageSourceCredentials")
    sections = {each.tag: {add.get("key"): add.get("value") for add in each} for each in credentials}
    assert sections == {"Other": {"Username": "x"}, "Feed": {"Username": "alice", "ClearTextPassword": 'k"<&'}}
    assert "<!-- ours -->" in file.read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["NuGet.Config"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("not xml", "feed"),
        ("<packages/>", "feed"),
        (GIVEN, "a b"),
        (GIVEN, "../x"),
        (GIVEN, "nuget.org"),  # another URL
        ('<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]><c>&x;</c>', "feed"),
    ],
)
def test_what_is_refused_stays_as_it_was(tmp_path, text, name):
    file = tmp_path / "NuGet.Config"
    file.write_text(text)
    with pytest.raises(InvalidRequest):
        write_credentials(file, name, INDEX, "alice", "key")
    assert file.read_text() == text
