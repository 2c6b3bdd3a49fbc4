"""Ids under protected prefixes are never sent upstream, however a client names them."""

from typing import Any

import pytest

from nugetproxy.accounts.reservations import ProtectedPrefixes
from nugetproxy.errors import PackageNotFound, StorageUnavailable
from nugetproxy.feeds.base import Part
from nugetproxy.feeds.overlay import Overlay
from nugetproxy.feeds.protected import Protected
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from tests.feeds.scripted import ScriptedFeed

SECRET = PackageId.parse("CONTOSO.Secret")
VERSION = NuGetVersion.parse("99.0.0")


class Guarded:
    """A protected feed with an upstream that offers a look-alike."""

    def __init__(self, packages: dict[str, list[str]] | None = None) -> None:
        self.upstream = ScriptedFeed(
            "upstream", packages or {"Serilog": ["4.0.0"], "Contoso.Secret": ["99.0.0"], "Contosor": ["1.0.0"]}
        )
        self.attempts: list[str] = []
        self.appearances: list[str] = []

        async def prefixes() -> ProtectedPrefixes:
            return ProtectedPrefixes(frozenset({"contoso."}), frozenset({"fabrikam.core"}))

        self.feed = Protected(prefixes, self.upstream, self.attempts.append, self.appearances.append)


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


@pytest.mark.parametrize(
    "ask",
    [
        lambda feed: feed.versions(SECRET),
        lambda feed: feed.registration(SECRET),
        lambda feed: feed.registration_between(SECRET, VERSION, VERSION),
        lambda feed: feed.complete_registration(SECRET),
        lambda feed: feed.leaf(PackageIdentity(SECRET, VERSION)),
        lambda feed: feed.catalog_entry(PackageIdentity(SECRET, VERSION)),
        *(lambda feed, part=part: feed.content(PackageIdentity(SECRET, VERSION), part) for part in Part),
    ],
)
async def test_a_protected_id_is_never_requested(guarded: Guarded, ask: Any) -> None:
    with pytest.raises(PackageNotFound, match="protected"):
        await ask(guarded.feed)
    assert guarded.upstream.asked == []
    assert guarded.attempts == ["contoso.secret"]


async def test_an_exact_id_protects_no_other_id(guarded: Guarded) -> None:
    with pytest.raises(PackageNotFound, match="protected"):
        await guarded.feed.versions(PackageId.parse("Fabrikam.Core"))
    with pytest.raises(PackageNotFound, match=r"does not exist here$"):
        await guarded.feed.versions(PackageId.parse("Fabrikam.Core.More"))


async def test_an_id_in_full_width_letters_is_protected_too(guarded: Guarded) -> None:
    with pytest.raises(PackageNotFound, match="protected"):
        await guarded.feed.versions(PackageId.parse("\uff23ontoso.Secret"))
    assert guarded.upstream.asked == []


async def test_a_look_alike_in_full_width_letters_is_dropped() -> None:
    guarded = Guarded({"\uff23ontoso.Secret": ["99.0.0"], "Serilog": ["4.0.0"]})
    assert [hit.id for hit in (await guarded.feed.search(SearchQuery())).value.hits] == ["Serilog"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda feed: feed.versions(SECRET),
        lambda feed: feed.search(SearchQuery(text="x")),
        lambda feed: feed.complete(CompletionQuery(text="x")),
        lambda feed: feed.complete(CompletionQuery(package_id="contoso.secret")),
    ],
)
async def test_nothing_is_requested_while_the_protected_ids_are_unknown(ask: Any) -> None:
    async def unknown() -> Any:
        raise StorageUnavailable("the database is gone")

    upstream = ScriptedFeed("upstream", {"Contoso.Secret": ["99.0.0"]})
    with pytest.raises(StorageUnavailable):
        await ask(Protected(unknown, upstream, lambda _: None, lambda _: None))
    assert upstream.asked == []


