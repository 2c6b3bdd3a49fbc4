"""What of a source is taken over, and for whom: globs of ids, the newest versions, the owner of each id. Pure."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from nugetproxy.accounts.model import checked_account_name
from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.archive import shown
from nugetproxy.nuget.globs import any_glob_matches, checked_glob, glob_matches
from nugetproxy.nuget.version import NuGetVersion

_MOST_TOLD: Final = 10


@dataclass(frozen=True, slots=True)
class Selection:
    """`include` and `exclude` are globs of ids; without `include` every id is included. `newest` versions of each id,
    all if None.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    newest: int | None = None

    def covers(self, lower_id: str) -> bool:
        if self.include and not any_glob_matches(self.include, lower_id):
            return False
        return not any_glob_matches(self.exclude, lower_id)

    def chosen(self, versions: Iterable[NuGetVersion]) -> frozenset[NuGetVersion]:
        """Those of the versions of one id that are wanted."""
        distinct = set(versions)
        if self.newest is None:
            return frozenset(distinct)
        return frozenset(sorted(distinct, reverse=True)[: self.newest])

    @property
    def named_ids(self) -> tuple[str, ...]:
        """The ids that `include` spells out: a source is asked for them even if its search does not find them."""
        return tuple(each for each in self.include if "*" not in each)


def selection_of(include: Iterable[str], exclude: Iterable[str], newest: int | None) -> Selection:
    """Raises InvalidRequest for what cannot match an id."""
    return Selection(tuple(map(checked_glob, include)), tuple(map(checked_glob, exclude)), newest)


@dataclass(frozen=True, slots=True)
class OwnerNames:
    """The name of the account that gets an id. `by_glob`: an exact id beats a glob, a longer glob a shorter one."""

    by_glob: Mapping[str, str]
    otherwise: str = ""

    def find(self, lower_id: str) -> str | None:
        matching = [glob for glob in self.by_glob if glob_matches(glob, lower_id)]
        if matching:
            return self.by_glob[max(matching, key=_specificity)]
        return self.otherwise or None

    @property
    def names(self) -> tuple[str, ...]:
        """All accounts that are named, each once."""
        return tuple(dict.fromkeys((*self.by_glob.values(), *((self.otherwise,) if self.otherwise else ()))))


def read_owner_names(text: str, otherwise: str = "") -> OwnerNames:
    """A TOML file of lines `"Contoso.*" = "contoso"`. Raises InvalidRequest with what is wrong."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidRequest(f"not TOML: {error}") from error
    problems: list[str] = []
    by_glob: dict[str, str] = {}
    for glob, name in table.items():
        if not isinstance(name, str):
            hint = "; put a pattern with dots in quotes" if isinstance(name, dict) else ""
            problems.append(f"the value of {shown(glob)} is not the name of an account{hint}")
            continue
        try:
            by_glob[checked_glob(glob)] = checked_account_name(name)
        except InvalidRequest as error:
            problems.append(f"{shown(glob)}: {error}")
    if problems:
        raise InvalidRequest("; ".join(problems[:_MOST_TOLD]))
    return OwnerNames(by_glob, otherwise)


def _specificity(glob: str) -> tuple[bool, int]:
    return "*" not in glob, len(glob)
