"""Blobs in a real bucket, behind a gateway that counts and disturbs the requests."""

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from nugetproxy.errors import StorageUnavailable
from nugetproxy.metrics import BUCKET_REQUESTS
from nugetproxy.storage.blobs.s3 import PIECE, BucketBlobs
from nugetproxy.storage.blobs.s3_client import BucketAddress, BucketClient, Circuit, Patience
from nugetproxy.storage.spool import MemoryBudget, Spool, SpoolFolder
from tests.certificates import PrivateCA
from tests.contracts.blob_store import KEY, LARGE, BlobsContract, MakeSpool
from tests.engines.seaweedfs import SeaweedFs
from tests.fakes.bucket_gateway import BucketGateway, Disturbance, answering, cut, flipped, silent, unkept
from tests.ports import dead_port

HASTY = Patience(connect=1.0, silence=1.5, request=3.0, repeating=0.5)
"""For buckets that fail."""


@pytest.fixture
def make_spool(tmp_path: Path) -> MakeSpool:
    folder = SpoolFolder(tmp_path / "spool", MemoryBudget(1_000_000))

    def make(content: bytes) -> Spool:
        spool = folder.create("test")
        spool.append(content)
        return spool

    return make


@pytest.fixture
def store(bucket: BucketAddress) -> BucketBlobs:
    return BucketBlobs(BucketClient(bucket))


@pytest.fixture
def gateway(seaweedfs: SeaweedFs) -> Iterator[BucketGateway]:
    with BucketGateway(seaweedfs.endpoint) as running:
        yield running


@pytest.fixture
def address(seaweedfs: SeaweedFs, gateway: BucketGateway) -> BucketAddress:
    return seaweedfs.address(gateway.endpoint)


@pytest.fixture
def behind(address: BucketAddress) -> BucketBlobs:
    """The store, behind the gateway."""
    return BucketBlobs(BucketClient(address))


@pytest.fixture
def hasty(address: BucketAddress) -> BucketBlobs:
    """The same as `behind`, but it gives up soon."""
    return BucketBlobs(BucketClient(address, HASTY))


def counted(kind: str, result: str) -> float:
    return float(BUCKET_REQUESTS.labels(kind, result)._value.get())


def read(store: BucketBlobs) -> bytes:
    with store.open(KEY) as file:
        return file.read()


class TestBucketBlobs(BlobsContract):
    pass


# --- cost -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "methods"),
    # A large one is begun, sent in two parts, and completed.
    [(b"package", ["HEAD", "PUT"]), (LARGE, ["HEAD", "POST", "PUT", "PUT", "POST"])],
    ids=["small", "large"],
)
def test_requests_of_a_commit(
    behind: BucketBlobs, gateway: BucketGateway, make_spool: MakeSpool, content: bytes, methods: list[str]
):
    behind.commit(KEY, make_spool(content))
    assert gateway.methods() == methods


def test_requests_of_a_read_a_deletion_and_a_walk(behind: BucketBlobs, gateway: BucketGateway, make_spool: MakeSpool):
    behind.commit(KEY, make_spool(LARGE))
    gateway.methods()

    assert b"".join(behind.blocks(KEY, len(LARGE))) == LARGE
    assert gateway.methods() == ["GET"] * -(-len(LARGE) // PIECE)
    assert len(list(behind.walk())) == 1
    assert gateway.methods() == ["GET"]
    behind.delete(KEY)
    assert gateway.methods() == ["DELETE"]


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [answering(503), answering(500, ""), cut], ids=["throttled", "500", "cut"])
def test_a_fault_that_passes_is_not_noticed(
    behind: BucketBlobs, gateway: BucketGateway, make_spool: MakeSpool, how: Disturbance
):
    gateway.disturb(how, times=1)
    behind.commit(KEY, make_spool(LARGE))
    gateway.disturb(how, times=1)
    assert b"".join(behind.blocks(KEY, len(LARGE))) == LARGE
    if how is not cut:  # a page of a list is not asked for again; a list never looks complete then
        gateway.disturb(how, times=1)
        assert len(list(behind.walk())) == 1


@pytest.mark.parametrize(
    "how", [answering(503), answering(500, ""), silent(), cut], ids=["throttled", "500", "silent", "cut"]
)
def test_a_fault_that_stays_is_an_error_in_limited_time(
    behind: BucketBlobs, hasty: BucketBlobs, gateway: BucketGateway, make_spool: MakeSpool, how: Disturbance
):
    behind.commit(KEY, make_spool(b"package"))
    gateway.disturb(how)

    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="bucket"):
        list(hasty.blocks(KEY, 7))
    with pytest.raises(StorageUnavailable, match="bucket"):
        list(hasty.walk())
    if how is not cut:  # it leaves alone what is not read
        with pytest.raises(StorageUnavailable, match="bucket"):
            hasty.commit(KEY, make_spool(b"package"))
    assert time.monotonic() - began < 20