async def test_other_ids_pass(guarded: Guarded) -> None:
    assert (await guarded.feed.versions(PackageId.parse("Contosor"))).value == (NuGetVersion.parse("1.0.0"),)
    assert guarded.attempts == []


NAMING = [
    "contoso",
    "Contoso.",
    "CONTOSO",
    "contoso.s",
    "Contoso.Secret",
    "log contoso.secret",
    '"Contoso.Secret"',
    '"the contoso thing"',
    "packageid:Contoso.Secret",
    "PackageId:contoso.secret",
    'id:"contoso.secret"',
    "id:contoso",
    "tags:contoso",
    "unknown:contoso.x",
    "-contoso.secret",
    "(contoso.secret)",
    "contoso.secret*",
    "a,contoso.secret;b",
    "contoso-secret",
    "Fabrikam.Core",
    "fabrikam core",
    "the core of Fabrikam",
    "id:FabrikamCore",
    "\uff23ontoso.Secret",
]


@pytest.mark.parametrize("text", NAMING)
async def test_a_text_with_a_protected_id_is_not_searched_below(guarded: Guarded, text: str) -> None:
    page = (await guarded.feed.search(SearchQuery(text=text))).value
    assert (page.total, page.hits, guarded.upstream.asked) == (0, (), [])
    assert guarded.attempts == [text]


@pytest.mark.parametrize("text", NAMING)
async def test_a_text_with_a_protected_id_is_not_completed_below(guarded: Guarded, text: str) -> None:
    page = (await guarded.feed.complete(CompletionQuery(text=text))).value
    assert (page.total, page.values, guarded.upstream.asked) == (0, (), [])


@pytest.mark.parametrize("text", ["conto", "contosor", "secret", "", "xcontoso", "my.contosoft"])
async def test_other_texts_are_searched_and_look_alikes_dropped(guarded: Guarded, text: str) -> None:
    found = (await guarded.feed.search(SearchQuery(text=text))).value
    completed = (await guarded.feed.complete(CompletionQuery(text=text))).value
    assert len(guarded.upstream.asked) == 2
    assert "Contoso.Secret" not in [hit.id for hit in found.hits] + list(completed.values)
    assert (found.total, completed.total) == (len(found.hits), len(completed.values))


async def test_a_look_alike_that_appears_is_reported(guarded: Guarded) -> None:
    await guarded.feed.search(SearchQuery(text="secret"))
    assert (guarded.appearances, guarded.attempts) == (["contoso.secret"], [])


async def test_versions_of_a_protected_id_are_not_completed_below(guarded: Guarded) -> None:
    page = (await guarded.feed.complete(CompletionQuery(package_id="contoso.secret"))).value
    assert (page.values, guarded.upstream.asked) == ((), [])


async def test_a_package_type_must_not_contain_a_protected_name(guarded: Guarded) -> None:
    await guarded.feed.search(SearchQuery(text="x", package_type="Contoso.Secret"))
    assert guarded.upstream.asked == []


@pytest.mark.parametrize("take", [1, 2, 3, 10])
async def test_pages_have_no_gaps_after_dropping_look_alikes(take: int) -> None:
    packages = {name: ["1.0.0"] for n in range(20) for name in (f"Public.{n:02}", f"Contoso.{n:02}")}
    guarded = Guarded(packages)
    found: list[str] = []
    for skip in range(0, 20, take):
        page = (await guarded.feed.search(SearchQuery(skip=skip, take=take))).value
        found += [hit.id for hit in page.hits]
    assert found == [f"Public.{n:02}" for n in range(20)]


async def test_one_request_is_enough_if_nothing_is_dropped(guarded: Guarded) -> None:
    await guarded.feed.search(SearchQuery(text="serilog", take=20))
    assert [(query.skip, query.take) for _, query in guarded.upstream.asked] == [(0, 30)]


