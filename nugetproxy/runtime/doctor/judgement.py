"""What the facts of an examination mean, and what to do about each. Pure.

One line per check, whether or not there is something to complain about, so that a reader sees what was looked at.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final
from urllib.parse import urlsplit

from nugetproxy.mirroring.upstream.first_contact import FirstContact
from nugetproxy.runtime.doctor.facts import Backup, Bucket, Certificate, Databases, Disk, Facts, Source

DAY: Final = 86_400.0

SLOW_SYNC: Final = 0.1
"""Seconds. Every push waits for several of these; a local SSD takes a few milliseconds."""
SLOW_UPSTREAM: Final = 2.0
"""Seconds for a service index, connecting included."""
CLOCK_OFF: Final = 10.0
"""Seconds. `Date` has whole seconds, and a slow answer adds its own."""
CLOCK_WRONG: Final = 3600.0
"""Seconds. Certificates and signatures are judged by the clock: many are valid for hours only."""
CERTIFICATE_ENDS: Final = 14 * DAY
FEW_FILES: Final = 10_000


class Level(IntEnum):
    """How bad it is; also the exit code."""

    OK = 0
    WARNING = 1
    BROKEN = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `check` is a word for scripts, `do` is empty when there is nothing to do."""

    check: str
    level: Level
    what: str
    do: str = ""


def judge(facts: Facts) -> tuple[Finding, ...]:
    """All findings, in the order in which they are best repaired."""
    if facts.settings_problems:
        return tuple(
            Finding("settings", Level.BROKEN, problem, "Correct it: the server does not start.")
            for problem in facts.settings_problems
        )
    return tuple(_all(facts))


def worst(findings: Iterable[Finding]) -> Level:
    return max((each.level for each in findings), default=Level.OK)


def _all(facts: Facts) -> Iterator[Finding]:
    yield from _settings(facts)
    if facts.disk is not None:
        yield from _disk(facts.disk, is_offline=facts.is_offline)
    if facts.is_hosting and facts.databases is not None:
        yield _database(facts.databases)
    if facts.bucket is not None:
        yield _bucket(facts.bucket)
    yield from _clock(facts)
    if facts.certificate is not None:
        yield _certificate(facts.certificate, facts.source, facts.now)
    yield from _upstreams(facts)
    if facts.source is not None:
        yield _server(facts.source, facts.occupants)
        yield _source(facts.source)
    yield from _policy(facts)
    if facts.is_hosting:
        yield _backup(facts)


def _settings(facts: Facts) -> Iterator[Finding]:
    if not facts.settings_warnings:
        yield Finding("settings", Level.OK, f"valid ({facts.settings_from})" if facts.settings_from else "valid")
    for warning in facts.settings_warnings:
        yield Finding("settings", Level.WARNING, warning, "Correct the upstreams in the settings.")


def _disk(disk: Disk, *, is_offline: bool) -> Iterator[Finding]:
    if disk.why:
        yield Finding("disk", Level.BROKEN, f"{disk.path}: {disk.why}", "Name a directory that this user can write to.")
        return
    if not disk.exists:
        yield Finding("disk", Level.OK, f"{disk.path} does not exist yet; the server creates it")
        return
    if not disk.is_writable:
        if is_offline:
            yield Finding("disk", Level.OK, f"{disk.path} is read-only, which is enough for serving offline")
        else:
            do = "Run this as the server's user, or give the directory to it: chown -R USER DIRECTORY."
            yield Finding("disk", Level.BROKEN, f"{disk.path} is read-only for this user", do)
        return
    yield _space(disk)
    if disk.sync_seconds is not None:
        what = f"a safe write takes {1000 * disk.sync_seconds:.1f} ms"
        if disk.sync_seconds > SLOW_SYNC:
            do = "Pushes wait for it: use a local disk, or find out what keeps it busy."
            yield Finding("sync", Level.WARNING, what, do)
        else:
            yield Finding("sync", Level.OK, what)
    if disk.locks_hold is not None:
        if disk.locks_hold:
            yield Finding("locks", Level.OK, "file locks work")
        else:
            what = "file locks have no effect on this file system"
            do = "Use a local disk, or mount the share with locking: processes would damage each other's data."
            yield Finding("locks", Level.BROKEN, what, do)


