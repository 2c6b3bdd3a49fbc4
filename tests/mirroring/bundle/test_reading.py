"""A bundle is read in order and verified on the way; every difference is an error that names its place."""

import io

import pytest

from nugetproxy.errors import InvalidBundle, InvalidRequest, StorageUnavailable, UntrustedBundle
from nugetproxy.mirroring.bundle.reading import open_bundle
from nugetproxy.mirroring.bundle.signature import PrivateKey
from nugetproxy.mirroring.bundle.volumes import VolumeStream, volume_path
from tests.mirroring.bundle.bundles import FILES, KEY, TRUSTED, document, opened, package, read_all, written


def test_what_was_written_is_read():
    assert FILES == read_all(written())


def test_an_empty_bundle():
    assert [] == read_all(written([]))


def test_the_manifest_is_known_before_any_file():
    bundle = io.BytesIO(written())
    with open_bundle(bundle.read, "x", TRUSTED) as reader:
        assert [file[0] for file in FILES] == list(reader.manifest())
        assert TRUSTED[0] == reader.beginning.signer
        assert reader.position < bundle.getvalue().index(FILES[0][1])


def test_manifest_and_files_are_read_side_by_side():
    with opened(written()) as reader:
        for entry, file in zip(reader.manifest(), reader.files(), strict=True):
            assert entry == file.entry


def test_files_that_the_receiver_has_are_skipped():
    with opened(written()) as reader:
        for file in reader.files():
            file.skip()


def test_without_keys_it_is_shown_whoever_signed():
    with opened(written(), trusted=None) as reader:
        assert (None, KEY.fingerprint) == (reader.beginning.signer, reader.head.key)


def test_every_truncation_is_noticed():
    whole = written()
    for end in range(0, len(whole), 331):
        with pytest.raises(InvalidBundle):
            read_all(whole[:end])


def test_every_changed_byte_is_noticed():
    # Also where a tool would not look: in padding, and in a name's unused bytes.
    whole = written(FILES[:3])
    for at in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[at] ^= 0x01
        with pytest.raises(InvalidBundle):
            read_all(bytes(changed))


def test_every_pair_of_blocks_that_changed_places_is_noticed():
    whole = written()
    for at in range(0, len(whole) - 1024, 512):
        one, two = whole[at : at + 512], whole[at + 512 : at + 1024]
        if one == two:
            continue
        with pytest.raises(InvalidBundle):
            read_all(whole[:at] + two + one + whole[at + 1024 :])


def test_changed_content_names_the_file():
    with pytest.raises(
        InvalidBundle, match=r"packages/contoso\.core/1\.0\.0/contoso\.core\.1\.0\.0\.nupkg has another"
    ):
        read_all(written().replace(b"corecore", b"corekore", 1))


def test_another_key():
    with pytest.raises(UntrustedBundle, match=r"'team.bundle' cannot be trusted: it is signed with the key SHA256:"):
        read_all(written(signer=PrivateKey.generate()))


def test_a_head_that_names_another_key():
    # Signed by a trusted key all the same.
    with pytest.raises(UntrustedBundle, match=r"names the key SHA256:.*, which is not the one that signed"):
        read_all(written(key=PrivateKey.generate().fingerprint))


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (FILES[::-1], "its manifest is not in order at packages/"),
        ([FILES[0], FILES[0]], "its manifest is not in order at documents/"),
    ],
)
def test_a_manifest_out_of_order(files, why):
    with pytest.raises(InvalidBundle, match=why):
        read_all(written(files))


@pytest.mark.parametrize("changes", [{"size": 2}, {"counts": {}}, {"counts": {"package": 1}}])
def test_a_head_that_counts_differently(changes):
    with pytest.raises(InvalidBundle, match=r"its manifest lists other files than its bundle\.json counts"):
        read_all(written([document("https://a", b"1")], **changes))


def test_a_manifest_of_another_hash():
    with pytest.raises(InvalidBundle, match=r"manifest\.jsonl has another SHA-512 than bundle\.json states"):
        read_all(written(manifest_sha512=package("a", "1.0.0", b"")[0][0].sha512))


def test_what_is_no_bundle():
    for content in (b"", b"PK\x03\x04" + bytes(1000), b"\0" * 10_240, b"x" * 511):
        with pytest.raises(InvalidBundle, match=r"'team.bundle' is not a complete bundle"):
            read_all(content)


@pytest.fixture
def volumes(tmp_path):
    whole = written()
    for number, at in enumerate(range(0, len(whole), 3000), 1):
        volume_path(tmp_path / "team.bundle", number).write_bytes(whole[at : at + 3000])
    return tmp_path / "team.bundle"


@pytest.mark.parametrize("named", ["team.bundle", "team.bundle.001"])
def test_volumes_are_one_stream(volumes, named):
    with VolumeStream(volumes.with_name(named)) as stream, open_bundle(stream.read, named, TRUSTED) as reader:
        assert FILES == [(file.entry, file.read()) for file in reader.files()]


def test_a_missing_volume_is_noticed(volumes):
    volume_path(volumes, 3).unlink()

    with VolumeStream(volumes) as stream, pytest.raises(InvalidBundle), open_bundle(stream.read, "x", None) as reader:
        list(reader.files())


def test_a_later_volume_names_the_first(volumes):
    with pytest.raises(InvalidRequest, match=r"is a later volume of a bundle: name the first one, .*\.001"):
        VolumeStream(volume_path(volumes, 2))


def test_a_single_file_may_have_any_name(tmp_path):
    for name in ("x.bundle", "x.000", "x.0001", "x.1"):
        (tmp_path / name).write_bytes(written())
        with VolumeStream(tmp_path / name) as stream, open_bundle(stream.read, "x", TRUSTED) as reader:
            assert len(FILES) == len(list(reader.files()))


def test_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(StorageUnavailable, match=r"none\.bundle cannot be opened: No such file"):
        VolumeStream(tmp_path / "none.bundle")
