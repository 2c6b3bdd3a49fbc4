"""GET the page of a package, of one of its versions, and the list of all its versions."""

import math
from typing import Final

from aiohttp import web

from nugetproxy.errors import InvalidRequest, VersionNotFound
from nugetproxy.executors.threads import RENDERING
from nugetproxy.feeds.base import HOSTED
from nugetproxy.feeds.explanation import WHO
from nugetproxy.feeds.policy.sentences import how_to_allow, time_text
from nugetproxy.hosting.packages import Dependent
from nugetproxy.httpcache.outcome import OWN
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.web.requests.incoming import feed, links, package_id
from nugetproxy.web.requests.keys import SERVICES
from nugetproxy.web.requests.reading import sees_hosted
from nugetproxy.web.ui.client_setup import client_setup
from nugetproxy.web.ui.markdown import readme_html
from nugetproxy.web.ui.package_facts import (
    SHOWN_VERSIONS,
    PackageFacts,
    Versions,
    gathered,
    here_of,
    leaves_of,
    versions_of,
)
from nugetproxy.web.ui.package_view import (
    advisories_of,
    deprecation_of,
    facts_view,
    groups_of,
    published_of,
    range_text,
    version_views,
)
from nugetproxy.web.ui.pages import page
from nugetproxy.web.ui.setup import install_lines

PER_PAGE: Final = 100
_MOST_DEPENDENTS: Final = 200


async def package_page(request: web.Request) -> web.StreamResponse:
    """The version in the address, or the newest listed one."""
    package, asked = package_id(request), None
    if "version" in request.match_info:
        asked = PackageIdentity.parse(package.text, request.match_info["version"]).version
    versions = await versions_of(request, package)
    if asked is not None and asked not in versions.all:
        raise VersionNotFound(versions.package_id.text, asked.normalized)
    if not versions.visible or (asked is not None and versions.verdict(asked).is_withheld):
        return await _withheld(request, versions, asked or versions.all[-1])
    facts = await gathered(request, versions, asked)
    readme, is_whole = None, True
    if facts.readme:
        readme, is_whole = await RENDERING.run(readme_html, facts.readme)
    view, setup = facts_view(facts), client_setup(request)
    version = facts.identity.version
    newest = versions.all[: -SHOWN_VERSIONS - 1 : -1]
    return await page(
        request,
        "package.html",
        facts.provenance,
        is_hot=not facts.missing,
        id=facts.identity.id.text,
        version=version.normalized,
        full_version=version.full,
        is_prerelease=version.is_prerelease,
        is_asked=asked is not None,
        is_listed=facts.leaf.listed,
        published=published_of(facts.leaf),
        facts=view,
        origin=_origin(request, facts),
        kept=facts.here.kept.get(version.lower),
        is_pinned=version.lower in facts.here.pinned,
        is_hosted=facts.is_hosted,
        downloads=facts.here.downloads.get(version.lower, 0) if facts.is_hosted else None,
        advisories=advisories_of(facts.leaf),
        deprecation=deprecation_of(facts.leaf),
        verdict=_verdict(versions, facts.identity),
        groups=groups_of(facts.leaf),
        readme=readme,
        is_readme_whole=is_whole,
        install=install_lines(facts.identity.id.text, version.normalized, view.types, setup.index),
        setup=setup,
        has_symbols=await _has_symbols(request, facts),
        download=links(request).nupkg(facts.identity.lower_id, facts.identity.lower_version),
        rows=version_views(versions, newest, facts.leaves, facts.here, is_hosted=facts.is_hosted),
        comparable=[each.normalized for each in newest if not versions.verdict(each).is_withheld],
        version_count=len(versions.all),
        missing=facts.missing,
    )


async def used_by_page(request: web.Request) -> web.StreamResponse:
    """The hosted packages that depend on an id."""
    package, hosting = package_id(request), request.app[SERVICES].hosting
    versions = await versions_of(request, package)
    found: tuple[Dependent, ...] = ()
    if hosting is not None and sees_hosted(request):
        found = await hosting.packages.dependents(package.lower, _MOST_DEPENDENTS)
    return await page(
        request,
        "used_by.html",
        is_hot=False,
        id=versions.package_id.text,
        dependents=[(each, range_text(each.range)) for each in found],
        is_cut=len(found) == _MOST_DEPENDENTS,
    )