def _space(disk: Disk) -> Finding:
    what = f"{disk.path}: {size(disk.free)} free of {size(disk.total)}"
    grow = "Free space or enlarge the disk"
    if disk.free < disk.reserve:
        do = f"{grow}: below {size(disk.reserve)} (storage.reserve), mirrored packages are not stored."
        return Finding("disk", Level.BROKEN, what, do)
    if disk.free_files is not None and disk.free_files < FEW_FILES:
        what = f"{disk.path}: only {disk.free_files} more files fit on the file system"
        do = "Remove files, or create the file system with more inodes."
        return Finding("disk", Level.BROKEN if disk.free_files == 0 else Level.WARNING, what, do)
    if disk.free < 2 * disk.reserve:
        do = f"{grow}: below {size(disk.reserve)} (storage.reserve), mirrored packages will not be stored."
        return Finding("disk", Level.WARNING, what, do)
    return Finding("disk", Level.OK, what)


def _bucket(bucket: Bucket) -> Finding:
    if bucket.why:
        do = "Check storage.shared and the rights of its keys: until then, nothing can be pushed."
        return Finding("bucket", Level.BROKEN, f"{bucket.name}: {bucket.why}", do)
    return Finding("bucket", Level.OK, f"{bucket.name} can be listed, written, read and deleted from")


def _database(databases: Databases) -> Finding:
    if databases.why:
        do = "Until then, neither accounts nor pushed packages can be used."
        return Finding("database", Level.BROKEN, databases.why, do)
    return Finding("database", Level.OK, "no accounts or packages yet" if databases.is_empty else "can be read")


def _clock(facts: Facts) -> Iterator[Finding]:
    known = [each for each in facts.contacts if each.clock_ahead is not None]
    if not known:
        return
    # An upstream's own clock may be wrong: the one closest to ours is the best witness.
    witness = min(known, key=lambda each: abs(each.clock_ahead or 0.0))
    ahead = witness.clock_ahead or 0.0
    if abs(ahead) <= CLOCK_OFF:
        yield Finding("clock", Level.OK, f"agrees with {witness.upstream}")
        return
    what = f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the clock of {witness.upstream}"
    do = "Synchronise the clock (timedatectl set-ntp true): freshness, certificates and keys depend on it."
    yield Finding("clock", Level.BROKEN if abs(ahead) > CLOCK_WRONG else Level.WARNING, what, do)


def _certificate(certificate: Certificate, source: Source | None, now: float) -> Finding:
    left = certificate.ends - now
    day = f"{datetime.fromtimestamp(certificate.ends, UTC):%Y-%m-%d}"
    renew = "Renew it, then reload the server (SIGHUP)."
    if left <= 0:
        what = f"the certificate of {certificate.ending} ended on {day}"
        return Finding("tls", Level.BROKEN, what, f"{renew} Clients refuse it.")
    if left < CERTIFICATE_ENDS:
        what = f"the certificate of {certificate.ending} ends on {day}, in {left / DAY:.0f} days"
        return Finding("tls", Level.WARNING, what, renew)
    if not certificate.is_complete:
        what = f"the chain of server.tls_cert stops at {certificate.issuer}, which this machine does not trust"
        do = (
            "Append the intermediate certificates to the file. If it is your own authority, install that on this"
            " machine and on the clients."
        )
        return Finding("tls", Level.WARNING, what, do)
    if source is not None and source.is_public_url_set:
        host = urlsplit(source.url).hostname or ""
        if not any(_covers(name, host) for name in certificate.names):
            what = f"the certificate is for {', '.join(certificate.names) or 'no name'}, not for {host}"
            do = "Use a certificate for the host of server.public_url, unless a reverse proxy has one."
            return Finding("tls", Level.WARNING, what, do)
    return Finding("tls", Level.OK, f"{certificate.subject}, valid until {day}")


def _covers(name: str, host: str) -> bool:
    name, host = name.lower(), host.lower()
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def _upstreams(facts: Facts) -> Iterator[Finding]:
    if facts.is_offline:
        yield Finding("upstream", Level.OK, "none is asked: mirroring.mode is offline")
    for contact in facts.contacts:
        yield _upstream(contact)


