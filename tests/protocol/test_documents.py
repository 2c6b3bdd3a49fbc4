import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol import documents
from nugetproxy.protocol.documents import DEEPEST, LONGEST_PARSED_WHOLE, MOST_MARKS, read_array, read_object, write


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html>", b"{", b'{"a":1}x', b'"a"', b"\xff\xfe", b'{"a":"\\ud800"}', b'{"a":NaN}'],
)
def test_anything_but_an_object_is_unreadable(body):
    with pytest.raises(UnreadableDocument):
        read_object(body, "document")


def test_arrays_and_objects_are_distinguished():
    with pytest.raises(UnreadableDocument, match="expected a JSON array"):
        read_array(b"{}", "document")


def test_a_byte_order_mark_is_ignored():
    assert read_object(b'\xef\xbb\xbf{"a":1}', "document") == {"a": 1}


@pytest.mark.parametrize(("levels", "readable"), [(DEEPEST, True), (DEEPEST + 1, False), (900, False), (5000, False)])
def test_deep_nesting_is_refused_before_it_could_not_be_written(levels, readable):
    body = b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    if readable:
        assert body == write(read_object(body, "document"))
    else:
        with pytest.raises(UnreadableDocument):
            read_object(body, "document")


@pytest.mark.parametrize("value", [b"[],", b"{},", b"1,", b'{"":1},'])
def test_millions_of_short_values_are_unreadable(value):
    """
    They would block the whole process while they are parsed, in any thread.
    """
    most = (MOST_MARKS - 3) // sum(map(value.count, (b",", b":", b"[", b"{")))

    def document(count):
        return b'{"a":[' + value * count + b"0]}"

    assert read_object(document(most // 8), "document")
    with pytest.raises(UnreadableDocument, match="more than 2000000 commas"):
        read_object(document(most + 2), "document")


def test_a_long_document_of_few_values_is_read():
    assert read_object(b'{"a":"' + b" " * (MOST_MARKS + 1) + b'"}', "document")


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
DAMAGE = [
    b"",
    *(bytes([each]) for each in b'"\\}]{[,:x\n\xff'),
    b"\\ud83d",
    b"\\uDE00",
    b"NaN",
    b"1e999",
    b"9" * 25,
    b"-",
    b"\x00",
]


def read_by(parse: Any, text: bytes) -> Any:
    try:
        return parse(text)
    except ValueError:
        return "refused"


@settings(max_examples=150, deadline=None, database=None)
@given(value=VALUES, ascii_only=st.booleans(), data=st.data())
def test_long_documents_are_read_like_short_ones(value, ascii_only, data):
    """
    There are two parsers: a fast one, and one that lets other threads run.
    """
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.sampled_from(DAMAGE)) + text[at + data.draw(st.integers(0, 2)) :]

    assert repr(read_by(documents._long, text)) == repr(read_by(orjson.loads, text))


@pytest.mark.parametrize("escapes", ["\\ud83d\\ude00", "\\\\ud83d", "\\uD83D\\uDE00\\n", "\\ud7ff", "\\udc", "\\ud83d"])
def test_surrogates_count_in_pairs(escapes):
    text = f'"{escapes}"'.encode()

    assert read_by(documents._long, text) == read_by(orjson.loads, text)


def test_parsing_a_long_document_lets_other_threads_run_after_each_object(monkeypatch):
    """
    Python may release its lock whenever one of its functions is called.
    """
    calls: list[Any] = []

    def counted(value: Any) -> Any:
        calls.append(value)
        return value

    monkeypatch.setattr(documents, "_as_it_is", counted)
    item = b'{"a": {"b": "' + b"c" * 1_000 + b'"}},'
    count = LONGEST_PARSED_WHOLE // len(item) + 1

    read_object(b'{"items":[' + item * count + b"0]}", "document")

    assert len(calls) == 2 * count + 1


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("levels", [DEEPEST, 3_000, 200_000])
def test_nesting_is_refused_in_documents_of_any_length(opening, levels):
    closing = b"]" if opening == b"[" else b"}"
    padding = b" " * LONGEST_PARSED_WHOLE

    with pytest.raises(UnreadableDocument, match="nested too deeply"):
        read_object(b'{"b":' + padding + opening * levels + b"1" + closing * levels + b"}", "document")


def test_a_written_document_occupies_only_its_length():
    """
    Thousands are kept in tables that are limited by document lengths.
    """
    tracemalloc.start()
    try:
        documents = [write({"versions": ["1.0.0"] * 150}) for _ in range(200)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 1.5 * sum(map(len, documents))
