"""The facts are those of the machine: a real directory, real certificates, a real database."""

import os

import pytest

from nugetproxy.config import Config, PolicySettings
from nugetproxy.runtime.doctor.facts import Backup
from nugetproxy.runtime.doctor.gathering import (
    backup_facts,
    certificate_facts,
    database_facts,
    disk_facts,
    hiding_rules,
    occupant_facts,
)
from nugetproxy.storage.backup.last import FILE, LastBackup, last_backup, note_backup
from nugetproxy.storage.database.opening import MAIN, open_main_database
from nugetproxy.storage.occupants import Occupant, enter
from tests.certificates import PrivateCA


def at(path) -> Config:
    return Config.model_validate({"storage": {"path": str(path), "reserve": "5 MB"}})


def test_the_disk_is_measured_and_nothing_is_left_there(tmp_path):
    found = disk_facts(at(tmp_path))

    assert (found.path, found.why, found.exists, found.is_writable) == (str(tmp_path), "", True, True)
    assert 0 < found.free <= found.total
    assert found.reserve == 5_000_000
    assert found.locks_hold
    assert found.sync_seconds is not None
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_does_not_exist_is_not_created(tmp_path):
    found = disk_facts(at(tmp_path / "a" / "b"))

    assert (found.exists, found.why) == (False, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_directory_of_somebody_else(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert not disk_facts(at(tmp_path)).is_writable
        assert "not writable" in disk_facts(at(tmp_path / "new")).why
    finally:
        tmp_path.chmod(0o700)


def test_who_uses_the_directory(tmp_path):
    assert occupant_facts(tmp_path) == ()
    entry = enter(tmp_path, Occupant("server", "1.0", 7))
    assert occupant_facts(tmp_path) == ("server of nugetproxy 1.0 (process 7)",)
    entry.leave()
    assert occupant_facts(tmp_path) == ()


async def test_the_database(tmp_path):
    assert (await database_facts(tmp_path / "none")).is_empty
    database = open_main_database(tmp_path)
    database.close()
    assert (await database_facts(tmp_path)).is_empty
    (tmp_path / MAIN).write_bytes(b"no database at all" * 100)
    assert "restore it from a backup" in (await database_facts(tmp_path)).why


def test_the_certificate(tmp_path):
    certificate, key = PrivateCA(tmp_path).issue("nuget.example.com")
    found = certificate_facts(str(certificate), str(key))

    assert found is not None
    assert found.names == ("localhost", "127.0.0.1")
    assert (found.subject, found.issuer) == ("Common Name: nuget.example.com", "Common Name: Private Test CA")
    assert not found.is_complete
    assert certificate_facts("", "") is None


def test_a_certificate_that_this_machine_trusts(tmp_path, monkeypatch):
    ca = PrivateCA(tmp_path)
    certificate, key = ca.issue()
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
    found = certificate_facts(str(certificate), str(key))

    assert found is not None
    assert found.is_complete


def test_the_last_backup(tmp_path):
    assert backup_facts(tmp_path) is None
    note_backup(tmp_path, LastBackup("2026-01-31T00:00:00Z", "/backups/1", 3))
    assert backup_facts(tmp_path) == Backup(1769817600.0, "/backups/1", 3)
    for damaged in (b"", b"[]", b'{"created": 1, "folder": "", "damaged": 0}', b'{"created": "x"}'):
        (tmp_path / FILE).write_bytes(damaged)
        assert last_backup(tmp_path) is None
    note_backup(tmp_path, LastBackup("yesterday", "/backups/1", 0))
    assert backup_facts(tmp_path) is None


@pytest.mark.parametrize(
    ("rules", "hiding"),
    [
        ([], []),
        ([{"ids": ["*"]}], ["r0"]),
        ([{"versions": "(,100.0]"}], ["r0"]),
        ([{"younger_than": "7d", "severity": "high", "unsigned": True}], []),
        ([{"younger_than": "7d"}, {"younger_than": "9000d"}], ["r1"]),
        ([{"licences_except": ["MIT"]}], []),
        ([{"licences_except": ["GPL-3.0-only"]}], ["r0"]),
        ([{"ids": ["Contoso.*"]}], []),
        ([{"ids": ["Contoso.*"], "versions": "(,100.0]"}], []),
        ([{"except_ids": ["Example.*"], "versions": "(,100.0]"}], []),
        ([{"ids": ["*"], "mode": "warn"}], []),
        ([{"ids": ["*"], "until": "2026-01-01"}], []),
        # Only what is on a list is allowed: that is meant.
        ([{"ids": ["*"]}, {"action": "allow", "ids": ["Serilog"]}], []),
        ([{"ids": ["*"]}, {"action": "allow", "ids": ["Serilog"], "until": "2026-01-01"}], ["r0"]),
    ],
)
def test_rules_that_hide_everything(rules, hiding):
    named = [{"name": f"r{number}", "action": "block", **rule} for number, rule in enumerate(rules)]

    assert list(hiding_rules(PolicySettings.model_validate({"rule": named}), 1_800_000_000.0)) == hiding
