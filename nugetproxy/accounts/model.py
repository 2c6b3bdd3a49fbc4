"""Users, organisations, their API keys, and who a request acts as. Values only.

All times are unix microseconds. No value contains a secret: a key is represented by its public id, a password not at
all. `permissions` decides who may do what.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.globs import EVERYTHING

SECOND: Final = 1_000_000
"""In microseconds."""
DAY: Final = 86_400 * SECOND

LONGEST_NAME: Final = 64

# nuget.org's rule for user names (nuget-protocol: accounts); a name may not end with its dot or hyphen.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+[A-Za-z0-9]")


class AccountKind(StrEnum):
    USER = "user"
    ORGANIZATION = "organization"


class Role(StrEnum):
    """A member's role in an organisation: collaborators act for it, administrators can also end others' keys for it."""

    ADMINISTRATOR = "administrator"
    COLLABORATOR = "collaborator"


class Scope(StrEnum):
    """What a key may do with the packages it covers. Every key with a scope may read; READ is for keys that may only
    read, and of hosted packages only those that they cover.
    """

    PUSH = "push"
    """New ids, and new versions of existing ones."""
    PUSH_VERSION = "push-version"
    """New versions of existing ids only."""
    UNLIST = "unlist"
    """Unlist, relist and deprecate; for administrators' keys also delete."""
    READ = "read"


@dataclass(frozen=True, slots=True)
class Account:
    """A user or an organisation; both own packages, and they share one case-insensitive name space."""

    account_id: int
    name: str
    kind: AccountKind
    is_administrator: bool
    is_disabled: bool
    created: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as stored: without its text. It acts for `owner`.

    `creator` is the member who uses it, and the key ends with that membership; None if it belongs to no particular
    member. `last_used` is written with a delay.
    """

    key_id: str
    name: str
    owner: Account
    creator: Account | None
    scopes: frozenset[Scope]
    globs: tuple[str, ...]
    created: int
    expires: int
    last_used: int | None
    revoked: int | None
    networks: tuple[str, ...] = ()
    """In CIDR notation: the client addresses that the key may be used from; empty for all."""

    @property
    def is_verification(self) -> bool:
        """Without any scope: it cannot even read, and only proves, once, that its owner may push the one id."""
        return not self.scopes

    @property
    def reads_some(self) -> bool:
        """Whether it may do nothing but read, and of hosted packages only those that its globs cover."""
        return self.scopes == {Scope.READ} and EVERYTHING not in self.globs

    @property
    def is_limited(self) -> bool:
        """Whether more must be known than the key to say what may be read with it."""
        return bool(self.networks) or self.reads_some

    def is_live(self, now: int) -> bool:
        return self.revoked is None and now < self.expires

    def days_left(self, now: int) -> int:
        """Whole days until it expires, 0 on its last; clients are warned during the last ten."""
        return max(0, (self.expires - now) // DAY)


_NO_MEMBERSHIPS: Final[Mapping[int, Role]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Actor:
    """The originator of an act, for the rules and the audit log.

    With a key, `account` is the key's owner and the key acts for that account alone. With a password it is the user,
    who also acts for the organisations in `memberships` (by account id).
    """

    name: str
    account: Account | None = None
    key: ApiKey | None = None
    is_administrator: bool = False
    memberships: Mapping[int, Role] = field(default_factory=lambda: _NO_MEMBERSHIPS)

    @property
    def is_anonymous(self) -> bool:
        return self.account is None and not self.is_administrator

    @property
    def acts_for(self) -> frozenset[int]:
        """The accounts whose packages this actor manages, by account id."""
        if self.account is None:
            return frozenset()
        return frozenset({self.account.account_id, *self.memberships})


ANONYMOUS: Final = Actor("anonymous")
COMMAND_LINE: Final = Actor("command line", is_administrator=True)


def command_line(unix_user: str) -> Actor:
    """Anyone who can write the database: may manage everything, owns nothing. `unix_user` is for the audit log."""
    return Actor(f"command line ({unix_user})", is_administrator=True)


def checked_account_name(text: str) -> str:
    """`text`, if it can be the name of a user or an organisation. Raises InvalidRequest."""
    if len(text) > LONGEST_NAME or not _NAME.fullmatch(text):
        raise InvalidRequest(
            f"a name has 3 to {LONGEST_NAME} characters of A-Z a-z 0-9 . _ - and begins and ends with a letter or digit"
        )
    return text


def now_us() -> int:
    """Now, in unix microseconds: passed to the rules as `now`."""
    return time.time_ns() // 1000
