"""
Where the shared test kit is, and what to do without it: tests are skipped with the reason, or fail if CI is set.
"""

import os
from pathlib import Path
from typing import NoReturn

import pytest


def shared() -> Path:
    """The folder with `clients/` and `nuget-org/`; skips the test (fails it under CI) if it is missing."""
    named = os.environ.get("NUGETPROXY_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "nuget-org" / "nuget_org.py").is_file():
        lacking("the shared test kit is not here: set NUGETPROXY_SHARED, or put it at ../shared")
    return folder


def lacking(reason: str) -> NoReturn:
    """Skip, or fail under CI, where a missing tool would hide that nothing was tested."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
