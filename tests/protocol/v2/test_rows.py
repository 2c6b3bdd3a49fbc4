import pytest

from nugetproxy.protocol.v2.rows import rows_of_hit
from nugetproxy.protocol.v3.search import SearchHit
from tests.protocol.v2.leaves import LINKS, hit, leaf, rows
from tests.protocol.writing import rows_of_leaves

VERSIONS = ["1.0.0", "1.1.0", "1.2.0-beta", "2.0.0-rc.1"]


def flags(found):
    latest = [row.version.normalized for row in found if row.is_latest]
    return latest, [row.version.normalized for row in found if row.is_absolute_latest]


def test_the_latest_versions_with_semver_2():
    assert flags(rows(*(leaf(version=version) for version in VERSIONS))) == (["1.1.0"], ["2.0.0-rc.1"])


def test_the_latest_versions_without_semver_2():
    """
    The flags are determined among the versions that the request may see.
    """
    assert flags(rows(*(leaf(version=version) for version in VERSIONS), level2=False)) == (["1.1.0"], ["1.2.0-beta"])


def test_unlisted_versions_are_included_but_never_the_latest():
    found = rows(leaf(version="1.0.0"), leaf(version="2.0.0", listed=False))

    assert [row.version.normalized for row in found] == ["1.0.0", "2.0.0"]
    assert flags(found) == (["1.0.0"], ["1.0.0"])


def test_if_nothing_is_listed_nothing_is_the_latest():
    assert flags(rows(leaf(listed=False))) == ([], [])


@pytest.mark.parametrize("version", ["1.0.0-0", "1.0.0-1a", "1.0.0-a.b", "1.0.0+meta", "1.0.0--x"])
def test_versions_that_nuget_2_8_cannot_read_are_hidden(version):
    assert rows(leaf(version=version), level2=False) == []
    assert len(rows(leaf(version=version))) == 1


@pytest.mark.parametrize("version", ["1.0", "1.2.3.4", "1.0.0-alpha", "1.0.0-a-1", "1.0.0-RC1"])
def test_versions_that_nuget_2_8_can_read_are_shown(version):
    assert len(rows(leaf(version=version), level2=False)) == 1


def test_rows_of_a_hit_are_its_versions():
    found = rows_of_hit(hit("A", "1.0.0", "1.1.0", "2.0.0-rc.1"), LINKS, level2=False)

    assert [row.version.normalized for row in found] == ["1.0.0", "1.1.0"]
    assert flags(found) == (["1.1.0"], ["1.1.0"])


class Counted(list[dict[str, object]]):
    """Rows of a hit that count how often they are iterated."""

    walks = 0

    def __iter__(self):
        self.walks += 1
        return super().__iter__()


@pytest.mark.parametrize("are_leaves_known", [False, True])
def test_a_hit_of_many_versions_is_read_once_for_all_of_them(are_leaves_known):
    """
    A filter builds the package of every version, and there can be thousands.
    """
    versions = [f"1.0.{number}" for number in range(50)]
    counted = Counted({"version": version, "downloads": 3} for version in versions)
    found_by = SearchHit("A", {"id": "A", "version": "1.0.49", "versions": counted})
    if are_leaves_known:
        found = rows_of_leaves([leaf("A", version) for version in versions], LINKS, level2=True, hit=found_by)
    else:
        found = rows_of_hit(found_by, LINKS, level2=True)

    assert sum(row.package.version_downloads for row in found) == 150
    assert counted.walks <= 2


def test_a_package_is_built_once():
    (only,) = rows(leaf())

    assert only.package is only.package
