"""Signing in as a browser does it: the cookie, what forms must prove, and that a session opens nothing else."""

import re
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest

from tests.flows.private_feed import House, basic, opened_with_lane

PASSWORD = "correct horse battery"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Browser:
    """One browser at a feed: keeps the cookies it is given, and says where its forms come from."""

    def __init__(self, house: House, host: str = "", **headers: str) -> None:
        self.house = house
        self.cookies: dict[str, str] = {}
        self.host = host or f"127.0.0.1:{house.port}"
        self.headers = headers
        self.scheme = headers.get("X-Forwarded-Proto", "http")

    def _sent(self):
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**PAGE, "Host": self.host, **self.headers, **({"Cookie": cookie} if cookie else {})}

    def _keep(self, got):
        for line in got.headers.get("set-cookie", "").splitlines():
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None) if "Max-Age=0" in line else self.cookies.update({name: value})
        return got

    async def get(self, path):
        return self._keep(await self.house.get(path, self._sent()))

    async def send(self, path, fields=None, **headers):
        """A form of our own page, unless `headers` say something else."""
        own = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"{self.scheme}://{self.host}",
            "Sec-Fetch-Site": "same-origin",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        given = {name: value for name, value in {**self._sent(), **own}.items() if value}
        body = urlencode(fields or {}, doseq=True).encode()
        return self._keep(await self.house.send("POST", path, key="", body=body, headers=given))

    async def sign_in(self, name="bob", password=PASSWORD, **fields):
        return await self.send("/sign-in", {"name": name, "password": password, **fields})

    async def token(self):
        page = (await self.get("/account")).body.decode()
        found = re.search(r'name="token" value="(\w+)"', page)
        assert found is not None
        return found[1]


@asynccontextmanager
async def feed(tmp_path, upstream, **sections):
    sections.setdefault("accounts", {"anonymous_read": "none"})
    async with opened_with_lane(tmp_path, upstream, **sections) as house:
        for name in ("alice", "bob", "carol"):
            await house.accounts.directory.set_password(name, PASSWORD)
        yield house


async def test_signing_in_and_out(stocked, tmp_path):
    async with feed(tmp_path, stocked) as house:
        browser = Browser(house)
        assert (await browser.get("/account")).headers["location"] == "/sign-in?next=%2Faccount"
        assert (await browser.get("/packages")).status == 401
        form = await browser.get("/sign-in?next=/packages")
        assert (form.status, form.headers["cache-control"]) == (200, "no-store")
        assert b'name="next" value="/packages"' in form.body

        got = await browser.sign_in(next="/packages")
        assert (got.status, got.headers["location"]) == (303, "/packages")
        [cookie] = got.headers["set-cookie"].splitlines()
        assert cookie.startswith("nugetproxy-loopback=")
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert (await browser.get("/packages")).status == 200
        account = await browser.get("/account")
        assert (account.status, account.headers["cache-control"]) == (200, "no-store")
        assert b"<h1>bob</h1>" in account.body

        assert (await browser.send("/sign-out", {"token": await browser.token()})).status == 303
        assert browser.cookies == {}
        assert (await browser.get("/packages")).status == 401


async def test_over_https_the_cookie_is_bound_to_this_host(stocked, tmp_path):
    server = {"trusted_proxies": ["127.0.0.1"]}
    async with feed(tmp_path, stocked, server=server) as house:
        browser = Browser(house, "nuget.test", **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"})
        got = await browser.sign_in()
        [cookie] = got.headers["set-cookie"].splitlines()
        assert cookie.startswith("__Host-nugetproxy=")
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        page = await browser.get("/account")
        assert page.status == 200
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        # Over plain http from elsewhere there is neither a form nor a way to send one.
        plain = Browser(house, "nuget.test")
        assert b"signing in needs https" in (await plain.get("/sign-in")).body.lower()
        assert (await plain.sign_in()).status == 403
        plain.cookies = {"nugetproxy-loopback": next(iter(browser.cookies.values()))}
        assert "strict-transport-security" not in (await plain.get("/sign-in")).headers


async def test_wrong_passwords(stocked, tmp_path):
    accounts = {"anonymous_read": "none", "failed_logins_per_minute": 2}
    async with feed(tmp_path, stocked, accounts=accounts) as house:
        browser, key = Browser(house), await house.key_of("bob")
        for name, password, status in (
            ("bob", key, 403),  # a key is for programs: it must not create others
            ("bo:b", PASSWORD, 403),
            ("bob", "wrong", 403),
            ("nobody", "wrong", 403),
            ("bob", "wrong again", 403),
            ("bob", "and again", 429),
        ):
            got = await browser.sign_in(name, password)
            assert (got.status, browser.cookies, "www-authenticate" in got.headers) == (status, {}, False), name
            if status == 403:
                assert b"The user name or the password is wrong." in got.body
        assert (await browser.sign_in("carol")).status == 303


async def test_the_secret_changes_at_every_sign_in(stocked, tmp_path):
    """A secret that somebody put into the browser before is worth nothing afterwards."""
    async with feed(tmp_path, stocked) as house:
        browser, planted = Browser(house), Browser(house)
        await planted.sign_in("carol")
        browser.cookies = dict(planted.cookies)
        await browser.sign_in("bob")
        assert browser.cookies != planted.cookies
        assert (await planted.get("/packages")).status == 401
        made_up = Browser(house)
        made_up.cookies = {"nugetproxy-loopback": "x" * 43}
        await made_up.sign_in("bob")
        assert made_up.cookies["nugetproxy-loopback"] != "x" * 43


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "https://evil.test", "Sec_Fetch_Site": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "", "Sec_Fetch_Site": ""},
        {"Content_Type": "text/plain"},
    ],
)
async def test_forms_of_other_sites_change_nothing(stocked, tmp_path, headers):
    async with feed(tmp_path, stocked) as house:
        browser = Browser(house)
        await browser.sign_in()
        token = await browser.token()
        before = dict(browser.cookies)
        for path in ("/sign-out", "/account/keys"):
            assert (await browser.send(path, {"token": token, "name": "x"}, **headers)).status in (400, 403)
        assert (await Browser(house).send("/sign-in", {"name": "bob", "password": PASSWORD}, **headers)).status in (
            400,
            403,
        )
        assert browser.cookies == before
        assert (await browser.get("/packages")).status == 200


