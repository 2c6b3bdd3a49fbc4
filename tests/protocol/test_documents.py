import tracemalloc

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.documents import DEEPEST, MOST_MARKS, read_array, read_object, write


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html>", b"{", b'{"a":1}x', b'"a"', b"\xff\xfe", b'{"a":"\\ud800"}', b'{"a":NaN}'],
)
def test_what_is_no_object_is_unreadable(body):
    with pytest.raises(UnreadableDocument):
        read_object(body, "document")


def test_an_array_is_told_from_an_object():
    with pytest.raises(UnreadableDocument, match="expected a JSON array"):
        read_array(b"{}", "document")


def test_a_byte_order_mark_is_passed_over():
    assert read_object(b'\xef\xbb\xbf{"a":1}', "document") == {"a": 1}


@pytest.mark.parametrize(("levels", "readable"), [(DEEPEST, True), (DEEPEST + 1, False), (900, False), (5000, False)])
def test_deep_nesting_is_unreadable_long_before_it_could_not_be_written(levels, readable):
    body = b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    if readable:
        assert body == write(read_object(body, "document"))
    else:
        with pytest.raises(UnreadableDocument):
            read_object(body, "document")


@pytest.mark.parametrize("value", [b"[],", b"{},", b"1,", b'{"":1},'])
def test_millions_of_short_values_are_unreadable(value):
    """
    They would stop the whole process while they are parsed, in whatever thread.
    """
    most = (MOST_MARKS - 3) // sum(map(value.count, (b",", b":", b"[", b"{")))

    def document(count):
        return b'{"a":[' + value * count + b"0]}"

    assert read_object(document(most // 8), "document")
    with pytest.raises(UnreadableDocument, match="more than 2000000 commas"):
        read_object(document(most + 2), "document")


def test_a_long_document_of_few_values_is_read():
    assert read_object(b'{"a":"' + b" " * (MOST_MARKS + 1) + b'"}', "document")


def test_a_written_document_holds_no_more_memory_than_its_length():
    """
    Thousands are kept in tables that are bounded by lengths.
    """
    tracemalloc.start()
    try:
        documents = [write({"versions": ["1.0.0"] * 150}) for _ in range(200)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 1.5 * sum(map(len, documents))
