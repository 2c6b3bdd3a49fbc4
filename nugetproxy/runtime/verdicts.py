"""The verdicts of the policy on kept packages, for what leaves this server in another way than by requests."""

from collections.abc import Iterable

from nugetproxy.config import Config
from nugetproxy.errors import NugetproxyError
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.runtime.assembly import assemble


async def verdicts_of(config: Config, packages: Iterable[PackageIdentity]) -> dict[PackageIdentity, str]:
    """By package: "allowed", "withheld: " and the rule, or "unknown"; empty without rules. Asks no upstream.

    Raises StorageUnavailable.
    """
    if not config.policy.rule:
        return {}
    mirroring = config.mirroring.model_copy(update={"mode": "offline"})
    async with assemble(config.model_copy(update={"mirroring": mirroring}), what="export") as services:
        screening = services.screening
        assert screening is not None, "there are rules"
        verdicts = {}
        for package in packages:
            try:
                screen = await screening.of(package.id)
            except NugetproxyError:
                verdicts[package] = "unknown"
                continue
            verdict = None if screen is None else screen.verdict(package.version)
            is_withheld = verdict is not None and verdict.is_withheld
            verdicts[package] = f"withheld: {verdict.rule}" if verdict is not None and is_withheld else "allowed"
        return verdicts
