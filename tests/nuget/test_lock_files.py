import base64
import hashlib

import orjson
import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.lock_files import Wanted, read_wanted


def sha512(text: str) -> str:
    return base64.b64encode(hashlib.sha512(text.encode()).digest()).decode()


def wanted(package_id: str, version: str, content_hash: str | None = None) -> Wanted:
    return Wanted(PackageIdentity.parse(package_id, version), content_hash)


def direct(version: str, **more: object) -> dict[str, object]:
    return {"type": "Direct", "requested": f"[{version}, )", "resolved": version, **more}


def lock(*frameworks: dict[str, object], version: int = 1) -> bytes:
    return orjson.dumps({"version": version, "dependencies": {f"net{n}.0": f for n, f in enumerate(frameworks)}})


@pytest.mark.parametrize("version", [1, 2])
def test_a_lock_file(version):
    found = read_wanted(
        "packages.lock.json",
        lock(
            {
                "Dapper": direct("2.1.66", contentHash=sha512("dapper")),
                "Polly.Core": {"type": "Transitive", "resolved": "8.0.0-RC.1", "contentHash": sha512("polly")},
                "Central": {"type": "CentralTransitive", "requested": "1.0", "resolved": "1.0.0"},
                "our.project": {"type": "Project", "dependencies": {"Dapper": "[2.1.66, )"}},
            },
            version=version,
        ),
    )

    assert found == (
        wanted("Dapper", "2.1.66", sha512("dapper")),
        wanted("Polly.Core", "8.0.0-RC.1", sha512("polly")),
        wanted("Central", "1.0.0"),
    )


def test_a_package_in_two_frameworks_is_listed_once():
    """
    Once, at its first position, with the hash from any occurrence.
    """
    found = read_wanted(
        "packages.lock.json",
        lock(
            {"A": direct("1.0.0"), "B": direct("1.0.0")},
            {"a": direct("1.0.0", contentHash=sha512("a")), "B": direct("2.0.0"), "b": direct("1.0")},
        ),
    )

    assert found == (wanted("A", "1.0.0", sha512("a")), wanted("B", "1.0.0"), wanted("B", "2.0.0"))


def test_two_hashes_for_one_package_are_refused():
    data = lock({"A": direct("1.0.0", contentHash=sha512("a"))}, {"A": direct("1.0.0", contentHash=sha512("b"))})

    with pytest.raises(InvalidRequest, match=r"net1\.0, A: A 1\.0\.0 has two different content hashes"):
        read_wanted("packages.lock.json", data)


def test_an_assets_file():
    found = read_wanted(
        "project.assets.json",
        orjson.dumps(
            {
                "version": 3,
                "targets": {},
                "libraries": {
                    "Dapper/2.1.66": {"sha512": sha512("dapper"), "type": "package", "path": "dapper/2.1.66"},
                    "our.project/1.0.0": {"type": "project", "path": "../our/our.csproj"},
                    "Serilog/4.0.0": {"type": "package"},
                },
            }
        ),
    )

    assert found == (wanted("Dapper", "2.1.66", sha512("dapper")), wanted("Serilog", "4.0.0"))


def test_a_plain_list():
    text = "# our packages\n\nDapper 2.1.66\r\n  Serilog\t4.0.0  # logging\nDapper 2.1.66.0\n"

    assert read_wanted("list.txt", text.encode()) == (wanted("Dapper", "2.1.66"), wanted("Serilog", "4.0.0"))


def test_a_byte_order_mark_is_ignored():
    mark = b"\xef\xbb\xbf"

    assert read_wanted("list.txt", mark + b"A 1.0") == (wanted("A", "1.0"),)
    assert read_wanted("packages.lock.json", mark + lock({"A": direct("1.0")})) == (wanted("A", "1.0"),)


@pytest.mark.parametrize("data", [b"", b"\n# nothing\n", lock(), lock({})])
def test_files_that_name_nothing(data):
    assert read_wanted("x", data) == ()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"A 1.0\nB\n", "x, line 2: expected an id and a version, found 'B'"),
        (b"A 1.0 net8.0", "x, line 1: expected an id and a version, found 'A 1.0 net8.0'"),
        (b"A " + b"\xe2\x80\x8b" * 5_000 + b" 1.0", "x, line 1: expected an id and a version, found 'A ???"),
        (b"A one", "x, line 1: 'one' is not a NuGet version"),
        (b"../A 1.0", "x, line 1: '../A' is not a package id"),
        (b"A 1.*", "x, line 1: '1.*' is not a NuGet version"),
        (b"A 1.0 \xff", "x: not UTF-8 text"),
        (b'{"a":\n oops}', "x, line 2: not valid JSON"),
        (b"{}", "x: it has neither"),
        (b'{"dependencies": []}', "x, dependencies: expected an object"),
        (b'{"libraries": 5}', "x, libraries: expected an object"),
        (b'{"dependencies": {"net8.0": []}}', "x, net8.0: expected an object"),
        (lock({"A": 5}), "x, net0.0, A: expected an object"),
        (lock({"A": {"resolved": "1.0"}}), "x, net0.0, A: type is missing"),
        (lock({"A": {"type": "Direct"}}), "x, net0.0, A: resolved is missing"),
        (lock({"A": {"type": "Direct", "resolved": 1}}), "x, net0.0, A: resolved is missing or not a string"),
        (lock({"A B": direct("1.0")}), "x, net0.0, A B: 'A B' is not a package id"),
        (lock({"A": direct("1.0", contentHash="%")}), "x, net0.0, A: contentHash is not base64"),
        (lock({"A": direct("1.0", contentHash="YQ==")}), "x, net0.0, A: contentHash is not a SHA-512"),
        (lock({"A": direct("1.0", contentHash="é")}), "x, net0.0, A: contentHash is not base64"),
        (b'{"libraries": {"A": {"type": "package"}}}', "x, libraries, A: '' is not a NuGet version"),
    ],
)
def test_errors_name_the_place(data, sentence):
    with pytest.raises(InvalidRequest) as refused:
        read_wanted("x", data)

    assert str(refused.value).startswith(sentence)
