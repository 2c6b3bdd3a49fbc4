"""Which packages a restore selects, by rule. tests/clients/test_closure.py compares whole graphs with the client."""

import pytest

from nugetproxy.nuget.closure import choice
from nugetproxy.nuget.closure.model import Project, ProjectReference, Target
from nugetproxy.nuget.closure.ranges import reaches
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from tests.nuget.closures import (
    Universe,
    closure_of,
    closures,
    framework,
    packages,
    project,
    ranges,
    references,
)


@pytest.mark.parametrize(
    ("universe", "wanted", "selected"),
    [
        pytest.param("A 1.0\nA 1.1\nA 2.0", "A 1.0", "A 1.0.0", id="the lowest"),
        pytest.param("A 1.1\nA 1.2", "A 1.0", "A 1.1.0", id="the next higher instead of a missing one"),
        pytest.param("A 1.0\nA 1.1", "A (1.0,)", "A 1.1.0", id="above an exclusive bound"),
        pytest.param("A 1.0\nA 1.9\nA 2.0", "A 1.*", "A 1.9.0", id="the highest that matches a star"),
        pytest.param("A 1.0\nA 2.0-rc", "A *-*", "A 2.0.0-rc", id="the highest at all"),
        pytest.param("A 1.0: B 1.0\nB 1.0\nB 2.0", "A 1.0; B 2.0", "A 1.0.0, B 2.0.0", id="direct wins"),
        pytest.param(
            "A 1.0: C 1.0\nB 1.0: C 2.0\nC 1.0\nC 2.0", "A 1.0; B 1.0", "A 1.0.0, B 1.0.0, C 2.0.0", id="cousins"
        ),
        pytest.param(
            "A 1.0: C 1.0\nB 1.0: C 2.0\nC 1.0: D 1.0\nC 2.0\nD 1.0",
            "A 1.0; B 1.0",
            "A 1.0.0, B 1.0.0, C 2.0.0",
            id="what only the evicted one needs is gone",
        ),
        pytest.param("A 1.0: B 1.0 | net472: C 1.0\nB 1.0", "A 1.0", "A 1.0.0, B 1.0.0", id="the nearest group"),
        pytest.param("A 1.0: B 1.0\nB 1.0: C 1.0\nC 1.0", "A 1.0!", "A 1.0.0, B 1.0.0, C 1.0.0", id="private is here"),
        pytest.param("A 1.0: B nonsense\nB 0.1\nB 2.0", "A 1.0", "A 1.0.0, B 0.1.0", id="an unreadable range"),
    ],
)
def test_what_is_selected(universe, wanted, selected):
    closure = closure_of(universe, wanted)

    assert ", ".join(packages(closure)) == selected
    assert not closure.missing
    assert not closure.problems


@pytest.mark.parametrize(
    ("near", "far", "is_at_least"),
    [
        ("2.0", "1.0", True),
        ("1.0", "1.0-rc", True),
        ("1.0-rc", "1.0", False),
        ("(,1.0]", "5.0", True),
        ("5.0", "(,1.0]", False),
        ("(1.0,)", "1.0", True),
        ("*", "5.0", True),
        ("5.0", "*", False),
        ("*-*", "5.0", True),
        ("*-*", "*", False),
        ("2.*", "2.9.9", True),
        ("2.*", "3.0", False),
        ("2.*-*", "2.1", True),
        ("2.0.0-*", "2.1", False),
        ("2.0.0-*", "2.0.0", True),
        ("2.0.0", "2.0.0-*", True),
        ("2.0.0-beta*", "2.0.0-beta.1", True),
        ("2.0.0-beta.1", "2.0.0-beta*", False),
        ("2.0.0-beta.1*", "2.0.0-BE*", False),
        ("2.0.0-be*", "2.0.0-beta.1*", True),
    ],
)
def test_which_of_two_requests_is_higher(near, far, is_at_least):
    assert reaches(VersionRange.parse(near, floating=True), VersionRange.parse(far, floating=True)) == is_at_least


@pytest.mark.parametrize(
    ("universe", "wanted", "why", "nearest"),
    [
        ("", "A 1.0", "no version of A is available", None),
        ("A 1.0", "A 2.0", "no version of A is in [2.0.0, )", "1.0.0"),
        ("A 1.0\nA 3.0", "A [2.0]", "no version of A is in [2.0.0, 2.0.0]", "3.0.0"),
        ("A 2.0-rc.1", "A 1.0", "only prereleases of A are in [1.0.0, )", "2.0.0-rc.1"),
    ],
)
def test_what_is_missing(universe, wanted, why, nearest):
    closure = closure_of(universe, wanted)

    (missing,) = closure.missing
    assert (missing.why, None if missing.nearest is None else str(missing.nearest)) == (why, nearest)
    assert missing.by == ("app.csproj",)
    assert packages(closure) == []


