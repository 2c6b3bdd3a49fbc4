"""How a client is set up to use this server, and how it installs a package: the lines that people copy. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr


@dataclass(frozen=True, slots=True)
class ClientSetup:
    """`name` is the name of the source, `index` its URL. `needs_credentials`: to read some or all packages."""

    name: str
    index: str
    is_secure: bool
    needs_credentials: bool
    is_hosting: bool

    @property
    def add(self) -> str:
        """The command that adds the source."""
        credentials = " --username USER --password KEY --store-password-in-clear-text" if self.needs_credentials else ""
        # The client refuses a plain http source without this flag (NU1302, since NuGet 6.12).
        flag = "" if self.is_secure else " --allow-insecure-connections"
        return f"dotnet nuget add source {self.index} --name {self.name}{credentials}{flag}"

    @property
    def push(self) -> str:
        """The command that pushes a package; empty where nothing is hosted."""
        return f"dotnet nuget push PACKAGE.nupkg --source {self.name} --api-key KEY" if self.is_hosting else ""

    def nuget_config(self, patterns: Iterable[str] = ("*",)) -> str:
        """A nuget.config in which these patterns come from this source, and from no other."""
        insecure = "" if self.is_secure else ' allowInsecureConnections="true"'
        mapped = "\n".join(f"      <package pattern={quoteattr(pattern)} />" for pattern in patterns)
        return f"""\
<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <packageSources>
    <clear />
    <add key="{escape(self.name)}" value={quoteattr(self.index)}
         protocolVersion="3"{insecure} />
  </packageSources>
  <packageSourceMapping>
    <packageSource key="{escape(self.name)}">
{mapped}
    </packageSource>
  </packageSourceMapping>
</configuration>"""


class InstallLine(NamedTuple):
    """What to copy for one kind of client. `key` is unique among the lines of a package."""

    key: str
    client: str
    text: str


def install_lines(package_id: str, version: str, types: Iterable[str], source: str) -> tuple[InstallLine, ...]:
    """The lines that fit the package: tools and templates are installed, not referenced.

    `types` are the names of its package types, in any case; `source` is the URL of our service index.
    """
    kinds = {kind.lower() for kind in types}
    if kinds & {"dotnettool", "mcpserver"}:
        lines = [
            InstallLine("tool", "Global tool", f"dotnet tool install --global {package_id} --version {version}"),
            InstallLine(
                "local",
                "Local tool",
                f"dotnet new tool-manifest\ndotnet tool install {package_id} --version {version}",
            ),
            InstallLine("dnx", "Run once", f"dnx {package_id}@{version}"),
        ]
        return tuple(lines)
    if "template" in kinds:
        return (InstallLine("template", "Template", f"dotnet new install {package_id}@{version}"),)
    return (
        InstallLine("cli", ".NET CLI", f"dotnet add package {package_id} --version {version}"),
        InstallLine(
            "reference", "PackageReference", f'<PackageReference Include="{package_id}" Version="{version}" />'
        ),
        InstallLine(
            "central",
            "Central management",
            f'<PackageVersion Include="{package_id}" Version="{version}" />\n'
            f'<PackageReference Include="{package_id}" />',
        ),
        InstallLine("file", "File-based app", f"#:package {package_id}@{version}"),
        InstallLine("paket", "Paket", f"paket add {package_id} --version {version}"),
        InstallLine("exe", "nuget.exe", f"nuget install {package_id} -Version {version} -Source {source}"),
        InstallLine("powershell", "Package Manager", f"NuGet\\Install-Package {package_id} -Version {version}"),
    )
