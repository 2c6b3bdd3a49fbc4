"""Forms and packages with mutated bytes: each is refused, or the push succeeds."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import make_nupkg
from tests.flows.private_feed import old_form, opened
from tests.web.requests.pushes import PACKAGE, request

_PIECES = (
    b"--b\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"--b--", b"\r\n", b"\n", b"Content-Disposition: form-data; name=p",
    b"Content-Type: multipart/mixed; boundary=b", b"Content-Length: 5", b"Content-Length: x", b"\xff\xfe", b"\0" * 20,
    b"Content-Transfer-Encoding: base64", b"Content-Encoding: gzip", b"Content-Disposition: form-data; name=_charset_",
    b": ", b" folded", PACKAGE[:200], PACKAGE,
)  # fmt: skip
_TYPES = (
    "multipart/form-data; boundary=b", "multipart/mixed; boundary=b", 'multipart/form-data; boundary="b"; charset=x',
    'multipart/related; boundary="a b"', "multipart/", "multipart/form-data;boundary",
    "Multipart/Form-Data;Boundary=b",
    "application/octet-stream", "multipart/form-data; boundary*=utf-8''b", ";", "multipart/form-data; boundary=\xe9",
)  # fmt: skip


class TestHostileBodies:
    async def test_mutated_forms_get_only_4xx(self, upstream, tmp_path):
        """
        Whatever is sent, it is refused or the push succeeds; the server survives and keeps nothing.
        """
        forms = st.one_of(
            st.lists(st.sampled_from(_PIECES), max_size=8).map(b"".join),
            st.tuples(st.integers(0, 400), st.binary(max_size=6), st.integers(0, 40)).map(
                lambda cut: (form := old_form(PACKAGE)[1])[: cut[0]] + cut[1] + form[cut[0] + cut[2] :]
            ),
        )
        kinds = st.one_of(st.sampled_from(_TYPES), st.just(old_form(b"")[0]["Content-Type"]))
        async with opened(tmp_path, upstream) as house:
            loop = asyncio.get_running_loop()
            statuses: set[int] = set()

            @settings(max_examples=150, deadline=None, database=None, derandomize=True,
                      suppress_health_check=list(HealthCheck))  # fmt: skip
            @given(forms, kinds)
            def send(body: bytes, kind: str) -> None:
                data = request(house, {"Content-Type": kind, "Content-Length": str(len(body))}, body)
                told = asyncio.run_coroutine_threadsafe(house.exchange(data), loop).result(20)
                statuses.add(told.status)
                assert told.status in (201, 400, 409), told

            await asyncio.to_thread(send)
            assert 400 in statuses
            assert await house.no_leftovers()
            assert (await house.get("/health/live")).status == 200

    async def test_mutated_packages_get_only_4xx(self, upstream, tmp_path):
        whole = make_nupkg("Contoso.Hostile", "1.0.0", readme="# hello", icon=b"\x89PNG\r\n\x1a\n", license="MIT")
        async with opened(tmp_path, upstream) as house:
            loop = asyncio.get_running_loop()

            @settings(max_examples=150, deadline=None, database=None, derandomize=True,
                      suppress_health_check=list(HealthCheck))  # fmt: skip
            @given(st.integers(0, len(whole)), st.binary(min_size=1, max_size=4), st.integers(0, 30))
            def send(at: int, new: bytes, gone: int) -> None:
                body = whole[:at] + new + whole[at + gone :]
                told = asyncio.run_coroutine_threadsafe(house.push(body), loop).result(20)
                assert told.status in (201, 400, 403, 409), told

            await asyncio.to_thread(send)
            assert await house.no_leftovers()