async def versions_page(request: web.Request) -> web.StreamResponse:
    """All versions, newest first, a hundred on each page."""
    package = package_id(request)
    versions = await versions_of(request, package)
    newest_first = versions.all[::-1]
    last = max(1, math.ceil(len(newest_first) / PER_PAGE))
    number = _page_number(request, last)
    shown = newest_first[(number - 1) * PER_PAGE : number * PER_PAGE]
    visible = sorted(version for version in shown if not versions.verdict(version).is_withheld)
    leaves: dict[NuGetVersion, Leaf] = {}
    provenance, name = OWN, versions.package_id.text
    if visible:
        answer, leaves = await leaves_of(feed(request), package, tuple(visible))
        provenance, name = answer.provenance, answer.value.package_id
    is_hosted = provenance.detail == HOSTED
    here = await here_of(request, package.lower, is_hosted=is_hosted)
    return await page(
        request,
        "versions.html",
        provenance,
        id=name,
        rows=version_views(versions, shown, leaves, here, is_hosted=is_hosted),
        is_hosted=is_hosted,
        version_count=len(versions.all),
        number=number,
        last=last,
    )


async def _withheld(request: web.Request, versions: Versions, version: NuGetVersion) -> web.StreamResponse:
    """A version that a rule withholds: which rule, until when, and who can allow it."""
    package = PackageIdentity(versions.package_id, version)
    newest = versions.all[: -SHOWN_VERSIONS - 1 : -1]
    visible = tuple(sorted(each for each in newest if not versions.verdict(each).is_withheld))
    leaves = (await leaves_of(feed(request), package.id, visible))[1] if visible else {}
    return await page(
        request,
        "withheld.html",
        is_hot=False,
        id=package.id.text,
        version=version.normalized,
        verdict=_verdict(versions, package),
        rows=version_views(
            versions, newest, leaves, await here_of(request, package.lower_id, is_hosted=False), is_hosted=False
        ),
        version_count=len(versions.all),
    )


async def _has_symbols(request: web.Request, facts: PackageFacts) -> bool:
    """Whether debuggers get the symbols of a version from here."""
    hosting = request.app[SERVICES].hosting
    if facts.is_hosted:
        return hosting is not None and await hosting.symbols.has(facts.identity)
    kept = facts.here.kept.get(facts.identity.lower_version)
    return kept is not None and kept.symbols > 0


def _page_number(request: web.Request, last: int) -> int:
    text = request.query.get("page", "1")
    if not text.isascii() or not text.isdigit() or len(text) > 6 or not 1 <= int(text) <= last:
        raise InvalidRequest(f"page must be a number from 1 to {last}")
    return int(text)


def _verdict(versions: Versions, package: PackageIdentity) -> dict[str, object] | None:
    """What the policy says of a version, None if nothing."""
    verdict = versions.verdict(package.version)
    if not verdict.is_withheld and not verdict.rule and verdict.exemption is None and not verdict.warnings:
        return None
    return {
        "is_withheld": verdict.is_withheld,
        "rule": verdict.rule,
        "why": verdict.why,
        "because": verdict.because,
        "until": time_text(verdict.until) if verdict.until is not None else "",
        "is_evaluated": verdict.is_evaluated,
        "exempted_by": verdict.exemption.by if verdict.exemption is not None else "",
        "warnings": verdict.warnings,
        "who": WHO,
        "command": how_to_allow(package),
    }


def _origin(request: web.Request, facts: PackageFacts) -> str:
    """Where the version comes from: empty if it was pushed here, else the name of the upstream."""
    if facts.is_hosted:
        return ""
    kept = facts.here.kept.get(facts.identity.lower_version)
    if kept is not None:
        return kept.upstream
    return " or ".join(each.name for each in request.app[SERVICES].config.mirroring.upstream[:3])