def _upstream(contact: FirstContact) -> Finding:
    through = f" through {contact.through}" if contact.through and contact.through not in contact.why else ""
    where = f"{contact.upstream}: {contact.service_index}{through}"
    if contact.why:
        do = contact.remedy or "wait, or ask whoever runs it"
        return Finding("upstream", Level.BROKEN, f"{where}: {contact.why}", f"{do[0].upper()}{do[1:]}.")
    what = f"{where} answered after {contact.seconds:.2f} s"
    if contact.seconds > SLOW_UPSTREAM:
        do = "Check the network, the name servers and the outgoing proxy between this machine and it."
        return Finding("upstream", Level.WARNING, what, do)
    return Finding("upstream", Level.OK, what)


def _server(source: Source, occupants: tuple[str, ...]) -> Finding:
    if not source.not_ready:
        return Finding("server", Level.OK, f"{source.local_url} is ready")
    if not source.is_refused:
        do = "See its log; /health/ready shows the reason."
        return Finding("server", Level.BROKEN, f"{source.local_url} is not ready: {source.not_ready}", do)
    if occupants:
        what = f"the data is used by a {occupants[0]}, but nothing listens at {source.local_url}"
        do = "Give the same --listen or --config as the server, or see its log."
        return Finding("server", Level.BROKEN, what, do)
    return Finding("server", Level.OK, f"not running (nothing listens at {source.local_url})")


def _source(source: Source) -> Finding:
    if source.wrong:
        do = (
            "Check server.public_url, and the reverse proxy if there is one: clients use exactly this URL."
            if source.is_public_url_set
            else "See the log of the server."
        )
        return Finding("source", Level.BROKEN, f"{source.url}: {source.wrong}", do)
    if source.url.startswith("http:") and not source.is_for_this_machine:
        do = (
            "NuGet refuses plain http unless each client allows it (allowInsecureConnections): configure"
            " server.tls_cert, or set server.public_url to the https URL of the reverse proxy."
        )
        return Finding("source", Level.WARNING, source.url, do)
    reach = " (this machine only)" if source.is_for_this_machine and not source.is_public_url_set else ""
    return Finding("source", Level.OK, f"{source.url}{reach}")


def _policy(facts: Facts) -> Iterator[Finding]:
    if facts.has_policy and not facts.hiding_rules:
        yield Finding("policy", Level.OK, "ordinary packages pass")
    for rule in facts.hiding_rules:
        what = f"the rule {rule} withholds even packages that are old, signed, free and without vulnerabilities"
        do = "Limit it by ids, or add a rule that allows; `nugetproxy explain ID` shows the verdict on a package."
        yield Finding("policy", Level.BROKEN, what, do)


def _backup(facts: Facts) -> Finding:
    command = "Run `nugetproxy backup DIRECTORY`, best as a daily job."
    if facts.backup_age == 0:
        return Finding("backup", Level.OK, "not checked")
    if facts.databases is None or facts.databases.is_empty:
        return Finding("backup", Level.OK, "nothing to back up yet")
    if facts.bucket is not None:
        return Finding("backup", Level.OK, "not checked with shared storage: another node may have made it")
    if facts.backup is None:
        return Finding("backup", Level.WARNING, "this data directory was never backed up", command)
    return _age_of(facts.backup, facts.now, facts.backup_age, command)


def _age_of(backup: Backup, now: float, longest: float, command: str) -> Finding:
    age = now - backup.made
    ago = f"{age / DAY:.0f} days ago" if age >= 2 * DAY else f"{max(age, 0) / 3600:.0f} hours ago"
    what = f"the last one was made {ago}, in {backup.folder}"
    if backup.damaged:
        do = "See `nugetproxy backup` for the files that are missing or damaged, and push those packages again."
        return Finding("backup", Level.WARNING, f"{what}, without {backup.damaged} damaged files", do)
    if age > longest:
        return Finding("backup", Level.WARNING, what, command)
    return Finding("backup", Level.OK, what)


def size(number: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
