"""What an operator may check or change when an upstream cannot be used, in words.

Pure. What happened is told by `faults`; these are the sentences beside it for the log and for `check-config --connect`.
"""

import socket
import ssl

import aiohttp

from nugetproxy.mirroring.upstream.egress import OutgoingProxy

_NEEDS_PROXY = "if this network needs an outgoing proxy, name it in HTTPS_PROXY or the setting proxy"
# Of X509_V_ERR_*; Python has no names for them. Source: OpenSSL, x509_vfy.h.
_EXPIRED = frozenset({9, 10})
_UNTRUSTED = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME = frozenset({62, 64})


def for_connecting(error: aiohttp.ClientConnectorError, proxy: OutgoingProxy | None) -> str:
    """No connection. `proxy` is the one that was used."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _for_certificate(error.certificate_error)
    if isinstance(error, aiohttp.ClientSSLError):
        if getattr(error.os_error, "reason", "") == "WRONG_VERSION_NUMBER":
            return "the port speaks no TLS: check the port, or use http:// if that is meant"
        return "check that the port speaks TLS and that nothing in between interferes"
    if isinstance(error.os_error, socket.gaierror):
        where = proxy.source if proxy is not None else "service_index"
        return f"check the host in {where} and the name servers of this machine" + (
            "" if proxy else f"; {_NEEDS_PROXY}"
        )
    if proxy is not None:
        return f"check the address in {proxy.source}, and that the proxy runs"
    return f"check host and port, and that the server runs; {_NEEDS_PROXY}"


def for_silence(proxy: OutgoingProxy | None) -> str:
    """No connection or no answer in time."""
    if proxy is not None:
        return f"check that the proxy (from {proxy.source}) runs and may reach the server"
    return f"check that no firewall is in between; {_NEEDS_PROXY}"


def for_proxy_status(status: int, proxy: OutgoingProxy | None) -> str:
    """The outgoing proxy refused."""
    source = proxy.source if proxy is not None else "HTTPS_PROXY"
    if status == 407:
        return f"write user and password of the proxy into {source}: http://user:password@host:port"
    return f"check that the proxy (from {source}) may reach the server, or name the server in NO_PROXY"


def for_status(status: int) -> str:
    """The upstream refused."""
    if status in (401, 403):
        return "check the credentials: username and password_file, or header_name and header_value_file"
    return ""


def _for_certificate(error: Exception) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code in _UNTRUSTED:
        return "if it has a certificate of your own CA, name the CA's file in ca_file"
    if code in _OTHER_NAME:
        return "use a host name that its certificate is for"
    if code in _EXPIRED:
        return "its certificate must be renewed; if it was, check the clock of this machine"
    return "check its certificate, and the CA in ca_file"
