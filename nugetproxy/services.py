"""Services: the parts a request handler may use, by name.

Assembled once per process; it sits below `web`, so that no handler knows which concrete parts are in use.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nugetproxy.config import Config
from nugetproxy.feeds.base import Feed


@dataclass(frozen=True)
class Services:
    """What one running process offers its handlers.

    `ready` answers whether requests can be served now, and why not; it never raises. `started` is when this process
    was assembled, in seconds since the epoch. `name` is the product's, with its version behind a slash.
    """

    config: Config
    feed: Feed
    ready: Callable[[], Awaitable[tuple[bool, str]]]
    started: float
    name: str
