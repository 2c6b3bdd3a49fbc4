"""A server with packages of every kind, for tests of pages: `async with furnished_site(folder, upstream) as house`."""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.builders import make_nupkg, make_nuspec
from tests.fakes.upstream import FakeUpstream
from tests.flows.private_feed import House, opened

README = """\
# Contoso.Widgets

[![build](https://ci.example.com/badge.svg)](https://ci.example.com) ![coverage](https://ci.example.com/c.svg)

Widgets for **forms** and *reports*, with `DataBinding`. See the [guide](https://docs.example.com/widgets).

## Getting started

```csharp
using Contoso.Widgets;

var widget = new Widget("Orders") { Columns = 3, IsSortable = true };
widget.Bind(await orders.LoadAsync(cancellationToken));
```

#### Supported frameworks

| Framework | Since | Notes |
| --- | ---: | --- |
| net8.0 | 2.0 | trimming and AOT |
| netstandard2.0 | 1.0 | without `Span<T>` |

1. Add the package.
2. Call `AddWidgets()`.
   - Options are in `appsettings.json`.

> Widgets are rendered on the server.

- [x] Sorting
- [ ] Grouping
"""

POLICY = {
    "rule": [
        {
            "name": "cooling-off",
            "action": "block",
            "ids": ["Fabrikam.*"],
            "versions": "[2.0,)",
            "because": "New versions are reviewed by the platform team first.",
        }
    ]
}


@asynccontextmanager
async def furnished_site(folder: Path, upstream: FakeUpstream, **sections: object) -> AsyncIterator[House]:
    stock(upstream)
    async with opened(folder, upstream, **{"policy": POLICY, **sections}) as house:
        for package in hosted():
            got = await house.push(package)
            assert got.status == 201, got.reason
        deprecated = await house.send(
            "PUT",
            "/api/v2/package/Contoso.Forms/deprecations",
            body=b'{"versions":["1.0.0"],"isLegacy":true,"message":"Forms moved."'
            b',"alternatePackageId":"Contoso.Widgets"}',
            headers={"Content-Type": "application/json"},
        )
        assert deprecated.status == 200, deprecated.reason
        await house.get("/v3/flatcontainer/fabrikam.json/1.2.0/fabrikam.json.1.2.0.nupkg")
        async with asyncio.timeout(20):
            while house.services.care is None or not house.services.care.inventory.keeps("fabrikam.json", "1.2.0"):
                await asyncio.sleep(0.01)  # a row follows its file a little later
        yield house


def hosted() -> list[bytes]:
    """Packages to push: a documented one with several versions, a tool, a deprecated one."""
    groups: dict[str | None, Sequence[tuple[str, str]]] = {
        "net8.0": [("Fabrikam.Json", "[1.2.0, 2.0.0)")],
        ".NETStandard2.0": [("Fabrikam.Json", "1.2.0"), ("Contoso.Forms", "1.0.0")],
    }
    widgets = [
        make_nupkg(
            "Contoso.Widgets",
            version,
            readme=README,
            icon=icon(),
            license="MIT License\n\nCopyright (c) Contoso\n",
            files={
                "lib/net8.0/Contoso.Widgets.dll": b"MZ\x00" + b"x" * (9_000 + 512 * number),
                "lib/net8.0/Contoso.Widgets.xml": b"<doc><assembly><name>Contoso.Widgets</name></assembly></doc>",
                "lib/netstandard2.0/Contoso.Widgets.dll": b"MZ\x00" + b"x" * 8_000,
                **({"build/Contoso.Widgets.targets": b"<Project />"} if number else {}),
            },
            nuspec=make_nuspec(
                "Contoso.Widgets",
                version,
                authors="Contoso Platform Team",
                description="Widgets for forms and reports, with data binding, sorting and export to spreadsheets.",
                dependencies=groups if number else {"net8.0": [("Fabrikam.Json", "[1.0.0, 2.0.0)")]},
                readme="README.md",
                icon="images/icon.png",
                license_file="LICENSE.txt",
                tags="forms reports widgets",
                more="<projectUrl>https://widgets.example.com</projectUrl><releaseNotes>* Sorting is stable.\n"
                "* Fewer allocations.</releaseNotes><repository type='git' url='https://git.example.com/widgets'"
                " commit='8f3c1d2a9b7e4f60' />",
            ),
        )
        for number, version in enumerate(("1.0.0", "1.1.0", "2.0.0-beta.1"))
    ]
    tool = make_nupkg(
        nuspec=make_nuspec("Contoso.Build", "3.1.4", package_types=["DotnetTool"], description="Builds what we build."),
        files={"tools/net8.0/any/DotnetToolSettings.xml": b"<DotNetCliTool Version='1' />"},
        id="Contoso.Build",
        version="3.1.4",
    )
    return [*widgets, tool, make_nupkg("Contoso.Forms", "1.0.0")]


def stock(upstream: FakeUpstream) -> None:
    """Mirrored: one with versions that are withheld, and one with known vulnerabilities."""
    for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0"):
        upstream.add_package("Fabrikam.Json", version)
    upstream.add_package(
        "Fabrikam.Json",
        "1.0.1",
        vulnerabilities=({"advisoryUrl": "https://advisories.example.com/GHSA-1", "severity": "2"},),
    )


def icon() -> bytes:
    """A small picture: a violet square with a lighter corner."""
    size, rows = 64, b""
    for y in range(size):
        rows += b"\x00" + b"".join(b"\x6b\x4f\xbb" if x + y > size else b"\xa5\x8c\xf0" for x in range(size))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
