"""The real NuGet clients: where they are, and one command of each in an empty environment.

`scripts/clients` sets them up. Every run gets a HOME, a global packages folder and an HTTP cache of its own, so that
nothing is answered from an earlier run.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.shared import lacking, shared

_CONTROLS = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>])")
"""Terminal control sequences."""

_RUNTIME_ABORTED = "* Assertion at mono-"
_DONE = re.compile(r"Your package was pushed\.|was deleted successfully\.")
"""Commands that must not be repeated."""


def clients_folder() -> Path:
    named = os.environ.get("NUGETPROXY_CLIENTS")
    return Path(named) if named else Path.home() / ".cache" / "nugetproxy-clients"


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    output: str

    def must_succeed(self) -> "Run":
        assert self.code == 0, self.output
        return self

    def must_fail(self) -> "Run":
        assert self.code != 0, self.output
        return self


@dataclass(frozen=True)
class Source:
    """A package source in a nuget.config: its credentials, and the ids that come only from it."""

    url: str
    credentials: tuple[str, str] | None = None
    patterns: tuple[str, ...] = ()


_V3 = ' protocolVersion="3"'
_OLD_PROJECT = (
    '<Project xmlns="http://schemas.microsoft.com/developer/msbuild/2003" ToolsVersion="4.0">'
    "<PropertyGroup><TargetFrameworkVersion>v4.5</TargetFrameworkVersion></PropertyGroup></Project>\n"
)


def nuget_config(sources: Mapping[str, Source], *, insecure: bool = True) -> str:
    """The sources by name. With patterns on any of them there is a source mapping."""
    extra = ' allowInsecureConnections="true"' if insecure else ""
    added = "".join(
        f'<add key="{name}" value="{source.url}"{_V3 if source.url.endswith(".json") else ""}{extra} />'
        for name, source in sources.items()
    )
    known = "".join(
        f'<{name}><add key="Username" value="{source.credentials[0]}" />'
        f'<add key="ClearTextPassword" value="{source.credentials[1]}" /></{name}>'
        for name, source in sources.items()
        if source.credentials is not None
    )
    mapped = "".join(
        f'<packageSource key="{name}">{"".join(f"""<package pattern="{each}" />""" for each in source.patterns)}'
        "</packageSource>"
        for name, source in sources.items()
        if source.patterns
    )
    return (
        f"<configuration><packageSources><clear />{added}</packageSources>"
        f"{f'<packageSourceCredentials>{known}</packageSourceCredentials>' if known else ''}"
        f"{f'<packageSourceMapping>{mapped}</packageSourceMapping>' if mapped else ''}</configuration>\n"
    )


class Workplace:
    """A folder with a nuget.config for one source, and the clients to run in it."""

    def __init__(
        self,
        folder: Path,
        source: str,
        *,
        insecure: bool = True,
        ca: Path | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.source = source
        self._ca = ca
        self._round = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.configure({"here": Source(source, credentials)}, insecure=insecure)
        self.forget()

    def configure(self, sources: Mapping[str, Source], *, insecure: bool = True) -> None:
        (self.folder / "nuget.config").write_text(nuget_config(sources, insecure=insecure))

    def forget(self) -> None:
        """Fresh HOME, global packages folder and HTTP cache: the next restore really downloads."""
        self._round += 1
        self.home = self.folder.parent / f"{self.folder.name}-home-{self._round}"
        self.packages = self.home / "packages"
        self.home.mkdir()

    def graph(self, name: str) -> Path:
        """A copy of one of the real project graphs, here."""
        target = self.folder / name
        if not target.exists():
            shutil.copytree(shared() / "nuget-org" / "graphs" / name, target)
            for path in target.rglob("*"):
                path.chmod(0o644 if path.is_file() else 0o755)
            target.chmod(0o755)
        for made in ("obj", "bin"):
            shutil.rmtree(target / made, ignore_errors=True)
        return target

    def project(self, name: str, *references: tuple[str, str], frameworks: str = "net10.0", audit: bool = True) -> Path:
        """A project with package references, and no others."""
        target = self.folder / name
        target.mkdir(exist_ok=True)
        lines = "".join(f'<PackageReference Include="{id_}" Version="{version}" />' for id_, version in references)
        (target / f"{name}.csproj").write_text(
            '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup>'
            f"<TargetFramework>{frameworks}</TargetFramework><NuGetAudit>{str(audit).lower()}</NuGetAudit>"
            f"<NuGetAuditMode>all</NuGetAuditMode></PropertyGroup><ItemGroup>{lines}</ItemGroup></Project>\n"
        )
        return target

    def old_project(self, name: str, *references: tuple[str, str]) -> Path:
        """The packages.config of a project from before package references."""
        target = self.folder / name
        target.mkdir()
        (target / f"{name}.csproj").write_text(_OLD_PROJECT)
        lines = "".join(
            f'<package id="{id_}" version="{version}" targetFramework="net45" />' for id_, version in references
        )
        (target / "packages.config").write_text(f"<packages>{lines}</packages>\n")
        return target / "packages.config"

    def dotnet(self, *arguments: str, cwd: Path | None = None, timeout: float = 240) -> Run:
        """The .NET SDK 10."""
        sdk = clients_folder() / "dotnet10"
        if not (sdk / "dotnet").is_file():
            shared()
            lacking(f"no .NET 10 SDK in {clients_folder()}: run scripts/clients")
        return self._run([str(sdk / "dotnet"), *arguments], {"DOTNET_ROOT": str(sdk)}, cwd, timeout)

    def dotnet31(self, *arguments: str, cwd: Path | None = None, timeout: float = 240) -> Run:
        """The .NET SDK 3.1, over OpenSSL 1.1."""
        sdk, openssl = clients_folder() / "dotnet31", clients_folder() / "openssl11"
        if not (sdk / "dotnet").is_file() or not (openssl / "libssl.so.1.1").is_file():
            lacking(f"no .NET SDK 3.1 with OpenSSL 1.1 in {clients_folder()}: run scripts/clients")
        environ = {"DOTNET_ROOT": str(sdk), "LD_LIBRARY_PATH": str(openssl)}
        return self._run([str(sdk / "dotnet"), *arguments], environ, cwd, timeout)

    def nuget_exe(self, *arguments: str, cwd: Path | None = None, timeout: float = 240) -> Run:
        """nuget.exe 5.8 under mono."""
        exe = clients_folder() / "nuget" / "nuget-5.8.0.exe"
        if not exe.is_file() or shutil.which("mono") is None:
            lacking(f"no nuget.exe in {clients_folder()} or no mono: run scripts/clients")
        return self._run_mono(["mono", str(exe), *arguments], {}, cwd, timeout)

    def old_nuget(self, *arguments: str, cwd: Path | None = None, timeout: float = 240) -> Run:
        """nuget.exe 2.8.7 under mono, in a terminal: without one its `list` prints blank lines forever."""
        if shutil.which("nuget") is None or shutil.which("script") is None:
            lacking("no nuget.exe 2.8.7 (Debian's package nuget) or no script (bsdutils)")
        command = f"stty cols 200 rows 50; exec {shlex.join(['nuget', *arguments])}"
        ran = self._run_mono(["script", "-qec", command, "/dev/null"], {"TERM": "xterm"}, cwd, timeout)
        return Run(ran.code, _CONTROLS.sub("", ran.output).replace("\r", ""))

    def _run_mono(self, command: list[str], environ: dict[str, str], cwd: Path | None, timeout: float) -> Run:
        """Run a client under mono, whose runtime sometimes aborts while it ends its own threads.

        This is a fault of neither the client nor the server: finished commands count, unfinished ones are repeated.
        """
        for _ in range(3):
            ran = self._run(command, environ, cwd, timeout)
            if not ran.code or _RUNTIME_ABORTED not in ran.output:
                break
            ran = Run(ran.code, ran.output.partition(_RUNTIME_ABORTED)[0])
            if _DONE.search(ran.output):
                return Run(0, ran.output)
        return ran

    def _run(self, command: list[str], environ: dict[str, str], cwd: Path | None, timeout: float) -> Run:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "NUGET_PACKAGES": str(self.packages),
            "NUGET_HTTP_CACHE_PATH": str(self.home / "http"),
            "NUGET_SCRATCH": str(self.home / "scratch"),
            "NUGET_CERT_REVOCATION_MODE": "offline",
            # Half the time of a restore. Over https it is on, where a server says whose signatures to expect.
            "DOTNET_NUGET_SIGNATURE_VERIFICATION": "false" if self._ca is None else "true",
            "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
            "DOTNET_SYSTEM_GLOBALIZATION_PREDEFINED_CULTURES_ONLY": "false",
            "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
            "DOTNET_NOLOGO": "1",
            "DOTNET_SKIP_FIRST_TIME_EXPERIENCE": "1",
            "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false",
            "DOTNET_ADD_GLOBAL_TOOLS_TO_PATH": "false",
            "DOTNET_CLI_WORKLOAD_UPDATE_NOTIFY_DISABLE": "true",
            "DOTNET_SKIP_WORKLOAD_INTEGRITY_CHECK": "1",
            "DOTNET_CLI_USE_MSBUILD_SERVER": "0",
            "MSBUILDDISABLENODEREUSE": "1",
            **environ,
        }
        if self._ca is not None:
            environment["SSL_CERT_FILE"] = str(self._ca)
        ended = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            text=True,
            errors="replace",
            check=False,
        )
        return Run(ended.returncode, ended.stdout)
