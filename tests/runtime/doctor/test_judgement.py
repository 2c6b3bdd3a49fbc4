"""What each fact means: the level, what is said, and what to do."""

from dataclasses import replace
from typing import Any

import pytest

from nugetproxy.mirroring.upstream.first_contact import FirstContact
from nugetproxy.runtime.doctor.facts import Backup, Bucket, Certificate, Databases, Disk, Facts, Source
from nugetproxy.runtime.doctor.judgement import Level, judge, size, worst

NOW = 1_800_000_000.0
DAY = 86_400.0
GB = 10**9

DISK = Disk("/data", free=50 * GB, total=100 * GB, reserve=GB, free_files=10**6, sync_seconds=0.004, locks_hold=True)
UPSTREAM = FirstContact("nuget.org", "https://api.nuget.org/v3/index.json", "", 0.2, "", "", 0.4)
CERTIFICATE = Certificate("CN=n", ("nuget.example.com",), NOW + 90 * DAY, "CN=n", "CN=ca", is_complete=True)
SOURCE = Source(
    "https://nuget.example.com/v3/index.json", "https://127.0.0.1:8550", True, is_for_this_machine=False, wrong=""
)
WELL = Facts(
    NOW,
    settings_from="config.toml",
    disk=DISK,
    databases=Databases(is_empty=False),
    certificate=CERTIFICATE,
    contacts=(UPSTREAM,),
    source=SOURCE,
    backup=Backup(NOW - DAY, "/backups/1"),
)
REFUSED = replace(SOURCE, not_ready="Connection refused", is_refused=True, wrong=None)


def disk(**changes: Any) -> Facts:
    return replace(WELL, disk=replace(DISK, **changes))


def upstream(**changes: Any) -> Facts:
    return replace(WELL, contacts=(replace(UPSTREAM, **changes),))


def certificate(**changes: Any) -> Facts:
    return replace(WELL, certificate=replace(CERTIFICATE, **changes))


