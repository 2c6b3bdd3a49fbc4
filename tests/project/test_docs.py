"""Lists in the documentation match the code."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import click
import pytest
from prometheus_client.metrics import MetricWrapperBase

import nugetproxy
from nugetproxy import metrics
from nugetproxy.cli.main import main
from nugetproxy.web.routes import ROUTES

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def instruments() -> list[tuple[str, str, str, str]]:
    """Name, type, labels and meaning of each, as declared."""
    found = []
    for each in vars(metrics).values():
        if isinstance(each, MetricWrapperBase):
            name = each._name + ("_total" if each._type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in each._labelnames) or "–"
            found.append((f"`{name}`", str(each._type), labels, each._documentation))
    return found


def test_operations_lists_every_metric():
    page = (ROOT / "docs/operations.md").read_text()
    section = page.split("## Metrics", 1)[1]
    rows = re.findall(r"^\| (`nugetproxy_\w+`) \| (\w+) \| (.+?) \| (.+) \|$", section, re.MULTILINE)

    assert sorted(rows) == sorted(instruments())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_mentioned_metric_exists(page):
    known = {name.strip("`") for name, *_ in instruments()}

    assert set(re.findall(r"`(nugetproxy_[a-z_]+[a-z])`", page.read_text())) - known == set()


def test_the_readme_mentions_every_command():
    page = (ROOT / "README.md").read_text()

    assert all(f"nugetproxy {command}" in page for command in main.list_commands(click.Context(main)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_are_not_broken(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_route_is_documented():
    """
    In the order of the table, with the word that metrics and logs use.
    """
    page = (ROOT / "docs/protocol/routes.md").read_text()
    rows = re.findall(r"^\| `(/.*?)` \| `(\w+)` \|", page, re.MULTILINE)

    assert [(re.sub(r"{(\w+):[^}]*}", r"{\1}", route.path), route.resource.value) for route in ROUTES] == rows


@pytest.mark.parametrize("page", ["docs/threat-model.md", "docs/how-to-add.md", "SECURITY.md"])
def test_named_files_and_tests_exist(page):
    """
    Every defence exists, and so does the test that proves it.
    """
    named = re.findall(r"`([a-z][\w/.]*?/[\w/]+\.py)(?:::(\w+))?`", (ROOT / page).read_text())
    missing = [(file, test) for file, test in named if not _is_there(file, test)]

    assert named
    assert missing == []


def test_every_threat_has_a_proof():
    page = (ROOT / "docs/threat-model.md").read_text()
    rows = re.findall(r"^\|(?! ---| threat)(.+)\|$", page, re.MULTILINE)

    assert [row for row in rows if row.count(" | ") != 3 or "::test_" not in row] == []


def test_no_machine_is_mentioned():
    """
    Pages are about the project, not about the machine they were written on.
    """
    found = [page.name for page in PAGES if re.search(r"(?<![\w.])/(?:home|root|work|tmp|Users)/", page.read_text())]

    assert found == []


def test_every_decision_has_context_decision_and_consequences():
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))

    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], page


def test_every_dependency_is_justified():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    names = {re.split(r"[<>=~! ]", each, maxsplit=1)[0] for each in wanted}
    page = (ROOT / "docs/decisions/0002-dependencies.md").read_text()

    assert names == set(re.findall(r"^\| ([a-z][a-z0-9-]+)(?: \(.*?\))? \| (?!for$)", page, re.MULTILINE)) - {"package"}


def _is_there(file: str, test: str) -> bool:
    """Paths are relative to the root, the package, or the tests."""
    paths = [folder / file for folder in (ROOT, ROOT / "nugetproxy", ROOT / "tests") if (folder / file).is_file()]
    return any(not test or f"def {test}(" in path.read_text() for path in paths)


def test_the_version_is_stated_once():
    """
    The package and its metadata have the same version, so `--version` shows what is installed.
    """
    assert nugetproxy.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
