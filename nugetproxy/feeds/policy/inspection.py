"""Read the facts that only a package file tells. Blocking: run it in another thread."""

import time
from pathlib import Path

from nugetproxy.errors import InvalidPackage
from nugetproxy.feeds.policy.facts import PackageFacts, SignatureState
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.package_traits import INSTALL_TRAITS, traits_of
from nugetproxy.nuget.signature_verification import SignatureTrust, verify_package


def inspect_package(file: Path, trust: SignatureTrust) -> PackageFacts:
    """Raises InvalidPackage, OSError."""
    with file.open("rb") as opened:
        found = traits_of(entry.name for entry in Nupkg(opened).entries)
        scripts = frozenset(trait.value for trait in found & INSTALL_TRAITS)
        try:
            signature = verify_package(opened, trust, time.time())
        except InvalidPackage as error:
            return PackageFacts(SignatureState.INVALID, f"has an invalid signature: {error}", scripts=scripts)
    if signature is None:
        return PackageFacts(SignatureState.UNSIGNED, "is not signed", scripts=scripts)
    if signature.repository is not None and signature.repository.is_trusted:
        return PackageFacts(SignatureState.REPOSITORY, owners=signature.owners, scripts=scripts)
    if signature.author is not None and signature.author.is_trusted:
        return PackageFacts(SignatureState.AUTHOR, scripts=scripts)
    signers = (signature.repository, signature.author)
    why = "; ".join(signer.distrust for signer in signers if signer is not None)
    # The owners in a signature are worth as much as whoever signed.
    return PackageFacts(SignatureState.UNTRUSTED, f"has no trusted signature: {why}", scripts=scripts)
