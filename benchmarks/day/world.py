"""The company's feed, generated from a seed:

ids, versions, sizes, popularity, and the bytes of each document and package. Nothing is stored here: everything can
be generated again from the seed, so the upstream needs no disk. The distributions follow nuget.org: most ids have a
few versions, a few have hundreds; package sizes are log-normal.
"""

import bisect
import gzip
import hashlib
import io
import json
import math
import random
import zipfile
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

MEDIAN_BYTES: Final = 150_000
SPREAD: Final = 1.68
"""Sigma of the packages' log-normal sizes: a mean of four times the median."""
LARGEST_BYTES: Final = 100_000_000
MOST_VERSIONS: Final = 127
_BLOCK: Final = random.Random(7).randbytes(4 * 1024 * 1024)


def _prose(size: int) -> str:
    """Made-up words that compress about as well as descriptions."""
    choose = random.Random(8)
    words = ["".join(choose.choices("etaoinshrdlu", k=choose.randint(2, 9))) for _ in range(600)]
    return " ".join(choose.choices(words, k=size // 6))


_PROSE: Final = _prose(1_000_000)


@dataclass(frozen=True)
class Package:
    """One package that is on disk. `size` is about the bytes of its .nupkg."""

    lower_id: str
    version: str
    size: int


@dataclass(frozen=True)
class World:
    """`ids` and `packages` are what the feed lists; `kept` packages are on disk."""

    ids: int = 20_000
    packages: int = 100_000
    kept: int = 10_000
    seed: int = 1

    @property
    def name(self) -> str:
        return f"{self.ids}-{self.packages}-{self.kept}-{self.seed}"

    @cached_property
    def names(self) -> list[str]:
        """Lower ids, the most popular first."""
        choose = random.Random(f"names {self.seed}")
        words = ["core", "data", "json", "http", "logging", "cloud", "tools", "text", "abstractions", "client", "web"]
        return [f"bench.{choose.choice(words)}.{choose.choice(words)}.p{number:05d}" for number in range(self.ids)]

    @cached_property
    def versions(self) -> list[int]:
        """How many versions each id has: the popular ones have more."""
        choose = random.Random(f"versions {self.seed}")
        weights = [choose.lognormvariate(0, 1) * (1 + self.ids / (rank + 20)) ** 0.35 for rank in range(self.ids)]
        unit = (self.packages - self.ids) / sum(weights)
        return [1 + min(MOST_VERSIONS - 1, int(weight * unit + choose.random())) for weight in weights]

    @cached_property
    def leaf_bytes(self) -> list[int]:
        """Bytes that a version of each id adds to its registration: most some 1.5 KB, a few 30 KB."""
        choose = random.Random(f"leaves {self.seed}")
        return [min(30_000, max(1_300, int(choose.lognormvariate(math.log(1700), 1.05)))) for _ in range(self.ids)]

    @cached_property
    def on_disk(self) -> list[Package]:
        """The newest version of many ids, and a second one of the most popular."""
        choose = random.Random(f"kept {self.seed}")
        popular = min(self.ids, self.kept // 4)
        others = sorted(choose.sample(range(popular, self.ids), min(self.kept - 2 * popular, self.ids - popular)))
        picked = [(rank, back) for rank in range(popular) for back in (0, 1)] + [(rank, 0) for rank in others]
        found = []
        for rank, back in picked:
            size = min(LARGEST_BYTES, int(choose.lognormvariate(math.log(MEDIAN_BYTES), SPREAD)))
            found.append(Package(self.names[rank], version_text(max(0, self.versions[rank] - 1 - back)), size))
        return list(dict.fromkeys(found))

    @cached_property
    def rank_of(self) -> dict[str, int]:
        return {name: rank for rank, name in enumerate(self.names)}

    def versions_list(self, lower_id: str) -> bytes:
        count = self.versions[self.rank_of[lower_id]]
        return json.dumps({"versions": [version_text(number) for number in range(count)]}).encode()

    def registration(self, lower_id: str, base: str) -> bytes:
        """The registration index, all versions inlined, gzip-coded as the gz hives are."""
        rank = self.rank_of[lower_id]
        count, weight = self.versions[rank], self.leaf_bytes[rank]
        choose = random.Random(f"{self.seed} {lower_id}")
        leaves: list[dict[str, Any]] = []
        for number in range(count):
            version = version_text(number)
            content = f"{base}/v3/flatcontainer/{lower_id}/{version}/{lower_id}.{version}.nupkg"
            leaf = f"{base}/v3/registration/{lower_id}/{version}.json"
            entry = {
                "@id": f"{base}/v3/catalog/{lower_id}.{version}.json",
                "@type": "PackageDetails",
                "id": lower_id,
                "version": version,
                "authors": "The Company",
                "description": _PROSE[(at := choose.randrange(len(_PROSE) - weight)) : at + max(0, weight - 900)],
                "listed": True,
                "published": "2024-05-01T10:00:00+00:00",
                "packageContent": content,
                "tags": ["bench"],
                "dependencyGroups": [
                    {
                        "targetFramework": "net8.0",
                        "dependencies": [{"id": name, "range": "[1.0.0, )"} for name in choose.sample(self.names, 3)],
                    }
                ],
            }
            leaves.append(
                {
                    "@id": leaf,
                    "@type": "Package",
                    "catalogEntry": entry,
                    "packageContent": content,
                    "registration": f"{base}/v3/registration/{lower_id}/index.json",
                }
            )
        index = f"{base}/v3/registration/{lower_id}/index.json"
        pages = [
            {
                "@id": f"{index}#page/{part[0]['catalogEntry']['version']}/{part[-1]['catalogEntry']['version']}",
                "@type": "catalog:CatalogPage",
                "count": len(part),
                "lower": part[0]["catalogEntry"]["version"],
                "upper": part[-1]["catalogEntry"]["version"],
                "items": part,
                "parent": index,
            }
            for part in (leaves[at : at + 64] for at in range(0, count, 64))
        ]
        whole = {"@id": index, "@type": ["catalog:CatalogRoot"], "count": len(pages), "items": pages}
        return gzip.compress(json.dumps(whole).encode(), 5, mtime=0)

    def nupkg(self, package: Package) -> bytes:
        """A minimal unsigned package: a nuspec, and bytes that do not compress."""
        written = io.BytesIO()
        at = int.from_bytes(hashlib.sha256(f"{package.lower_id} {package.version}".encode()).digest()[:3], "big")
        with zipfile.ZipFile(written, "w") as archive:
            nuspec = (
                '<?xml version="1.0"?><package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"><metadata>'
                f"<id>{package.lower_id}</id><version>{package.version}</version><authors>The Company</authors>"
                "<description>Made for a benchmark.</description></metadata></package>"
            )
            archive.writestr(zipfile.ZipInfo(f"{package.lower_id}.nuspec"), nuspec)
            info = zipfile.ZipInfo("lib/net8.0/content.bin")
            with archive.open(info, "w", force_zip64=False) as content:
                left = package.size
                while left > 0:
                    piece = _BLOCK[at : at + left]
                    content.write(piece)
                    left, at = left - len(piece), 0
        return written.getvalue()


class Popularity:
    """Zipf with s = 1: how often the id of each rank is requested."""

    def __init__(self, count: int) -> None:
        self._sums = list(accumulate(1 / (rank + 1) for rank in range(count)))

    def pick(self, choose: random.Random) -> int:
        return bisect.bisect_left(self._sums, choose.random() * self._sums[-1])


def version_text(number: int) -> str:
    return f"1.{number // 10}.{number % 10}"
