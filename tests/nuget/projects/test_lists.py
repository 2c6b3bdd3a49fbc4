"""Plain lists: what each line asks for."""

import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.framework import Framework
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.projects.findings import Exact, Found, Options, Request
from nugetproxy.nuget.projects.lists import read_list
from nugetproxy.nuget.version_range import VersionRange

NET8 = Framework(".NETCoreApp", (8, 0, 0, 0))


def read(text: str, *frameworks: Framework):
    found = Found()
    read_list("list.txt", text.encode(), Options(frameworks=frameworks), found)
    return found.sources({}, (), {}, ())


def exact(package_id: str, version: str, line: int = 1) -> Exact:
    return Exact(PackageIdentity.parse(package_id, version), f"list.txt, line {line}")


def request(package_id: str, text: str | None, line: int = 1) -> Request:
    range_ = None if text is None else VersionRange.parse(text, floating=True)
    return Request(PackageId.parse(package_id), range_, f"list.txt, line {line}")


@pytest.mark.parametrize("line", ["A 1.2.3", "  A\t1.2.3  # why", "A [1.2.3]", "A [1.2.3, 1.2.3]", "A 1.2.3.0"])
def test_an_exact_version_is_that_package_alone(line):
    read_ = read(line)

    assert (exact("A", "1.2.3"),) == read_.exact
    assert read_.requests == ()


def test_an_exact_version_is_resolved_too_if_a_framework_is_given():
    read_ = read("A 1.2.3", NET8)

    assert (exact("A", "1.2.3"),) == read_.exact
    assert (request("A", "[1.2.3]"),) == read_.requests


@pytest.mark.parametrize(
    "version", ["1.*", "*", "1.2.*-*", "[1.0, 2.0)", "[1.0,2.0)", "(1.0,)", "[1.*, 2.0)", "[1.0, )"]
)
def test_ranges_and_stars_are_requests(version):
    read_ = read(f"A {version} # comment")

    assert (request("A", version),) == read_.requests
    assert read_.exact == ()


def test_an_id_alone_is_a_request_for_the_newest():
    assert (request("A", None),) == read("\n# nothing\n", NET8).requests + read("A").requests


def test_each_package_counts_once():
    read_ = read("A 1.0\na 1.0.0\nA\nA\nA 1.*\nA 1.*")

    assert (exact("A", "1.0"),) == read_.exact
    assert (request("A", None, 3), request("A", "1.*", 5)) == read_.requests


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A 1.0\nA 1.0 net8.0", "list.txt, line 2: expected an id and a version or range, found '1.0 net8.0'"),
        ("A one", "list.txt, line 1: 'one' is not a NuGet version"),
        ("../A 1.0", "list.txt, line 1: '../A' is not a package id"),
        ("A [1.0", "list.txt, line 1: '[1.0' is not a NuGet version range"),
        ("A 1.0.*x", "list.txt, line 1: '1.0.*x' is not a NuGet version range"),
    ],
)
def test_errors_name_file_and_line(text, sentence):
    with pytest.raises(InvalidRequest) as refused:
        read(text)

    assert str(refused.value).startswith(sentence)


def test_utf_16_with_a_byte_order_mark_as_powershell_writes_it():
    found = Found()

    read_list("list.txt", "\ufeffA 1.0\r\n".encode("utf-16-le"), Options(), found)

    assert (exact("A", "1.0"),) == found.sources({}, (), {}, ()).exact


def test_other_bytes_are_refused():
    with pytest.raises(InvalidRequest, match=r"list\.txt: not UTF-8 text \(byte 2\)"):
        read_list("list.txt", b"A \xff", Options(), Found())
