import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.httpcache.stored import ReceivedAnswer, StoredResponse, Validators
from tests.httpcache.documents import a_document, an_absence

_TEXT = st.text(st.characters(codec="utf-8"), max_size=50)
_TIME = st.floats(0, 1e11)


@given(
    st.builds(
        StoredResponse,
        url=_TEXT,
        status=st.integers(100, 599),
        body=st.binary(max_size=500),
        etag=_TEXT,
        last_modified=_TEXT,
        content_type=_TEXT,
        fetched=_TIME,
        confirmed=_TIME,
        expired=st.booleans(),
    )
)
def test_serialised_documents_are_read_back_unchanged(stored):
    assert stored == StoredResponse.from_bytes(stored.to_bytes())


def test_integer_times_are_read_back():
    """
    A document with integer times is equal after the round trip.
    """
    stored = StoredResponse("u", 200, b"", "", "", "", fetched=5, confirmed=6)

    assert stored == StoredResponse.from_bytes(stored.to_bytes())


@given(st.binary(max_size=200))
def test_foreign_bytes_raise_only_value_error(kept):
    with pytest.raises(ValueError):
        StoredResponse.from_bytes(kept)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_is_detected_or_harmless(at, change):
    """
    A flipped byte on disk never results in another body.
    """
    kept = bytearray(a_document(body=b"x" * 300).to_bytes())
    kept[at % len(kept)] ^= change
    try:
        stored = StoredResponse.from_bytes(bytes(kept))
    except ValueError:
        return

    assert stored.body == b"x" * 300


@given(st.integers(0, 10_000))
def test_a_torn_write_is_detected(length):
    kept = a_document().to_bytes()

    with pytest.raises(ValueError):
        StoredResponse.from_bytes(kept[: length % len(kept)])


def _with_head(**changed):
    body = b"body"
    head = orjson.loads(a_document(body=body).to_bytes()[8:-4]) | changed
    text = orjson.dumps({name: value for name, value in head.items() if value != "left out"})
    return b"NPD1" + len(text).to_bytes(4, "big") + text + body


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "200"},
        {"status": True},
        {"url": None},
        {"fetched": 5},
        {"confirmed": None},
        {"expired": 1},
        {"unknown": 1},
        {"etag": "left out"},
        {"digest": ""},
    ],
    ids=str,
)
def test_an_invalid_header_is_refused(changed):
    with pytest.raises(ValueError):
        StoredResponse.from_bytes(_with_head(**changed))


@pytest.mark.parametrize("number", [b"1e999", b"NaN"])
def test_times_are_finite(number):
    kept = _with_head(confirmed=123.0).replace(b"123.0", number.ljust(5))

    with pytest.raises(ValueError):
        StoredResponse.from_bytes(kept)


def test_infinite_times_are_refused_even_if_json_had_them(monkeypatch):
    head = orjson.loads(a_document(body=b"body").to_bytes()[8:-4]) | {"confirmed": float("inf")}
    monkeypatch.setattr("nugetproxy.httpcache.stored.orjson.loads", lambda _: head)

    with pytest.raises(ValueError, match="finite"):
        StoredResponse.from_bytes(_with_head())


def test_a_header_that_is_not_an_object_is_refused():
    with pytest.raises(ValueError, match="fields"):
        StoredResponse.from_bytes(b"NPD1" + (2).to_bytes(4, "big") + b"[]")


def test_a_later_format_is_refused():
    with pytest.raises(ValueError, match="not a stored document"):
        StoredResponse.from_bytes(a_document().to_bytes().replace(b"NPD1", b"NPD2"))


@pytest.mark.parametrize(("status", "expected"), [(200, False), (404, True), (410, True), (304, False)])
def test_which_statuses_are_absences(status, expected):
    assert expected is StoredResponse("u", status, b"", "", "", "", 0.0, 0.0).is_absence


@pytest.mark.parametrize(
    ("validators", "expected"),
    [
        (Validators(), {}),
        # nuget.org's tags have no quotes, and its storage compares them as text.
        (Validators("0x8D764B46B9CE392"), {"If-None-Match": "0x8D764B46B9CE392"}),
        (Validators('W/"abc"'), {"If-None-Match": 'W/"abc"'}),
        (Validators("", "yesterday"), {"If-Modified-Since": "yesterday"}),
        (Validators('"a"', "d"), {"If-None-Match": '"a"', "If-Modified-Since": "d"}),
    ],
)
def test_validators_are_repeated_exactly_as_received(validators, expected):
    assert expected == validators.headers()


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (a_document(etag="e", last_modified="d"), Validators("e", "d")),
        (a_document(etag="", last_modified="d"), Validators("", "d")),
        (a_document(etag="", last_modified=""), None),
        (an_absence(), None),
    ],
)
def test_validators_of_a_conditional_request(stored, expected):
    assert expected == stored.validators


def test_the_digest_distinguishes_bodies():
    assert a_document(body=b"a").digest != a_document(body=b"b").digest


def test_the_repr_does_not_show_the_body():
    assert (
        repr(StoredResponse("u", 200, b"abc", "", "", "", 6.0, 7.0)) == "<StoredResponse 200 u: 3 bytes, confirmed 7>"
    )


def test_answers_have_no_headers_unless_given():
    assert dict(ReceivedAnswer(304).headers) == {}
