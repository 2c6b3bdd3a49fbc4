"""Checks between values, and of what they refer to on this machine, such as files.

Rule: a check only reports, it repairs nothing; all of them run, so that one start shows all problems.
"""

import importlib.util
import ssl
from collections.abc import Iterator
from pathlib import Path

from nugetproxy.config.models import Config, ServerSettings, SharedStorageSettings, StorageSettings, UpstreamSettings
from nugetproxy.config.policy import problems_of_rules
from nugetproxy.config.retention import problems_of_retention

Problem = tuple[tuple[str | int, ...], str]
"""The path of a setting, and what is wrong with its value."""


def problems_between(config: Config) -> list[Problem]:
    """All problems with values that are valid by themselves. Reads the files that they refer to."""
    return [
        *_server(config.server),
        *_storage(Path(config.storage.path)),
        *_shared(config.storage),
        *_upstreams(config.mirroring.upstream),
        *_reading(config),
        *_trusted_roots(config.policy.trusted_roots),
        *_issuers(config.trusted_publishing.ca_file),
        *problems_of_rules(config.policy),
        *problems_of_retention(config.hosting.retention),
    ]


def _server(server: ServerSettings) -> Iterator[Problem]:
    if server.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        yield ("server", "loop"), 'uvloop is not installed; install nugetproxy[speed], or use "auto" or "asyncio"'
    cert, key = server.tls_cert, server.tls_key
    if bool(cert) != bool(key):
        missing = "tls_key" if cert else "tls_cert"
        yield ("server", missing), "is missing: set both the certificate and its key, or neither"
        return
    if not cert:
        return
    unreadable = False
    for name, file in (("tls_cert", cert), ("tls_key", key)):
        if why := _unreadable(file):
            unreadable = True
            yield ("server", name), why
    if not unreadable and (why := _unusable_pair(cert, key)):
        yield ("server", "tls_cert"), why


def _storage(path: Path) -> Iterator[Problem]:
    try:
        is_other = path.exists() and not path.is_dir()
    except OSError as failed:
        yield ("storage", "path"), f"{path} cannot be used: {failed.strerror}"
        return
    if is_other:
        yield ("storage", "path"), f"{path} is a file; expected a folder, which is created if missing"


def _shared(storage: StorageSettings) -> Iterator[Problem]:
    shared, place = storage.shared, ("storage", "shared")
    if storage.kind == "embedded":
        if shared != SharedStorageSettings():
            yield (
                ("storage", "kind"),
                'is "embedded", but [storage.shared] is set; use "shared", or remove that section',
            )
        return
    if lacking := [name for name in ("asyncpg", "obstore") if importlib.util.find_spec(name) is None]:
        yield ("storage", "kind"), f"needs {' and '.join(lacking)}: pip install 'nugetproxy[shared]'"
    if not shared.dsn_file:
        yield (*place, "dsn_file"), "is missing: a file with one line such as postgresql://user:password@host/database"
    if not shared.bucket:
        yield (*place, "bucket"), "is missing: the name of the S3 bucket for packages"
    if bool(shared.access_key_file) != bool(shared.secret_key_file):
        missing = "secret_key_file" if shared.access_key_file else "access_key_file"
        yield (*place, missing), "is missing: set both, or neither to use the credentials of the environment"
    if shared.ca_file and not shared.endpoint.startswith("https://"):
        yield (*place, "ca_file"), "is only used for an endpoint that begins with https://"
    for name in ("dsn_file", "access_key_file", "secret_key_file", "ca_file"):
        file = getattr(shared, name)
        if file and (why := _unfit(file)):
            yield (*place, name), why


def _reading(config: Config) -> Iterator[Problem]:
    if not config.hosting.enabled and config.accounts.anonymous_read != "all":
        # Otherwise everyone could read, contrary to the setting.
        yield ("accounts", "anonymous_read"), 'needs accounts, but hosting.enabled is false; use "all"'


def _upstreams(upstreams: tuple[UpstreamSettings, ...]) -> Iterator[Problem]:
    names: set[str] = set()
    for index, upstream in enumerate(upstreams):
        place = ("mirroring", "upstream", index)
        # The folders of two upstreams must also differ on file systems that ignore case.
        if upstream.name.lower() in names:
            yield (*place, "name"), f"{upstream.name!r} is the name of an earlier upstream; names must be unique"
        names.add(upstream.name.lower())
        if "service_index" not in upstream.model_fields_set and upstream.name != "nuget.org":
            yield (*place, "service_index"), f"is missing for the upstream {upstream.name!r}"
        if upstream.username and not upstream.password_file:
            yield (*place, "password_file"), "is missing: username is set"
        if bool(upstream.header_name) != bool(upstream.header_value_file):
            missing = "header_value_file" if upstream.header_name else "header_name"
            yield (*place, missing), "is missing: set both the name of the header and the file with its value"
        for name, check in (("password_file", _unfit), ("header_value_file", _unfit), ("ca_file", _unreadable)):
            file = getattr(upstream, name)
            if file and (why := check(file)):
                yield (*place, name), why


def _trusted_roots(file: str) -> Iterator[Problem]:
    if file and (why := _unreadable(file)):
        yield ("policy", "trusted_roots"), why


def _issuers(ca_file: str) -> Iterator[Problem]:
    if not ca_file:
        return
    if why := _unreadable(ca_file):
        yield ("trusted_publishing", "ca_file"), why
        return
    try:
        ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError):
        yield ("trusted_publishing", "ca_file"), f"{ca_file} has no certificates in PEM form"


def _unreadable(file: str) -> str:
    """Why a configured file cannot be read; empty if it can."""
    try:
        with Path(file).open("rb") as opened:
            return "" if opened.read(1) else f"{file} is empty"
    except OSError as failed:
        return f"{file} cannot be read: {failed.strerror}"
    except ValueError:
        return f"{file!r} is not a file name"


def _unfit(file: str) -> str:
    """Why a file cannot be used as a one-line secret for a header; empty if it can. Never shows its contents."""
    if why := _unreadable(file):
        return why
    try:
        secret = Path(file).read_text(encoding="utf-8").strip("\r\n")
    except UnicodeDecodeError:
        return f"{file} is not UTF-8 text"
    if not secret:
        return f"{file} is empty"
    if "\n" in secret or "\r" in secret:
        return f"{file} contains more than one line; it must contain only the secret"
    if any(character < " " or character == "\x7f" for character in secret):
        return f"{file} contains a control character; it must contain only the secret"
    return ""


def _unusable_pair(cert: str, key: str) -> str:
    """Why a certificate and a key cannot be used for TLS; empty if they can."""
    try:
        # The callable prevents OpenSSL from prompting for the pass phrase of an encrypted key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError as failed:
        if failed.reason == "KEY_VALUES_MISMATCH":
            return f"the key in {key} does not belong to the certificate in {cert}"
        return f"{cert} and {key} must be a certificate chain and its unencrypted key, both PEM"
    except (OSError, ValueError) as failed:
        return f"{cert} and {key} cannot be used: {failed}"
    return ""
