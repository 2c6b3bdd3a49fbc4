"""A project as a set of facts, one line each: what differs between two is then easy to see."""

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from nugetproxy.nuget.closure.model import Project, Target
from tests.nuget.projects.cases import CASES

RECORDED = Path(__file__).parent / "recorded.json"
"""What the .NET SDK 10.0.401 says about the cases; tests/clients/test_projects.py compares, and can record it anew."""


def write_cases(folder: Path) -> list[Path]:
    """All cases below a folder; returns their projects and file-based apps."""
    projects = []
    for case, files in CASES.items():
        for name, text in files.items():
            path = folder / case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if path.suffix.endswith(("proj", ".cs")):
                projects.append(path)
    return projects


def facts_of(project: Project, root: Path) -> set[str]:
    return {f"{target.framework.short}: {fact}" for target in project.targets for fact in _of_target(target, root)}


def _of_target(target: Target, root: Path) -> Iterator[str]:
    yield "exists"
    for each in target.references:
        range_ = each.range or target.central.get(each.id.lower)
        origin = " by itself" if each.is_implicit else ""
        yield f"needs{origin} {each.id.lower} {range_} private={each.is_private} excluded={each.excludes_all}"
    for reference in target.projects:
        yield f"references {Path(reference.path).relative_to(root)} private={reference.is_private}"
    for download in target.downloads:
        yield f"downloads {download.lower_id} {download.version}"
    yield f"falls back to {[each.short for each in target.fallbacks]}"
    for runtime in target.runtimes:
        yield f"runs on {runtime}"
    for package_id, version in target.central.items():
        yield f"has central {package_id} {version}"
    yield f"pins: {target.pins_transitively}"
    yield prunes({package_id: version.normalized for package_id, version in target.pruned.items()})


def prunes(versions: Mapping[str, str]) -> str:
    """One line for hundreds of packages: how many, and a checksum."""
    text = " ".join(f"{package_id} {version}" for package_id, version in sorted(versions.items()))
    return f"prunes {len(versions)} packages, checksum {zlib.crc32(text.encode())}"
