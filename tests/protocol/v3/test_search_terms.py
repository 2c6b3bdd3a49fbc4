import pytest

from nugetproxy.protocol.v3.search_terms import matches
from tests.protocol.v3.leaves import index, leaf, page, read_index

LEAF = read_index(
    index(
        page(
            [
                leaf(
                    "1.2.0-RC",
                    title="Useful things",
                    description="Reads CSV files",
                    tags=["csv", "Parser"],
                    authors="Jane Roe, Contoso",
                )
            ]
        )
    )
).leaves[0]


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (True, ""),
        (True, "contoso"),
        (True, "CONTOSO.utils"),
        (True, "useful csv"),
        (False, "useful xml"),
        (True, '"useful things"'),
        (False, '"things useful"'),
        (True, "csv AND parser"),
        (True, "NOT csv OR parser"),
        (True, "*:csv"),
        (True, "packageid:contoso.utils"),
        (True, "PackageId:Contoso.Utils"),
        (False, "packageid:contoso"),
        (True, "id:utils"),
        (True, 'id:"oso.ut"'),
        (True, "tags:parser"),
        (True, "tag:csv tag:xml"),
        (False, "tag:xml"),
        (True, "author:roe authors:contoso"),
        (False, "id:utils tags:xml"),
        (True, "version:1.2.0-rc"),
        (False, "version:1.2.0"),
        (True, 'title:"useful things"'),
        (False, "description:useful"),
        (False, "owner:contoso"),
        (True, "invalid:x"),
        (True, "invalid:x csv"),
        (False, "invalid:x xml"),
        (True, '""'),
        (True, "id:"),
    ],
)
def test_the_query_language_of_nuget_org(expected, text):
    assert matches(text, LEAF) == expected


def test_a_leaf_without_texts_is_found_by_its_id():
    bare = read_index(index(page([leaf("1.0.0", tags=None, authors=["A", 1])]))).leaves[0]

    assert matches("contoso", bare)
    assert not matches("csv", bare)
    assert matches("author:a", bare)
