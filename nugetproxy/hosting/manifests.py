"""Manifests as stored in the database."""

from typing import Final

import orjson

from nugetproxy.nuget.manifest import PackageManifest

# Characters. All texts and dependencies that a push may contain are about 300,000.
_LARGEST: Final = 1024 * 1024
# Groups, dependencies and package types. A push may contain about 8,200.
_MOST_LISTS: Final = 20_000


def written_manifest(manifest: PackageManifest) -> str:
    """The text to store."""
    return orjson.dumps(manifest.as_dict()).decode()


def stored_manifest(text: str, package_id: str, version: str) -> PackageManifest:
    """The manifest of a stored text; a partial one if it is larger than any that we accept.

    Such manifests were pushed before there were limits. Reading hundreds of thousands of dependencies would delay other
    requests.
    """
    if len(text) > _LARGEST or text.count("[") > _MOST_LISTS:
        return PackageManifest.named(package_id, version)
    return PackageManifest.from_dict(orjson.loads(text))
