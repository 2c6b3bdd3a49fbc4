"""The licence that a package states, and whether a list of licences permits or denies it.

Which lists there are and what follows from the answer belongs to policy rules. Packages from before 2018 have only a
`licenseUrl`; well-known addresses are read as the licence that they have always shown, every other address is unknown.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import unquote, urlsplit

from nugetproxy.nuget.licence_expression import LONGEST_EXPRESSION, AnyOf, Expression, Licence, parse_expression
from nugetproxy.nuget.licence_names import EXCEPTION_NAMES, LICENCE_NAMES

_OWN_NAME: Final = "licenseref-"
_NO_LICENCE: Final = frozenset({"none", "noassertion"})

# Families whose names end in -only or -or-later, with their versions in order. The bare name means -only.
_GNU: Final = {
    "AGPL": ("1.0", "3.0"),
    "GFDL": ("1.1", "1.2", "1.3"),
    "GPL": ("1.0", "2.0", "3.0"),
    "LGPL": ("2.0", "2.1", "3.0"),
}
# Others that have later versions, for a `+` after the name.
_VERSIONED: Final = {
    "Apache": ("1.0", "1.1", "2.0"),
    "CDDL": ("1.0", "1.1"),
    "CPL": ("1.0",),
    "ECL": ("1.0", "2.0"),
    "EPL": ("1.0", "2.0"),
    "EUPL": ("1.0", "1.1", "1.2"),
    "MPL": ("1.0", "1.1", "2.0"),
    "OSL": ("1.0", "1.1", "2.0", "2.1", "3.0"),
}
_FAMILY = re.compile(r"(?P<family>[A-Za-z]+)-(?P<version>\d\.\d)(?P<end>-only|-or-later)?(?P<plus>\+?)")

# Hosts whose path names the licence.
_NAMED_IN_PATH: Final = re.compile(
    r"(?:www\.)?(?:opensource\.org/licenses?|choosealicense\.com/licenses|spdx\.org/licenses)/"
    r"(?P<name>[a-z0-9.+-]+?)(?:-license)?(?:\.php|\.html|\.txt|\.json)?"
)
# Microsoft's terms for the .NET libraries of before 2018: known terms, though not on the SPDX list.
_DOTNET_LIBRARY: Final = "LicenseRef-Microsoft-DotNet-Library"
_NUGET_HOST: Final = "licenses.nuget.org/"
# By host and path in lower case, without scheme, `www.` and extension.
_WELL_KNOWN: Final = {
    "apache.org/licenses/license-2.0": "Apache-2.0",
    "apache.org/licenses/license-1.1": "Apache-1.1",
    "boost.org/license_1_0": "BSL-1.0",
    "creativecommons.org/licenses/by/4.0": "CC-BY-4.0",
    "creativecommons.org/licenses/by-sa/4.0": "CC-BY-SA-4.0",
    "creativecommons.org/publicdomain/zero/1.0": "CC0-1.0",
    "eclipse.org/legal/epl-2.0": "EPL-2.0",
    "eclipse.org/legal/epl-v10": "EPL-1.0",
    "eclipse.org/legal/epl-v20": "EPL-2.0",
    "gnu.org/licenses/agpl-3.0": "AGPL-3.0-only",
    "gnu.org/licenses/gpl-2.0": "GPL-2.0-only",
    "gnu.org/licenses/gpl-3.0": "GPL-3.0-only",
    "gnu.org/licenses/lgpl-2.1": "LGPL-2.1-only",
    "gnu.org/licenses/lgpl-3.0": "LGPL-3.0-only",
    "gnu.org/licenses/old-licenses/gpl-2.0": "GPL-2.0-only",
    "gnu.org/licenses/old-licenses/lgpl-2.1": "LGPL-2.1-only",
    "mit-license.org": "MIT",
    "mozilla.org/mpl/1.1": "MPL-1.1",
    "mozilla.org/mpl/2.0": "MPL-2.0",
    "opensource.org/licenses/bsd": "BSD-3-Clause",
    "opensource.org/licenses/apache2.0": "Apache-2.0",
    "sqlite.org/copyright": "blessing",
    "unlicense.org": "Unlicense",
    "wtfpl.net/about": "WTFPL",
    # Of the frameworks themselves, in packages without an expression that every restore still asks for.
    "github.com/dotnet/corefx/blob/master/license": "MIT",
    "github.com/dotnet/standard/blob/master/license": "MIT",
    "github.com/dotnet/core-setup/blob/master/license": "MIT",
    "raw.githubusercontent.com/aspnet/home/2.0.0/license": "Apache-2.0",
    "raw.githubusercontent.com/aspnet/aspnetcore/2.0.0/license": "Apache-2.0",
    "raw.github.com/jamesnk/newtonsoft.json/master/license": "MIT",
    "raw.githubusercontent.com/jamesnk/newtonsoft.json/master/license": "MIT",
    "go.microsoft.com/fwlink/?linkid=329770": _DOTNET_LIBRARY,
}
# Where nuget.org and its tools point if the licence is a file in the package.
_OF_A_FILE: Final = re.compile(r"nuget\.org/packages/[^/]+/[^/]+/license|aka\.ms/deprecatelicenseurl")
_EXTENSIONS: Final = (".txt", ".html", ".htm", ".php", ".md", "-standalone")


class Standing(StrEnum):
    """What a list of licences says about a package."""

    PERMITTED = "permitted"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StatedLicence:
    """`stated` is for people: the expression, file or address. `why_unknown` is set if there is no `expression`."""

    stated: str
    expression: Expression | None
    why_unknown: str = ""


def stated_licence(expression: str = "", file: str = "", url: str = "") -> StatedLicence:
    """From the three elements of a manifest, or the same fields of a registration; empty means absent.

    An expression counts before a file, a file before an address: the address beside them only repeats them.
    """
    if expression:
        parsed = parse_expression(expression)
        why = "" if parsed else "its licence is not a readable SPDX expression"
        return StatedLicence(_shown(expression), parsed, why)
    if file:
        return StatedLicence(_shown(file), None, f"its licence is a file of its own ({_shown(file)[:64]})")
    if not url:
        return StatedLicence("", None, "it states no licence")
    known = expression_at(url)
    if known:
        return StatedLicence(known, parse_expression(known))
    is_of_a_file = _OF_A_FILE.fullmatch(_address(url)) is not None
    return StatedLicence(
        _shown(url), None, "its licence is a file of its own" if is_of_a_file else "its licenseUrl is unknown"
    )


def _shown(text: str) -> str:
    """The text as it may be part of a message: upstreams can state anything."""
    return "".join(character if character.isprintable() else "?" for character in text[:LONGEST_EXPRESSION])


def expression_at(url: str) -> str:
    """The SPDX expression that an address stands for, empty if it is not known."""
    address = _address(url, keep_case=True)
    if address.startswith(_NUGET_HOST):
        text = unquote(address.removeprefix(_NUGET_HOST))
        return text if parse_expression(text) else ""
    address = address.lower()
    for extension in _EXTENSIONS:
        address = address.removesuffix(extension)
    if address in _WELL_KNOWN:
        return _WELL_KNOWN[address]
    named = _NAMED_IN_PATH.fullmatch(address)
    return LICENCE_NAMES.get(named["name"], "") if named else ""


def _address(url: str, *, keep_case: bool = False) -> str:
    """Host, path and query, without `www.` and a slash at the end; empty if it is not a web address."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return ""
    if parts.scheme.lower() not in ("http", "https"):
        return ""
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path.rstrip("/")
    address = f"{parts.netloc.lower().removeprefix('www.')}{path}"
    return address if keep_case else address.lower()


