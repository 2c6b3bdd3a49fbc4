"""Three real nodes behind a real nginx, to be used in place of one server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from nugetproxy.storage.blobs.s3_client import BucketAddress
from tests.engines.postgres import PostgresServer
from tests.engines.seaweedfs import SeaweedFs
from tests.nginx import Nginx
from tests.ports import free_port
from tests.serving import Server

T = TypeVar("T")
NODES: Final = 3


class Engines:
    """PostgreSQL and the bucket, and which part of them belongs to which data directory.

    So a server that is started again with the same directory finds what it had, as an embedded one does.
    """

    def __init__(self, postgres: PostgresServer, template: str, seaweedfs: SeaweedFs) -> None:
        self._postgres = postgres
        self._template = template
        self._seaweedfs = seaweedfs
        self._parts: dict[Path, tuple[str, BucketAddress]] = {}

    def settings(self, data: Path) -> str:
        """`[storage]` of the nodes whose first one has this data directory."""
        if data not in self._parts:
            self._parts[data] = self._postgres.create_database(self._template), self._seaweedfs.address()
        database, bucket = self._parts[data]
        dsn = data.with_name(f"{data.name}.dsn")
        dsn.write_text(self._postgres.dsn(database) + "\n")
        return (
            f'[storage]\nkind = "shared"\n[storage.shared]\ndsn_file = "{dsn}"\nbucket = "{bucket.bucket}"\n'
            f'endpoint = "{bucket.endpoint}"\nregion = "{bucket.region}"\nprefix = "{bucket.prefix}"\n'
            f'access_key_file = "{bucket.access_key_file}"\nsecret_key_file = "{bucket.secret_key_file}"\n'
        )

    def known(self) -> frozenset[Path]:
        """The data directories that have a part."""
        return frozenset(self._parts)

    def forget(self, data: Path) -> None:
        """Remove the tables of a directory that no server uses any more."""
        self._postgres.drop_database(self._parts.pop(data)[0])


class Fleet(Server):
    """A `Server` that is three nodes with data directories of their own. The first one's is `data`."""

    def __init__(
        self,
        engines: Engines,
        data: Path,
        *arguments: str,
        upstream: str | None = None,
        port: int | None = None,
        config: str | None = None,
        tls: tuple[Path, Path] | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.data = data
        self.port = port or free_port()
        self.scheme = "https" if tls else "http"
        settings = f"{config or ''}\n{engines.settings(data)}"
        behind_nginx = {"NUGETPROXY_SERVER__TRUSTED_PROXIES": '["127.0.0.1"]'}
        names = (data.name, *(f"{data.name}-node{number}" for number in range(2, NODES + 1)))
        self.nodes = [
            Server(
                data.with_name(name),
                *arguments,
                upstream=upstream,
                config=settings,
                environ=behind_nginx | (environ or {}),
            )
            for name in names
        ]
        self._front = Nginx(data.with_name(f"{data.name}-nginx"), self.port, [node.port for node in self.nodes], tls)

    @property
    def log(self) -> str:
        return "".join(node.log for node in self.nodes)

    def start(self) -> None:
        try:
            self._together(Server.start)
            self._front.start()
        except BaseException:  # Ctrl-C, too: no node may be left behind
            self.stop()
            raise

    def stop(self) -> int | None:
        self._front.stop()
        return max((code for code in self._together(Server.stop) if code is not None), default=None)

    def kill(self) -> None:
        self._together(Server.kill)
        self._front.stop()

    def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        """The body of a GET through nginx; the metrics are those of all nodes."""
        if path == "/metrics":
            return b"".join(node.get(path, headers) for node in self.nodes)
        return super().get(path, headers)

    def _together(self, act: Callable[[Server], T]) -> list[T]:
        with ThreadPoolExecutor(NODES) as threads:
            return list(threads.map(act, self.nodes))
