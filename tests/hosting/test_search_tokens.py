"""How texts and ids are cut into tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.hosting.search_tokens import endings, id_part, indexed, indexed_name, joined_tokens, tokens


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
def test_texts_are_cut_where_people_see_words(expected: str, text: str) -> None:
    assert expected.split() == tokens(text)


def test_what_is_cut_is_kept_in_one_piece_too() -> None:
    assert joined_tokens("HtmlAgility for Core2, iffy") == ["htmlagility", "core2"]
    assert indexed("HtmlAgility for Core2") == "html agility for core 2 htmlagility core2"
    assert indexed_name("A.BcD") == "a bc d bcd a.bcd abcd"


def test_every_part_of_an_id_begins_one_of_its_endings() -> None:
    name = "contoso.html-core"
    ways = endings("Contoso.Html-Core").split()
    parts = [name[start:end] for start in range(len(name)) for end in range(start + 3, len(name) + 1)]
    assert [part for part in parts if not any(ending.startswith(part) for ending in ways)] == []


@pytest.mark.parametrize(
    ("expected", "text"), [("oso.u", "oso.U"), (None, "os"), (None, "a b"), (None, 'a"b"'), (None, "")]
)
def test_parts_of_ids(expected: str | None, text: str) -> None:
    assert expected == id_part(text)


@given(st.text())
def test_tokens_hold_nothing_that_an_index_could_read_as_syntax(text: str) -> None:
    for token in [*tokens(text), *joined_tokens(text), *filter(None, [id_part(text)])]:
        assert token
        assert not set(token) & set("\"'()*:^{}+;\0 \n")


@given(st.text())
def test_equal_words_are_cut_equally_in_any_case(text: str) -> None:
    """
    Once cut and put together in lower case, a text has the same letters.
    """
    assert "".join(tokens(text)) == "".join(tokens(" ".join(tokens(text))))
