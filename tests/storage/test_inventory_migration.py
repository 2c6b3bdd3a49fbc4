"""An inventory of an earlier version gets the tables of this one, with every package that it had."""

import sqlite3
from contextlib import closing

from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.inventory import Inventory, Totals, open_ledger
from nugetproxy.storage.database import migrate
from nugetproxy.storage.database.upgrading import bring_up_to_date


async def test_files_are_taken_over(tmp_path, monkeypatch):
    found = migrate._scripts("inventory")
    older = {name: text for name, text in found.items() if name < "0003"}
    with monkeypatch.context() as before, closing(sqlite3.connect(tmp_path / "inventory.db")) as connection:
        before.setattr(migrate, "_scripts", lambda _: older)
        connection.isolation_level = None
        migrate.migrate(connection, "inventory")
        connection.execute("INSERT INTO mirrored_packages VALUES ('up', 'a', '1.0.0', 'A', '', '', 10, 'hash', 7)")

    assert list(bring_up_to_date(tmp_path, hosting=False)) == ["inventory.db"]
    with closing(open_ledger(tmp_path / "inventory.db")) as database:
        [file] = await KeptFiles(database).all()
        assert (file.key, file.size, file.used, file.sha512) == (("up", "a", "1.0.0"), 10, 7, "")
        assert Inventory(database).totals() == Totals(1, 10)
        await KeptFiles(database).remove([file])
        assert Inventory(database).totals() == Totals(0, 0)
        assert await KeptFiles(database).all() == []
