"""What may be sent where: the hosts, the addresses, the credentials and the outgoing proxy of one upstream.

Only the rules, except for reading the credential files once at start; `sessions` applies those about addresses. Nothing
of a client's request ever reaches this module.
"""

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final, NamedTuple

from yarl import URL

from nugetproxy.config import NUGET_ORG_SYMBOLS, UpstreamSettings
from nugetproxy.config.hosts import canonical_host, parse_allowed_host
from nugetproxy.errors import ConfigError, UpstreamNonsense, UpstreamUnavailable
from nugetproxy.mirroring.upstream.addresses import Address, Place, place_of, place_of_host

_DEFAULT_PORTS = {"http": 80, "https": 443}
# The symbol server of nuget.org redirects to a storage account or to a content network of nuget.org. What comes from
# there is verified with the checksum in the assembly.
_NUGET_ORG_SYMBOLS_LEAD_TO: Final = ("blob.core.windows.net", "nuget.org")
# Signed redirect targets must be sent exactly as received, so a URL of these characters is taken as already encoded.
# Anything else (spaces, line ends, other scripts) is encoded, never sent as it is.
_SENDABLE = re.compile(r"[!-~]+")


class Origin(NamedTuple):
    """One server as a client sees it; breakers, credentials and permissions belong to it. The host is canonical."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class OutgoingProxy(NamedTuple):
    """A proxy of ours on the way to an upstream. `source` is the setting or variable that names it."""

    url: URL
    source: str

    def __str__(self) -> str:
        user = "***@" if self.url.raw_user is not None or self.url.raw_password is not None else ""
        return f"the proxy {self.url.scheme}://{user}{self.url.raw_authority.rpartition('@')[2]} (from {self.source})"


def read_url(text: str) -> URL:
    """Raises ValueError for what is not a URL."""
    try:
        return URL(text, encoded=_SENDABLE.fullmatch(text) is not None)
    except IndexError as error:  # yarl, when brackets come before the @ and no host behind it
        raise ValueError("it is not a URL") from error


def origin_of(url: URL) -> Origin:
    """Raises ValueError unless the URL is absolute, http or https, with a host that is a name or an address."""
    try:
        host = url.host  # and not only `raw_host`, because the HTTP client decodes it
    except UnicodeError as error:
        raise ValueError("its host is neither a name nor an address") from error
    if url.scheme not in _DEFAULT_PORTS or not host or not url.raw_host or url.port is None:
        raise ValueError("it is not an absolute http or https URL")
    return Origin(url.scheme, canonical_host(url.raw_host), url.port)


class Egress:
    """The rules of one upstream.

    What the operator named, the service index and the exact hosts of `allowed_hosts`, may lie anywhere. What the
    upstream names must be public, unless the service index itself is spelled as an address or name of our own networks.
    The metadata service of a cloud is never asked, unless the settings spell its very address.
    """

    def __init__(self, settings: UpstreamSettings, environ: Mapping[str, str]) -> None:
        self._name = settings.name
        self._settings = settings
        self._environ = environ
        self.home = origin_of(read_url(settings.service_index))
        self._schemes = ("http", "https") if self.home.scheme == "http" else ("https",)
        self._is_inside = place_of_host(self.home.host) is not Place.PUBLIC
        self._named = {self.home}
        self._domains: set[Origin] = set()
        """Of whose hosts those one label below are allowed."""
        for entry in settings.allowed_hosts:
            host, port = parse_allowed_host(entry)
            domain = host.removeprefix("*.")
            origins = {Origin(scheme, domain, port or _DEFAULT_PORTS[scheme]) for scheme in self._schemes}
            (self._named if host == domain else self._domains).update(origins)
        if settings.symbol_server:
            self._named.add(origin_of(read_url(settings.symbol_server)))
        if settings.symbol_server == NUGET_ORG_SYMBOLS:
            self._domains.update(Origin("https", domain, 443) for domain in _NUGET_ORG_SYMBOLS_LEAD_TO)
        self._learned: set[Origin] = set()
        """The servers that the service index names."""
        self._credentials: dict[str, str] = {}

    def read_credentials(self) -> None:
        """Read the files that the settings name.

        Raises:
            ConfigError: with every file that cannot be read.
        """
        problems: list[str] = []
        s = self._settings
        if s.username or s.password_file:
            secret = f"{s.username}:{_secret(s.password_file, f'{self._name}: password_file', problems)}"
            self._credentials["Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
        if s.header_name:
            value = _secret(s.header_value_file, f"{self._name}: header_value_file", problems)
            self._credentials[s.header_name] = value
        if problems:
            raise ConfigError(problems)

    def allow(self, url: str) -> None:
        """Let requests go to this URL's server too; its scheme and place are still subject to the rules of `checked`.

        What is no URL allows nothing; `checked` refuses it when it is asked for.
        """
        with suppress(ValueError):
            self._learned.add(origin_of(read_url(url)))

    def checked(self, url: URL) -> URL:
        """The URL as it may be asked: its host in the one spelling, without user and password of the sender's choosing.

        Raises:
            UpstreamNonsense: http although the service index is https, a server that nobody allowed, or one at an
                address of our own networks.
        """
        try:
            origin = origin_of(url)
        except ValueError as error:
            raise UpstreamNonsense(self._name, f"it names a URL that cannot be used: {error}") from error
        if origin.scheme not in self._schemes:
            raise UpstreamNonsense(self._name, f"it leads from https to http: {origin}")
        if origin not in self._named:
            if origin not in self._learned and not self._is_below_domain(origin):
                remedy = f"if that is right, name {origin.host} in allowed_hosts, or in service_index if it moved there"
                raise UpstreamNonsense(self._name, f"it names {origin}, which is not an allowed host", remedy=remedy)
            if self._is_out_of_bounds(place := place_of_host(origin.host)):
                raise self.out_of_bounds(url, place)
        if origin.host != url.raw_host and "%" not in origin.host:
            url = url.with_host(origin.host)
        return url if url.raw_user is None and url.raw_password is None else url.with_user(None)

    def is_named(self, url: URL) -> bool:
        """Whether the operator named this URL's server, so that it may lie in our own networks."""
        return origin_of(url) in self._named

    def refused(self, address: Address, *, is_named: bool) -> Place | None:
        """Where this address leads when no connection may be made to it, else None.

        `is_named`: it belongs to a server of which `is_named` is true, or to an outgoing proxy.
        """
        place = place_of(address)
        if not is_named:
            return place if self._is_out_of_bounds(place) else None
        is_spelled = any(str(address) == origin.host for origin in self._named)
        return place if place is Place.METADATA and not is_spelled else None

    def out_of_bounds(self, url: URL, place: Place) -> UpstreamNonsense:
        """The error for a URL whose server lies where this upstream may not send us.

        It does not tell the address that a name stands for: clients read it, and could map our networks by it.
        """
        # Naming a host opens every place to it but this one.
        hint = "" if place is Place.METADATA else "; if that is right, name it in allowed_hosts"
        return UpstreamNonsense(self._name, f"it names {origin_of(url)}, which leads to {place}{hint}")

    def _is_out_of_bounds(self, place: Place) -> bool:
        return place is not Place.PUBLIC and (not self._is_inside or place is Place.METADATA)

    def _is_below_domain(self, origin: Origin) -> bool:
        _, _, domain = origin.host.partition(".")
        return origin._replace(host=domain) in self._domains

    def credentials(self, url: URL) -> Mapping[str, str]:
        """Our credentials for this URL: they are sent to the server of the configured service index only."""
        return self._credentials if origin_of(url) == self.home else {}

    def proxy(self, url: URL) -> OutgoingProxy | None:
        """The outgoing proxy for this URL: the setting, which holds for every host, else the environment.

        Raises:
            UpstreamUnavailable: the environment names one that cannot be used.
        """
        if self._settings.proxy:
            return OutgoingProxy(URL(self._settings.proxy), "the setting proxy")
        for name in (f"{url.scheme}_proxy", "all_proxy"):
            for variable in (name, name.upper()):
                if chosen := self._environ.get(variable):
                    return None if self._is_exempt(url) else self._proxy_from(variable, chosen)
        return None

    def _proxy_from(self, variable: str, text: str) -> OutgoingProxy:
        try:
            url = read_url(text if "://" in text else f"http://{text}")
            origin_of(url)
        except ValueError:
            what = f"{variable} does not name an outgoing proxy such as http://proxy.example.com:3128"
            raise UpstreamUnavailable(self._name, what) from None  # the text may hold a password
        return OutgoingProxy(url, variable)

    def _is_exempt(self, url: URL) -> bool:
        exempt = self._environ.get("no_proxy") or self._environ.get("NO_PROXY", "")
        entries = (entry.strip().lower() for entry in exempt.split(","))
        return any(_names(entry, url.raw_host or "", url.port) for entry in entries if entry)


def _names(entry: str, host: str, port: int | None) -> bool:
    """Whether one entry of NO_PROXY (`*`, a host, a domain, host:port, a network) means this host."""
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return ip_address(host) in ip_network(entry, strict=False)
        except ValueError:
            return False
    named, colon, named_port = entry.rpartition(":")
    if colon and named_port.isdigit() and "]" not in named_port:
        if int(named_port) != port:
            return False
        entry = named
    domain = entry.removeprefix("*").strip("[]").removeprefix(".")
    return host == domain or host.endswith(f".{domain}")


def _secret(file: str, key: str, problems: list[str]) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip("\r\n") if file else ""
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"mirroring.upstream {key}: cannot read {file}: {getattr(error, 'strerror', None) or error}")
        return ""
