"""Logs once per start whether the upstreams can be used at all.

Otherwise a wrong URL, an outgoing proxy that is down or refused credentials would show only when clients fail.
Nothing waits for this: a server whose upstream is down serves stored content.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nugetproxy.config import Config, UpstreamSettings
from nugetproxy.logs import logger
from nugetproxy.mirroring.upstream.first_contact import first_contact
from nugetproxy.storage.leases import Leases

_log = logger()

# Workers of one start begin within this many seconds of each other; only the first of them asks.
_START: Final = 30.0


async def tell_first_contacts(config: Config, user_agent: str, environ: Mapping[str, str]) -> None:
    """Ask every upstream once and log the result; does nothing when offline, or if another worker does it."""
    if config.mirroring.mode == "offline":
        return
    leases = Leases(Path(config.storage.path) / "locks")
    await asyncio.gather(*(_tell(each, leases, user_agent, environ) for each in config.mirroring.upstream))


async def _tell(settings: UpstreamSettings, leases: Leases, user_agent: str, environ: Mapping[str, str]) -> None:
    lease = leases.try_hold(f"first contact with {settings.name}")
    if lease is None:
        return
    with lease:
        contact = await first_contact(settings, user_agent=user_agent, environ=environ)
        log = _log.bind(upstream=contact.upstream, service_index=contact.service_index)
        if contact.through:
            log = log.bind(through=contact.through)
        if contact.why:
            log.warning("upstream_unusable", why=contact.why, remedy=contact.remedy)
        else:
            log.info("upstream_usable", seconds=round(contact.seconds, 3))
        await asyncio.sleep(_START)
