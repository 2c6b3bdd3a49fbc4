"""File-based apps: a `.cs` file whose first lines say `#:package Id@Version`, `#:sdk`, `#:property` and `#:project`.

The SDK makes a project of them; so is done here, and the project is evaluated like any other.
Source: docs.microsoft.com, dotnet/core/sdk/file-based-apps.
"""

import posixpath
import re
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.projects.texts import decoded, one_line

_DIRECTIVE: Final = re.compile(r"#:\s*([a-z]+)\s*(.*)")
_SKIPPED: Final = re.compile(r"\s*(?://.*|#!.*)?")
_HEAD: Final = 64 * 1024
"""Bytes that are searched: directives come before all code."""

_TOP: Final = """<Project>
<PropertyGroup>
<FileBasedProgram>true</FileBasedProgram><EnableDefaultItems>false</EnableDefaultItems>
</PropertyGroup>
{props}<PropertyGroup>
<OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings>
<Nullable>enable</Nullable><PublishAot>true</PublishAot><PackAsTool>true</PackAsTool>
{properties}</PropertyGroup>
<ItemGroup>
{items}</ItemGroup>
{targets}</Project>
"""


def is_file_based_app(data: bytes) -> bool:
    """Whether a C# file has a directive before its code."""
    return any(line.startswith(b"#:") for line in data[:_HEAD].splitlines())


def project_path(path: str) -> str:
    """Where the SDK has the project of the app: beside it, with the same name."""
    return posixpath.splitext(path)[0] + ".csproj"


def project_of_app(name: str, data: bytes) -> str:
    """The text of the project. Raises InvalidRequest with file and line."""
    sdks: list[str] = []
    properties: list[str] = []
    items: list[str] = []
    is_in_comment = False
    for number, line in enumerate(decoded(name, data[:_HEAD]).splitlines(), start=1):
        if is_in_comment or line.lstrip().startswith("/*"):
            is_in_comment = "*/" not in line
            continue
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            if _SKIPPED.fullmatch(line):
                continue
            break
        kind, text, place = match[1], match[2].strip(), f"{name}, line {number}"
        if kind == "package":
            package_id, _, version = text.partition("@")
            stated = f" Version={quoteattr(version.strip())}" if version.strip() else ""
            items.append(f"<PackageReference Include={quoteattr(package_id.strip())}{stated} />")
        elif kind == "sdk":
            sdks.append("/".join(part.strip() for part in text.split("@", 1)))
        elif kind == "property":
            key, equals, value = text.partition("=")
            if not equals or not re.fullmatch(r"[A-Za-z_][\w.-]*", key.strip(), re.ASCII):
                raise InvalidRequest(f"{place}: expected '#:property Name=Value', found {one_line(line)!r}")
            properties.append(f"<{key.strip()}>{escape(value.strip())}</{key.strip()}>")
        elif kind == "project":
            items.append(f"<ProjectReference Include={quoteattr(text)} />")
        # Others, such as `#:include`, name no packages.
    imports = {
        part: "".join(
            f'<Import Project="Sdk.{part}" Sdk={quoteattr(sdk)} />\n' for sdk in sdks or ["Microsoft.NET.Sdk"]
        )
        for part in ("props", "targets")
    }
    return _TOP.format(properties="".join(properties), items="".join(items), **imports)
