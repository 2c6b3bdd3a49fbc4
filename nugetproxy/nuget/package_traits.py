"""Traits: which parts of a package run on the machine of whoever installs or builds with it.

Only the names of the files are looked at. Source: docs/create-packages/creating-a-package ("conventions"), and
docs/concepts/MSBuild-props-and-targets.
"""

import posixpath
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final
from urllib.parse import unquote


class Trait(StrEnum):
    """One kind of such files; the value is the pattern that people know it by."""

    INIT_SCRIPT = "tools/init.ps1"
    INSTALL_SCRIPT = "tools/install.ps1"
    UNINSTALL_SCRIPT = "tools/uninstall.ps1"
    OTHER_SCRIPT = "tools/*.ps1"
    """Run by other tools that install packages, not by NuGet."""
    BUILD_TARGETS = "build/*.targets"
    BUILD_PROPS = "build/*.props"
    TRANSITIVE_TARGETS = "buildTransitive/*.targets"
    TRANSITIVE_PROPS = "buildTransitive/*.props"
    MULTI_TARGETING_TARGETS = "buildMultiTargeting/*.targets"
    MULTI_TARGETING_PROPS = "buildMultiTargeting/*.props"
    TASKS = "tasks/*.dll"
    """Assemblies with MSBuild tasks, where they usually are; targets load them."""
    ANALYZERS = "analyzers/*.dll"
    """Loaded into the compiler and the editor."""


INSTALL_TRAITS: Final = frozenset(Trait) - {Trait.ANALYZERS}
"""Those that a rule about install scripts is about. Analyzers are left out: far too many packages have them."""

_SCRIPTS: Final = {
    "init": Trait.INIT_SCRIPT,
    "install": Trait.INSTALL_SCRIPT,
    "uninstall": Trait.UNINSTALL_SCRIPT,
}
_BUILD: Final = {
    ("build", "targets"): Trait.BUILD_TARGETS,
    ("build", "props"): Trait.BUILD_PROPS,
    ("buildtransitive", "targets"): Trait.TRANSITIVE_TARGETS,
    ("buildtransitive", "props"): Trait.TRANSITIVE_PROPS,
    ("buildmultitargeting", "targets"): Trait.MULTI_TARGETING_TARGETS,
    ("buildmultitargeting", "props"): Trait.MULTI_TARGETING_PROPS,
    # The name of that folder before NuGet 5.
    ("buildcrosstargeting", "targets"): Trait.MULTI_TARGETING_TARGETS,
    ("buildcrosstargeting", "props"): Trait.MULTI_TARGETING_PROPS,
}
_NAME: Final = re.compile(
    r"(?P<folder>[a-z]+)/(?:.*/)?(?P<stem>[^/]*)\.(?P<extension>ps1|targets|props|dll)", re.DOTALL
)


def traits_of(names: Iterable[str]) -> frozenset[Trait]:
    """The traits of a package with entries of these names, in any case, with either slash, plain or percent-encoded."""
    found = set()
    for name in names:
        match = _NAME.fullmatch(_plain(name))
        trait = _trait(match["folder"], match["stem"], match["extension"]) if match else None
        if trait is not None:
            found.add(trait)
    return frozenset(found)


def _trait(folder: str, stem: str, extension: str) -> Trait | None:
    if folder == "tools" and extension == "ps1":
        return _SCRIPTS.get(stem, Trait.OTHER_SCRIPT)
    if extension == "dll":
        return {"tasks": Trait.TASKS, "analyzers": Trait.ANALYZERS}.get(folder)
    return _BUILD.get((folder, extension))


def _plain(name: str) -> str:
    path = unquote(name).replace("\\", "/").lower()
    # Windows ignores dots and spaces at the end of a name.
    return posixpath.normpath(path.rstrip(". ")).lstrip("/")
