"""Whose signatures are trusted: the certificates that the feed publishes, and those that the settings name."""

from dataclasses import dataclass
from typing import Final

from nugetproxy.nuget.certificates import NO_ROOTS, TrustedRoots
from nugetproxy.nuget.signature_verification import SignatureTrust
from nugetproxy.protocol.v3.signatures import RepositorySignatures

NUGET_ORG_CERTIFICATES: Final = frozenset(
    {
        "0e5f38f57dc1bcc806d8494f4f90fbcedd988b46760709cbeec6f4219aa6157d",  # 2018 to 2021
        "5a2901d6ada3d18260b9c6dfe2133c95d74b9eef6ae0e5dc334c8454d1477df4",  # 2021 to 2024
        "1f4b311d9acc115c8dc8018b5a49e00fce6da8e2855f9f014ca6f34570bc482d",  # 2024 to 2027
    }
)
"""SHA-256 of the certificates of nuget.org's repository, for feeds that publish none: without HTTPS, they cannot."""


@dataclass(frozen=True, slots=True)
class ConfiguredTrust:
    """What the settings name: `fingerprints` of repositories besides those published, and `roots` of authors."""

    fingerprints: frozenset[str] = frozenset()
    roots: TrustedRoots = NO_ROOTS

    def joined(self, published: RepositorySignatures | None) -> SignatureTrust:
        """With what the feed publishes; None if it publishes nothing."""
        known = NUGET_ORG_CERTIFICATES if published is None else published.fingerprints
        return SignatureTrust(known | self.fingerprints, self.roots)


NOBODY: Final = ConfiguredTrust()
"""Only what the feed publishes."""