async def test_a_form_needs_the_token_of_its_session(stocked, tmp_path):
    async with feed(tmp_path, stocked) as house:
        browser, other = Browser(house), Browser(house)
        await browser.sign_in()
        await other.sign_in("carol")
        for token in ("", "x", await other.token()):
            got = await browser.send("/account/keys", {"token": token, "name": "x"})
            assert (got.status, "another session" in got.reason) == (403, True)
        assert (await Browser(house).send("/account/keys", {"name": "x"})).status == 403


async def test_a_session_is_no_key(stocked, tmp_path):
    """Programs' requests take keys and passwords: a cookie comes along with whatever a browser is made to send."""
    async with feed(tmp_path, stocked, feed={"protected_prefixes": ["Acme."]}) as house:
        browser = Browser(house)
        await browser.sign_in("alice")
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
        for method, path in (
            ("PUT", "/api/v2/package"),
            ("DELETE", "/api/v2/package/Contoso.Utils/1.0.0"),
            ("POST", "/api/v2/package/Contoso.Utils/1.0.0"),
            ("PUT", "/api/v2/package/Contoso.Utils/deprecations"),
        ):
            assert (await house.send(method, path, key="", headers=cookie)).status == 401, path
        assert (await house.get("/v3/flatcontainer/contoso.utils/index.json", cookie)).status == 200


async def test_nobody_is_led_away_after_signing_in(stocked, tmp_path):
    async with feed(tmp_path, stocked) as house:
        for after in ("https://evil.test/", "//evil.test", "/\\evil.test", "\\/evil.test", "/a\nb", "javascript:1", ""):
            got = await Browser(house).sign_in(next=after)
            assert got.headers["location"] == "/", after


async def test_keys(stocked, tmp_path):
    async with feed(tmp_path, stocked) as house:
        browser = Browser(house)
        await browser.sign_in()
        token = await browser.token()
        fields = {"token": token, "name": "ci", "scope": ["push", "read"], "globs": "Contoso.* Solo", "days": "30"}
        got = await browser.send("/account/keys", fields)
        assert (got.status, got.headers["cache-control"]) == (200, "no-store")
        [text] = re.findall(r"nugetproxy_\w{50}", got.body.decode())
        [key] = await house.accounts.directory.keys(await house.accounts.directory.account("bob"))
        assert (key.globs, key.creator.name, len(key.scopes)) == (("Contoso.*", "Solo"), "bob", 2)
        assert (await house.get("/packages", basic("x", text) | PAGE)).status == 200
        page = (await browser.get("/account")).body.decode()
        assert "Contoso.* Solo" in page
        assert text not in page

        for wrong, why in (
            ({"days": "0"}, b"1 to 3650 days"),
            ({"name": ""}, b"printable characters"),
            ({"scope": []}, b"at least one scope"),
            ({"globs": "a b/c"}, b"is not a pattern"),
            ({"networks": "x"}, b"address or network"),
            ({}, b"already has a key named"),
        ):
            got = await browser.send("/account/keys", fields | wrong)
            assert (got.status, why in got.body) == (400, True), wrong
        assert (await browser.send("/account/keys", fields | {"owner": "carol"})).status == 403

        rotated = await browser.send(f"/account/keys/{key.key_id}/rotate", {"token": token})
        assert rotated.status == 200
        assert text not in rotated.body.decode()
        assert (await browser.send(f"/account/keys/{key.key_id}/revoke", {"token": token})).status == 303
        assert (await house.get("/packages", basic("x", text) | PAGE)).status == 401

        hers = await house.new_key("carol")
        for act in ("revoke", "rotate"):
            got = await browser.send(f"/account/keys/{hers[0].key_id}/{act}", {"token": token})
            assert got.status == 404
        assert hers[0].key_id not in (await browser.get("/account")).body.decode()


async def test_signing_out_everywhere(stocked, tmp_path):
    async with feed(tmp_path, stocked) as house:
        one, two, other = Browser(house), Browser(house), Browser(house)
        for browser, name in ((one, "bob"), (two, "bob"), (other, "carol")):
            await browser.sign_in(name)
        await one.send("/sign-out", {"token": await one.token(), "everywhere": "yes"})
        assert [(await each.get("/packages")).status for each in (one, two, other)] == [401, 401, 200]