def test_a_failed_upload_leaves_nothing_and_keeps_the_spool(
    behind: BucketBlobs, hasty: BucketBlobs, gateway: BucketGateway, make_spool: MakeSpool
):
    spool = make_spool(b"package")
    gateway.disturb(answering(503))
    with pytest.raises(StorageUnavailable):
        hasty.commit(KEY, spool)
    gateway.rest()

    assert spool.path is not None
    behind.commit(KEY, spool)
    assert read(behind) == b"package"


def test_an_upload_that_was_not_stored_is_noticed(behind: BucketBlobs, gateway: BucketGateway, make_spool: MakeSpool):
    """
    The tag of the answer is not that of the bytes, so they are read back.
    """
    gateway.disturb(unkept)

    with pytest.raises(StorageUnavailable, match="did not store"):
        behind.commit(KEY, make_spool(b"package"))
    assert behind.stat(KEY) is None


def test_a_spool_that_changed_on_disk_is_not_uploaded_as_if_right(store: BucketBlobs, make_spool: MakeSpool):
    spool = make_spool(b"package")
    assert spool.path is not None
    spool.path.write_bytes(b"packagE")

    with pytest.raises(StorageUnavailable):
        store.commit(KEY, spool)
    assert store.stat(KEY) is None


@pytest.mark.parametrize("content", [b"package", LARGE], ids=["small", "large"])
def test_a_file_is_uploaded_once_and_stays(behind: BucketBlobs, gateway: BucketGateway, tmp_path: Path, content: bytes):
    file = tmp_path / "kept.nupkg"
    file.write_bytes(content)
    sha512 = hashlib.sha512(content).digest()

    behind.upload_file(KEY, file, len(content), sha512)
    assert gateway.methods()[0] == "HEAD"
    behind.upload_file(KEY, file, len(content), sha512)
    assert gateway.methods() == ["HEAD"]
    assert read(behind) == content == file.read_bytes()


def test_a_file_with_other_bytes_is_not_uploaded(store: BucketBlobs, tmp_path: Path):
    file = tmp_path / "kept.nupkg"
    file.write_bytes(b"packagE")

    with pytest.raises(StorageUnavailable, match="disk"):
        store.upload_file(KEY, file, 7, hashlib.sha512(b"package").digest())
    with pytest.raises(StorageUnavailable, match="read a file"):
        store.upload_file(KEY, tmp_path / "none", 7, hashlib.sha512(b"package").digest())
    assert store.stat(KEY) is None


def test_a_blob_of_another_size_is_refused(store: BucketBlobs, make_spool: MakeSpool):
    store.commit(KEY, make_spool(b"package"))

    with pytest.raises(StorageUnavailable, match="not those"):
        list(store.blocks(KEY, 6))
    with pytest.raises(StorageUnavailable, match="not those"):
        list(store.blocks(KEY, 8))


def test_a_wrong_bit_passes_here_and_is_for_the_hash_to_find(
    behind: BucketBlobs, gateway: BucketGateway, make_spool: MakeSpool
):
    behind.commit(KEY, make_spool(b"package"))
    gateway.disturb(flipped)

    assert b"".join(behind.blocks(KEY, 7)) == b"qackage"


def test_a_bucket_that_is_down_costs_nothing_and_is_found_again(
    behind: BucketBlobs, address: BucketAddress, gateway: BucketGateway, make_spool: MakeSpool
):
    now = 0.0
    circuit = Circuit(failures=2, pause=2.0, clock=lambda: now)
    store = BucketBlobs(BucketClient(address, Patience(repeating=0.5), circuit))
    behind.commit(KEY, make_spool(b"package"))
    gateway.disturb(answering(503))
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            store.stat(KEY)
    assert "down" in repr(store)
    gateway.methods()
    before = counted("look", "unsent")

    for _ in range(100):
        with pytest.raises(StorageUnavailable, match="does not answer"):
            store.stat(KEY)
    assert gateway.methods() == []
    assert counted("look", "unsent") == before + 100

    gateway.rest()
    now = 2.0
    assert store.stat(KEY)
    assert "down" not in repr(store)
    assert gateway.methods() == ["HEAD"]


def test_a_killed_server_loses_nothing(seaweedfs: SeaweedFs, make_spool: MakeSpool):
    address = seaweedfs.address()
    store, hasty = BucketBlobs(BucketClient(address)), BucketBlobs(BucketClient(address, HASTY, Circuit(pause=0)))
    store.commit(KEY, make_spool(b"package"))
    seaweedfs.kill()
    try:
        for attempt in (lambda: hasty.stat(KEY), lambda: hasty.delete(KEY), lambda: list(hasty.walk())):
            with pytest.raises(StorageUnavailable, match="bucket"):
                attempt()
    finally:
        seaweedfs.start()

    assert read(store) == b"package"


def test_a_port_that_refuses_is_an_error(seaweedfs: SeaweedFs):
    with dead_port() as port:
        store = BucketBlobs(BucketClient(seaweedfs.address(f"http://127.0.0.1:{port}"), HASTY))
        with pytest.raises(StorageUnavailable, match="cannot be reached"):
            store.stat(KEY)


