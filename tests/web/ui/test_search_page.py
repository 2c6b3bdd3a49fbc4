"""The search for people: the API's search, with its filters as a form."""

from tests.fakes.feed import FakeFeed
from tests.flows.private_feed import opened
from tests.web.serving import serving


async def test_what_is_typed_is_what_the_feed_is_asked():
    feed = FakeFeed()
    asked = "/packages?q=tags%3Ajson+%3Cb%3E&type=Template&prerelease=true&page=3"
    async with serving(feed) as client, client.get(asked) as answer:
        text = await answer.text()
    [(_, query)] = [each for each in feed.asked if each[0] == "search"]

    assert (query.text, query.skip, query.package_type, query.prerelease) == ("tags:json <b>", 40, "Template", True)
    assert "tags:json &lt;b&gt;" in text
    assert 'href="/packages/Contoso.Utils"' in text


async def test_hosted_packages_can_be_chosen_and_sorted(tmp_path, upstream):
    upstream.add_package("Other.Public", "1.0.0")
    async with opened(tmp_path, upstream) as house:
        for name in ("Contoso.B", "Contoso.A"):
            assert (await house.push(name)).status == 201

        both, ours, theirs = [(await house.get(f"/packages?q={more}")).body.decode() for more in (
            "", "&source=hosted&sort=name", "&source=mirrored",
        )]  # fmt: skip
        home = (await house.get("/", {"Accept": "text/html"})).body.decode()

    assert ("Contoso.A" in both, "Other.Public" in both) == (True, True)
    assert ("Other.Public" in ours, ours.index(">Contoso.A<") < ours.index(">Contoso.B<")) == (False, True)
    assert ("Contoso.A" in theirs, "Other.Public" in theirs) == (False, True)
    assert home.index(">Contoso.A<") < home.index(">Contoso.B<")


async def test_readers_who_may_not_see_hosted_packages_see_none(tmp_path, upstream):
    """
    Neither in the search nor among recent pushes, and a link to hosted ones alone shows what is mirrored.
    """
    upstream.add_package("Other.Public", "1.0.0")
    async with opened(tmp_path, upstream, accounts={"anonymous_read": "mirrored"}) as house:
        assert (await house.push("Contoso.Secret")).status == 201
        for path in ("/", "/packages", "/packages?source=hosted", "/packages?q=contoso.secret"):
            got = await house.get(path, {"Accept": "text/html"})
            assert (got.status, b"Contoso.Secret<" in got.body) == (200, False)


async def test_where_nothing_may_be_read_the_search_asks_who_reads(tmp_path, upstream):
    async with opened(tmp_path, upstream, accounts={"anonymous_read": "none"}) as house:
        got = await house.get("/packages", {"Accept": "text/html"})
        assert (got.status, got.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert b"data-suggest" not in (await house.get("/", {"Accept": "text/html"})).body
