"""Requests to one bucket of an S3-compatible store: limited in time, and with errors of ours.

While the bucket is down, requests fail immediately without being sent. What the objects are is up to `s3`.

Three properties of the client library decide how it is used: its calls hang in a process forked after the first one;
uploads from Python iterators may abort the interpreter at exit; cancelled uploads leave their parts in the bucket. So
it is called from threads only, never from an event loop, uploads read files, and a forked process is refused.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.metrics import BUCKET_REQUESTS, BUCKET_SECONDS
from nugetproxy.storage.refusals import Refusals
from nugetproxy.storage.spool import disk_failures

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Store

FAILURES: Final = 3
"""Failed requests in a row until the bucket is considered down. Each has already been repeated for some seconds."""

PAUSE: Final = 2.0
"""Seconds between the requests that find out whether a bucket that is down answers again."""

_STATUS = re.compile(r"status code: (\d{3}[^:\n]{0,40})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")

_log = logger()


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where a bucket is and how to log in to it. `prefix` is the folder in the bucket that is ours.

    The two key files belong together, and are read again when they change. Without them the credentials come from the
    environment, in this order: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a web identity (AWS_WEB_IDENTITY_TOKEN_FILE
    and AWS_ROLE_ARN), the role of the container or the machine.

    `ca_file` has certificates (PEM) of authorities that are trusted besides those of the system; read again when it
    changes.
    """

    bucket: str
    endpoint: str = ""
    region: str = ""
    prefix: str = ""
    access_key_file: str = ""
    secret_key_file: str = ""
    ca_file: str = ""

    def __str__(self) -> str:
        return f"bucket {self.bucket}" + (f" at {self.endpoint}" if self.endpoint else "")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. A request that is refused or broken off is repeated while `repeating` lasts; one that gets no answer
    has used that time up. So no request takes longer than `request` and `repeating` together.
    """

    connect: float = 2.0
    silence: float = 10.0
    request: float = 30.0
    repeating: float = 5.0


class Circuit:
    """Whether requests are worth sending. Open after `failures` in a row; then one request per `pause` is a probe.

    Thread-safe.
    """

    def __init__(
        self, failures: int = FAILURES, pause: float = PAUSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._allowed = failures
        self._pause = pause
        self._clock = clock
        self._failed = 0
        self._next_probe = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        return self._failed >= self._allowed

    def admits(self) -> bool:
        """Whether a request may be sent now."""
        with self._lock:
            if not self.is_open:
                return True
            now = self._clock()
            if now < self._next_probe:
                return False
            self._next_probe = now + self._pause
            return True

    def succeeded(self) -> None:
        self._failed = 0

    def failed(self) -> None:
        with self._lock:
            self._failed += 1
            self._next_probe = self._clock() + self._pause


class BucketClient:
    """The connections of this process to one bucket, made at the first request. For use in threads."""

    def __init__(self, address: BucketAddress, patience: Patience = Patience(), circuit: Circuit | None = None) -> None:
        self.address = address
        self._patience = patience
        self._circuit = circuit or Circuit()
        self._outage = Refusals("bucket_answers_again")
        self._lock = threading.Lock()
        self._store: S3Store | None = None
        self._made_with: tuple[object, ...] = ()
        self._process = 0

    def __repr__(self) -> str:
        return f"<BucketClient {self.address}{', down' if self.is_down else ''}>"

    @property
    def is_down(self) -> bool:
        """Whether the last requests failed: most are not even sent then."""
        return self._circuit.is_open

    @contextmanager
    def request(self, doing: str) -> Iterator["S3Store"]:
        """The library's store, for the request of one block. `doing` completes "cannot ...", and begins with its kind.

        FileNotFoundError passes: it is an answer. Every other failure raises StorageUnavailable.
        """
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        kind = doing.partition(" ")[0]
        counted = partial(BUCKET_REQUESTS.labels, kind)
        if not self._circuit.admits():
            counted("unsent").inc()
            raise StorageUnavailable(f"cannot {doing}: the bucket does not answer")
        try:
            with BUCKET_SECONDS.labels(kind).time():
                yield self._connected()
        except FileNotFoundError:
            counted("absent").inc()
            self._circuit.succeeded()
            raise
        except (PermissionDeniedError, UnauthenticatedError) as error:
            # It answers quickly, so there is no reason to stop asking.
            counted("error").inc()
            raise self._failure(doing, error) from error
        except (BaseError, OSError, ValueError) as error:
            counted("error").inc()
            self._circuit.failed()
            raise self._failure(doing, error) from error
        counted("ok").inc()
        self._circuit.succeeded()
        self._outage.kept()

    def _failure(self, doing: str, error: Exception) -> StorageUnavailable:
        why = _reason(str(error))
        detail = str(error).partition("\n\nDebug source")[0]
        self._outage.refused("bucket_unavailable", why, bucket=self.address.bucket, doing=doing, detail=detail[:500])
        # Clients see this message. The detail has addresses in it, which belong in our log.
        return StorageUnavailable(f"cannot {doing}: {why}")

    def _connected(self) -> "S3Store":
        files = self.address.access_key_file, self.address.secret_key_file, self.address.ca_file
        with self._lock, disk_failures("read the credentials or the CA file of the bucket"):
            made_with = tuple(_version(file) for file in files if file)
            if self._process not in {0, os.getpid()}:
                raise StorageUnavailable("the bucket was used before this process was forked: start a new process")
            if self._store is None or made_with != self._made_with:
                self._store = self._connect()
                self._made_with, self._process = made_with, os.getpid()
            return self._store

    def _connect(self) -> "S3Store":
        from obstore.store import S3Store

        where, patience = self.address, self._patience
        config: S3Config = {"disable_bulk_delete": True}  # not every store has the request that deletes many
        if where.endpoint:
            config["endpoint"] = where.endpoint.rstrip("/")
        if where.region:
            config["region"] = where.region
        if where.access_key_file:
            config["access_key_id"] = _first_line(where.access_key_file)
            config["secret_access_key"] = _first_line(where.secret_key_file)
        client: ClientConfig = {
            "allow_http": where.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=patience.connect),
            "read_timeout": timedelta(seconds=patience.silence),
            "timeout": timedelta(seconds=patience.request),
            "user_agent": "nugetproxy",
        }
        if where.ca_file:
            client["root_certificate"] = Path(where.ca_file).read_bytes()
        return S3Store(
            where.bucket,
            config=config,
            prefix=where.prefix.strip("/") or None,
            client_options=client,
            retry_config={
                "max_retries": 5,
                "retry_timeout": timedelta(seconds=patience.repeating),
                "backoff": {
                    "init_backoff": timedelta(seconds=0.1),
                    "max_backoff": timedelta(seconds=1),
                    "base": 2,
                },
            },
        )


def _first_line(file: str) -> str:
    return Path(file).read_text(encoding="utf-8").strip()


def _version(file: str) -> tuple[int, int, int]:
    """Changes when a file is written or replaced. Raises OSError."""
    found = Path(file).stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def _reason(text: str) -> str:
    """What happened, without any address."""
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        return f"the bucket answers {status[1].strip()}" + (f" ({code[1]})" if code else "")
    if "kind: Timeout" in text:
        return "the bucket does not answer in time"
    return "the bucket cannot be reached, or breaks off its answers"
