import json

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.v3.flat_container import read_versions, write_versions


def read(*versions):
    return [version.full for version in read_versions(json.dumps({"versions": versions}).encode())]


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        (["1.0.0", "1.0.1"], ["1.0.1", "1.0.0"]),
        (["1.0.0"], ["1.0", "1.0.0", "1.0.0.0"]),
        (["1.0.0-RC"], ["1.0.0-RC", "1.0.0-rc"]),
        (["1.0.0"], ["no version", "1.0.0", "", None, 1, [], {}]),
        ([], []),
    ],
)
def test_versions_are_sorted_unique_and_readable(expected, given):
    assert expected == read(*given)


def test_a_list_may_be_empty():
    assert read_versions(b'{"versions":[]}') == ()


def test_nuget_orgs_list_comes_out_as_it_went_in(kept):
    body = kept("versions-dapper")

    assert json.loads(body) == json.loads(write_versions(read_versions(body)))


def test_versions_are_written_lower_case_and_without_metadata():
    """
    Clients build the URL of a package from the text as listed.
    """
    body = write_versions(read_versions(b'{"versions":["1.0.0-RC.1+abc"]}'))

    assert body == b'{"versions":["1.0.0-rc.1"]}'


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"message":"busy"}', b'{"versions":{}}', b'{"versions":null}', b"<Error/>"]
)
def test_what_is_no_list_is_unreadable(body):
    with pytest.raises(UnreadableDocument):
        read_versions(body)
