"""What is sent upstream: nothing of a client's request but the package it asks for, and to no other host."""

import base64

import pytest

from tests.fakes.faults import redirect
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running

SECRET = "hunter2"
CLIENT = {
    "Authorization": f"Basic {SECRET}",
    "X-NuGet-ApiKey": SECRET,
    "X-NuGet-Session-Id": SECRET,
    "Cookie": f"session={SECRET}",
    "X-Forwarded-For": SECRET,
    "X-Forwarded-Host": f"{SECRET}.example.com",
    "Forwarded": f"for={SECRET}",
    "Referer": f"https://{SECRET}/",
    "User-Agent": SECRET,
    "Via": SECRET,
    "X-Request-Id": SECRET,
    "Accept-Language": SECRET,
    "If-None-Match": f'"{SECRET}"',
}
PATHS = (
    "/v3/index.json",
    "/v3/flatcontainer/contoso.utils/index.json",
    "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg",
    "/v3/flatcontainer/contoso.utils/2.0.0/readme",
    "/v3/registration-gz-semver2/contoso.utils/index.json",
    "/v3/catalog/contoso.utils/1.0.0.json",
    "/v3/query?q=contoso&api_key=hunter2",
    "/v3/autocomplete?q=contoso",
    "/v3/vulnerabilities/index.json",
)


async def test_nothing_of_a_clients_request_reaches_the_upstream(stocked, tmp_path):
    async with running(tmp_path, stocked) as mirror:
        for path in PATHS:
            assert (await mirror.get(path, CLIENT)).status == 200
    assert stocked.log
    for request in stocked.log:
        assert SECRET not in f"{request.path} {request.query} {request.headers}"


async def test_our_own_credentials_go_to_the_service_index_server_only(stocked, tmp_path):
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    async with FakeUpstream() as elsewhere:
        elsewhere.add_package("Contoso.Utils", "1.0.0")
        flat = ("PackageBaseAddress/3.0.0", f"{elsewhere.base}/v3-flatcontainer/")
        stocked.gallery.resources = [flat, *(r for r in stocked.gallery.resources if r[0] != flat[0])]
        credentials = {"username": "us", "password_file": str(password)}
        async with running(tmp_path / "data", stocked, upstream_settings=credentials) as mirror:
            assert (await mirror.get("/v3/flatcontainer/contoso.utils/index.json")).status == 200
            assert (await mirror.get(PATHS[2])).status == 200
        expected = "Basic " + base64.b64encode(b"us:s3cret").decode()
        assert {r.headers.get("authorization") for r in stocked.log} == {expected}
        assert {r.headers.get("authorization") for r in elsewhere.log} == {None}
        assert elsewhere.requests_for("*.nupkg") == 1


class TestRedirects:
    @pytest.mark.parametrize("path", [PATHS[1], PATHS[2], PATHS[4]])
    async def test_to_a_foreign_host_is_refused(self, stocked, tmp_path, path):
        """
        Whatever an upstream sends, no host is contacted that is not named in its service index.
        """
        async with FakeUpstream() as foreign:
            stocked.fault("/v3-flatcontainer/*", redirect(f"{foreign.base}/x"))
            stocked.fault("/v3/registration5*", redirect(f"{foreign.base}/x"))
            async with running(tmp_path, stocked, upstream_settings={"patience": 0.05}) as mirror:
                assert (await mirror.get(path)).status in (502, 503)
            assert foreign.connections == 0

    async def test_to_an_allowed_host_is_followed(self, stocked, tmp_path):
        async with FakeUpstream() as cdn:
            package = cdn.add_package("Contoso.Utils", "1.0.0")
            stocked.fault("*.nupkg", redirect(f"{cdn.nupkg_url(package)}?sig=1"))
            allowed = {"allowed_hosts": [f"127.0.0.1:{cdn.port}"]}
            async with running(tmp_path, stocked, upstream_settings=allowed) as mirror:
                answer = await mirror.get(PATHS[2])
            assert answer.body == package.nupkg
            assert f":{cdn.port}" not in str(answer.headers)
