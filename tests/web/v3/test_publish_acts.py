"""Unlist, relist, delete and deprecate over HTTP: who is allowed, and the messages for everyone else."""

import asyncio
import json
from urllib.parse import quote, urlencode

import pytest

from nugetproxy.accounts.model import Scope
from nugetproxy.accounts.permissions import KEY_NEEDED
from tests.builders import make_nupkg
from tests.flows.mirror import Got
from tests.flows.private_feed import House, opened

VERSION = "/api/v2/package/Contoso.Utils/1.0.0"
BURNT = (
    "A package with ID 'Contoso.Utils' and version '1.0.0' was deleted, and its version number cannot be used again. "
    "An administrator can release it: nugetproxy package delete Contoso.Utils 1.0.0 --allow-reuse"
)


async def listed(house: House, package_id: str = "contoso.utils") -> dict[str, bool]:
    index = await house.json(f"/v3/registration/{package_id}/index.json")
    leaves = [leaf for page in index["items"] for leaf in page["items"]]
    return {leaf["catalogEntry"]["version"]: leaf["catalogEntry"]["listed"] for leaf in leaves}


def told(got: Got) -> tuple[int, str]:
    return got.status, got.reason


class TestListing:
    @pytest.mark.parametrize("spelled", ["1.0.0", "1.0", "1.0.0.0", "1.0.0+abc", "01.00", quote("1.0.0+abc", safe="")])
    @pytest.mark.parametrize("below", ["/api/v2/package", "/api/v2"])
    async def test_delete_hides_and_post_shows_again(self, upstream, tmp_path, spelled, below):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            file = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
            assert (await house.send("DELETE", f"{below}/CONTOSO.Utils/{spelled}")).status == 204
            assert await listed(house) == {"1.0.0": False}
            assert (await house.get(file)).status == 200
            assert (await house.json("/v3/query?q=contoso"))["totalHits"] == 0
            assert (await house.send("DELETE", f"{below}/CONTOSO.Utils/{spelled}")).status == 204
            assert (await house.send("POST", f"/api/v2/package/contoso.utils/{spelled}")).status == 200
            assert await listed(house) == {"1.0.0": True}
            assert (await house.json("/v3/query?q=contoso"))["totalHits"] == 1

    @pytest.mark.parametrize("method", ["DELETE", "POST"])
    async def test_of_a_missing_version(self, upstream, tmp_path, method):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            for package_id, version in (("Contoso.Utils", "2.0.0"), ("Contoso.Nothing", "1.0.0"), ("Nobody", "1.0.0")):
                got = await house.send(method, f"/api/v2/package/{package_id}/{version}")
                assert told(got) == (404, f"A package with ID '{package_id}' and version '{version}' does not exist.")

    @pytest.mark.parametrize("method", ["DELETE", "POST"])
    async def test_of_an_invalid_version_or_id(self, upstream, tmp_path, method):
        async with opened(tmp_path, upstream) as house:
            for path in ("Contoso.Utils/one", "Con toso/1.0.0", "..%2F..%2Fetc/1.0.0", "Contoso.Utils/99999999999.0.0"):
                assert (await house.send(method, f"/api/v2/package/{path}")).status in (400, 404)

    async def test_only_owners_and_administrators_with_the_scope(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            await house.push(key=await house.key_of("bob"))
            for owner, scopes, globs, expected in (
                ("bob", (Scope.UNLIST,), ("*",), 204),
                ("bob", (Scope.UNLIST,), ("contoso.*",), 204),
                ("bob", (Scope.UNLIST,), ("Fabrikam.*",), 403),
                ("bob", (Scope.PUSH, Scope.PUSH_VERSION, Scope.READ), ("*",), 403),
                ("carol", (Scope.UNLIST,), ("*",), 403),
                ("alice", (Scope.UNLIST,), ("*",), 204),
            ):
                key = await house.key_of(owner, scopes, globs)
                assert (await house.send("DELETE", VERSION, key=key)).status == expected, (owner, scopes, globs)
            got = await house.send("DELETE", VERSION, key="")
            assert told(got) == (401, KEY_NEEDED)
            assert got.headers["www-authenticate"] == 'Basic realm="nugetproxy"'


class TestHardDelete:
    async def test_takes_everything_away_and_burns_the_version(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            assert (await house.send("DELETE", f"{VERSION}?Type=hardDelete")).status == 204
            for path in (
                "/v3/flatcontainer/contoso.utils/index.json",
                "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg",
                "/v3/registration/contoso.utils/index.json",
                "/v3/catalog/contoso.utils/1.0.0.json",
                "/api/v2/package/Contoso.Utils/1.0.0",
            ):
                assert (await house.get(path)).status == 404, path
            assert not [path for path in (tmp_path / "hosted").rglob("*") if path.is_file()]
            assert told(await house.push(payload=b"other bytes")) == (409, BURNT)
            assert (await house.send("DELETE", f"{VERSION}?Type=HardDelete")).status == 404

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_with_allow_reuse_other_bytes_take_the_name(self, upstream, tmp_path, at_once):
        """
        In one request, or later, after a push was refused.
        """
        async with opened(tmp_path, upstream) as house:
            await house.push(payload=b"first")
            file = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
            first = await house.get(file)
            if not at_once:
                assert (await house.send("DELETE", f"{VERSION}?Type=HardDelete")).status == 204
                assert told(await house.push(payload=b"other")) == (409, BURNT)
            assert (await house.send("DELETE", f"{VERSION}?type=harddelete&allowReuse=True")).status == 204
            assert (await house.push(payload=b"other")).status == 201
            other = await house.get(file)
            assert other.body == make_nupkg("Contoso.Utils", "1.0.0", payload=b"other")
            assert first.headers["etag"] != other.headers["etag"]

    @pytest.mark.parametrize(
        "query",
        ["Type=Shred", "Type=", "Type=HardDelete&AllowReuse=yes", "Type=HardDelete&AllowReuse=", "AllowReuse=true",
         "Type=Unlist&AllowReuse=true"],
    )  # fmt: skip
    async def test_invalid_parameters_change_nothing(self, upstream, tmp_path, query):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            status, reason = told(await house.send("DELETE", f"{VERSION}?{query}"))
            assert status == 400
            assert "HardDelete" in reason or "AllowReuse" in reason
            assert await listed(house) == {"1.0.0": True}

    async def test_is_for_administrators(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            key = await house.key_of("bob")
            await house.push(key=key)
            status, reason = told(await house.send("DELETE", f"{VERSION}?type=x&Type=HardDelete", key=key))
            assert (status, reason) == (
                403, "only administrators may delete packages permanently; unlist the version instead"
            )  # fmt: skip
            read_only = await house.key_of("alice", (Scope.PUSH,))
            for query in ("Type=HardDelete", "Type=HardDelete&AllowReuse=true"):
                assert (await house.send("DELETE", f"{VERSION}?{query}", key=read_only)).status == 403
            assert await listed(house) == {"1.0.0": True}


WANTED = {"isLegacy": "true", "message": "Old & tired: é", "alternatePackageId": "Contoso.New",
          "alternatePackageVersion": "2.0"}  # fmt: skip
DEPRECATIONS = "/api/v2/package/Contoso.Utils/deprecations"


class TestDeprecate:
    @pytest.mark.parametrize("form", ["form", "multipart", "json", "query", "odd-case", "chunks"])
    async def test_in_every_form(self, upstream, tmp_path, form):
        fields = [("versions", "1.0"), ("versions", "2.0.0+x"), *WANTED.items()]
        path, headers, body = DEPRECATIONS, {"Content-Type": "application/x-www-form-urlencoded"}, b""
        if form == "query":
            path += "?" + urlencode(fields)
        elif form == "json":
            headers = {"Content-Type": "application/json; charset=utf-8"}
            body = json.dumps({"versions": ["1.0", "2.0.0+x"], **WANTED, "isLegacy": True, "isOther": None}).encode()
        elif form == "multipart":
            headers = {"Content-Type": "multipart/form-data; boundary=----x"}
            parts = (f'------x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}' for name, text in fields)
            body = "\r\n".join([*parts, "------x--\r\n"]).encode()
        elif form == "odd-case":
            body = urlencode(
                [(name.upper() + ("[]" if name == "versions" else ""), text) for name, text in fields]
            ).encode()
        else:
            body = urlencode(fields).encode()
        async with opened(tmp_path, upstream) as house:
            for version in ("1.0.0", "2.0.0", "3.0.0"):
                await house.push(version=version)
            if form == "chunks":
                reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
                length = len(body)
                writer.write(
                    f"PUT {path} HTTP/1.1\r\nHost: x\r\nX-NuGet-ApiKey: {house.key}\r\nConnection: close\r\n"
                    f"Content-Type: {headers['Content-Type']}\r\nContent-Length: {length}\r\n\r\n".encode()
                )
                for start in range(0, length, 40):
                    writer.write(body[start : start + 40])
                    await writer.drain()
                    await asyncio.sleep(0.002)
                assert b" 200 " in await reader.readline()
                writer.close()
            else:
                assert (await house.send("PUT", path, headers=headers, body=body)).status == 200
            index = await house.json("/v3/registration-gz-semver2/contoso.utils/index.json")
            found = {
                leaf["catalogEntry"]["version"]: leaf["catalogEntry"].get("deprecation")
                for leaf in index["items"][0]["items"]
            }
            assert found["3.0.0"] is None
            for version in ("1.0.0", "2.0.0"):
                told = found[version]
                assert (told["reasons"], told["message"]) == (["Legacy"], WANTED["message"])
                assert told["alternatePackage"]["id"] == "Contoso.New"
                assert told["alternatePackage"]["range"] == "[2.0.0, )"

    async def test_is_taken_back_and_lists(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            for query, expected, is_listed in (
                ("versions=1.0.0&isOther=true&listedVerb=unlist", ["Other"], False),
                ("versions=1.0.0&hasCriticalBugs=TRUE&isLegacy=true", ["Legacy", "CriticalBugs"], False),
                ("versions=1.0.0&listedVerb=Relist", None, True),
            ):
                assert (await house.send("PUT", f"{DEPRECATIONS}?{query}")).status == 200
                index = await house.json("/v3/registration-gz-semver2/contoso.utils/index.json")
                entry = index["items"][0]["items"][0]["catalogEntry"]
                assert entry.get("deprecation", {}).get("reasons") == expected
                assert entry["listed"] is is_listed

    @pytest.mark.parametrize(
        ("query", "body", "expected"),
        [
            ("", b"", 400),
            ("?versions=one", b"", 400),
            ("?versions=9.9.9&isLegacy=true", b"", 404),
            ("?versions=1.0.0&listedVerb=Burn", b"", 400),
            ("?versions=1.0.0&isLegacy=yes", b"", 400),
            ("?versions=1.0.0&isLegacy=true&alternatePackageId=..", b"", 400),
            ("?versions=1.0.0&isLegacy=true&alternatePackageId=x&alternatePackageVersion=y", b"", 400),
            ("", b"{", 400),
            ("", b"[1]", 400),
            ("", b"\xff", 400),
            ("", b'{"versions": {"a": [1]}}', 400),
            ("?versions=1.0.0", b" " * 1_100_000, 413),
        ],
    )
    async def test_an_invalid_request(self, upstream, tmp_path, query, body, expected):
        headers = {"Content-Type": "application/json"} if body else {}
        async with opened(tmp_path, upstream) as house:
            await house.push()
            got = await house.send("PUT", DEPRECATIONS + query, headers=headers, body=body)
            assert got.status == expected, got

    async def test_is_for_owners(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            query = f"{DEPRECATIONS}?versions=1.0.0&isLegacy=true"
            assert (await house.send("PUT", query, key=await house.key_of("bob"))).status == 403
            assert (await house.send("PUT", query, key="")).status == 401