@pytest.mark.parametrize(
    ("universe", "wanted", "code", "selected"),
    [
        ("A 1.0: B 2.0\nB 1.0\nB 2.0", "A 1.0; B 1.0", "NU1605", "A 1.0.0, B 1.0.0"),
        ("A 1.0: B 1.0\nB 1.0: A 1.0", "A 1.0", "NU1108", "A 1.0.0, B 1.0.0"),
        ("A 1.0: app 1.0\napp 1.0", "A 1.0", "NU1108", "A 1.0.0"),
        ("A 1.0: C [1.0]\nB 1.0: C 2.0\nC 1.0\nC 2.0", "A 1.0; B 1.0", "NU1107", "A 1.0.0, B 1.0.0"),
    ],
)
def test_what_makes_restore_fail(universe, wanted, code, selected):
    closure = closure_of(universe, wanted)

    assert {each.code for each in closure.problems} == {code}
    assert ", ".join(packages(closure)) == selected


def test_who_wants_a_package():
    closure = closure_of("A 1.0: B 1.0\nB 1.0: C 1.0\nC 1.0", "A 1.0")

    by = {str(each.identity): each.by for each in closure.packages}
    assert by["C 1.0.0"] == ("app.csproj", "A 1.0.0", "B 1.0.0")


def test_projects_pass_on_what_is_not_private():
    universe = Universe("A 1.0\nB 1.0\nC 1.0")
    app = project("app.csproj", "", "lib.csproj")
    lib = project("lib.csproj", "A 1.0; B 1.0!", "core.csproj!")
    core = project("core.csproj", "C 1.0")

    assert packages(*closures(universe, app, lib, core)) == ["A 1.0.0"]
    assert packages(*closures(universe, lib, core)) == ["A 1.0.0", "B 1.0.0", "C 1.0.0"]


def test_a_project_takes_the_place_of_a_package_of_its_id_in_any_version():
    universe = Universe("A 1.0: Lib 3.0\nLib 3.0: B 1.0\nB 1.0\nC 1.0")
    app, lib = project("app.csproj", "A 1.0", "lib.csproj"), project("lib.csproj", "C 1.0")

    (closure,) = closures(universe, app, lib)
    assert packages(closure) == ["A 1.0.0", "C 1.0.0"]
    assert not closure.problems

    (closure,) = closures(universe, project("app.csproj", "A 1.0"), lib)
    assert packages(closure) == ["A 1.0.0", "B 1.0.0", "Lib 3.0.0"]


def test_of_two_projects_with_the_same_id_the_nearer_one_counts():
    app = project("app.csproj", "", "near/lib.csproj")
    near, far = project("near/lib.csproj", "A 1.0", "core.csproj"), project("far/lib.csproj", "B 1.0")
    core = project("core.csproj", "C 1.0", "far/lib.csproj")

    (closure,) = closures(Universe("A 1.0\nB 1.0\nC 1.0"), app, near, core, far)

    assert packages(closure) == ["A 1.0.0", "C 1.0.0"]
    assert [each.code for each in closure.problems] == ["NU1108"]


def test_a_project_that_does_not_fit_or_exist():
    app = project("app.csproj", "", "lib.csproj", on="netstandard2.0")
    lib = project("lib.csproj", "A 1.0", on="net10.0")

    (closure,) = closures(Universe("A 1.0"), app, lib)
    assert [each.code for each in closure.problems] == ["NU1201"]
    (closure,) = closures(Universe("A 1.0"), app)
    assert closure.missing[0].why == "there is no project lib.csproj"


def test_central_versions():
    universe = Universe("A 1.0: B 1.0\nA 2.0: B 1.0\nB 1.0\nB 2.0")
    central = ranges("A 1.0; B 2.0")

    def selected(wanted: str, **more: object) -> list[str]:
        (closure,) = closures(universe, project("app.csproj", wanted, central=central, **more))  # type: ignore[arg-type]
        return packages(closure)

    assert selected("A") == ["A 1.0.0", "B 1.0.0"]
    assert selected("A", pins_transitively=True) == ["A 1.0.0", "B 2.0.0"]
    assert selected("A 2.0") == ["A 2.0.0", "B 1.0.0"]

    (closure,) = closures(universe, project("app.csproj", "A; C", central=central))
    assert [each.code for each in closure.problems] == ["NU1010"]


def test_packages_of_the_framework_are_pruned_unless_direct():
    pruned = {"b": NuGetVersion.parse("1.5"), "a": NuGetVersion.parse("9.0")}
    universe = "A 1.0: B 1.0; C 1.0\nB 1.0\nB 2.0\nC 1.0: B 2.0"

    assert packages(closure_of(universe, "A 1.0", pruned=pruned)) == ["A 1.0.0", "B 2.0.0", "C 1.0.0"]
    assert packages(closure_of("A 1.0: B 1.0\nB 1.0", "A 1.0", pruned=pruned)) == ["A 1.0.0"]