async def test_advisories_about_look_alikes_are_dropped(guarded: Guarded) -> None:
    guarded.upstream.advisories = {"contoso.secret": [{"severity": 3}], "serilog": [{"severity": 1}]}
    pages = (await guarded.feed.vulnerabilities()).value.pages
    assert [list(page.body) for page in pages] == [["serilog"]]


async def test_trust_data_and_offered_resources_pass(guarded: Guarded) -> None:
    assert (await guarded.feed.signatures()).value.all_repository_signed
    assert (await guarded.feed.offered()).vulnerabilities


async def test_merging_does_not_open_a_protected_id() -> None:
    """
    A protected id that is configured as merged has only its hosted versions.
    """
    guarded = Guarded()
    hosted = ScriptedFeed("hosted", {"Contoso.Secret": ["1.0.0"]})
    overlay = Overlay(hosted, guarded.feed, lambda _: True)
    assert (await overlay.versions(SECRET)).value == (NuGetVersion.parse("1.0.0"),)
    for text in ("", "contoso.secret"):
        hits = (await overlay.search(SearchQuery(text=text))).value.hits
        assert [row["version"] for row in hits[0].raw["versions"]] == ["1.0.0"]
    assert [name for name, _ in guarded.upstream.asked if name != "search"] == []
    assert all("contoso" not in query.text for _, query in guarded.upstream.asked)


ALTERNATE = {"reasons": ["Legacy"], "alternatePackage": {"id": "Contoso.Secret", "range": "*"}}
SERILOG = PackageId.parse("Serilog")
NEWEST = NuGetVersion.parse("4.0.0")


async def entries_of(feed: Protected) -> list[dict[str, Any]]:
    """The metadata of Serilog, from every method."""
    package = PackageIdentity(SERILOG, NEWEST)
    registrations = [
        await feed.registration(SERILOG),
        await feed.registration_between(SERILOG, NEWEST, NEWEST),
        await feed.complete_registration(SERILOG),
    ]
    leaves = [leaf for answer in registrations for leaf in answer.value.leaves]
    catalog = (await feed.catalog_entry(package)).value
    leaves += [(await feed.leaf(package)).value, catalog.leaf]
    hits = (await feed.search(SearchQuery("ser"))).value.hits
    return [*(leaf.entry for leaf in leaves), catalog.document or {}, *(hit.raw for hit in hits)]


@pytest.mark.parametrize("title", ["Contoso.Secret", "CONTOSO.SECRET", "C\u043entoso.Secret", "Fabrikam.Core"])
async def test_no_other_package_has_our_name_as_title(guarded: Guarded, title: str) -> None:
    """
    Clients show the title in place of the id.
    """
    guarded.upstream.more = guarded.upstream.said = {"title": title, "description": "d"}

    entries = await entries_of(guarded.feed)

    assert len(entries) == 7
    assert [(entry["id"], entry.get("title"), entry["description"]) for entry in entries] == [
        ("Serilog", None, "d")
    ] * 7
    assert set(guarded.appearances) == {lower_invariant(title)}


async def test_no_other_package_names_ours_as_its_replacement(guarded: Guarded) -> None:
    guarded.upstream.more = guarded.upstream.said = {"title": "Serilog", "deprecation": ALTERNATE}

    entries = await entries_of(guarded.feed)

    assert [(entry["title"], entry["deprecation"]) for entry in entries] == [("Serilog", {"reasons": ["Legacy"]})] * 7


async def test_another_package_may_depend_on_ours(guarded: Guarded) -> None:
    """
    A dependency names a package that the author uses; ours is then restored from us.
    """
    groups = [{"dependencies": [{"id": "Contoso.Secret", "range": "[1.0.0, )"}]}]
    guarded.upstream.more = guarded.upstream.said = {"title": "Contoso", "dependencyGroups": groups}

    assert all(
        (entry["title"], entry["dependencyGroups"]) == ("Contoso", groups) for entry in await entries_of(guarded.feed)
    )
