"""Manifests as the database keeps them."""

from typing import Final

import orjson

from nugetproxy.nuget.manifest import PackageManifest

# Characters. All texts and dependencies that a push may have are some 300,000.
_LARGEST: Final = 1024 * 1024
# Groups, dependencies and package types. Those that a push may have are some 8,200.
_MOST_LISTS: Final = 20_000


def written_manifest(manifest: PackageManifest) -> str:
    """The text to keep."""
    return orjson.dumps(manifest.as_dict()).decode()


def stored_manifest(text: str, package_id: str, version: str) -> PackageManifest:
    """The manifest of a kept text; a partial one if it is larger than any that we accept.

    Such manifests were pushed before there were limits. Reading hundreds of thousands of dependencies would delay other
    requests.
    """
    if len(text) > _LARGEST or text.count("[") > _MOST_LISTS:
        return PackageManifest.named(package_id, version)
    return PackageManifest.from_dict(orjson.loads(text))
