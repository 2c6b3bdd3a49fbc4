"""Where the shared test kit lies, and what to do when it does not: a person without it gets a skip with the reason, a
CI run (CI is set) a failure."""

import os
from pathlib import Path
from typing import NoReturn

import pytest


def shared() -> Path:
    """The folder with `clients/` and `nuget-org/`; skips the test (fails it under CI) when it is not there."""
    named = os.environ.get("NUGETPROXY_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "nuget-org" / "nuget_org.py").is_file():
        lacking("the shared test kit is not here: set NUGETPROXY_SHARED, or put it at ../shared")
    return folder


def lacking(reason: str) -> NoReturn:
    """Skip for a person, fail for CI: there a missing tool would hide that nothing was tested."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
