"""Keys of bundles: created once, read strictly, and what they sign is verified."""

import shutil
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from nugetproxy.errors import InvalidRequest, StorageUnavailable, UntrustedBundle
from nugetproxy.mirroring.bundle.signature import PrivateKey, PublicKey, read_signature, verify, write_key_pair


@pytest.fixture
def pair(tmp_path):
    return write_key_pair(tmp_path / "builds", "builds@contoso")


def test_a_pair_is_two_files(tmp_path, pair):
    private, public = tmp_path / "builds", tmp_path / "builds.pub"

    assert 0o600 == stat.S_IMODE(private.stat().st_mode)
    assert pair == PublicKey.read(public)
    assert pair.fingerprint == PrivateKey.read(private).fingerprint
    assert "builds@contoso" == pair.name
    assert public.read_text().startswith("name: builds@contoso\nkey: Ed25519 ")


@pytest.mark.parametrize("existing", ["builds", "builds.pub"])
def test_a_key_is_never_replaced(tmp_path, existing):
    (tmp_path / existing).symlink_to("nowhere")

    with pytest.raises(InvalidRequest, match="exists, and a key is never replaced"):
        write_key_pair(tmp_path / "builds", "x")
    assert [existing] == [each.name for each in tmp_path.iterdir()]


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(StorageUnavailable, match="cannot be created: No such file"):
        write_key_pair(tmp_path / "none" / "builds", "x")


@pytest.mark.parametrize("name", ["", " x", "a\nkey: b", "x" * 101, "\x1b[31m"])
def test_a_name_is_one_line(tmp_path, name):
    with pytest.raises(InvalidRequest, match="a key's name is one line"):
        write_key_pair(tmp_path / "builds", name)


def test_what_was_signed_is_verified(tmp_path, pair):
    signature = PrivateKey.read(tmp_path / "builds").sign(b"content")

    assert pair == verify(b"content", signature, [PrivateKey.generate().public("other"), pair], "x")
    with pytest.raises(
        UntrustedBundle, match=r"'x' cannot be trusted: its bundle.json was changed after builds@contoso"
    ):
        verify(b"Content", signature, [pair], "x")


def test_the_private_key_is_one_of_openssl(tmp_path, pair):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (tmp_path / "content").write_bytes(b"content")
    command = ["openssl", "pkeyutl", "-sign", "-inkey", "builds", "-rawin", "-in", "content"]
    signed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout

    assert signed == read_signature(PrivateKey.read(tmp_path / "builds").sign(b"content"), "x")[1]


def test_another_key_is_not_trusted(pair):
    other = PrivateKey.generate()

    with pytest.raises(UntrustedBundle, match=r"it is signed with the key SHA256:.*; trusted are: builds@contoso"):
        verify(b"content", other.sign(b"content"), [pair], "x")
    with pytest.raises(UntrustedBundle, match="trusted are: none"):
        verify(b"content", other.sign(b"content"), [], "x")


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"[]",
        b"{}",
        b'{"algorithm":"Ed25519","key":1,"signature":""}',
        b'{"algorithm":"none","key":"SHA256:' + b"A" * 43 + b'","signature":""}',
        b'{"algorithm":"Ed25519","key":"SHA256:' + b"A" * 43 + b'","signature":"!"}',
        b'{"algorithm":"Ed25519","key":"SHA256:' + b"A" * 43 + b'","signature":"","more":1}',
    ],
)
def test_what_is_no_signature(pair, signature):
    with pytest.raises(UntrustedBundle, match="its signature cannot be read"):
        verify(b"content", signature, [pair], "x")


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length(pair, tmp_path, length):
    import base64

    import orjson

    text = base64.b64encode(bytes(length)).decode()
    signature = orjson.dumps({"algorithm": "Ed25519", "key": pair.fingerprint, "signature": text})

    with pytest.raises(UntrustedBundle):
        verify(b"content", signature, [pair], "x")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("builds@contoso", ""), "is damaged"),
        (lambda text: text.replace("Ed25519", "RSA"), "is damaged"),
        (lambda text: text.replace("fingerprint: SHA256:", "fingerprint: SHA256:x"), "has the fingerprint SHA256:"),
        (lambda text: text.replace("key: ", "chiave: "), "is not a public key"),
        (lambda text: text.replace("key: Ed25519 ", "key: Ed25519 !"), "is not a public key"),
        (lambda _: "", "is not a public key"),
        (lambda _: "\udcff", "is not a public key"),
    ],
)
def test_what_is_no_public_key(tmp_path, pair, change, why):
    file = tmp_path / "changed.pub"
    file.write_bytes(change(pair.to_text()).encode(errors="surrogateescape"))

    with pytest.raises(InvalidRequest, match=why):
        PublicKey.read(file)


def test_a_private_key_in_place_of_the_public_one(tmp_path, pair):
    with pytest.raises(InvalidRequest, match=r"builds is a private key: give .*/builds\.pub"):
        PublicKey.read(tmp_path / "builds")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ],
)
def test_what_is_no_private_key(tmp_path, content):
    (tmp_path / "key").write_bytes(content)

    with pytest.raises(InvalidRequest, match=r"is not a private key|is not an Ed25519 key"):
        PrivateKey.read(tmp_path / "key")


def test_a_key_that_does_not_exist(tmp_path):
    with pytest.raises(StorageUnavailable, match="cannot be read: No such file"):
        PrivateKey.read(tmp_path / "key")
