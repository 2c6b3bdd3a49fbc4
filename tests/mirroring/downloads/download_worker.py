"""One process that downloads one package through the real client, and reports the result on its output.

Lines: `asking`, `first` with the first byte, then `whole DIGEST` (SHA-256 of what the reader got) or `broken ERROR`.
"""

import asyncio
import hashlib
import sys
from pathlib import Path

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import NugetproxyError
from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.leases import Leases


async def main(directory: Path, service_index: str, url: str, package_id: str, version: str) -> None:
    settings = UpstreamSettings.model_validate({"name": "fake", "service_index": service_index, "read_timeout": 20})
    client = UpstreamClient(settings, user_agent="nugetproxy/0")
    downloads = MirroredDownloads(directory, Leases(directory / "leases"), 0, Mode.ONLINE)
    await client.start()
    tell("asking")
    try:
        answer = await downloads.open(client, PackageIdentity.parse(package_id, version), url)
        digest = hashlib.sha256()
        if isinstance(answer.value, LocalFile):
            tell("first")
            digest.update(answer.value.path.read_bytes())
        else:
            async for number, chunk in numbered(answer.value.chunks()):
                if not number:
                    tell("first")
                digest.update(chunk)
        tell(f"whole {digest.hexdigest()}")
    except NugetproxyError as error:
        tell(f"broken {type(error).__name__}")
    await downloads.close(20)
    await client.close()


async def numbered(chunks):
    number = 0
    async for chunk in chunks:
        yield number, chunk
        number += 1


def tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:6]))
