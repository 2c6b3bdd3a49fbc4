"""The cost of a hostile nuspec, counted in visited elements, and the error for it."""

import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.nuspec import LARGEST_NUSPEC, metadata_element, read_identity, read_nuspec
from nugetproxy.nuget.nuspec_parser import MIRRORED, PUSHED, NuspecBounds, NuspecParser

NAMED = "<id>A</id><version>1.0</version>"


def written(inside: str, *, before: str = NAMED) -> bytes:
    return f"<package><metadata>{before}{inside}</metadata></package>".encode()


def numbered(tag: str, count: int) -> str:
    return "".join(f"<{tag}{number} />" for number in range(count))


def within(outer: str, inner: str, count: int = 1) -> str:
    return f"<{outer}>{inner * count}</{outer}>"


def dependencies(*groups: int) -> str:
    return within("dependencies", "".join(within("group", '<dependency id="B" />', count) for count in groups))


def attributes(count: int) -> str:
    return "<x " + " ".join(f'a{number}=""' for number in range(count)) + " />"


HOSTILE = {
    "empty groups": ("more than 256 dependency groups", within("dependencies", "<group/>", 20_000)),
    "dependencies of two groups": ("more than 2048 dependencies", dependencies(1024, 1025)),
    "dependencies": ("more than 2048 dependencies", within("dependencies", '<dependency id="B" />', 20_000)),
    "assemblies": ("1024 framework assemblies", within("frameworkAssemblies", "<frameworkAssembly/>", 1_025)),
    "framework groups": ("256 framework reference groups", within("frameworkReferences", "<group/>", 257)),
    "framework references": (
        "more than 1024 framework references",
        within("frameworkReferences", within("group", "<frameworkReference/>", 600), 2),
    ),
    "reference groups": ("more than 256 reference groups", within("references", "<group/>", 257)),
    "references": ("more than 2048 references", within("references", '<reference file="a.dll"/>', 2_049)),
    "content files": ("more than 2048 content files", within("contentFiles", '<files include="a"/>', 2_049)),
    "package types": ("more than 32 package types", within("packageTypes", '<packageType name="A"/>', 33)),
    "unknown elements": ("more than 128 elements in its metadata", numbered("x", 127)),
    "elements": ("more than 8192 elements and comments", within("x", "<a/>", 70_000)),
    "comments": ("more than 8192 elements and comments", within("x", "<!---->", 70_000)),
    "instructions": ("more than 8192 elements and comments", within("x", "<?x?>", 70_000)),
    "depth": ("nested more than 16 deep", "<a>" * 20_000 + "</a>" * 20_000),
    "text": ("a text of more than 65536 characters in 'description'", within("description", "x" * 70_000)),
    "sections": ("more than 262144 bytes", within("x", f"<![CDATA[{'x' * 4_000_000}]]>")),
    "a section": ("more than 65536 characters in 'x'", within("x", f"<![CDATA[{'x' * 70_000}]]>")),
    "characters": ("more than 65536 characters in 'x'", within("x", "&lt;", 200_000)),
    "attributes": ("'x' with 33 attributes; at most 32 are", attributes(33)),
    "an attribute": ("'x' with an attribute of more than 4096 characters", f"""<x a="{"x" * 4_097}" />"""),
    "many attributes": ("a tag, comment or CDATA section of more than 262144 bytes", attributes(100_000)),
    "a long attribute": (
        "a tag, comment or CDATA section of more than 262144 bytes",
        f"""<x a="{"x" * 4_000_000}" />""",
    ),
    "a long comment": ("a tag, comment or CDATA section of more than 262144 bytes", f"<!--{'x' * 4_000_000}-->"),
}
"""The error on push, and the metadata after id and version."""


@pytest.mark.parametrize(("why", "inside"), HOSTILE.values(), ids=HOSTILE)
def test_a_pushed_nuspec_is_refused_by_the_name_of_its_bound(why, inside):
    data = written(inside)
    assert len(data) < LARGEST_NUSPEC
    parser = NuspecParser(PUSHED)

    with pytest.raises(InvalidPackage, match=why) as refused:
        parser.parse(data)

    assert "\n" not in str(refused.value)
    assert parser.visited <= PUSHED.elements


def test_work_ends_where_a_bound_is_passed():
    parser = NuspecParser(PUSHED)

    with pytest.raises(InvalidPackage, match="more than 256 dependency groups"):
        parser.parse(written(within("dependencies", "<group/>", 400_000)))
    assert parser.visited == len(["package", "metadata", "id", "version", "dependencies"]) + 257


@pytest.mark.parametrize("inside", [inside for _, inside in HOSTILE.values()], ids=HOSTILE)
def test_a_mirrored_nuspec_is_read_as_far_as_its_bounds(inside):
    parser = NuspecParser(MIRRORED)
    parser.parse(written(inside))
    manifest = read_nuspec(written(inside))

    assert parser.visited <= MIRRORED.elements
    assert str(manifest.identity) == "A 1.0.0"
    assert len(manifest.dependency_groups) <= MIRRORED.most["dependency groups"]
    assert sum(len(group.dependencies) for group in manifest.dependency_groups) <= MIRRORED.most["dependencies"]
    assert len(manifest.package_types) <= MIRRORED.most["package types"]
    assert len(manifest.description) <= MIRRORED.text


