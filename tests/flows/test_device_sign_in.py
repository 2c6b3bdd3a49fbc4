"""`nugetproxy login` against a running server, with a browser beside it."""

import asyncio
import json
import re
import stat

from click.testing import CliRunner
from lxml import etree

from nugetproxy.cli.main import main
from tests.flows.private_feed import basic
from tests.flows.test_signing_in import Browser, feed

INDEX = "/v3/flatcontainer/contoso.utils/index.json"


def posted(house, path, body, **headers):
    sent = {"Content-Type": "application/json", **headers}
    return house.send("POST", path, key="", body=json.dumps(body).encode(), headers=sent)


async def test_login_writes_a_credential_that_restores_can_use(stocked, tmp_path, monkeypatch):
    monkeypatch.setattr("nugetproxy.web.ui.device.INTERVAL", 0)
    file = tmp_path / "NuGet.Config"
    async with feed(tmp_path / "data", stocked, feed={"protected_prefixes": ["Acme."]}) as house:
        url = f"http://127.0.0.1:{house.port}/v3/index.json"
        running = asyncio.create_task(
            asyncio.to_thread(CliRunner().invoke, main, ["login", url, "--config-file", str(file), "--json"])
        )
        database = house.accounts.directory._database
        for _ in range(500):
            if rows := await database.fetch("SELECT user_code FROM device_grants"):
                break
            await asyncio.sleep(0.02)
        [(code,)] = rows
        browser = Browser(house)
        assert (await browser.get(f"/device?code={code}")).headers["location"].startswith("/sign-in?next=%2Fdevice")
        await browser.sign_in()
        page = await browser.get(f"/device?code={code}")
        assert b"asks to read packages as <strong>bob</strong>" in page.body
        [token, *_] = re.findall(r'name="token" value="(\w+)"', page.body.decode())
        for wrong in ({"code": code, "allow": "yes"}, {"code": code, "allow": "yes", "token": "x"}):
            assert (await browser.send("/device", wrong)).status == 403
        allowed = await browser.send("/device", {"token": token, "code": code, "allow": "yes"})
        assert b"Allowed." in allowed.body

        ended = await running
        assert ended.exit_code == 0, ended.output
        assert json.loads(ended.stdout) == {"username": "bob", "source": "nugetproxy", "file": str(file)}
        config = etree.parse(str(file))
        [source] = config.findall("packageSources/add")
        assert (source.get("key"), source.get("value")) == ("nugetproxy", url)
        written = config.findall("packageSourceCredentials/nugetproxy/add")
        found = {str(each.get("key")): str(each.get("value")) for each in written}
        assert found["Username"] == "bob"
        assert found["ClearTextPassword"] not in ended.output
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        own = basic("bob", found["ClearTextPassword"])
        assert (await house.get(INDEX, own)).status == 200
        pushed = await house.push("Acme.One", key=found["ClearTextPassword"])
        assert (pushed.status, "lacks the required scope" in pushed.reason) == (403, True)


async def test_what_programs_are_told(stocked, tmp_path):
    accounts = {"anonymous_read": "none", "failed_logins_per_minute": 3}
    async with feed(tmp_path, stocked, accounts=accounts) as house:
        begun = (await posted(house, "/device/code", {"label": "x"})).json
        assert begun["verification_uri"] == f"http://127.0.0.1:{house.port}/device"
        pending = await posted(house, "/device/token", {"device_code": begun["device_code"]})
        assert (pending.status, pending.json) == (400, {"error": "authorization_pending"})
        unknown = await posted(house, "/device/token", {"device_code": begun["user_code"]})
        assert (unknown.status, unknown.json) == (400, {"error": "expired_token"})
        for path, body, headers in (
            ("/device/code", {}, {}),
            ("/device/code", {"label": 7}, {}),
            ("/device/token", {"device_code": ""}, {}),
            ("/device/code", {"label": "x"}, {"Content-Type": "text/plain"}),
        ):
            assert (await posted(house, path, body, **headers)).status == 400
        assert (await posted(house, "/device/code", {"label": "x"}, Host="nuget.test")).status == 403
        browser = Browser(house)
        await browser.sign_in()
        token = await browser.token()
        guesses = [await browser.send("/device", {"token": token, "code": f"BCDFGHJ{c}"}) for c in "BCDFG"]
        assert [each.status for each in guesses] == [200, 200, 200, 429, 429]
        assert b"Nothing waits under this code" in guesses[0].body
