"""Pages of the V2 feed over HTTP: full, in order, and at a bounded cost."""

from dataclasses import replace

import pytest

from tests.web.catalogue import CatalogueFeed
from tests.web.feeds_read import all_pages, read, text
from tests.web.serving import serving

BASE = "/api/v2"


def many(count, **entry):
    made = CatalogueFeed()
    for number in range(count):
        # Not in the order of ids: the server must sort them.
        made.add(f"Pkg{number * 7919 % count:05}", "1.0.0", **entry)
    return made


async def test_all_versions_of_a_large_id_come_in_pages():
    large = CatalogueFeed()
    for number in range(250):
        large.add("Large", f"1.0.{number}")
    async with serving(large) as client:
        first = await read(client, f"{BASE}/FindPackagesById()?id='Large'&semVerLevel=2.0.0&$inlinecount=allpages")
        every = await all_pages(client, f"{BASE}/FindPackagesById()?id='Large'&semVerLevel=2.0.0")

    assert (len(first.entries), first.count) == (100, 250)
    assert every == [f"Large 1.0.{number}" for number in range(250)]


async def test_top_is_kept_across_pages():
    large = CatalogueFeed()
    for number in range(250):
        large.add("Large", f"1.0.{number}")
    async with serving(large) as client:
        every = await all_pages(client, f"{BASE}/FindPackagesById()?id='Large'&$top=150&$skip=10")

    assert every == [f"Large 1.0.{number}" for number in range(10, 160)]


@pytest.mark.parametrize("order", ["", "&$orderby=Id"])
async def test_a_search_is_paged_by_skip_without_short_pages(order):
    """
    The official client stops at the first page that is shorter than requested.
    """
    catalogue = many(95)
    seen: list[str] = []
    asked = f"{BASE}/Search()?$filter=IsLatestVersion{order}&searchTerm='pkg'&$top=30"
    async with serving(catalogue) as client:
        while True:
            page = await read(client, f"{asked}&$skip={len(seen)}")
            seen += page.entries
            if len(page.entries) < 30:
                break

    assert sorted(seen) == [f"Pkg{number:05} 1.0.0" for number in range(95)]
    assert not order or seen == sorted(seen)


async def test_every_page_of_a_huge_search_is_full():
    """
    Above a thousand matches the pages follow the search's order, and skipped hits are not read.
    """
    catalogue = many(1300)
    path = f"{BASE}/Search()?$filter=IsLatestVersion&$orderby=Id&searchTerm='pkg'&$inlinecount=allpages&$top=100"
    async with serving(catalogue) as client:
        pages = [await read(client, f"{path}&$skip={skip}") for skip in range(0, 1400, 100)]

    assert [len(page.entries) for page in pages] == [100] * 13 + [0]
    assert {page.count for page in pages} == {1300}
    assert len({entry for page in pages for entry in page.entries}) == 1300
    assert all(page.entries == sorted(page.entries) for page in pages)


@pytest.mark.parametrize("top", ["", "&$top=150"])
async def test_the_last_page_has_no_next_link_even_if_the_total_is_too_large(top):
    """
    Hidden hits may be counted. A short page is the last one; every page states the same count.
    """
    catalogue = many(130)
    honest = catalogue.search

    async def told_more(query):
        answer = await honest(query)
        return replace(answer, value=replace(answer.value, total=145))

    catalogue.search = told_more
    path = f"{BASE}/Search()?$filter=IsLatestVersion&searchTerm='pkg'&$inlinecount=allpages{top}"
    async with serving(catalogue) as client:
        first = await read(client, path)
        assert first.next_page is not None
        last = await read(client, first.next_page[first.next_page.index(BASE) :])

    assert (len(first.entries), len(last.entries), last.next_page) == (100, 30, None)
    assert (first.count, last.count) == (145, 145)


@pytest.mark.parametrize("order", ["", "&$orderby=Id"])
@pytest.mark.parametrize("size", [60, 1300])
async def test_a_page_that_is_too_deep_is_empty_and_counts_all(size, order):
    path = f"{BASE}/Search()?$filter=IsLatestVersion{order}&searchTerm='pkg'&$inlinecount=allpages&$skip=3001&$top=30"
    async with serving(many(size)) as client:
        page = await read(client, path)

    assert (page.entries, page.count, page.next_page) == ([], size, None)


async def test_no_next_link_leads_to_a_page_that_is_too_deep():
    async with serving(many(3300)) as client:
        page = await read(client, f"{BASE}/Search()?$filter=IsLatestVersion&searchTerm='pkg'&$skip=2950")

    assert (len(page.entries), page.next_page) == (100, None)


async def test_only_the_page_costs_registrations():
    catalogue = many(500)
    async with serving(catalogue) as client:
        await read(client, f"{BASE}/Search()?$filter=IsLatestVersion&$orderby=Id&searchTerm=''&$skip=60&$top=30")

    assert sum(method == "registration_between" for method, _ in catalogue.asked) == 30


async def test_counting_costs_no_registrations():
    catalogue = many(500)
    async with serving(catalogue) as client:
        assert await text(client, f"{BASE}/Search()/$count?$filter=IsLatestVersion&searchTerm=''") == "500"

    assert {method for method, _ in catalogue.asked} == {"search"}


async def test_a_filter_over_what_only_registrations_tell_reads_a_bounded_number():
    catalogue = many(300, published="2026-05-05T00:00:00Z")
    path = f"{BASE}/Packages()/$count?$filter=Published%20gt%20datetime'2026-01-01T00:00:00'"
    async with serving(catalogue) as client:
        assert await text(client, path) == "200"

    assert sum(method == "registration_between" for method, _ in catalogue.asked) == 200