@dataclass(frozen=True, slots=True)
class LicenceList:
    """Licences named in a rule: SPDX names, `X WITH exception`, `LicenseRef-…`, or globs such as `GPL-*`.

    A name without WITH also covers that licence with any exception, which only adds permissions. `X-or-later` covers X
    and every later version.
    """

    entries: tuple[str, ...]
    _names: frozenset[str] = field(init=False, repr=False, compare=False)
    _globs: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = {choice.lower() for entry in self.entries if "*" not in entry for choice in _choices_of(entry)}
        object.__setattr__(self, "_names", frozenset(names))
        object.__setattr__(self, "_globs", tuple(entry.lower() for entry in self.entries if "*" in entry))

    def names(self, licence: Licence) -> bool:
        """Whether it covers one version of one licence, as `_choices` returns them."""
        forms = {licence.name.lower(), str(licence).lower()}
        return not forms.isdisjoint(self._names) or any(
            fnmatchcase(form, glob) for form in forms for glob in self._globs
        )


def wrong_entry(entry: str) -> str:
    """Why an entry cannot be in a `LicenceList`, empty if it can. A mistyped name would never match anything."""
    if "*" in entry:
        known = any(fnmatchcase(name, entry.lower()) for name in (*LICENCE_NAMES, _OWN_NAME))
        return "" if known or entry.lower().startswith(_OWN_NAME) else "no licence on the SPDX list matches it"
    licence = parse_expression(entry)
    if not isinstance(licence, Licence):
        return "expected one SPDX licence, such as 'MIT' or 'GPL-2.0-only WITH Classpath-exception-2.0'"
    if not _is_known(licence):
        return "it is not on the SPDX licence list"
    return ""


