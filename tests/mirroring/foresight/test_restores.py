from nugetproxy.mirroring.foresight.restores import MOST_PLANNED, Restore, Restores
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import Dependency, DependencyGroup


def package(text: str) -> PackageIdentity:
    return PackageIdentity.parse(*text.split())


def depends(*texts: str, framework: str | None = None) -> DependencyGroup:
    return DependencyGroup(framework, tuple(Dependency(*text.split()) for text in texts))


def ids(needs) -> list[str]:
    return [need.id.text for need in needs]


def test_what_a_package_needs_is_to_be_fetched_once():
    restore = Restore("7.9.0")
    assert ids(restore.learn(package("A 1.0.0"), [depends("B 1.0.0", "C 1.0.0")])) == ["B", "C"]
    assert ids(restore.learn(package("A 1.0.0"), [depends("B 1.0.0", "C 1.0.0")])) == []
    assert ids(restore.learn(package("D 1.0.0"), [depends("B 1.0.0", "E 1.0.0")])) == ["E"]


def test_what_the_client_has_in_that_version_or_a_higher_one_is_not_needed():
    restore = Restore("7.9.0")
    restore.asked_for(package("B 2.0.0"))
    assert ids(restore.learn(package("A 1.0.0"), [depends("B 1.0.0", "C 1.0.0")])) == ["C"]
    assert ids(restore.learn(package("D 1.0.0"), [depends("B 3.0.0")])) == ["B"]


def test_a_package_is_planned_unless_a_higher_version_is():
    restore = Restore("7.9.0")
    assert restore.plan(package("B 2.0.0"))
    assert not restore.plan(package("B 2.0.0"))
    assert not restore.plan(package("B 1.0.0"))
    assert restore.plan(package("B 2.0.1"))


def test_a_list_that_only_another_framework_explains_adds_its_needs():
    restore = Restore("7.9.0")
    new, old = depends("New 1.0.0", framework="net8.0"), depends("Old 1.0.0", "Other 1.0.0", framework="net462")
    assert ids(restore.learn(package("A 1.0.0"), [new, old])) == ["New"]
    assert restore.asked_for_list("new") == []
    assert restore.asked_for_list("unheard.of") == []
    assert ids(restore.asked_for_list("old")) == ["Old", "Other"]
    assert [framework.short for framework in restore.frameworks] == ["net10.0", "net481"]
    assert restore.asked_for_list("other") == []


def test_a_restore_is_bounded():
    restore = Restore("7.9.0")
    found = restore.learn(package("A 1.0.0"), [depends(*(f"B{number} 1.0.0" for number in range(2 * MOST_PLANNED)))])
    assert len(found) == MOST_PLANNED
    assert restore.learn(package("C 1.0.0"), [depends("D 1.0.0")]) == []


def test_a_session_is_one_restore_for_a_while():
    restores = Restores()
    first = restores.of("a", "7.9.0", 0.0)
    assert restores.of("a", "7.9.0", 500.0) is first
    assert restores.of("b", "7.9.0", 500.0) is not first
    assert restores.of("a", "7.9.0", 1_200.0) is not first


def test_what_can_be_no_session_id_is_no_restore():
    restores = Restores()
    assert restores.of("", "7.9.0", 0.0) is None
    assert restores.of("a" * 65, "7.9.0", 0.0) is None


def test_the_oldest_of_very_many_are_forgotten():
    restores = Restores()
    first = restores.of("first", "7.9.0", 0.0)
    for number in range(300):
        restores.of(str(number), "7.9.0", 1.0)
    assert restores.of("first", "7.9.0", 1.0) is not first
