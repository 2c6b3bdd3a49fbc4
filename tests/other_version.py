"""Another version of the program: in this process, or as a copy for separate processes."""

import shutil
from pathlib import Path

import pytest

import nugetproxy
from nugetproxy.storage.database import migrate, upgrading

NEXT = "9000_next.sql"
"""A migration that this version does not know."""

_scripts = migrate._scripts


def other_version(monkeypatch: pytest.MonkeyPatch, version: str, statement: str = "") -> None:
    """Become `version` in this process, with one more migration for each schema if there is a statement."""

    def scripts(schema: str) -> dict[str, str]:
        return {**_scripts(schema), **({NEXT: statement} if statement else {})}

    monkeypatch.setattr(migrate, "_scripts", scripts)
    monkeypatch.setattr(migrate, "VERSION", version)
    monkeypatch.setattr(upgrading, "VERSION", version)


class Installed:
    """A copy of the program below `folder`, which can be upgraded in place. `environ` makes a Python start it."""

    def __init__(self, folder: Path) -> None:
        self._package = folder / "nugetproxy"
        shutil.copytree(Path(nugetproxy.__file__).parent, self._package)
        # -m would search the working directory first, which has this version.
        self.environ = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}

    def upgrade(self, version: str) -> None:
        (self._package / "__init__.py").write_text(f'"""A copy."""\n\n__version__ = "{version}"\n')
        for schema in ("main", "inventory"):
            file = self._package / "storage/database/migrations" / schema / NEXT
            file.write_text("CREATE TABLE next (x TEXT) STRICT\n")
