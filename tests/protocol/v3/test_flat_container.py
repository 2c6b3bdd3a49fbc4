import json

import pytest

from nugetproxy.errors import EmptyDocument, UnreadableDocument
from nugetproxy.protocol.bounds import MOST_VERSIONS
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
    ],
)
def test_versions_are_sorted_unique_and_readable(expected, given):
    assert expected == read(*given)


@pytest.mark.parametrize("body", [b"{}", b'{"versions":[]}', b'{"versions":null}'])
def test_an_empty_list_means_no_versions(body):
    """
    Clients read all three as "not found", and go on to their next source.
    """
    with pytest.raises(EmptyDocument):
        read_versions(body)


def test_nuget_orgs_list_is_unchanged(kept):
    body = kept("versions-dapper")

    assert json.loads(body) == json.loads(write_versions(read_versions(body)))


def test_versions_are_written_lower_case_and_without_metadata():
    """
    Clients build the URL of a package from the listed text.
    """
    body = write_versions(read_versions(b'{"versions":["1.0.0-RC.1+abc"]}'))

    assert body == b'{"versions":["1.0.0-rc.1"]}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"message":"busy"}',
        b'{"message":"busy","versions":null}',
        b'{"versions":{}}',
        b'{"versions":["x",1]}',
        b"<Error/>",
    ],
)
def test_anything_but_a_list_is_unreadable(body):
    with pytest.raises(UnreadableDocument) as refused:
        read_versions(body)
    assert not isinstance(refused.value, EmptyDocument)


def test_the_number_of_versions_is_limited():
    def listing(count):
        return json.dumps({"versions": [f"1.0.{number}" for number in range(count)]}).encode()

    assert len(read_versions(listing(MOST_VERSIONS))) == MOST_VERSIONS
    with pytest.raises(UnreadableDocument, match="lists 65537 versions; the limit is 65536"):
        read_versions(listing(MOST_VERSIONS + 1))
