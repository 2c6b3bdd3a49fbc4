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
_PROPERTY: Final = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_HEAD: Final = 64 * 1024
"""Bytes that are searched: directives come before all code."""

_TOP: Final = (
    "<Project><PropertyGroup><FileBasedProgram>true</FileBasedProgram><AssemblyName>{name}</AssemblyName>"
    "</PropertyGroup>{props}<PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework>"
    "<ImplicitUsings>enable</ImplicitUsings><Nullable>enable</Nullable><PublishAot>true</PublishAot>"
    "<PackAsTool>true</PackAsTool></PropertyGroup>"
)


def is_file_based_app(data: bytes) -> bool:
    """Whether a C# file has a directive before its code."""
    return any(line.startswith(b"#:") for line in data[:_HEAD].splitlines())


def project_path(path: str) -> str:
    """Where the SDK has the project of the app: beside it."""
    return f"{path}.csproj"


def project_of_app(name: str, data: bytes) -> str:
    """The text of the project. What a directive says is on the same line of it, so that messages name the right one.

    Raises:
        InvalidRequest: with file and line.
    """
    sdks: list[str] = []
    lines: list[str] = []
    is_in_comment = False
    for number, line in enumerate(decoded(name, data[:_HEAD]).splitlines(), start=1):
        lines.append("")
        if is_in_comment or line.lstrip().startswith("/*"):
            is_in_comment = "*/" not in line
            continue
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is not None and match[1] == "sdk":
            sdks.append("/".join(part.strip() for part in match[2].split("@", 1)))
        elif match is not None:
            lines[-1] = _element(match[1], match[2].strip(), f"{name}, line {number}")
        elif not _SKIPPED.fullmatch(line):
            break
    props, targets = (
        "".join(f'<Import Project="Sdk.{part}" Sdk={quoteattr(sdk)} />' for sdk in sdks or ["Microsoft.NET.Sdk"])
        for part in ("props", "targets")
    )
    stem = posixpath.splitext(posixpath.basename(name))[0]
    return _TOP.format(name=escape(stem), props=props) + "\n".join(lines) + f"{targets}</Project>"


def _element(kind: str, text: str, place: str) -> str:
    if kind == "package":
        package_id, _, version = text.partition("@")
        stated = f" Version={quoteattr(version.strip())}" if version.strip() else ""
        return f"<ItemGroup><PackageReference Include={quoteattr(package_id.strip())}{stated} /></ItemGroup>"
    if kind == "project":
        return f"<ItemGroup><ProjectReference Include={quoteattr(text)} /></ItemGroup>"
    if kind == "property":
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not _PROPERTY.fullmatch(key):
            raise InvalidRequest(f"{place}: expected '#:property Name=Value', found {one_line(text)!r}")
        return f"<PropertyGroup><{key}>{escape(value)}</{key}></PropertyGroup>"
    return ""  # others, such as `#:include`, name no packages