def test_all_is_well():
    findings = judge(WELL)

    assert worst(findings) is Level.OK
    assert [each.do for each in findings] == [""] * len(findings)
    assert [each.check for each in findings] == [
        "settings", "disk", "sync", "locks", "database", "clock", "tls", "upstream", "server", "source", "backup",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "check", "level", "what", "do"),
    [
        (replace(WELL, settings_warnings=("moved",)), "settings", 1, "moved", "upstreams in the settings"),
        (disk(why="Not a directory"), "disk", 2, "/data: Not a directory", "can write to"),
        (disk(exists=False), "disk", 0, "does not exist yet", ""),
        (disk(is_writable=False), "disk", 2, "read-only", "chown"),
        (replace(disk(is_writable=False), is_offline=True), "disk", 0, "enough for serving offline", ""),
        (disk(free=GB - 1), "disk", 2, "1000 MB free of 100 GB", "below 1.0 GB (storage.reserve)"),
        (disk(free=2 * GB - 1), "disk", 1, "2.0 GB free", "will not be stored"),
        (disk(free=2 * GB), "disk", 0, "2.0 GB free", ""),
        (disk(free_files=9_999), "disk", 1, "9999 more files", "inodes"),
        (disk(free_files=0), "disk", 2, "only 0 more files", "inodes"),
        (disk(free_files=None), "disk", 0, "50 GB free", ""),
        (disk(sync_seconds=0.25), "sync", 1, "250.0 ms", "Pushes wait"),
        (disk(locks_hold=False), "locks", 2, "no effect", "local disk"),
        (replace(WELL, databases=Databases("nugetproxy.db is damaged")), "database", 2, "is damaged", "accounts"),
        (replace(WELL, bucket=Bucket("bucket nuget")), "bucket", 0, "bucket nuget can be", ""),
        (replace(WELL, bucket=Bucket("bucket x", "cannot list blobs")), "bucket", 2, "x: cannot list", "rights"),
        (upstream(clock_ahead=-10.0), "clock", 0, "agrees", ""),
        (upstream(clock_ahead=11.0), "clock", 1, "11 s behind the clock of nuget.org", "Synchronise"),
        (upstream(clock_ahead=-11.0), "clock", 1, "11 s ahead of the clock", "Synchronise"),
        (upstream(clock_ahead=4000.0), "clock", 2, "4000 s behind", "Synchronise"),
        (certificate(ends=NOW - 1), "tls", 2, "ended on", "Clients refuse it"),
        (certificate(ends=NOW + 13 * DAY), "tls", 1, "in 13 days", "Renew it"),
        (certificate(is_complete=False), "tls", 1, "stops at CN=ca", "intermediate"),
        (certificate(names=("other.example.com",)), "tls", 1, "not for nuget.example.com", "public_url"),
        (certificate(names=()), "tls", 1, "for no name", "public_url"),
        (certificate(names=("*.EXAMPLE.com",)), "tls", 0, "valid until 2027-04-15", ""),
        (certificate(names=("*.com",)), "tls", 1, "not for nuget.example.com", "public_url"),
        (upstream(why="timeout", remedy="check the firewall"), "upstream", 2, "v3/index.json: timeout", "Check the f"),
        (upstream(why="it failed"), "upstream", 2, "it failed", "Wait"),
        (upstream(seconds=2.1), "upstream", 1, "after 2.10 s", "network"),
        (upstream(through="the proxy http://p"), "upstream", 0, "through the proxy http://p", ""),
        (replace(WELL, is_offline=True, contacts=()), "upstream", 0, "offline", ""),
        (replace(WELL, source=replace(SOURCE, not_ready="status 503: x")), "server", 2, "503: x", "/health/ready"),
        (replace(WELL, source=REFUSED), "server", 0, "not running", ""),
        (replace(WELL, source=REFUSED, occupants=("server (process 7)",)), "server", 2, "process 7", "--listen"),
        (replace(WELL, source=replace(SOURCE, wrong="status 404")), "source", 2, "404", "server.public_url"),
        (
            replace(WELL, certificate=None, source=Source("http://nuget:8550/v3/index.json", "", False, False)),
            "source", 1, "http://nuget:8550", "server.tls_cert",
        ),
        (
            replace(WELL, certificate=None, source=Source("http://127.0.0.1:8550/v3/index.json", "", False, True)),
            "source", 0, "this machine only", "",
        ),
        (replace(WELL, has_policy=True), "policy", 0, "ordinary packages pass", ""),
        (replace(WELL, has_policy=True, hiding_rules=("all",)), "policy", 2, "the rule all withholds", "explain"),
        (replace(WELL, backup=None), "backup", 1, "never", "nugetproxy backup"),
        (replace(WELL, backup=Backup(NOW - 8 * DAY, "/b")), "backup", 1, "8 days ago, in /b", "nugetproxy backup"),
        (replace(WELL, backup=Backup(NOW - 7 * DAY, "/b")), "backup", 0, "7 days ago", ""),
        (replace(WELL, backup=Backup(NOW + 7 * DAY, "/b")), "backup", 0, "0 hours ago", ""),
        (replace(WELL, backup=Backup(NOW, "/b", damaged=2)), "backup", 1, "without 2 damaged", "push"),
        (replace(WELL, backup=None, backup_age=0), "backup", 0, "not checked", ""),
        (replace(WELL, backup=None, databases=Databases()), "backup", 0, "nothing to back up", ""),
        (replace(WELL, backup=None, bucket=Bucket("bucket x")), "backup", 0, "not checked with shared storage", ""),
    ],
)  # fmt: skip
def test_one_fact_at_a_time(facts, check, level, what, do):
    findings = judge(facts)
    [found] = [each for each in findings if each.check == check]

    assert (found.level, what in found.what, do in found.do) == (level, True, True), found
    assert bool(found.do) == (found.level > Level.OK)
    assert worst(findings) == level


def test_wrong_settings_are_all_there_is():
    findings = judge(replace(WELL, settings_problems=("server.workers: no", "x: unknown")))

    assert [(each.check, each.level, each.what) for each in findings] == [
        ("settings", Level.BROKEN, "server.workers: no"), ("settings", Level.BROKEN, "x: unknown"),
    ]  # fmt: skip


def test_the_clock_of_one_upstream_may_be_wrong():
    other = replace(UPSTREAM, upstream="corp", clock_ahead=-500.0)
    silent = replace(UPSTREAM, clock_ahead=None)

    assert worst(judge(replace(WELL, contacts=(other, UPSTREAM)))) is Level.OK
    assert [each.what for each in judge(replace(WELL, contacts=(other, silent))) if each.check == "clock"] == [
        "500 s ahead of the clock of corp"
    ]
    assert not [each for each in judge(replace(WELL, contacts=(silent,))) if each.check == "clock"]


def test_a_pure_mirror_has_nothing_to_back_up():
    checks = {each.check for each in judge(replace(WELL, is_hosting=False, databases=None, backup=None))}

    assert not checks & {"backup", "database"}


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 KB"),
        (12_345_678, "12 MB"),
        (3 * 10**9, "3.0 GB"),
        (4 * 10**12, "4.0 TB"),
    ],
)
def test_sizes_for_people(number, shown):
    assert size(number) == shown
