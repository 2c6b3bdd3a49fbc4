"""Symbols over HTTP: the addresses, the status codes, who may read, and what is never kept hot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer

from nugetproxy.accounts.model import COMMAND_LINE, DAY, Scope, now_us
from nugetproxy.config import Config
from nugetproxy.runtime.assembly import assemble
from nugetproxy.services import Services
from nugetproxy.web.application import make_application
from nugetproxy.web.hot.table import HotTable
from tests.symbol_builders import KEY, make_debuggable, make_pdb, make_snupkg
from tests.web.serving import Client

PDB = make_pdb()
NAME = "contoso.utils.pdb"
PATH = f"/symbols/{NAME}/{KEY}/{NAME}"
SNUPKG = "/api/v2/symbolpackage/Contoso.Utils/1.0"


class House(NamedTuple):
    client: Client
    services: Services
    hot: HotTable
    key: str

    async def put(self, path: str, body: Any, **headers: str) -> tuple[int, str]:
        async with self.client.put(path, data=body, headers={"X-NuGet-ApiKey": self.key, **headers}) as answer:
            return answer.status, answer.reason or ""

    async def get(self, path: str, **arguments: Any) -> tuple[int, bytes]:
        async with self.client.get(path, **arguments) as answer:
            return answer.status, await answer.read()


@asynccontextmanager
async def housing(path: Path, **settings: Any) -> AsyncIterator[House]:
    """A private feed in this process, with one package whose assembly names a PDB. It has no upstream."""
    config = Config.model_validate(
        {
            "storage": {"path": str(path)},
            "mirroring": {"mode": "offline"},
            "feed": {"protected_prefixes": ["Contoso."]},
            "logs": {"access": False},
            **settings,
        }
    )
    hot = HotTable(1_000_000)
    async with assemble(config) as services:
        assert services.accounts is not None
        directory = services.accounts.directory
        alice = await directory.add_user("alice", password="a long password", administrator=False, by=COMMAND_LINE)
        _, key = await directory.add_key(
            alice, alice, name="ci", scopes=tuple(Scope), globs=("*",), expires=now_us() + 90 * DAY, by=COMMAND_LINE
        )
        client: Client = TestClient(TestServer(make_application(services, hot)))
        try:
            await client.start_server()
            house = House(client, services, hot, key)
            assert await house.put("/api/v2/package", make_debuggable()) == (201, "Created")
            yield house
        finally:
            await client.close()
            await hot.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housing(tmp_path) as opened:
        yield opened


# --- pushing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v2/symbolpackage", "/api/v2/symbolpackage/"])
async def test_a_push_as_clients_send_it(house: House, path: str):
    form = FormData(default_to_multipart=True)
    form.add_field("package", make_snupkg(), filename="package.nupkg", content_type="application/octet-stream")

    assert (201, "Created") == await house.put(path, form)
    assert (200, PDB) == await house.get(PATH)


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"nothing", 400, "it is not a ZIP archive"),
        (make_debuggable(), 400, "push packages to /api/v2/package; this URL takes .snupkg files"),
        (make_snupkg(files={"lib/net8.0/Contoso.Utils.pdb": make_pdb(body=b"x")}), 400, "its checksum differs"),
        (make_snupkg("Contoso.Other"), 404, "package 'Contoso.Other' does not exist here"),
        (make_snupkg(version="2.0"), 404, "package 'Contoso.Utils' has no version '2.0.0'"),
    ],
)
async def test_the_reason_is_in_the_status_line(house: House, body: bytes, status: int, why: str):
    answered, reason = await house.put("/api/v2/symbolpackage", body)

    assert status == answered
    assert why in reason


async def test_symbols_sent_as_a_package_are_told_where_to_go(house: House):
    status, reason = await house.put("/api/v2/package", make_snupkg())

    assert status == 400
    assert "it is a symbols package (.snupkg): push it to /api/v2/symbolpackage" in reason


async def test_a_key_is_needed(house: House):
    async with house.client.put("/api/v2/symbolpackage/", data=make_snupkg()) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


async def test_a_wrong_key_is_refused(house: House):
    status, reason = await house.put("/api/v2/symbolpackage/", make_snupkg(), **{"X-NuGet-ApiKey": "wrong"})

    assert status == 403
    assert reason.startswith("The specified API key is invalid")


async def test_there_is_a_limit(tmp_path: Path):
    async with housing(tmp_path, hosting={"max_symbols_size": 100}) as house:
        status, reason = await house.put("/api/v2/symbolpackage/", make_snupkg())

        assert status == 413
        assert reason == "the symbols package is larger than the limit of 100 bytes"


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        f"/symbols/{NAME}/{KEY.lower()}/{NAME}",
        f"/symbols/Contoso.Utils.pdb/{KEY.upper()}/CONTOSO.UTILS.PDB",
    ],
)
async def test_a_debugger_may_write_it_in_any_casing(house: House, path: str):
    await house.put("/api/v2/symbolpackage/", make_snupkg())

    assert (200, PDB) == await house.get(path)


@pytest.mark.parametrize(
    "path",
    [
        f"/symbols/{NAME}/{'0' * 32}FFFFFFFF/{NAME}",
        f"/symbols/other.pdb/{KEY}/other.pdb",
        f"/symbols/{NAME}/{KEY}/other.pdb",
        f"/symbols/{NAME}/{KEY[:32]}1/{NAME}",  # a Windows PDB
        "/symbols/contoso.utils.dll/542D574Ec2000/contoso.utils.dll",
        "/symbols/program.cs/sha1-" + "0" * 40 + "/program.cs",
        "/symbols/_.debug/elf-buildid-sym-" + "0" * 40 + "/_.debug",
        "/symbols/index2.txt",
    ],
)
async def test_other_keys_are_not_found(house: House, path: str):
    await house.put("/api/v2/symbolpackage/", make_snupkg())

    assert (await house.get(path))[0] == 404


async def test_head_tells_the_size(house: House):
    await house.put("/api/v2/symbolpackage/", make_snupkg())
    async with house.client.head(PATH) as answer:
        assert (200, str(len(PDB))) == (answer.status, answer.headers["Content-Length"])


async def test_checksums_are_looked_at_when_they_are_sent(house: House):
    await house.put("/api/v2/symbolpackage/", make_snupkg())
    wrong, unknown = "SHA256:" + "0" * 64, "CRC32:00000000"

    assert (await house.get(PATH, headers={"SymbolChecksum": wrong}))[0] == 404
    assert (await house.get(PATH, headers={"SymbolChecksum": unknown}))[0] == 200


async def test_nothing_of_it_is_hot(house: House):
    """
    A hot answer depends on the address alone; here it depends on a header, too, and symbols can be replaced.
    """
    await house.put("/api/v2/symbolpackage/", make_snupkg())
    for path in (PATH, SNUPKG):
        assert (await house.get(path))[0] == 200

    async with house.client.get(PATH) as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert len(house.hot) == 0


async def test_ranges_and_validators_work(house: House):
    await house.put("/api/v2/symbolpackage/", make_snupkg())
    async with house.client.get(PATH, headers={"Range": "bytes=4-7"}) as answer:
        assert (206, PDB[4:8]) == (answer.status, await answer.read())
        etag = answer.headers["ETag"]

    assert (304, b"") == await house.get(PATH, headers={"If-None-Match": etag})


async def test_the_package_of_symbols_can_be_downloaded(house: House):
    status, _ = await house.get(SNUPKG)
    await house.put("/api/v2/symbolpackage/", make_snupkg())

    assert status == 404
    assert (200, make_snupkg()) == await house.get(SNUPKG)


async def test_downloads_of_symbols_are_not_downloads_of_the_package(house: House):
    await house.put("/api/v2/symbolpackage/", make_snupkg())
    await house.get(SNUPKG)
    assert house.services.hosting is not None
    await house.services.hosting.statistics.flush()

    assert 0 == await house.services.hosting.statistics.total_of("contoso.utils")


@pytest.mark.parametrize("open_to", ["mirrored", "none"])
async def test_reading_symbols_needs_the_right_to_read_hosted_packages(tmp_path: Path, open_to: str):
    async with housing(tmp_path, accounts={"anonymous_read": open_to}) as house:
        await house.put("/api/v2/symbolpackage/", make_snupkg())
        for path in (PATH, SNUPKG):
            assert (await house.get(path))[0] == 401
            assert (await house.get(path, headers={"X-NuGet-ApiKey": house.key}))[0] == 200


async def test_a_server_that_hosts_nothing_has_no_symbols(tmp_path: Path):
    config = Config.model_validate(
        {"storage": {"path": str(tmp_path)}, "mirroring": {"mode": "offline"}, "hosting": {"enabled": False}}
    )
    async with assemble(config) as services:
        client: Client = TestClient(TestServer(make_application(services)))
        try:
            await client.start_server()
            async with client.get(PATH) as answer:
                assert answer.status == 404
        finally:
            await client.close()


@pytest.mark.processes
async def test_where_processes_inspect_nothing_is_different(tmp_path: Path):
    async with housing(tmp_path) as house:
        assert await house.put("/api/v2/symbolpackage", make_snupkg()) == (201, "Created")
        assert await house.get(PATH) == (200, PDB)
        status, reason = await house.put("/api/v2/symbolpackage", make_snupkg(files={"x.exe": b"", "x.pdb": b"x"}))
        assert (status, "is not allowed in a symbols package" in reason) == (400, True)
    assert list((tmp_path / "spool").iterdir()) == []
