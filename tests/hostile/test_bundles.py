"""Damaged bundles: none is accepted, none leaves a trace, and each is refused with a sentence."""

import io
import os
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.config import load
from nugetproxy.errors import BundleRefused, InvalidBundle
from nugetproxy.mirroring.bundle.importing import Importing
from nugetproxy.mirroring.bundle.reading import open_bundle
from nugetproxy.runtime.imports import importing_into
from tests.hostile.damaged_bundles import DAMAGES, GOOD, damaged
from tests.mirroring.bundle.bundles import TRUSTED
from tests.mirroring.bundle.importer import rows

COUNT = int(os.environ.get("NUGETPROXY_DAMAGED_BUNDLES", 20 * len(DAMAGES)))
"""How many: some in each run of the tests, 10,000 before a release."""


@pytest.mark.timeout(60 + COUNT / 10)
async def test_no_damaged_bundle_is_accepted_or_leaves_a_trace(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # it is about what is left, not about power losses
    data = tmp_path / "data"
    refused: dict[str, int] = dict.fromkeys(DAMAGES, 0)
    async with importing_into(load(None, {}, {"storage.path": str(data), "storage.reserve": 0})) as importing:
        with importing.alone():
            clean = everything(data)
            for number in range(COUNT):
                made = damaged(number)
                if made is None:
                    continue
                name, content = made
                sentence = await refusal(importing, content)
                assert sentence, f"{number} ({name}) was accepted"
                assert sentence.isprintable()
                assert len(sentence) < 500
                refused[name] += 1
                assert everything(data) == clean, f"{number} ({name})"
        assert rows(data, "SELECT * FROM mirrored_packages") == []
        assert rows(data, "SELECT * FROM mirrored_files") == []

        # The harness itself accepts what is not damaged.
        with importing.alone():
            assert await refusal(importing, GOOD) == ""
    assert all(refused.values()), refused
    assert sum(refused.values()) >= COUNT * 0.97


async def refusal(importing: Importing, content: bytes) -> str:
    """Empty if it was accepted."""
    try:
        with open_bundle(io.BytesIO(content).read, "team.bundle", TRUSTED) as bundle:
            await importing.run(bundle, "team.bundle")
    except (InvalidBundle, BundleRefused) as error:
        return str(error)
    return ""


def everything(data: Path) -> set[str]:
    return {str(each.relative_to(data)) for each in data.rglob("*") if not each.name.endswith(("-wal", "-shm"))}