def test_fallback_frameworks_count_if_nothing_fits():
    universe = "A 1.0: net45: B 1.0\nB 1.0"

    assert packages(closure_of(universe, "A 1.0")) == ["A 1.0.0"]
    fallbacks = (framework("net461"), framework("net481"))
    assert packages(closure_of(universe, "A 1.0", fallbacks=fallbacks)) == ["A 1.0.0", "B 1.0.0"]


def test_runtimes_add_packages():
    runtime = {"A 1.0.0": "{'runtimes': {'unix': {'A': {'A.unix': '1.0'}, 'B': {'B': '2.0'}}}}"}
    universe = Universe("A 1.0: B 1.0\nB 1.0\nB 2.0\nA.unix 1.0", runtime=runtime)

    found = closures(universe, project("app.csproj", "A 1.0", runtimes=("linux-x64", "win-x64")))

    assert [each.runtime for each in found] == ["", "linux-x64", "win-x64"]
    assert packages(found[0]) == packages(found[2]) == ["A 1.0.0", "B 1.0.0"]
    assert packages(found[1]) == ["A 1.0.0", "A.unix 1.0.0", "B 2.0.0"]


def test_an_unreadable_runtime_json_is_a_problem():
    universe = Universe("A 1.0", runtime={"A 1.0.0": "nonsense"})

    found = closures(universe, project("app.csproj", "A 1.0", runtimes=("linux-x64",)))

    assert "A 1.0.0, runtime.json" in found[0].problems[0].text


def test_downloads_are_fetched_and_not_resolved():
    downloads = (PackageIdentity.parse("A", "1.0"), PackageIdentity.parse("A", "3.0"))

    closure = closure_of("A 1.0: B 1.0\nA 2.0\nB 1.0", "", downloads=downloads)

    assert [(str(each.identity), each.is_download) for each in closure.packages] == [("A 1.0.0", True)]
    assert [each.range for each in closure.missing] == ["[3.0.0, 3.0.0]"]


def test_a_lookup_that_fails_hides_nothing_else():
    universe = Universe("A 1.0: Broken 1.0; B 1.0\nB 1.0", broken=["Broken"])

    (closure,) = closures(universe, project("app.csproj", "A 1.0"))

    assert packages(closure) == ["A 1.0.0", "B 1.0.0"]
    assert [(each.id.text, each.by) for each in closure.missing] == [("Broken", ("app.csproj", "A 1.0.0"))]
    assert "nuget.org" in closure.missing[0].why


def test_each_question_is_asked_once():
    universe = Universe("A 1.0: C 1.0\nB 1.0: C 1.0\nC 1.0\nC 2.0")
    targets = tuple(Target(framework(each), references("A 1.0; B 1.0")) for each in ("net8.0", "net10.0"))

    found = closures(universe, Project("app.csproj", targets))

    assert [packages(each) for each in found] == [["A 1.0.0", "B 1.0.0", "C 1.0.0"]] * 2
    assert set(universe.asked.values()) == {1}
    assert len(universe.asked) == 6


def test_projects_that_reference_each_other_come_to_an_end():
    app, lib = project("app.csproj", "", "lib.csproj"), project("lib.csproj", "A 1.0", "app.csproj")

    (closure,) = closures(Universe("A 1.0"), app, lib)

    assert packages(closure) == ["A 1.0.0"]
    assert [each.code for each in closure.problems] == ["NU1108"]
    assert ProjectReference("app.csproj") in lib.targets[0].projects


def test_independent_questions_are_open_at_the_same_time():
    names = [f"P{number}" for number in range(40)]
    universe = Universe("\n".join(f"{name} 1.0: {name}.Inner 1.0\n{name}.Inner 1.0" for name in names))

    (closure,) = closures(universe, project("app.csproj", "; ".join(f"{name} 1.0" for name in names)))

    assert len(closure.packages) == 80
    assert universe.most_open == 40


@pytest.mark.parametrize(("bound", "value"), [("_MOST_STEPS", 2), ("_MOST_PACKAGES", 3), ("_DEEPEST", 2)])
def test_a_graph_without_end_is_given_up(bound, value, monkeypatch):
    universe = "A 1.0: B 1.0\nB 1.0: C 1.0\nC 1.0: D 1.0\nD 1.0"
    monkeypatch.setattr(choice, bound, 4)
    assert not closure_of(universe, "A 1.0").problems

    monkeypatch.setattr(choice, bound, value)
    closure = closure_of(universe, "A 1.0")

    assert "too many, too deep" in closure.problems[0].text
    assert closure.packages == ()
