"""Read the facts that only a package file tells. Blocking: run it in another thread."""

import re
from pathlib import Path
from typing import Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.feeds.policy.facts import PackageFacts, SignatureState
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.signature import SignatureKind, check_content, read_package_signature

_SCRIPT: Final = re.compile(
    r"tools/(?:.*/)?(?:init|install|uninstall)\.ps1|build[a-z]*/.*\.(?:targets|props)", re.DOTALL
)


def inspect_package(file: Path) -> PackageFacts:
    """Raises InvalidPackage, OSError."""
    with file.open("rb") as opened:
        names = frozenset(
            entry.name for entry in Nupkg(opened).entries if _SCRIPT.fullmatch(entry.name.lower().replace("\\", "/"))
        )
        try:
            signature = read_package_signature(opened)
            check_content(opened)
        except InvalidPackage as error:
            return PackageFacts(SignatureState.INVALID, f"has an invalid signature: {error}", scripts=names)
    if signature is None:
        return PackageFacts(SignatureState.UNSIGNED, "is not signed", scripts=names)
    is_author = signature.kind is SignatureKind.AUTHOR
    state = SignatureState.AUTHOR if is_author else SignatureState.REPOSITORY
    return PackageFacts(state, owners=signature.owners, scripts=names)
