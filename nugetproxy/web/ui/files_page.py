"""GET the files inside a package, and the comparison of two versions."""

import asyncio
from typing import Final

from aiohttp import web

from nugetproxy.errors import DocumentNotFound, InvalidPackage, InvalidRequest, StorageUnavailable
from nugetproxy.executors.threads import PACKAGES
from nugetproxy.feeds.base import LocalFile, Part, SmallContent
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.web.requests.incoming import feed, identity, package_id
from nugetproxy.web.ui.comparing import (
    changed_assemblies,
    compared_dependencies,
    compared_files,
    compared_names,
)
from nugetproxy.web.ui.package_files import listed, names_in, shown_file, stated_signature, tree_of
from nugetproxy.web.ui.pages import page

# A package that is not here yet is downloaded first: then the second attempt finds its file.
_ATTEMPTS: Final = 2
_LONGEST_PATH: Final = 1_000
# One comparison at a time: others need the threads and the interpreter, too.
_COMPARING: Final = asyncio.Lock()


async def files_page(request: web.Request) -> web.StreamResponse:
    """The tree of files, or with `path` one of them, or with `folder` a part of the tree."""
    package = identity(request)
    file, provenance = await _package_file(request, package)
    leaf = (await feed(request).leaf(package)).value
    shared = {"id": leaf.package_id, "version": package.version.normalized}
    path, folder = request.query.get("path", ""), request.query.get("folder", "")
    if len(path) > _LONGEST_PATH or len(folder) > _LONGEST_PATH:
        raise InvalidRequest(f"the name of a file has at most {_LONGEST_PATH} characters here")
    try:
        if path:
            shown = await PACKAGES.run(shown_file, file, path)
            if shown is None:
                raise DocumentNotFound(f"{package} has no file of this name")
            return await page(request, "file.html", provenance, is_hot=False, file=shown, **shared)
        tree = tree_of(await PACKAGES.run(listed, file), folder)
        signature = await PACKAGES.run(stated_signature, file)
    except (InvalidPackage, OSError) as error:
        raise StorageUnavailable(f"the files of {package} cannot be read: {error}") from error
    if tree is None:
        raise DocumentNotFound(f"{package} has no folder of this name")
    return await page(
        request, "files.html", provenance, is_hot=not folder, tree=tree, folder=folder, signature=signature, **shared
    )


async def compare_page(request: web.Request) -> web.StreamResponse:
    """What differs between the versions `from` and `to`."""
    package = package_id(request)
    texts = request.query.get("from", ""), request.query.get("to", "")
    if not all(texts):
        raise InvalidRequest("name two versions to compare: ?from=1.0.0&to=2.0.0")
    before, after = (PackageIdentity.parse(package.text, text) for text in texts)
    leaves: list[Leaf] = []
    found = []
    for each in (before, after):
        leaves.append((await feed(request).leaf(each)).value)
        file, provenance = await _package_file(request, each)
        try:
            found.append((file, await PACKAGES.run(listed, file), provenance))
        except (InvalidPackage, OSError) as error:
            raise StorageUnavailable(f"the files of {each} cannot be read: {error}") from error
    (old_file, old, first), (new_file, new, second) = found
    files = compared_files(old, new)
    paths = changed_assemblies(files)
    async with _COMPARING:
        names = [await PACKAGES.run(names_in, each, paths) if paths else {} for each in (old_file, new_file)]
    return await page(
        request,
        "compare.html",
        first.joined(second),
        is_hot=False,
        id=leaves[1].package_id,
        before=before.version.normalized,
        after=after.version.normalized,
        sizes=(old_file.size, new_file.size),
        dependencies=compared_dependencies(*leaves),
        files=files,
        names=compared_names(*names),
    )


async def _package_file(request: web.Request, package: PackageIdentity) -> tuple[LocalFile, Provenance]:
    """The package as a file of this machine. It is no download for statistics.

    Raises as `Feed.content`.
    """
    asked = feed(request)
    for _ in range(_ATTEMPTS):
        answer = await asked.content(package, Part.NUPKG)
        content = answer.value
        if isinstance(content, LocalFile):
            return content, answer.provenance
        if not isinstance(content, SmallContent):
            async for _block in content.chunks(max(0, (content.size or 1) - 1)):
                pass  # the last byte is handed out when all of it has arrived and was checked
    raise StorageUnavailable(f"there is no room here for {package}, so its files cannot be shown")
