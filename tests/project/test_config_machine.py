"""Settings that refer to this machine: files, and installed packages."""

import pytest

from tests.certificates import PrivateCA


class TestSecrets:
    """What a file with a password or header value may contain."""

    @pytest.mark.parametrize("key", ["password_file", "header_value_file"])
    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "is empty"),
            (b"\r\n", "is empty"),
            (b"twins\ntwins\n", "contains more than one line"),
            (b"twins\x00", "contains a control character"),
            (b"\xff\xfe", "is not UTF-8 text"),
        ],
    )
    def test_values_that_cannot_be_sent_are_refused(self, problems, tmp_path, key, content, why):
        (tmp_path / "secret").write_bytes(content)
        upstream = {key: str(tmp_path / "secret"), "header_name": "X-Key" if "header" in key else ""}
        told = problems(mirroring__upstream=[upstream])

        assert told.startswith(f"mirroring.upstream[0].{key}: secret {why}")
        assert "tw" not in told.partition(why)[2]

    @pytest.mark.parametrize("content", ["secret", "secret\n", "secret\r\n", "sécret with blanks"])
    def test_a_single_line_is_accepted(self, problems, tmp_path, content):
        (tmp_path / "secret").write_text(content, newline="")

        assert problems(mirroring__upstream=[{"password_file": str(tmp_path / "secret")}]) == ""


class TestLoop:
    def test_a_loop_that_is_not_installed_is_refused(self, problems, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

        assert "server.loop: uvloop is not installed" in problems(server__loop="uvloop")

    def test_the_default_loop_is_always_available(self, problems, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

        assert problems(server__loop="asyncio") == ""


class TestTls:
    def test_a_key_without_its_certificate_is_refused(self, problems):
        assert "server.tls_cert: is missing" in problems(server__tls_key="key.pem")

    def test_files_that_are_not_pem_are_refused(self, problems):
        told = problems(server__tls_cert=str(__file__), server__tls_key=str(__file__))

        assert "must be a certificate chain and its unencrypted key, both PEM" in told

    def test_a_key_of_another_certificate_is_refused(self, problems, tmp_path):
        (a, a_key), (_, b_key) = (PrivateCA(tmp_path / name).issue() for name in ("a", "b"))

        assert "does not belong" in problems(server__tls_cert=str(a), server__tls_key=str(b_key))
        assert problems(server__tls_cert=str(a), server__tls_key=str(a_key)) == ""
