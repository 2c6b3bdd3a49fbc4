import tracemalloc

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.documents import DEEPEST, read_array, read_object, write


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
