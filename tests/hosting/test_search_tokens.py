"""How texts and ids are cut into tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.hosting.search_tokens import id_part, indexed, indexed_name, inner_parts, joined_tokens, tokens


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("html agility pack", "HtmlAgilityPack"),
        ("xml reader", "XMLReader"),
        ("log 4 net", "log4net"),
        ("contoso core 2 utils", "Contoso.Core2-Utils"),
        ("entity core", "Entity_Core"),
        ("c", "C++"),
        ("i os", "iOS"),
        ("http", "HTTP"),
        ("grosse strasse", "Größe Straße"),
        ("uber grosse", "ÜberGröße"),
        ("привет мир 2", "ПриветМир2"),
        ("日 本 go", "日本Go"),
        ("", "!?* \0\ud800"),
        ("", ""),
    ],
)
def test_texts_are_cut_into_words(expected: str, text: str) -> None:
    assert expected.split() == tokens(text)


def test_words_that_are_cut_are_also_kept_in_one_piece() -> None:
    assert joined_tokens("HtmlAgility for Core2, iffy") == ["htmlagility", "core2"]
    assert indexed("HtmlAgility for Core2") == "html agility for core 2 htmlagility core2"


def test_an_id_is_found_without_its_dots() -> None:
    assert indexed_name("A.BcD") == "a bc d bcd -abcd"


@pytest.mark.parametrize("package_id", ["Contoso.Html-Core", "A", "Ab.C_d", "HtmlAgilityPack", "x.y.z"])
def test_every_part_of_an_id_begins_a_word_or_an_inner_part(package_id: str) -> None:
    lower = package_id.lower()
    ways = [*indexed(package_id).split(), *inner_parts(package_id).split()]
    parts = [lower[start:end] for start in range(len(lower)) for end in range(start + 3, len(lower) + 1)]
    wanted = [part for text in parts if (part := id_part(text)) is not None]
    assert [part for part in wanted if not any(way.startswith(part) for way in ways)] == []


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("oso", "oSo"),
        (".oso.u", "oso.U"),
        ("oso", ".oso."),
        (".a.b", "a.b"),
        (None, "os"),
        (None, "a b"),
        (None, 'a"b"'),
        (None, ""),
        (None, "..."),
    ],
)
def test_parts_of_ids(expected: str | None, text: str) -> None:
    assert id_part(text) == expected


@given(st.text())
def test_tokens_contain_nothing_that_an_index_could_read_as_syntax(text: str) -> None:
    for token in [*tokens(text), *joined_tokens(text), *filter(None, [id_part(text)])]:
        assert token
        assert not set(token) & set("\"'()*:^{}+;\0 \n")


@given(st.text())
def test_equal_words_are_cut_equally_in_any_case(text: str) -> None:
    """
    Cut, joined and put into lower case, a text has the same letters.
    """
    assert "".join(tokens(text)) == "".join(tokens(" ".join(tokens(text))))
