"""Names of entries that some client cannot unpack, or would unpack under another name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.nuget.archive import STORED, Entry
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.push_rules_names import MOST_FOLDERS, name_problem, name_problems
from tests.nuget.test_hostile_input import BOUNDED
from tests.shared import shared

WINDOWS = "on Windows"


def problems(*names: str) -> list[str]:
    return list(name_problems([Entry(name, 0, STORED, 0, 0, 0, 0, b"") for name in names]))


@pytest.mark.parametrize(
    "name",
    [
        "lib/net8.0/a.dll",
        "lib/",
        "[Content_Types].xml",
        "_rels/.rels",
        ".signature.p7s",
        "package/services/metadata/core-properties/6f0b1d1c9d8f4c0fa2c9b0a1d2e3f405.psmdcp",
        "lib/portable-net45%2Bwin8%2Bwp8/a.dll",
        "content/My%20File.txt",
        "content/%E4%BD%A0.txt",
        "content/100%",
        "content/$rootnamespace$.cs.pp",
        "a..b/c...d",
        "lib/\u00e4.txt",
        " leading/~$x;a=b,(c)&'d'!@#^{e}`+.txt",
        "contributors/console/auxiliary.h",
        "com10/lpt/nul_",
        "x" * 255 + "/a",
        "%E4%BD%A0" * 85,
        "/".join(["x" * 99] * 10),
    ],
)
def test_names_of_real_packages_are_accepted(name):
    assert name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "control characters"),
        ("a\nb", "control characters"),
        ("a%00", "control characters"),
        ("a\\b", "backslash"),
        ("a%5cb", "backslash"),
        ("/etc/passwd", "absolute"),
        ("%2fetc", "absolute"),
        ("c:/x", "absolute"),
        ("C%3Ax", "absolute"),
        ("a//b", "empty folder"),
        ("../x", "'.' or '..'"),
        ("a/../x", "'.' or '..'"),
        ("a/%2e%2E/x", "'.' or '..'"),
        ("./x", "'.' or '..'"),
        ("a/..", "'.' or '..'"),
        ("lib/aux:ads", "must not contain <"),
        ("lib/a?b", "must not contain <"),
        ("lib/a%3Fb", "must not contain <"),
        ("a|b/c", "must not contain <"),
        ("a<b", "must not contain <"),
        ("a>b", "must not contain <"),
        ('a"b', "must not contain <"),
        ("lib/*.dll", "must not contain <"),
        ("lib/.. /x", "a dot or space"),
        ("lib/a.", "a dot or space"),
        ("lib/a ", "a dot or space"),
        ("lib/a%20", "a dot or space"),
        ("lib./a", "a dot or space"),
        ("lib/.../a", "a dot or space"),
        ("lib /", "a dot or space"),
        ("lib/\u00a0", "a dot or space"),
        ("lib/CON", "devices"),
        ("lib/con.txt", "devices"),
        ("lib/Aux.tar.gz", "devices"),
        ("nul/a", "devices"),
        ("lib/%43ON", "devices"),
        ("COM1", "devices"),
        ("lpt9.h", "devices"),
        ("com\u00b9", "devices"),
        ("prn .txt", "devices"),
        ("conin$", "devices"),
        ("x" * 256, "more than 255 bytes"),
        ("lib/" + "x" * 300 + ".dll", "more than 255 bytes"),
        ("\u00e9" * 128, "more than 255 bytes"),
        ("%E4%BD%A0" * 86, "more than 255 bytes"),
        ("/".join(["x" * 99] * 11), "more than 1000 bytes"),
    ],
)
def test_names_that_somebody_cannot_unpack_are_refused(name, why):
    assert why in name_problem(name)


def test_the_entry_is_named():
    (told,) = problems("lib/CON")

    assert told.startswith("entry 'lib/CON' cannot be unpacked on Windows: CON, PRN")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lib/a.dll", "lib/A.dll"),
        ("lib/a.dll", "LIB/a.dll"),
        ("lib/a.dll", "lib/%41.dll"),
        ("a\u00e9", "A\u00c9"),
        ("a\u00e9", "ae\u0301"),
        ("\u03c3", "\u03c2"),
        ("k", "\u212a"),
    ],
)
def test_a_name_may_occur_once(one, other):
    """
    In any case and encoding: on some systems both would be one file.
    """
    (told,) = problems(one, other)

    assert "occurs twice, also as " in told
    assert "where case is ignored" in told


def test_the_same_name_exactly_may_not_occur_twice():
    assert problems("a.txt", "a.txt") == ["entry 'a.txt' occurs twice; each name may occur once"]


@pytest.mark.parametrize("names", [("q", "q/r"), ("q/r/s/t", "q/r"), ("Q", "q/r"), ("q", "q/"), ("%71", "q/r")])
def test_a_file_is_no_folder(names):
    (told,) = problems(*names)

    assert "is a file, but entry" in told
    assert "needs a folder there" in told


@pytest.mark.parametrize("names", [("q/", "q/r", "q/s"), ("q", "qr/s"), ("stra\u00dfe", "strasse"), ("A/x", "a/y")])
def test_siblings_are_accepted(names):
    assert problems(*names) == []


def test_no_name_of_a_real_package_is_refused():
    packages = sorted((shared() / "nuget-org" / "packages").rglob("*.nupkg"))
    told = []
    for path in packages:
        with path.open("rb") as file:
            told += [f"{path.name}: {problem}" for problem in name_problems(Nupkg(file).entries)]

    assert told == []
    assert len(packages) > 200


@given(name=st.text(st.characters(codec="utf-8"), max_size=40))
@BOUNDED
def test_any_name_is_judged(name):
    assert "\n" not in name_problem(name)


def test_thousands_of_deep_names_are_judged_quickly():
    """
    The work grows with the size of the directory, not with its depth.
    """
    deep = "/".join("x" * 300)
    assert problems(*(f"{deep}/{number}" for number in range(50))) == []
    assert len(problems("/".join("x" * 30_000))) == 1


def test_folders_are_limited():
    """
    Names with 400 distinct folders each would take quadratic memory.
    """
    names = ["/".join([f"{number:x}", *"x" * 400]) for number in range(1_000)]

    assert problems(*names) == [f"it has more than {MOST_FOLDERS} folders; use fewer"]
    assert problems(*names[:160]) == []
