"""The audit log is append-only, one line each, and contains no secret; nor does anything else that is stored."""

import pytest
import structlog

from nugetproxy.accounts.audit import REFUSALS_A_MINUTE, REFUSED, AuditEntry, AuditLog
from nugetproxy.accounts.credentials import mint_key
from nugetproxy.accounts.model import SECOND
from nugetproxy.errors import ConstraintViolated
from tests.accounts.places import IN_A_YEAR, NOON


def entry(subject: str = "x", **differing) -> AuditEntry:
    return AuditEntry(**{"actor": "alice", "action": "package.push", "subject": subject, "at": NOON, **differing})


async def test_a_recorded_line_can_be_read(place):
    await place.audit.record_refusal(entry(address="192.0.2.1", result=REFUSED, detail="not an owner"))

    assert await place.audit.entries() == (entry(address="192.0.2.1", result=REFUSED, detail="not an owner", number=1),)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'bobby'",
        "DELETE FROM audit_log",
        "INSERT OR REPLACE INTO audit_log VALUES (1, 0, '', '', '', '', '', '')",
        "UPDATE OR REPLACE audit_log SET number = 2",
    ],
)
async def test_no_line_is_changed_or_deleted(place, statement):
    await place.audit.record_refusal(entry())

    with pytest.raises(ConstraintViolated, match="append-only"):
        await place.database.write(lambda transaction: transaction.change(statement))
    assert [each.actor for each in await place.audit.entries()] == ["alice"]


async def test_reading_continues_where_it_ended(place):
    for subject in "abcde":
        await place.audit.record_refusal(entry(subject))
    first = await place.audit.entries(limit=2)

    assert [each.subject for each in first] == ["a", "b"]
    assert [each.subject for each in await place.audit.entries(first[-1].number)] == ["c", "d", "e"]
    assert [each.subject for each in await place.audit.latest(2)] == ["d", "e"]


async def test_filters(place):
    await place.audit.record_refusal(entry("a"))
    await place.audit.record_refusal(entry("b", actor="bobby", at=NOON + SECOND))
    await place.audit.record_refusal(entry("c", action="package.unlist"))

    assert [each.subject for each in await place.audit.entries(since=NOON + 1)] == ["b"]
    assert [each.subject for each in await place.audit.entries(actor="bobby")] == ["b"]
    assert [each.subject for each in await place.audit.entries(action="package.unlist", subject="c")] == ["c"]
    assert [each.subject for each in await place.audit.latest(since=NOON + 1)] == ["b"]


async def test_untrusted_text_stays_in_its_line(place):
    await place.audit.record_refusal(entry("a\nb\x1b[2J\ud800" + "x" * 2000))
    subject = (await place.audit.entries())[0].subject

    assert subject.isprintable()
    assert len(subject) == 500


async def test_what_looks_like_a_secret_is_masked(place):
    minted = mint_key()
    await place.audit.record_refusal(entry(f"pushed with {minted.text}", detail="Authorization: Basic aHVudGVyMg=="))
    line = (await place.audit.entries())[0]

    assert line.subject == "pushed with nugetproxy_***"
    assert "aHVudGVyMg" not in line.detail


async def test_no_secret_is_kept_in_clear_anywhere(place, tmp_path):
    """
    Neither in a table, nor in the write-ahead log beside it, nor in a log event, nor in any output.
    """
    password, newer = "correct horse battery", "another staple entirely"
    with structlog.testing.capture_logs() as events:
        alice = await place.directory.add_user("alice", password=password, administrator=True)
        await place.directory.set_password("alice", newer)
        key, first = await place.directory.add_key(alice, None, name="ci", expires=IN_A_YEAR)
        new, second = await place.directory.rotate_key(key, 60)
        assert await place.directory.actor_by_password("alice", newer)
        assert await place.directory.actor_by_password("alice", password) is None
        actor = await place.directory.actor_by_key(second, NOON)
        await place.directory.revoke_key(first)
        place.directory.note_used(new.key_id, NOON)
    bytes_on_disk = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    keys, accounts = await place.directory.keys(), await place.directory.accounts()
    told = repr([events, await place.audit.entries(), keys, accounts, actor])

    assert b"alice" in bytes_on_disk
    for secret in (password, newer, first, second, first[-38:], second[-38:], first[23:55], second[23:55]):
        assert secret.encode() not in bytes_on_disk
        assert secret not in told


async def test_refusals_without_end_leave_so_many_lines(place):
    now = 0.0
    audit = AuditLog(place.database, clock=lambda: now)
    for _ in range(REFUSALS_A_MINUTE + 100):
        await audit.record_refusal(entry(result=REFUSED))
    await audit.record_refusal(entry(actor="bobby", result=REFUSED))  # others have lines of their own
    assert len(await audit.entries(actor="alice", limit=1000)) == REFUSALS_A_MINUTE
    assert len(await audit.entries(actor="bobby")) == 1
    now = 60.0
    await audit.record_refusal(entry(result=REFUSED, detail="not an owner"))
    await audit.record_refusal(entry(result=REFUSED, detail="not an owner"))
    told = [each.detail for each in await audit.latest(2)]
    assert told == ["not an owner (and 100 more refusals that were not recorded)", "not an owner"]
