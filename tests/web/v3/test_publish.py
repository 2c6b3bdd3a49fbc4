"""Pushes and verification keys over HTTP: who is allowed, and the messages for everyone else."""

import pytest
import structlog

from nugetproxy.accounts.model import Scope
from nugetproxy.accounts.permissions import KEY_NEEDED, KEY_REFUSED
from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from tests.builders import make_nupkg
from tests.flows.mirror import Got, running
from tests.flows.private_feed import House, basic, opened, opened_with_lane

VERSION = "/api/v2/package/Contoso.Utils/1.0.0"
RESERVED = "This package ID has been reserved. Please request access to upload to this reserved namespace from the "
GOOD = {"readme": "# hello", "license": "MIT"}


def told(got: Got) -> tuple[int, str]:
    return got.status, got.reason


class TestPush:
    async def test_created(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            got = await house.push(**GOOD)
            assert told(got) == (201, "Created")
            assert "x-nuget-warning" not in got.headers

    async def test_pushed_files_are_readable_only_by_the_server(self, upstream, tmp_path):
        """
        Not even if an older server left the folder open.
        """
        (tmp_path / "hosted").mkdir(mode=0o755)
        async with opened(tmp_path, upstream) as house:
            await house.push()
            hosted = tmp_path / "hosted"
            assert {path.stat().st_mode & 0o077 for path in (hosted, *hosted.rglob("*"))} == {0}

    async def test_a_folder_whose_mode_cannot_be_set_is_reported(self, upstream, tmp_path, monkeypatch):
        def not_ours(*_: object) -> None:
            raise StorageUnavailable("cannot set the mode of hosted: Operation not permitted")

        monkeypatch.setattr(FilesystemBlobs, "apply_access", not_ours)
        with structlog.testing.capture_logs() as lines:
            async with opened(tmp_path, upstream) as house:
                assert (await house.push()).status == 201
        assert [line["log_level"] for line in lines if line["event"] == "hosted_not_private"] == ["warning"]

    async def test_without_a_key(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            got = await house.push(key="")
            assert told(got) == (401, KEY_NEEDED)
            assert got.headers["www-authenticate"] == 'Basic realm="nugetproxy"'
            assert got.json["error"] == KEY_NEEDED

    async def test_with_an_invalid_key(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            made, revoked = await house.new_key("bob")
            await house.accounts.directory.revoke_key(made.key_id)
            wrong = house.key[:-1] + ("a" if house.key[-1] != "a" else "b")
            for key in ("x", "0" * 46, wrong, house.key.upper(), revoked, "k" * 7000):
                got = await house.push(key=key)
                assert told(got) == (403, KEY_REFUSED)
                assert "www-authenticate" not in got.headers

    async def test_a_version_that_exists_in_any_spelling(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            await house.push("Contoso.Utils", "1.0.0")
            for package_id, version in (
                ("Contoso.Utils", "1.0.0"), ("CONTOSO.utils", "1.0"), ("Contoso.Utils", "01.0.0.0"),
                ("Contoso.Utils", "1.0.0+build"),
            ):  # fmt: skip
                status, reason = told(await house.push(package_id, version))
                assert status == 409
                assert reason == (
                    f"A package with ID '{package_id}' and version '1.0.0' already exists and cannot be modified."
                )

    async def test_a_body_that_is_not_a_package(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            for body in (b"PK\3\4", b"x" * 100, make_nupkg()[:-30], make_nupkg(nuspec=b"<!DOCTYPE x><package/>")):
                got = await house.push(body)
                assert got.status == 400, got
                assert got.reason not in ("", "Bad Request")
            assert house.leftovers() == []

    async def test_outside_of_what_is_protected(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            status, reason = told(await house.push("Fabrikam.Tools"))
            assert status == 403
            assert "is not below a protected prefix" in reason
            assert "nugetproxy prefix reserve" in reason

    async def test_a_reason_is_one_line_of_ascii(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            got = await house.push(
                make_nupkg("Contoso.Ünïcödé.日本", "1.0.0"), key=await house.key_of("bob", (Scope.READ,))
            )
            assert got.status in (400, 403)
            assert got.reason.isascii()
            assert got.reason.isprintable()

    async def test_exactly_the_documented_methods_are_allowed(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            for method, path in (("DELETE", "/api/v2/package/"), ("PATCH", VERSION), ("PUT", "/v3/index.json")):
                assert (await house.send(method, path)).status in (404, 405)


class TestWarnings:
    async def test_of_the_package(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            lines = (await house.push()).headers["x-nuget-warning"].split("\n")
            assert any("readme" in line.lower() for line in lines)
            assert any("licen" in line.lower() for line in lines)
            assert all(line.isascii() and line.isprintable() for line in lines)

    @pytest.mark.parametrize(("days", "warned"), [(9.5, True), (10.5, True), (11.5, False), (0.5, True)])
    async def test_of_a_key_that_ends_within_ten_days(self, upstream, tmp_path, days, warned):
        async with opened(tmp_path, upstream) as house:
            key = await house.key_of("alice", days=days, name="ci")
            for got in (
                await house.push(key=key, **GOOD),
                await house.send("DELETE", VERSION, key=key),
                await house.send("POST", VERSION, key=key),
            ):
                lines = got.headers.get("x-nuget-warning", "")
                assert (f"Your API key 'ci' expires in {int(days)} day(s)" in lines) is warned
                assert key not in lines


class TestWhoMayPush:
    @pytest.mark.parametrize(
        ("scopes", "globs", "new", "existing"),
        [
            ((Scope.PUSH,), ("*",), 201, 201),
            ((Scope.PUSH_VERSION,), ("*",), 403, 201),
            ((Scope.UNLIST,), ("*",), 403, 403),
            ((Scope.READ,), ("*",), 403, 403),
            ((Scope.PUSH,), ("contoso.*",), 201, 201),
            ((Scope.PUSH,), ("Contoso.Utils",), 403, 201),
            ((Scope.PUSH,), ("Fabrikam.*",), 403, 403),
        ],
    )
    async def test_by_scope_and_glob(self, upstream, tmp_path, scopes, globs, new, existing):
        async with opened(tmp_path, upstream) as house:
            await house.push("Contoso.Utils", "1.0.0", key=await house.key_of("bob"))
            key = await house.key_of("bob", scopes, globs)
            assert (await house.push("Contoso.Brand.New", "1.0.0", key=key)).status == new
            assert (await house.push("Contoso.Utils", "2.0.0", key=key)).status == existing

    async def test_by_ownership(self, upstream, tmp_path):
        """
        Not even an administrator pushes to another owner's package; members push with a key of their organisation.
        """
        async with opened(tmp_path, upstream) as house:
            directory, ownership = house.accounts.directory, house.accounts.ownership
            bob, carol = await directory.account("bob"), await directory.account("carol")
            org = await directory.add_organization("Contoso", bob)
            await house.push("Contoso.Utils", "1.0.0", key=await house.key_of("Contoso"))
            for who, expected in (("alice", 403), ("bob", 403), ("carol", 403), ("Contoso", 201)):
                assert (await house.push("Contoso.Utils", "2.0.0", key=await house.key_of(who))).status == expected
            await ownership.add_owner("contoso.utils", carol)
            assert (await house.push("Contoso.Utils", "3.0.0", key=await house.key_of("carol"))).status == 201
            await ownership.remove_owner("contoso.utils", org)
            assert (await house.push("Contoso.Utils", "4.0.0", key=await house.key_of("Contoso"))).status == 403

    async def test_by_reservation(self, upstream, tmp_path):
        """
        Reserved, delegated and shared prefixes, none of them protected by the settings.
        """
        async with opened(tmp_path, upstream, feed={}) as house:
            directory, ownership = house.accounts.directory, house.accounts.ownership
            alice, bob = await directory.account("alice"), await directory.account("bob")
            carols = await house.key_of("carol")
            assert (await house.push("Open.Early", key=carols)).status == 403
            await ownership.reserve("Contoso.*", alice)
            await ownership.reserve("Contoso.Tools.*", bob)
            await ownership.reserve("Open.*", alice, shared=True)
            await ownership.reserve("Open.Core", bob)
            keys = {who: await house.key_of(who) for who in ("alice", "bob", "carol")}
            for package_id, who, expected in (
                ("Contoso.A", "alice", 201), ("Contoso.B", "bob", 409), ("Contoso.C", "carol", 409),
                ("Contoso.Tools.A", "alice", 409), ("Contoso.Tools.B", "bob", 201), ("Contoso.Tools.C", "carol", 409),
                ("Open.A", "alice", 201), ("Open.B", "bob", 201), ("Open.C", "carol", 201),
                ("Open.Core", "carol", 409), ("Open.Core", "bob", 201),
                ("Elsewhere", "alice", 403),
            ):  # fmt: skip
                got = await house.push(package_id, key=keys[who])
                assert got.status == expected, (package_id, who, got.reason)
                if expected == 409:
                    assert got.reason.startswith(RESERVED)
                    assert got.reason.isascii()
            # Packages from before a prefix was reserved can still be pushed; ids below a shared prefix belong to their
            # pusher.
            await ownership.reserve("Open.C*".removesuffix("*"), bob)
            assert (await house.push("Open.C", "2.0.0", key=keys["carol"])).status == 201
            assert (await house.push("Open.B", "2.0.0", key=keys["carol"])).status == 403
            hits = (await house.json("/v3/query?q=open&prerelease=true"))["data"]
            assert {hit["id"]: hit["verified"] for hit in hits if hit["id"] in ("Open.A", "Open.B")} == {
                "Open.A": True, "Open.B": False
            }  # fmt: skip

    async def test_refusals_are_in_the_audit_log(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            await house.push(key=await house.key_of("bob", name="ci"))
            line = (await house.accounts.audit.latest(1))[0]
            assert (line.actor, line.action, line.subject, line.result) == (
                "bob/key ci", "package.push", "Contoso.Utils 1.0.0", "refused"
            )  # fmt: skip
            assert line.address == "127.0.0.1"


class TestVerificationKeys:
    async def key(
        self, house: House, package_id: str = "Contoso.Utils", below: str = "/1.0.0", key: str | None = None
    ) -> Got:
        return await house.send("POST", f"/api/v2/package/create-verification-key/{package_id}{below}", key=key)

    @pytest.mark.parametrize("below", ["/1.0", ""])
    async def test_is_created_and_used_up_by_one_verification(self, upstream, tmp_path, below):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            got = await self.key(house, "CONTOSO.Utils", below)
            key = got.json["Key"]
            assert set(got.json) == {"Key", "Expires"}
            path = f"/api/v2/verifykey/contoso.utils{below}"
            verified = await house.get(path, {"X-NuGet-ApiKey": key})
            assert verified.status == 200
            # Otherwise a cache would hand out the key, and tell other clients that theirs is right.
            assert got.headers["cache-control"] == verified.headers["cache-control"] == "no-store"
            assert told(await house.get(path, {"X-NuGet-ApiKey": key})) == (403, KEY_REFUSED)

    async def test_can_do_nothing_else(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            key = (await self.key(house)).json["Key"]
            assert (await house.push(version="2.0.0", key=key)).status == 403
            assert (await house.send("DELETE", VERSION, key=key)).status == 403
            assert (await self.key(house, key=key)).status == 403

    @pytest.mark.parametrize("closed", ["none", "mirrored"])
    async def test_reads_nothing(self, upstream, tmp_path, closed):
        async with opened_with_lane(tmp_path, upstream, accounts={"anonymous_read": closed}) as house:
            await house.push()
            key = (await self.key(house)).json["Key"]
            for path in ("/v3/flatcontainer/contoso.utils/index.json", "/v3/query?q=utils") * 2:
                assert (await house.get(path, basic("x", house.key))).status == 200
                assert (await house.get(path, {"X-NuGet-ApiKey": key})).status == 403
                assert (await house.get(path, basic("x", key))).status == 403

    async def test_of_another_owner_and_of_a_missing_package(self, upstream, tmp_path):
        async with opened(tmp_path, upstream) as house:
            await house.push()
            await house.push("Contoso.Other")
            bobs = await house.key_of("bob")
            assert (await self.key(house, key=bobs)).status == 403
            assert (await self.key(house, key="")).status == 401
            assert (await self.key(house, below="/one")).status == 400
            key = (await self.key(house)).json["Key"]
            for path, expected in (
                ("contoso.other/1.0.0", 403), ("contoso.utils/9.9.9", 404), ("contoso.nothing/1.0.0", 404),
                ("contoso.utils/one", 400), ("contoso.utils/1.0.0", 200),
            ):  # fmt: skip
                assert (await house.get(f"/api/v2/verifykey/{path}", {"X-NuGet-ApiKey": key})).status == expected, path
            for key in (house.key, bobs):  # neither is a verification key
                got = await house.get("/api/v2/verifykey/contoso.utils/1.0.0", {"X-NuGet-ApiKey": key})
                assert told(got) == (403, KEY_REFUSED)

    async def test_asks_for_credentials(self, upstream, tmp_path):
        async with opened(tmp_path, upstream, accounts={"anonymous_read": "none"}) as house:
            got = await house.get("/api/v2/verifykey/contoso.utils/1.0.0")
            assert (got.status, got.headers["www-authenticate"]) == (401, 'Basic realm="nugetproxy"')


async def test_a_server_that_hosts_nothing_says_so(upstream, tmp_path):
    async with running(tmp_path, upstream, hosting={"enabled": False}) as mirror:
        for method, path in (("PUT", "/api/v2/package"), ("DELETE", VERSION), ("GET", "/v3/catalog0/index.json")):
            got = await mirror.get(path, method=method)
            assert got.status == 404
            assert "only mirrors" in got.reason
