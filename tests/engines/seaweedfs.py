"""A real S3-compatible store (SeaweedFS, from the development dependencies) for the tests of one process.

The server starts with the first test that needs it, listens on loopback only, and is killed at the end: it takes
minutes to end by itself. Every test gets a prefix of its own in one bucket.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from nugetproxy.storage.blobs.s3_client import BucketAddress
from tests.ports import free_port
from tests.shared import lacking

BUCKET = "nugetproxy-test"
_ACCESS_KEY, _SECRET_KEY = "testaccesskey", "testsecretkey0123456789"
_IDENTITIES = (
    '{"identities":[{"name":"test","credentials":[{"accessKey":"%s","secretKey":"%s"}],'
    '"actions":["Admin","Read","Write","List","Tagging"]}]}'
)
_STARTS = 3
_PATIENCE = 30.0
_prefixes = count(1)


class SeaweedFs:
    """One server in `directory`. It keeps its ports and its data over `kill` and `start`."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program = program
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "data").mkdir(parents=True)
        (directory / "identities.json").write_text(_IDENTITIES % (_ACCESS_KEY, _SECRET_KEY))
        self.access_key_file, self.secret_key_file = directory / "access-key", directory / "secret-key"
        self.access_key_file.write_text(_ACCESS_KEY + "\n")
        self.secret_key_file.write_text(_SECRET_KEY + "\n")
        for attempt in range(1, _STARTS + 1):
            self._ports = {name: free_port() for name in ("s3", "master", "volume", "filer")}
            self._grpc = {name: free_port() for name in self._ports}
            try:
                self.start()
                break
            except RuntimeError:  # another process took one of the ports meanwhile
                if attempt == _STARTS:
                    raise

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def address(self, endpoint: str = "") -> BucketAddress:
        """A part of the bucket that nobody else uses, at another endpoint if one is given."""
        return BucketAddress(
            BUCKET, endpoint or self.endpoint, "us-east-1", f"t/{next(_prefixes)}",
            str(self.access_key_file), str(self.secret_key_file),
        )  # fmt: skip

    def start(self) -> None:
        """Returns when it answers. Raises RuntimeError."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self._directory / 'data'}",
                    "-filer", "-s3", f"-s3.config={self._directory / 'identities.json'}",
                    "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false",
                    # Neither a cluster nor reports to its makers, and as many volumes as writes need.
                    "-master.peers=none", "-master.telemetry=false",
                    "-master.volumeSizeLimitMB=1024", "-volume.max=0",
                    *(f"-{name}.port={port}" for name, port in self._ports.items()),
                    *(f"-{name}.port.grpc={port}" for name, port in self._grpc.items()),
                ],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._directory, preexec_fn=_die_with_parent,
                env=os.environ | {"GOMEMLIMIT": "300MiB"},
            )  # fmt: skip
        until = time.monotonic() + _PATIENCE
        while not _answers(f"{self.endpoint}/status"):
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError("SeaweedFS does not start: " + (self._directory / "log").read_text()[-2000:])
            time.sleep(0.05)
        # It answers before it can write. The file is also what makes the folder, which is the bucket.
        folder = f"http://127.0.0.1:{self._ports['filer']}/buckets/{BUCKET}/"
        while not _answers(f"{folder}ready?collection={BUCKET}", "PUT", b"x" * 5000):
            if time.monotonic() > until:
                self.kill()
                raise RuntimeError("SeaweedFS cannot write: " + (self._directory / "log").read_text()[-2000:])
            time.sleep(0.1)

    def kill(self) -> None:
        """As a power loss would. Returns when the process is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFs]:
    """The server of this process, with all of its tests' blobs."""
    program = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
    if not Path(program).is_file() or find_spec("obstore") is None:
        lacking("no SeaweedFS here: run scripts/install, which brings one")
    directory = tmp_path_factory.mktemp("seaweedfs")
    server = SeaweedFs(program, directory)
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def bucket(seaweedfs: SeaweedFs) -> BucketAddress:
    """An empty part of a bucket."""
    return seaweedfs.address()


def _answers(url: str, method: str = "GET", body: bytes | None = None) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=5) as answer:
            return bool(answer.status < 300)
    except OSError:
        return False


def _die_with_parent() -> None:
    """In the new process: Linux kills it when the thread that started it ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
