"""The policy in the composition: its rules over the feed of the upstreams. Nothing of it exists without rules."""

from collections.abc import Collection, Sequence
from pathlib import Path

from nugetproxy import metrics
from nugetproxy.accounts.policy_exceptions import PolicyExceptions
from nugetproxy.config import PolicySettings
from nugetproxy.errors import ConfigError
from nugetproxy.executors.threads import SIGNATURES
from nugetproxy.feeds.base import Feed
from nugetproxy.feeds.policy.facts import PackageFacts
from nugetproxy.feeds.policy.inspection import inspect_package
from nugetproxy.feeds.policy.memory import PolicyMemory
from nugetproxy.feeds.policy.policy import Policy
from nugetproxy.feeds.policy.rules import rule_of
from nugetproxy.feeds.policy.trust import ConfiguredTrust
from nugetproxy.feeds.policy.verdicts import Exemption, Exemptions
from nugetproxy.feeds.screened import Screened
from nugetproxy.feeds.screening import Screening
from nugetproxy.logs import logger
from nugetproxy.mirroring.kept.view import KeptPackages
from nugetproxy.nuget.certificates import NO_ROOTS, read_roots
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.signature_verification import SignatureTrust
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.revisions import Revisions

_log = logger()


class ScreenedFeed:
    """`feed` is what clients may see of the feed below."""

    def __init__(self, feed: Screened, screening: Screening) -> None:
        self.feed = feed
        self.screening = screening


def screened(
    below: Feed,
    settings: PolicySettings,
    database: Database,
    revisions: Revisions,
    *,
    facts: Feed,
    kept: Sequence[KeptPackages],
) -> ScreenedFeed:
    """The policy over `below`. `facts` is the same feed, possibly with more advisories. Raises ConfigError."""
    exceptions = PolicyExceptions(database, revisions)

    async def exemptions(lower_id: str) -> Exemptions:
        return {
            version: Exemption(each.until / 1e6, each.because, each.by)
            for version, each in (await exceptions.of_id(lower_id)).items()
        }

    def kept_versions(package_id: PackageId) -> Collection[NuGetVersion]:
        return {version for each in kept for version in each.versions(package_id)}

    policy = Policy(
        rules=tuple(map(rule_of, settings.rule)),
        memory=PolicyMemory(database),
        revision=lambda: revisions.accounts,
        exemptions=exemptions,
        kept=kept_versions,
        inspect=_inspect,
        observer=_Observer(),
        trust=_trust(settings),
    )
    screening = Screening(facts, policy, changed=revisions.bump_packages)
    return ScreenedFeed(Screened(below, screening), screening)


async def _inspect(file: Path, trust: SignatureTrust) -> PackageFacts:
    return await SIGNATURES.run(inspect_package, file, trust)


def _trust(settings: PolicySettings) -> ConfiguredTrust:
    """Raises ConfigError."""
    roots = NO_ROOTS
    if settings.trusted_roots:
        try:
            roots = read_roots(Path(settings.trusted_roots).read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError([f"policy.trusted_roots: cannot use {settings.trusted_roots}: {error}"]) from error
    return ConfiguredTrust(frozenset(each.lower() for each in settings.repository_certificates), roots)


class _Observer:
    """Counts and logs what the policy does."""

    def refused(self, package: PackageIdentity, rule: str) -> None:
        metrics.POLICY_REFUSED.labels(rule).inc()
        _log.info("policy_refused", package=str(package), rule=rule)

    def hidden(self, rule: str, count: int) -> None:
        metrics.POLICY_HIDDEN.labels(rule).inc(count)

    def warned(self, package_id: PackageId, rule: str, count: int) -> None:
        metrics.POLICY_WARNED.labels(rule).inc(count)
        _log.info("policy_warned", package=package_id.text, rule=rule, versions=count)