@pytest.mark.parametrize(
    ("inside", "is_partial"),
    [
        (within("dependencies", '<dependency id="B" />', MIRRORED.most["dependencies"]), False),
        (within("dependencies", '<dependency id="B" />', MIRRORED.most["dependencies"] + 1), True),
        (within("dependencies", "<group />", MIRRORED.most["dependency groups"] + 1), True),
        (f"""<dependencies><dependency id="B" version="{"1" * 4_097}" /></dependencies>""", True),
        (f"<description>{'x' * 100_000}</description>", False),
    ],
    ids=["as many as we read", "one more dependency", "groups", "a long range", "a long text"],
)
def test_it_is_told_whether_dependencies_may_be_missing(inside, is_partial):
    """
    A partial list of dependencies looks complete, so no client must see it.
    """
    assert read_nuspec(written(inside)).is_partial == is_partial


@pytest.mark.parametrize("inside", [inside for _, inside in HOSTILE.values()], ids=HOSTILE)
def test_what_follows_id_and_version_costs_nothing(inside):
    parser = NuspecParser(MIRRORED, only_identity=True)
    parser.parse(written(inside))

    assert parser.visited == len(["package", "metadata", "id", "version"])
    assert str(read_identity(written(inside))) == "A 1.0.0"


def test_id_and_version_are_found_behind_everything_else():
    data = written(numbered("x", 2_000) + dependencies(100) + NAMED, before="")

    assert str(read_nuspec(data).identity) == str(read_identity(data)) == "A 1.0.0"


@pytest.mark.parametrize("read", [read_nuspec, read_identity])
def test_id_and_version_behind_the_bound_are_not_found(read):
    with pytest.raises(InvalidPackage, match="no valid id and version"):
        read(written(within("x", "<a/>", MIRRORED.elements) + NAMED, before=""))


def test_reading_stops_at_a_tag_without_end():
    """
    A megabyte of attributes is not parsed to find an id after it.
    """
    parser = NuspecParser(MIRRORED)
    parser.parse(written(attributes(100_000) + "<title>behind</title>"))

    assert not parser.is_whole
    with pytest.raises(InvalidPackage, match="no valid id and version"):
        read_identity(written(attributes(100_000) + NAMED, before=""))


def test_only_the_first_metadata_names_a_package():
    data = f"<package><metadata><id>A</id></metadata><metadata>{NAMED}</metadata></package>".encode()

    for read in (read_nuspec, read_identity):
        with pytest.raises(InvalidPackage, match="no valid id and version"):
            read(data)


def test_elements_of_the_same_name_elsewhere_do_not_name_a_package():
    data = f"<package><id>B</id><metadata><x><id>B</id><version>2</version></x>{NAMED}</metadata></package>".encode()

    assert str(read_identity(data)) == str(read_nuspec(data).identity) == "A 1.0.0"


def test_the_beginning_of_a_nuspec_is_enough():
    data = written("<description>long")[: -len("</metadata></package>")]

    assert str(read_identity(data, is_cut=True)) == "A 1.0.0"
    assert str(read_nuspec(data, is_cut=True).identity) == "A 1.0.0"
    with pytest.raises(InvalidPackage, match="not XML"):
        read_nuspec(data)


def test_of_a_huge_mirrored_nuspec_the_beginning_is_read():
    data = written(within("x", "<!-- x -->", 600_000) + "<title>behind</title>")
    assert len(data) > LARGEST_NUSPEC

    assert read_nuspec(data).title == ""
    with pytest.raises(InvalidPackage, match="larger than the limit of 4194304 bytes"):
        metadata_element(data)


def test_a_nuspec_that_a_push_accepts_is_read_completely():
    """
    No bound for mirrored packages is lower than for pushes, so the manifest of a hosted package is complete.
    """

    def numbers(bounds: NuspecBounds) -> list[int]:
        return [bounds.elements, bounds.depth, bounds.text, bounds.attributes, bounds.attribute]

    assert all(most <= MIRRORED.most[kind] for kind, most in PUSHED.most.items())
    assert all(most <= wide for most, wide in zip(numbers(PUSHED), numbers(MIRRORED), strict=True))
    data = written(dependencies(1, 2, 1_000) + within("packageTypes", '<packageType name="A"/>', 32))
    assert [len(group.dependencies) for group in read_nuspec(data).dependency_groups] == [1, 2, 1_000]
    assert len(metadata_element(data)) == 4


def test_a_name_that_cannot_be_printed_is_not_repeated():
    with pytest.raises(InvalidPackage, match=r"attribute a\?, line 1") as refused:
        NuspecParser(MIRRORED).parse("<package a\u2d72/>".encode())
    assert str(refused.value).isprintable()
