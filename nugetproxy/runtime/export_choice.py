"""What sources need, of what is kept: the choice of an export, made as an offline restore would make it."""

from nugetproxy.config import Config
from nugetproxy.errors import DamagedContent
from nugetproxy.mirroring.bundle.head import Holds
from nugetproxy.mirroring.prewarm.files import PackageFiles
from nugetproxy.mirroring.prewarm.lookup import FeedLookup
from nugetproxy.mirroring.prewarm.patience import Patience
from nugetproxy.mirroring.prewarm.plan import Extras, planned
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.projects.sources import Sources
from nugetproxy.runtime.assembly import assemble
from nugetproxy.runtime.exporting import Choice

REMEDY = "nothing was exported: fetch what is missing with `nugetproxy prewarm`"


async def choose(config: Config, sources: Sources, extras: Extras, names: tuple[str, ...]) -> Choice:
    """The packages that these sources, called `names`, need. Sends nothing to an upstream.

    Raises DamagedContent naming what is missing, StorageUnavailable.
    """
    mirroring = config.mirroring.model_copy(update={"mode": "offline"})
    hosted: set[PackageIdentity] = set()
    async with assemble(config.model_copy(update={"mirroring": mirroring}), what="export") as services:
        patience = Patience()
        lookup = FeedLookup(services.feed, PackageFiles(services.feed, patience), patience)
        plan = await planned(sources, lookup, extras)
        if services.hosting is not None:
            known = await services.hosting.packages.known_among({package.lower_id for package in plan.wishes})
            hosted = {package for package in plan.wishes if package.lower_id in known}
    missing = [f"{each.id} {each.range}: {each.why} (wanted by {' > '.join(each.by)})" for each in plan.missing]
    missing += [f"{lower_id}: {error}" for lower_id, error in sorted(lookup.failures.items())]
    if missing:
        raise DamagedContent(missing, REMEDY)
    return Choice(Holds("sources", names), frozenset(plan.wishes) - hosted, frozenset(hosted))
