"""Hostile requests to the whole application: what they cost the upstream and leave on the disk."""

import asyncio
import gzip
import re
from pathlib import Path

import pytest

from tests.fakes.faults import Fault
from tests.fakes.gallery import Document
from tests.flows.mirror import files_below, running

BOMB = gzip.compress(bytes(200 * 2**20), 9)
"""200 MiB of zeros in 200 KB, three times the limit of a document."""

PAGE = b"<!DOCTYPE html><html><script>alert(document.domain)</script></html>"


def leases(data: Path) -> set[str]:
    """Those that are held; a process that uses the directory has a different kind of lock there."""
    return {name for name in files_below(data / "locks") if re.fullmatch("[0-9a-f]{40}", name)}


class TestFloods:
    async def test_unknown_ids_leave_nothing_but_rows_that_go_first(self, upstream, tmp_path):
        """
        Each costs the upstream one request however often it is requested, and no file, lock or folder remains.
        """
        async with running(tmp_path / "data", upstream) as mirror:
            await mirror.get("/v3/index.json")
            before = files_below(tmp_path / "data")
            urls = [f"/v3/flatcontainer/unknown{number}/index.json" for number in range(100)]
            for _ in range(3):
                answers = await asyncio.gather(*(mirror.get(url) for url in urls))
                assert {answer.status for answer in answers} == {404}

            assert upstream.requests_for("/v3-flatcontainer/*") == 100
            assert files_below(tmp_path / "data") - before == set()

    async def test_unknown_packages_leave_no_folder(self, upstream, tmp_path):
        """
        A folder is created at the commit: only downloaded packages have one.
        """
        async with running(tmp_path / "data", upstream) as mirror:
            urls = [f"/v3/flatcontainer/no{n}/1.0.0/no{n}.1.0.0.nupkg" for n in range(20)]
            answers = await asyncio.gather(*(mirror.get(url) for url in urls))

            assert {answer.status for answer in answers} == {404}
            async with asyncio.timeout(5):  # the failure stays readable for other workers for a moment
                while any(files_below(tmp_path / "data" / folder) for folder in ("mirror", "spool")) or leases(
                    tmp_path
                ):
                    await asyncio.sleep(0.02)
            assert list((tmp_path / "data" / "mirror").iterdir()) == []

    async def test_host_names_share_one_document(self, stocked, tmp_path):
        """
        Documents are stored by the upstream's URL: our own host names make no difference upstream.
        """
        async with running(tmp_path / "data", stocked) as mirror:
            for number in range(50):
                host = f"name{number}.example"
                index = await mirror.json("/v3/registration/contoso.utils/index.json", {"Host": host})
                assert index["@id"].startswith(f"http://{host}/v3/")

            assert stocked.requests_for("/v3/registration5-gz-semver2/contoso.utils/index.json") == 1

    async def test_the_longest_search_is_still_one_search(self, stocked, tmp_path):
        async with running(tmp_path / "data", stocked) as mirror:
            got = await mirror.get(f"/v3/query?q={'*' * 7900}")

            assert (got.status, got.json["totalHits"]) == (200, 0)
            assert stocked.requests_for("/query") == 1

    async def test_parameters_that_mean_nothing_make_no_new_question(self, stocked, tmp_path):
        """
        The upstream request is built from the parsed values, so unknown parameters lead to the same document.
        """
        async with running(tmp_path / "data", stocked) as mirror:
            for number in range(20):
                got = await mirror.get(f"/v3/query?q=contoso&_={number}&take=20&TAKE={number}")
                assert got.status == 200

            assert stocked.requests_for("/query") == 1


class TestHostileUpstream:
    @pytest.mark.parametrize("path", ["/v3-flatcontainer/contoso.utils/index.json", "/v3/registration5-gz-semver2/*"])
    async def test_a_decompression_bomb_is_nonsense(self, stocked, tmp_path, path):
        stocked.fault(path, Fault(status=200, headers={"Content-Encoding": "gzip"}, body=BOMB))
        ours = "flatcontainer" if "flat" in path else "registration"
        async with running(tmp_path / "data", stocked) as mirror:
            got = await mirror.get(f"/v3/{ours}/contoso.utils/index.json")

        assert (got.status, "a document is larger than 67108864 bytes" in got.reason) == (502, True)

    @pytest.mark.parametrize("place", ["file:///etc/", "gopher://127.0.0.1:70/", "/etc/", "//", "javascript:alert(1)/"])
    async def test_a_service_index_may_only_name_web_servers(self, upstream, tmp_path, place):
        upstream.gallery.resources = [("PackageBaseAddress/3.0.0", place)]
        async with running(tmp_path / "data", upstream) as mirror:
            got = await mirror.get("/v3/flatcontainer/passwd/index.json")

        assert got.status == 502
        assert b"root:" not in got.body

    @pytest.mark.parametrize("part", ["icon", "readme", "license"])
    async def test_a_page_is_no_part_of_a_package(self, stocked, tmp_path, part):
        """
        Whatever type the upstream states, nothing runs as a page of ours.
        """
        path = f"/v3-flatcontainer/contoso.base/1.0.0/{part}"
        stocked.gallery.extra[path] = Document(PAGE, "text/html")
        async with running(tmp_path / "data", stocked) as mirror:
            got = await mirror.get(f"/v3/flatcontainer/contoso.base/1.0.0/{part}")

        assert "html" not in got.headers["content-type"]
        assert got.headers["x-content-type-options"] == "nosniff"

    async def test_an_image_with_a_script_runs_nowhere(self, stocked, tmp_path):
        """
        Bytes that are not a known image get a type that no browser opens, and a policy that forbids everything.
        """
        script = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
        stocked.gallery.extra["/v3-flatcontainer/contoso.base/1.0.0/icon"] = Document(script, "image/svg+xml")
        async with running(tmp_path / "data", stocked) as mirror:
            got = await mirror.get("/v3/flatcontainer/contoso.base/1.0.0/icon")

        assert got.headers["content-type"] == "application/octet-stream"
        assert got.headers["content-security-policy"] == "default-src 'none'; sandbox"

    async def test_headers_of_the_upstream_stay_there(self, stocked, tmp_path):
        """
        Cookies, links and policies of another site are not passed on.
        """
        theirs = {"Set-Cookie": "a=b", "Link": "<x>", "Refresh": "0;url=http://x", "X-Evil": "1", "Server": "theirs"}
        stocked.fault("*", Fault(headers=theirs))
        paths = ("contoso.base/index.json", "contoso.base/1.0.0/contoso.base.1.0.0.nupkg", "contoso.utils/1.0.0/icon")
        async with running(tmp_path / "data", stocked) as mirror:
            answers = [await mirror.get(f"/v3/flatcontainer/{path}") for path in paths]

        assert [answer.status for answer in answers] == [200, 200, 200]
        for answer in answers:
            assert {"set-cookie", "link", "refresh", "x-evil"} & answer.headers.keys() == set()
            assert answer.headers["server"] == "nugetproxy"
