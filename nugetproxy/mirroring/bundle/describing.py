"""What a bundle says of a package beyond the file itself: what its upstream stated, and the verdict of the policy."""

from collections.abc import Mapping

from nugetproxy.mirroring.bundle.kept_documents import KeptDocuments
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.v3.registration import Leaf


class Descriptions:
    """Describes packages as `kept_packages.Describe`, best one id after another: it remembers the last registration."""

    def __init__(self, documents: KeptDocuments, verdicts: Mapping[PackageIdentity, str]) -> None:
        self._documents = documents
        self._verdicts = verdicts
        self._last = ("", "")
        self._leaves: dict[str, Leaf] = {}

    def of(self, upstream: str, package: PackageIdentity) -> tuple[str, bool | None, str]:
        if self._last != (upstream, package.lower_id):
            self._leaves = self._documents.leaves(upstream, package.id)
            self._last = upstream, package.lower_id
        verdict = self._verdicts.get(package, "")
        leaf = self._leaves.get(package.lower_version)
        if leaf is None:
            return "", None, verdict
        published = leaf.entry.get("published")
        return published if isinstance(published, str) else "", leaf.listed, verdict