# --- credentials ------------------------------------------------------------------------------------------------------


def test_wrong_credentials_are_an_error_and_new_ones_are_used(
    bucket: BucketAddress, make_spool: MakeSpool, tmp_path: Path
):
    """
    A missing right is not a missing blob. The message names no address, the bucket's check says what is wrong.
    """
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    right = Path(bucket.secret_key_file).read_text()
    store = BucketBlobs(
        BucketClient(
            BucketAddress(
                bucket.bucket, bucket.endpoint, bucket.region, bucket.prefix, bucket.access_key_file, str(secret)
            )
        )
    )

    for attempt in (
        lambda: store.stat(KEY), lambda: store.open(KEY), lambda: list(store.walk()), lambda: store.delete(KEY),
        lambda: list(store.blocks(KEY, 7)), lambda: store.commit(KEY, make_spool(b"package")), store.rehearse,
    ):  # fmt: skip
        with pytest.raises(StorageUnavailable, match="403 Forbidden") as caught:
            attempt()
        assert "127.0.0.1" not in str(caught.value)

    secret.write_text(right)
    store.commit(KEY, make_spool(b"package"))
    assert read(store) == b"package"


def test_a_missing_key_file_is_no_missing_blob(bucket: BucketAddress, tmp_path: Path):
    where = BucketAddress(bucket.bucket, bucket.endpoint, bucket.region, "x", str(tmp_path / "none"), "unread")

    with pytest.raises(StorageUnavailable, match="credentials"):
        BucketBlobs(BucketClient(where)).stat(KEY)


def test_a_bucket_behind_a_private_authority_is_trusted_with_its_file_only(seaweedfs: SeaweedFs, tmp_path: Path):
    authority, other = PrivateCA(tmp_path / "ca"), PrivateCA(tmp_path / "other")
    file = tmp_path / "bucket-ca.pem"
    file.write_bytes(other.file.read_bytes())
    with BucketGateway(seaweedfs.endpoint, authority.issue()) as gateway:
        where = seaweedfs.address(gateway.endpoint)
        store = BucketBlobs(BucketClient(replace(where, ca_file=str(file)), HASTY))
        for each in (BucketBlobs(BucketClient(where, HASTY)), store):
            with pytest.raises(StorageUnavailable, match="cannot be reached"):
                each.rehearse()
        file.write_bytes(other.file.read_bytes() + authority.file.read_bytes())
        store.rehearse()


def test_credentials_of_the_environment_are_used(
    bucket: BucketAddress, make_spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", Path(bucket.access_key_file).read_text().strip())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", Path(bucket.secret_key_file).read_text().strip())
    store = BucketBlobs(BucketClient(BucketAddress(bucket.bucket, bucket.endpoint, bucket.region, bucket.prefix)))

    store.rehearse()
    store.commit(KEY, make_spool(b"package"))
    assert read(store) == b"package"


@pytest.mark.parametrize(
    ("method", "why"),
    [("HEAD", "look up a blob"), ("PUT", "write a blob"), ("GET", "list blobs"), ("DELETE", "delete a blob")],
)
def test_a_rehearsal_says_what_is_not_allowed(behind: BucketBlobs, gateway: BucketGateway, method: str, why: str):
    async def forbid(request: web.BaseRequest, answer: web.Response | None) -> web.StreamResponse | None:
        return web.Response(status=403) if answer is None and request.method == method else None

    gateway.disturb(forbid)
    with pytest.raises(StorageUnavailable, match=f"cannot {why}: the bucket answers 403"):
        behind.rehearse()


# --- traps of the library ---------------------------------------------------------------------------------------------


_FORKING = """
import os
from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.blobs.s3 import BucketBlobs
from nugetproxy.storage.blobs.s3_client import BucketAddress, BucketClient

store = BucketBlobs(BucketClient({address!r}))
store.rehearse()
if not os.fork():
    try:
        store.rehearse()
    except StorageUnavailable as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""


def test_a_forked_process_is_refused_instead_of_hanging(bucket: BucketAddress):
    """
    And a process that used the bucket ends well.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORKING.format(address=bucket)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "forked" in done.stdout


def test_requests_leave_other_threads_running(behind: BucketBlobs, gateway: BucketGateway):
    gateway.disturb(silent(0.4), times=1)
    ended: list[float] = []

    def look() -> None:
        behind.stat(KEY)
        ended.append(time.monotonic())

    thread = threading.Thread(target=look)
    thread.start()
    turns = 0
    while not ended:
        time.sleep(0.01)
        turns += 1
    thread.join()
    assert turns > 5


def test_nothing_is_sent_before_the_first_request(behind: BucketBlobs, gateway: BucketGateway):
    assert gateway.methods() == []
    behind.rehearse()
    assert gateway.methods() == ["GET", "HEAD", "PUT", "GET", "DELETE"]
    assert list(behind.walk()) == []
