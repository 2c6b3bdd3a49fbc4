"""What may leave the house, to whom, and with whose name: hosts, credentials and outgoing proxies of one upstream.

Pure but for reading the credential files once at start. Nothing of a client's request ever comes near this.
"""

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from socket import inet_aton
from typing import NamedTuple

from yarl import URL

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import ConfigError, UpstreamNonsense

_DEFAULT_PORTS = {"http": 80, "https": 443}
# Signed redirect targets must be sent exactly as received, so a URL is taken as already encoded when it can be one.
# Anything else (spaces, line ends, other scripts) is encoded, never sent raw.
_SENDABLE = re.compile(r"[!-~]+")


class Origin(NamedTuple):
    """One server as a client sees it; breakers, credentials and permissions belong to it."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def read_url(text: str) -> URL:
    """Raises ValueError for what is not a URL."""
    return URL(text, encoded=_SENDABLE.fullmatch(text) is not None)


def origin_of(url: URL) -> Origin:
    """Raises ValueError unless the URL is absolute, http or https."""
    if url.scheme not in _DEFAULT_PORTS or not url.host or url.port is None:
        raise ValueError("not an absolute http or https URL")
    return Origin(url.scheme, url.host.lower(), url.port)


class Egress:
    """The rules of one upstream."""

    def __init__(self, settings: UpstreamSettings, environ: Mapping[str, str]) -> None:
        self._name = settings.name
        self._settings = settings
        self._environ = environ
        self.home = origin_of(read_url(settings.service_index))
        self._schemes = ("http", "https") if self.home.scheme == "http" else ("https",)
        self._allowed = {self.home} | {o for entry in settings.allowed_hosts for o in self._origins_named(entry)}
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
        """Let requests go to this URL's server too; its scheme is still subject to the rule of `checked`.

        What is no URL allows nothing, nor does a private address that a public upstream names; `checked` will say so to
        whoever asks for it.
        """
        with suppress(ValueError):
            origin = origin_of(read_url(url))
            if not _is_inside(origin.host) or _is_inside(self.home.host):
                self._allowed.add(origin)

    def checked(self, url: URL) -> URL:
        """The URL as it may be asked: without user and password of a stranger's choosing.

        Raises:
            UpstreamNonsense: http although the service index is https, or a server that nobody allowed.
        """
        try:
            origin = origin_of(url)
        except ValueError as error:
            raise UpstreamNonsense(self._name, f"it names a URL that is {error}") from error
        if origin.scheme not in self._schemes:
            raise UpstreamNonsense(self._name, f"it names the insecure {origin}")
        if origin not in self._allowed:
            raise UpstreamNonsense(self._name, f"it names {origin}, which is not an allowed host")
        return url if url.raw_user is None and url.raw_password is None else url.with_user(None)

    def credentials(self, url: URL) -> Mapping[str, str]:
        """Our own credentials for this URL: only the server of the configured service index ever sees them."""
        return self._credentials if origin_of(url) == self.home else {}

    def proxy(self, url: URL) -> URL | None:
        """The outgoing proxy for this URL: the setting, which holds for every host, else the environment."""
        if self._settings.proxy:
            return URL(self._settings.proxy)
        chosen = self._variable(f"{url.scheme}_proxy") or self._variable("all_proxy")
        if not chosen or self._is_exempt(url):
            return None
        return URL(chosen if "://" in chosen else f"http://{chosen}")

    def _variable(self, name: str) -> str:
        return self._environ.get(name) or self._environ.get(name.upper(), "")

    def _is_exempt(self, url: URL) -> bool:
        entries = (entry.strip().lower() for entry in self._variable("no_proxy").split(","))
        return any(_names(entry, (url.host or "").lower(), url.port) for entry in entries if entry)

    def _origins_named(self, entry: str) -> set[Origin]:
        host, colon, port = entry.strip().lower().rpartition(":")
        if not colon or not port.isdigit():
            host, port = entry.strip().lower(), ""
        return {Origin(scheme, host, int(port) if port else _DEFAULT_PORTS[scheme]) for scheme in self._schemes}


def _is_inside(host: str) -> bool:
    """Whether this is the address of a machine or network of our own: loopback, private, link-local and their like.

    Names are not resolved: what they stand for is the resolver's secret, and may be another the next moment.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:
        pass
    try:
        # The resolver takes "127.1" and "0x7f000001" for addresses, too.
        return not ip_address(inet_aton(host)).is_global
    except OSError:
        return False


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
