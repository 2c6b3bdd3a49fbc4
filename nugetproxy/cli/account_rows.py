"""How commands print an account, whether user or organisation."""

from typing import Any

from nugetproxy.accounts.model import Account
from nugetproxy.cli.output import iso


def shown(account: Account) -> dict[str, Any]:
    """For --json."""
    return {
        "name": account.name,
        "kind": account.kind.value,
        "administrator": account.is_administrator,
        "disabled": account.is_disabled,
        "created": iso(account.created),
    }


def state(account: Account) -> str:
    """The cell of a table."""
    return "disabled" if account.is_disabled else "active"
