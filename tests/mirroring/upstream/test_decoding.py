"""Decompressing gzip, in pieces and with every kind of ending."""

import gzip

import pytest

from nugetproxy.mirroring.upstream.decoding import PIECE, Gunzip

PLAIN = b"some text, " * 1000


def gunzipped(body: bytes, block: int) -> bytes:
    stream = Gunzip()
    parts = [part for i in range(0, len(body), block) for part in stream.feed(body[i : i + block])]
    stream.finish()
    return b"".join(parts)


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_whole(block):
    assert gunzipped(gzip.compress(PLAIN), block) == PLAIN


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_several_members_are_one_text(block):
    assert gunzipped(gzip.compress(PLAIN) + gzip.compress(b"more"), block) == PLAIN + b"more"


@pytest.mark.parametrize("cut", [1, 8, 12, 60])
def test_a_cut_is_seen(cut):
    with pytest.raises(ValueError, match="ends too early"):
        gunzipped(gzip.compress(PLAIN)[:-cut], 50)


def test_nothing_is_not_gzip():
    with pytest.raises(ValueError, match="ends too early"):
        gunzipped(b"", 1)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{}", id="json"),
        pytest.param(gzip.compress(PLAIN)[:-6] + b"\0" * 6, id="wrong-checksum"),
        pytest.param(gzip.compress(PLAIN) + b"x" * 20, id="something-after"),
    ],
)
def test_what_is_not_gzip_is_refused(body):
    with pytest.raises(ValueError, match="broken gzip"):
        gunzipped(body, 100)


def test_a_bomb_comes_out_in_small_pieces():
    pieces = list(Gunzip().feed(gzip.compress(b"\0" * (5 * PIECE))))

    assert max(len(piece) for piece in pieces) <= PIECE
    assert sum(len(piece) for piece in pieces) == 5 * PIECE
