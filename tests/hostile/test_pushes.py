"""How much of a hostile push is unpacked and parsed before it is refused: counted in bytes and elements."""

import io
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.hosting.inspection import identify, inspect, refuse_symbols
from nugetproxy.nuget import archive_contents, nuspec
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.nuspec_parser import MIRRORED, PUSHED, NuspecParser
from nugetproxy.nuget.push_rules import PushLimits, check_push

LIMITS = ArchiveLimits(max_entries=20_000)
RULES = partial(check_push, limits=PushLimits())
BLOCK = 64 * 1024
GROUPS = b"<dependencies>" + b"<group/>" * 400_000 + b"</dependencies>"


class Work:
    """The work done so far: elements visited in a nuspec, bytes of entries unpacked."""

    def __init__(self) -> None:
        self.elements = self.unpacked = 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    done = Work()
    unpack: Any = archive_contents._unpacked

    def counted(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        for block in unpack(*args, **kwargs):
            done.unpacked += len(block)
            yield block

    class Counted(NuspecParser):
        def parse(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().parse(*args, **kwargs)
            finally:
                done.elements += self.visited

    monkeypatch.setattr(archive_contents, "_unpacked", counted)
    monkeypatch.setattr(nuspec, "NuspecParser", Counted)
    return done


def pushed(folder: Path, *, rest: bytes = b"", files: dict[str, bytes] | None = None) -> Path:
    """A package whose nuspec contains `rest`, compressed as much as possible."""
    metadata = b"<id>Contoso.Hostile</id><version>1.0.0</version><authors>a</authors><description>d</description>"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.nuspec", b"<package><metadata>" + metadata + rest + b"</metadata></package>")
        for name, content in (files or {}).items():
            archive.writestr(name, content)
    path = folder / "pushed.nupkg"
    path.write_bytes(buffer.getvalue())
    return path


def test_the_id_is_known_after_five_elements(tmp_path: Path, work: Work) -> None:
    path = pushed(tmp_path, rest=GROUPS)
    assert path.stat().st_size < 10_000

    assert str(identify(path, LIMITS)) == "Contoso.Hostile 1.0.0"
    assert work.elements <= 5
    assert work.unpacked <= 16 * BLOCK


def test_a_nuspec_of_400_000_groups_is_read_up_to_the_bound(tmp_path: Path, work: Work) -> None:
    path = pushed(tmp_path, rest=GROUPS)

    with pytest.raises(InvalidPackage, match="more than 256 dependency groups"):
        inspect(path, LIMITS, RULES)
    assert 256 < work.elements <= PUSHED.elements
    assert work.unpacked <= len(GROUPS) + BLOCK


def test_of_a_version_that_exists_only_the_package_types_are_of_interest(tmp_path: Path, work: Work) -> None:
    refuse_symbols(pushed(tmp_path, rest=GROUPS), LIMITS)

    assert work.elements <= MIRRORED.elements


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (PushLimits(ratio_free_size=1_000_000), "more than 200 times its size"),
        (PushLimits(max_unpacked_size=3_000_000), "more than the limit of 3 MB"),
    ],
)
def test_of_a_bomb_nothing_is_unpacked(tmp_path: Path, work: Work, limits: PushLimits, message: str) -> None:
    """
    Not even its nuspec, which may be expensive as well.
    """
    path = pushed(tmp_path, rest=GROUPS, files={"content/zeros": bytes(5_000_000)})

    with pytest.raises(InvalidPackage, match=message):
        inspect(path, LIMITS, partial(check_push, limits=limits))
    assert (work.elements, work.unpacked) == (0, 0)


def test_an_accepted_package_is_unpacked_once(tmp_path: Path, work: Work) -> None:
    path = pushed(tmp_path, files={"content/zeros": bytes(5_000_000)})

    inspect(path, LIMITS, RULES)
    assert 5_000_000 < work.unpacked < 5_010_000
    assert work.elements < 30
