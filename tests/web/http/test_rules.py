"""The pure rules of `web/http`, case by case."""

import asyncio
import gzip
import sys

import pytest

from nugetproxy.errors import Withheld
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.web.http import compression
from nugetproxy.web.http.compression import Codings, GzipVariants, accepted
from nugetproxy.web.http.errors import LONGEST_REASON, WARNING, reason_phrase, refusal_for
from nugetproxy.web.http.resource import Resource


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Codings.SILENT),
        ("", Codings.NO_GZIP),
        ("gzip", Codings.GZIP),
        ("GZIP", Codings.GZIP),
        ("gzip, deflate", Codings.GZIP),
        ("deflate, gzip;q=0.5", Codings.GZIP),
        ("x-gzip", Codings.GZIP),
        ("*", Codings.GZIP),
        ("gzip;q=0", Codings.NO_GZIP),
        ("gzip;q=0.0, *", Codings.NO_GZIP),
        ("*;q=0", Codings.NO_GZIP),
        ("br", Codings.NO_GZIP),
        ("identity", Codings.NO_GZIP),
        ("gzip;q=nonsense", Codings.NO_GZIP),
    ],
)
def test_accept_encoding(header, expected):
    """
    A missing header is not a refusal; a quality of zero is.
    """
    assert expected is accepted(header)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("plain", "plain"),
        ("a\r\nb", "a  b"),
        ("a\x00b\x7fc", "a b c"),
        ("Größe", "Gr??e"),
        ("\udc80", ""),
        ("", ""),
    ],
)
def test_reason_phrases_are_one_line_of_ascii(sentence, expected):
    """
    Nothing in an error's message can end the status line.
    """
    assert expected == reason_phrase(sentence)


def test_reason_phrases_are_bounded():
    """
    Some reverse proxies reject long status lines.
    """
    phrase = reason_phrase("x" * 5000)

    assert len(phrase) == LONGEST_REASON
    assert phrase.endswith("...")


@pytest.mark.parametrize(
    ("agent", "resource", "status"),
    [
        ("NuGet .NET Core MSBuild Task/7.9.0 (LINUX)", Resource.NUPKG, 404),
        ("NuGet Client V3/7.9.0 (LINUX)", Resource.NUPKG, 404),
        ("NuGet xplat/7.9.0 (LINUX)", Resource.NUPKG, 404),
        ("NuGet .NET Core MSBuild Task/7.9.0 (LINUX)", Resource.NUSPEC, 403),
        ("NuGet Command Line/5.8.0 (Unix 4.4)", Resource.NUPKG, 403),
        ("curl/8.5.0", Resource.NUPKG, 403),
        ("", Resource.NUPKG, 403),
    ],
)
def test_a_withheld_package_is_refused_in_a_way_that_is_not_retried(agent, resource, status):
    """
    The reason is in the status line; clients that do not print it for a 404 get it as a warning too.
    """
    refusal = refusal_for(Withheld("the reason", "rule"), resource, agent)

    assert (refusal.status, refusal.reason, refusal.outcome) == (status, "the reason", Outcome.REFUSED)
    assert refusal.headers.get(WARNING) == ("the reason" if status == 404 else None)


async def test_a_variant_is_compressed_once():
    """
    The same digest yields the very same bytes, and a full store forgets the oldest.
    """
    variants = GzipVariants(memory=100)
    first = await variants.of("a", b"x" * 2000)

    assert first is await variants.of("a", b"x" * 2000)
    for other in "bcdef":
        await variants.of(other, other.encode() * 2000)
    assert first is not await variants.of("a", b"x" * 2000)


async def test_a_large_variant_is_compressed_once_for_all_requests(monkeypatch):
    """
    Many simultaneous requests compress a document once; a client that leaves does not affect the others.
    """
    made = []
    compress = compression._compress

    def counting(body: bytes) -> bytes:
        made.append(1)
        return compress(body)

    monkeypatch.setattr(compression, "_compress", counting)
    variants, body = GzipVariants(), bytes(range(256)) * 4000
    leaver, *others = [asyncio.create_task(variants.of("a", body)) for _ in range(20)]
    await asyncio.sleep(0)
    leaver.cancel()

    assert len({await other for other in others}) == 1
    assert made == [1]


async def test_a_large_variant_is_the_same_as_a_small_one_would_be():
    """
    Bodies that are compressed in a thread decompress to themselves, and are deterministic.
    """
    body = bytes(range(256)) * 4000

    assert await GzipVariants().of("a", body) == await GzipVariants(memory=0).of("a", body)


@pytest.mark.parametrize("is_there", [True, False])
def test_the_entity_tag_names_the_library_that_compressed(monkeypatch, is_there):
    if not is_there:
        monkeypatch.setitem(sys.modules, "isal.igzip", None)
    compress, level, form = compression._chosen()

    assert form == ("igzip" if is_there else "gzip")
    assert gzip.decompress(compress(b"body" * 1000, level, mtime=0)) == b"body" * 1000