def when_denied(licence: StatedLicence, denied: LicenceList) -> Standing:
    """What a list of denied licences leaves: denied when no choice is left that avoids them.

    `A OR B` gives a choice, `A AND B` does not. Names that are not on the SPDX list are unknown unless they are denied.
    """
    return _judged(licence, lambda one: Standing.DENIED if denied.names(one) else _unlisted(one))


def when_allowed(licence: StatedLicence, allowed: LicenceList) -> Standing:
    """What a list of allowed licences permits: a choice whose licences are all on it. Everything else is denied."""
    return _judged(licence, lambda one: Standing.PERMITTED if allowed.names(one) else Standing.DENIED)


def _judged(licence: StatedLicence, judge: Callable[[Licence], Standing]) -> Standing:
    return Standing.UNKNOWN if licence.expression is None else _standing(licence.expression, judge)


def _standing(expression: Expression, judge: Callable[[Licence], Standing]) -> Standing:
    if isinstance(expression, Licence):
        if expression.name.lower() in _NO_LICENCE:
            return Standing.UNKNOWN
        return _best(judge(choice) for choice in _choices(expression))
    standings = {_standing(part, judge) for part in expression.parts}
    return _best(standings) if isinstance(expression, AnyOf) else _worst(standings)


def _best(standings: Iterable[Standing]) -> Standing:
    found = set(standings)
    return next(each for each in (Standing.PERMITTED, Standing.UNKNOWN, Standing.DENIED) if each in found)


def _worst(standings: Iterable[Standing]) -> Standing:
    found = set(standings)
    return next(each for each in (Standing.DENIED, Standing.UNKNOWN, Standing.PERMITTED) if each in found)


def _unlisted(licence: Licence) -> Standing:
    has_known_terms = not _is_own(licence) or licence.name.lower() == _DOTNET_LIBRARY.lower()
    return Standing.PERMITTED if _is_known(licence) and has_known_terms else Standing.UNKNOWN


def _is_own(licence: Licence) -> bool:
    return licence.name.lower().startswith(_OWN_NAME)


def _is_known(licence: Licence) -> bool:
    name = licence.name.lower()
    return (_is_own(licence) or name in LICENCE_NAMES or name.removesuffix("+") in LICENCE_NAMES) and (
        not licence.exception or licence.exception.lower() in EXCEPTION_NAMES
    )


def _choices_of(entry: str) -> Iterable[str]:
    licence = parse_expression(entry)
    return map(str, _choices(licence)) if isinstance(licence, Licence) else ()


def _choices(licence: Licence) -> tuple[Licence, ...]:
    """One licence for each version that it lets the recipient choose, under their current SPDX names."""
    match = _FAMILY.fullmatch(licence.name)
    if match is None:
        return (Licence(licence.name.removesuffix("+"), licence.exception),)
    family = match["family"].upper()
    gnu = _GNU.get(family)
    known = gnu or next((versions for name, versions in _VERSIONED.items() if name.upper() == family), ())
    later = match["plus"] or match["end"] == "-or-later"
    versions = known[known.index(match["version"]) :] if later and match["version"] in known else (match["version"],)
    end = "-only" if gnu else match["end"] or ""
    return tuple(Licence(f"{match['family']}-{version}{end}", licence.exception) for version in versions)
