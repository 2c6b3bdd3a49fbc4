"""Which files of a source will be looked at, in which order.

Versions of one id come in the order in which they were published, one after the other: the events, and what "newest"
means to the rules of retention, are as they were on the old server. Symbols come after the packages.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path

from nugetproxy.errors import NugetproxyError
from nugetproxy.feeds.offers import FileKind, Offer, Unusable
from nugetproxy.hosting.moving_in.names import contradicts
from nugetproxy.hosting.moving_in.report import Outcome, Row
from nugetproxy.hosting.moving_in.selection import Selection
from nugetproxy.hosting.moving_in.source import Source
from nugetproxy.nuget.identity import PackageIdentity

Found = tuple[PackageIdentity, Offer]
Tell = Callable[[Row], None]
"""Called with every file that will not be looked at any further."""


async def gathered(source: Source, identified: Callable[[Path], Awaitable[PackageIdentity]], tell: Tell) -> list[Found]:
    """All offers whose identity is known, or can be read from their file. Raises what `Source.offers` raises."""
    found: list[Found] = []
    unnamed: list[tuple[Offer, Path]] = []

    async def read(offer: Offer, path: Path) -> None:
        try:
            package = await identified(path)
        except NugetproxyError as error:
            tell(Row(offer, None, Outcome.REFUSED, str(error), "unreadable"))
            return
        if contradicts(path.name, package):
            why = f"its name says something else, but it contains {package}"
            tell(Row(offer, package, Outcome.REFUSED, why, "another_package"))
            return
        found.append((package, offer))

    async for offer in source.offers():
        if isinstance(offer, Unusable):
            outcome = Outcome.REFUSED if offer.is_loss else Outcome.LEFT_OUT
            tell(Row(Offer(offer.place), None, outcome, offer.why, "unusable"))
        elif offer.identity is not None:
            found.append((offer.identity, offer))
        elif (path := source.local(offer)) is not None:
            unnamed.append((offer, path))
    await together(read(offer, path) for offer, path in unnamed)
    return found


def chosen_of(found: Iterable[Found], selection: Selection, tell: Tell) -> list[list[Found]]:
    """The selected offers, those of each id together and in order."""
    by_id: defaultdict[str, list[Found]] = defaultdict(list)
    for package, offer in found:
        if selection.covers(package.lower_id):
            by_id[package.lower_id].append((package, offer))
        else:
            tell(Row(offer, package, Outcome.LEFT_OUT, "its id is not selected", "not_selected"))
    chosen = []
    for _, offers in sorted(by_id.items()):
        wanted = selection.chosen(package.version for package, _ in offers)
        for package, offer in offers:
            if package.version not in wanted:
                why = f"it is not among the newest {selection.newest} versions"
                tell(Row(offer, package, Outcome.LEFT_OUT, why, "older"))
        chosen.append(sorted((each for each in offers if each[0].version in wanted), key=_order))
    return chosen


async def together(jobs: Iterable[Coroutine[None, None, None]]) -> None:
    """Run the jobs together. The first failure ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except ExceptionGroup as failures:  # the first is sufficient
        raise failures.exceptions[0] from None


def _order(each: Found) -> tuple[object, ...]:
    package, offer = each
    published = offer.history.published
    return offer.kind is FileKind.SYMBOLS, published is None, published or 0, package.version.sort_key, offer.place
