"""Finds out what `nugetproxy doctor` looks at: one function for each of the facts. None raises for what it finds.

What the facts mean belongs to `judgement`. Nothing is changed; the only files written are probes without content of
ours, which are removed.
"""

import asyncio
import fcntl
import os
import ssl
import statistics
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from asn1crypto import pem, x509

from nugetproxy.config import Config, PolicySettings
from nugetproxy.errors import StorageUnavailable
from nugetproxy.feeds.policy.facts import Facts as PackageToJudge
from nugetproxy.feeds.policy.facts import PackageFacts, SignatureState
from nugetproxy.feeds.policy.rules import rule_of
from nugetproxy.feeds.policy.verdicts import judge
from nugetproxy.mirroring.upstream.first_contact import FirstContact, first_contact
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.licences import stated_licence
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.runtime.doctor.facts import Backup, Certificate, Databases, Disk
from nugetproxy.runtime.opened_stores import opened_main
from nugetproxy.storage.backup.last import last_backup
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.opening import can_write
from nugetproxy.storage.occupants import LOCKS, occupants
from nugetproxy.storage.reserve import Reserve

_PROBE: Final = 4096
_PROBES: Final = 5
# Seconds. No rule about age is meant to withhold what is older.
_LONG_AGO: Final = 5 * 365 * 86_400.0
# X509_V_ERR_CERT_HAS_EXPIRED: the chain itself is complete, and its end is a fact of its own. Source: OpenSSL.
_EXPIRED: Final = 10


def disk_facts(config: Config) -> Disk:
    """The data directory as this user can use it."""
    path = Path(config.storage.path)
    shown = str(path.absolute())
    try:
        if not path.is_dir():
            above = next(each for each in path.absolute().parents if each.is_dir())
            return Disk(shown, exists=False, why="" if can_write(above) else f"{above} is not writable for this user")
        found = os.statvfs(path)
        free_files = found.f_favail if found.f_files else None
        size = None if config.storage.reserve == "auto" else config.storage.reserve
        is_writable = can_write(path)
        sync_seconds, locks_hold = _probe(path) if is_writable else (None, None)
        return Disk(
            shown,
            is_writable=is_writable,
            free=found.f_bavail * found.f_frsize,
            total=found.f_blocks * found.f_frsize,
            reserve=Reserve(path, size).size,
            free_files=free_files,
            sync_seconds=sync_seconds,
            locks_hold=locks_hold,
        )
    except OSError as error:
        return Disk(shown, why=error.strerror or str(error))


def _probe(path: Path) -> tuple[float, bool]:
    """How long a safe write takes, in seconds, and whether locks hold. Raises OSError."""
    folder = path / LOCKS if (path / LOCKS).is_dir() else path
    with tempfile.NamedTemporaryFile(dir=folder, prefix="probe.", buffering=0) as probe:
        taken = []
        for _ in range(_PROBES):
            began = time.perf_counter()
            probe.write(bytes(_PROBE))
            os.fsync(probe.fileno())
            taken.append(time.perf_counter() - began)
        fcntl.flock(probe, fcntl.LOCK_EX)
        second = os.open(probe.name, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            locks_hold = True
        else:
            locks_hold = False
        finally:
            os.close(second)
    return statistics.median(taken), locks_hold


def occupant_facts(path: Path) -> tuple[str, ...]:
    """The processes that use the data directory, in words, servers first."""
    try:
        return tuple(str(each) for each in occupants(path))
    except OSError:
        return ()


async def database_facts(path: Path, shared: Config | None = None) -> Databases:
    """Whether the main database can be opened, and whether it has anything that a backup would save."""
    if shared is None and not path.is_dir():
        return Databases()
    try:
        with opened_main(shared, path, reading=True) as stores:
            return Databases(is_empty=await _is_empty(stores.database))
    except StorageUnavailable as error:
        return Databases(why=str(error), is_empty=False)


async def _is_empty(database: Database) -> bool:
    return not await database.fetch("SELECT 1 FROM accounts UNION ALL SELECT 1 FROM hosted_packages LIMIT 1")


def certificate_facts(cert: str, key: str) -> Certificate | None:
    """The chain that the server shows; None without one. The settings have been checked: both files can be used."""
    if not cert:
        return None
    parts = pem.unarmor(Path(cert).read_bytes(), multiple=True)
    chain = [x509.Certificate.load(data) for kind, _, data in parts if kind == "CERTIFICATE"]
    first = min(chain, key=lambda each: each.not_valid_after)
    alternatives = chain[0].subject_alt_name_value
    names = [each.native for each in alternatives or () if each.name in ("dns_name", "ip_address")]
    return Certificate(
        subject=chain[0].subject.human_friendly,
        names=tuple(names),
        ends=first.not_valid_after.timestamp(),
        ending=first.subject.human_friendly,
        issuer=chain[-1].issuer.human_friendly,
        is_complete=_is_trusted(cert, key),
    )


def _is_trusted(cert: str, key: str) -> bool:
    """Whether a client on this machine, with the system's certificates, accepts the chain. Shakes hands in memory."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert, key)
    asking = ssl.create_default_context()
    asking.check_hostname = False
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server)
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    try:
        for side in (client, server, client):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        return error.verify_code == _EXPIRED
    return True


async def contact_facts(config: Config, user_agent: str, environ: Mapping[str, str]) -> tuple[FirstContact, ...]:
    """Each upstream, asked once for its service index; none when offline. Raises ConfigError for an unusable file."""
    if config.mirroring.mode == "offline":
        return ()
    asked = (first_contact(each, user_agent=user_agent, environ=environ) for each in config.mirroring.upstream)
    return tuple(await asyncio.gather(*asked))


def hiding_rules(settings: PolicySettings, now: float) -> tuple[str, ...]:
    """The rules that withhold every package: those that withhold two ordinary ones. None if a rule allows some.

    `now` in unix seconds.
    """
    rules = tuple(map(rule_of, settings.rule))
    if any(not rule.is_block and (rule.until is None or now < rule.until) for rule in rules):
        return ()
    ordinary = [
        _ordinary(*each, now) for each in (("Example.One", "1.0.0", "MIT"), ("Other.Two", "12.3.4", "Apache-2.0"))
    ]
    return tuple(
        rule.name
        for rule in rules
        if all(
            rule.may_match(facts.id.lower, now) and judge(facts, (rule,), None, now, has_file=True).is_withheld
            for facts in ordinary
        )
    )


def _ordinary(name: str, version: str, licence: str, now: float) -> PackageToJudge:
    """An old, signed package with a free licence, that was seen long ago."""
    long_ago = now - _LONG_AGO
    return PackageToJudge(
        PackageId.parse(name),
        NuGetVersion.parse(version),
        published=long_ago,
        first_seen=long_ago,
        id_first_seen=long_ago,
        licence=stated_licence(licence),
        advisories=(),
        owners=(name.lower(),),
        package=PackageFacts(SignatureState.REPOSITORY),
    )


def backup_facts(path: Path) -> Backup | None:
    """The last backup that was noted."""
    noted = last_backup(path)
    if noted is None:
        return None
    try:
        made = datetime.strptime(noted.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Backup(made.timestamp(), noted.folder, noted.damaged)
