"""The HTTP sessions of one upstream: its TLS, its sockets, and the addresses that these may be connected to.

An address is checked when its socket is made: after the name was resolved and before a byte is sent, for every
connection. A name that resolves to another address the next moment gains nothing. There are two sessions, because a
connection that is kept may be reused only for servers that may lie where it leads. Which servers may be asked at all,
and which addresses lead where, is decided in `egress`.
"""

import errno
import socket
import ssl
from collections.abc import Mapping
from ipaddress import ip_address

import aiohttp
from yarl import URL

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import ConfigError
from nugetproxy.logs import logger
from nugetproxy.mirroring.upstream.addresses import Place
from nugetproxy.mirroring.upstream.egress import Egress, OutgoingProxy

# Links of content networks with signed queries and cookies outgrow the HTTP client's default of 8 KiB.
_LONGEST_HEADER = 32_768
# What one read may return at most is twice this; larger reads cost less per byte and bound memory all the same.
_READ_BUFFER = 262_144
# Longer than the client's 15 s: a build asks in bursts, and a new TLS connection costs two round trips.
_KEEP_ALIVE = 60.0

_log = logger()


class Sessions:
    """Sends requests, each by the session that its server may use."""

    def __init__(self, settings: UpstreamSettings, egress: Egress, user_agent: str) -> None:
        self._settings = settings
        self._egress = egress
        self._user_agent = user_agent
        self._named: aiohttp.ClientSession | None = None
        """For servers that the operator named, and for outgoing proxies."""
        self._learned: aiohttp.ClientSession | None = None
        """For servers that the upstream named."""

    async def start(self) -> None:
        """Raises ConfigError when the certificates that the settings name cannot be used."""
        tls = self._tls()
        self._named = self._session(tls, is_named=True)
        self._learned = self._session(tls, is_named=False)

    async def close(self) -> None:
        for session in (self._named, self._learned):
            if session is not None:
                await session.close()
        self._named = self._learned = None

    @property
    def is_open(self) -> bool:
        return self._named is not None

    async def get(self, url: URL, headers: Mapping[str, str], proxy: OutgoingProxy | None) -> aiohttp.ClientResponse:
        """One request; redirects are not followed.

        Raises:
            UpstreamNonsense: the server lies where the upstream may not send us. Nothing was sent.
            aiohttp.ClientError, OSError, TimeoutError: it failed.
        """
        # Through a proxy no name is resolved here: the address is the proxy's, which the operator named.
        session = self._named if proxy is not None or self._egress.is_named(url) else self._learned
        if session is None:
            raise aiohttp.ClientConnectionError("the session is closed")
        via = proxy.url if proxy is not None else None
        try:
            answer = await session.get(url, headers=headers, allow_redirects=False, proxy=via)
        except aiohttp.ClientConnectorError as error:
            if isinstance(refused := error.os_error, _AddressRefused):
                _log.warning("upstream_address_refused", upstream=self._settings.name, host=url.raw_host,
                             address=refused.address, why=str(refused.place))  # fmt: skip
                raise self._egress.out_of_bounds(url, refused.place) from error
            raise
        if proxy is not None and answer.status == 407:  # only proxies say so; as the client does for https
            answer.release()
            raise aiohttp.ClientHttpProxyError(
                answer.request_info, answer.history, status=407, message=answer.reason or "", headers=answer.headers
            )
        return answer

    def _session(self, tls: ssl.SSLContext | bool, *, is_named: bool) -> aiohttp.ClientSession:
        def checked_socket(info: aiohttp.AddrInfoType) -> socket.socket:
            address = ip_address(info[4][0])
            if place := self._egress.refused(address, is_named=is_named):
                raise _AddressRefused(str(address), place)
            return socket.socket(family=info[0], type=info[1], proto=info[2])

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ssl=tls, keepalive_timeout=_KEEP_ALIVE, socket_factory=checked_socket
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout),
            headers={"User-Agent": self._user_agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._settings.ca_file:
            return True
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(cafile=self._settings.ca_file)
        except OSError as error:
            what = f"{self._settings.name}: ca_file: cannot use {self._settings.ca_file}: {error.strerror or error}"
            raise ConfigError([f"mirroring.upstream {what}"]) from error
        return context


class _AddressRefused(OSError):
    """One address of a name. Always in the same words, so that the HTTP client raises it as it is for several, too."""

    def __init__(self, address: str, place: Place) -> None:
        super().__init__(errno.EACCES, "an address that must not be connected to")
        self.address = address
        self.place = place
