"""Projects made at random from the constructs that matter for restore; the same seed makes the same projects."""

import random
from pathlib import Path

_IDS = ("A", "B", "C", "D", "E.F", "Contoso.X", "Contoso.Y")
_FRAMEWORKS = ("net10.0", "net9.0", "net8.0", "netcoreapp3.1", "net472", "net48", "netstandard2.0", "netstandard2.1")
_VERSIONS = ("1.0.0", "2.*", "[1.0,2.0)", "3.1.4-rc.2", "$(V1)", "$(V2)", "1.$(N)", "[$(V1)]", "$(V1.Substring(0,1)).5")
_WITHOUT_V = "$(_TargetFrameworkVersionWithoutV)"

_COMPATIBLE = "$([MSBuild]::IsTargetFrameworkCompatible('$(TargetFramework)', '{}'))"


class Maker:
    """Makes one repository after the other: a project with props, targets, an import, and perhaps central versions."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._is_central = False

    def write(self, folder: Path) -> Path:
        """Write a repository; returns its project."""
        self._is_central = self._chance.random() < 0.35
        (folder / "src").mkdir(parents=True)
        known = "<PropertyGroup><V1>1.0.1</V1><V2>1.0.2</V2><N>1</N></PropertyGroup>"
        files = {
            "src/x.props": self._body(),
            "Directory.Build.props": known + (self._body() if self._chance.random() < 0.6 else ""),
            "Directory.Build.targets": self._body() if self._chance.random() < 0.5 else "",
        }
        if self._is_central:
            files["Directory.Packages.props"] = self._versions()
        for name, body in files.items():
            (folder / name).write_text(f"<Project>{body}</Project>")
        chosen = self._chance.sample(_FRAMEWORKS, self._chance.choice([1, 1, 2, 3]))
        plural = "s" if len(chosen) > 1 else ""
        stated = f"<PropertyGroup><TargetFramework{plural}>{';'.join(chosen)}</TargetFramework{plural}></PropertyGroup>"
        imported = self._chance.choice(["", f'<Import Project="x.props"{self._when(0.3)} />'])
        project = folder / "src" / "p.csproj"
        project.write_text(f'<Project Sdk="Microsoft.NET.Sdk">{stated}{self._body()}{imported}{self._body()}</Project>')
        return project

    def _condition(self) -> str:
        framework, number = self._chance.choice(_FRAMEWORKS), self._chance.randint(1, 3)
        one = self._chance.choice(
            [
                f"'$(TargetFramework)' == '{framework}'",
                f"'$(TargetFrameworkIdentifier)' == '{self._chance.choice(['.NETCoreApp', '.NETFramework'])}'",
                f"$(TargetFramework.StartsWith('net{self._chance.choice(['4', '8', 'standard', 'coreapp'])}'))",
                f"'$(Flag)' {self._chance.choice(['==', '!='])} 'true'",
                f"('$(V1)' != '' and '$(V1)' &gt;= '{self._chance.choice(['1.5', '2.0', '0.9'])}')",
                f"('$(TargetFramework)' != '' and {_COMPATIBLE.format(framework)})",
                f"Exists('{self._chance.choice(['p.csproj', 'x.props', 'nope', '../Directory.Build.props'])}')",
                f"'$(N)' == '{number}'",
                f"'$(OutputType)' == '{self._chance.choice(['Library', 'Exe'])}'",
                f"'$(MSBuildThisFileName)' == '{self._chance.choice(['p', 'x', 'Directory.Build'])}'",
                f"('{_WITHOUT_V}' != '' and '{_WITHOUT_V}' &gt;= '8.0')",
            ]
        )
        form = self._chance.random()
        if form < 0.15:
            return f"({one}) and {self._condition()}"
        if form < 0.3:
            return f"{one} or ({self._condition()})"
        return f"!({one})" if form < 0.4 else one

    def _when(self, share: float = 0.4) -> str:
        return f' Condition="{self._condition()}"' if self._chance.random() < share else ""

    def _properties(self) -> str:
        pairs = [
            ("V1", self._chance.choice(["1.2.3", "2.0.0", "$(V2)"])),
            ("V2", self._chance.choice(["1.1.1", "5.0.0"])),
            ("N", str(self._chance.randint(1, 3))),
            ("Flag", self._chance.choice(["true", "false", ""])),
            ("OutputType", self._chance.choice(["Exe", "Library"])),
        ]
        set_ = self._chance.sample(pairs, self._chance.randint(1, 4))
        body = "".join(f"<{name}{self._when()}>{value}</{name}>" for name, value in set_)
        return f"<PropertyGroup{self._when(0.3)}>{body}</PropertyGroup>"

    def _item(self) -> str:
        kind, package_id = self._chance.random(), self._chance.choice(_IDS)
        if kind < 0.55:
            name = "VersionOverride" if self._is_central else "Version"
            version = f' {name}="{self._chance.choice(_VERSIONS)}"'
            if self._is_central and self._chance.random() < 0.8:
                version = ""
            assets = self._chance.choice(
                ["", "", ' PrivateAssets="all"', ' ExcludeAssets="all"', ' IncludeAssets="none"']
            )
            return f'<PackageReference Include="{package_id}"{version}{assets}{self._when()} />'
        if kind < 0.7:
            changed = "<Version>7.0.0</Version>" if not self._is_central else "<PrivateAssets>none</PrivateAssets>"
            change = self._chance.choice(["<PrivateAssets>all</PrivateAssets>", changed])
            spec = self._chance.choice([package_id, "Contoso.*"])
            return f'<PackageReference Update="{spec}"{self._when()}>{change}</PackageReference>'
        if kind < 0.8:
            spec = self._chance.choice([package_id, "Contoso.*", f"{package_id};A"])
            return f'<PackageReference Remove="{spec}"{self._when()} />'
        number = self._chance.randint(1, 3)
        if kind < 0.9 or self._is_central:
            return f'<PackageDownload Include="Tool{number}" Version="[{number}.0.0]"{self._when()} />'
        mine = f'<Mine Include="M{number}" Version="1.{self._chance.randint(0, 9)}"{self._when()} />'
        return f'{mine}<PackageReference Include="@(Mine)" />'

    def _items(self) -> str:
        body = "".join(self._item() for _ in range(self._chance.randint(1, 4)))
        return f"<ItemGroup{self._when(0.3)}>{body}</ItemGroup>"

    def _body(self, *, is_inner: bool = False) -> str:
        parts = []
        for _ in range(self._chance.randint(1, 4)):
            kind = self._chance.random()
            if kind < 0.4:
                parts.append(self._properties())
            elif kind < 0.85 or is_inner:
                parts.append(self._items())
            else:
                parts.append(
                    f'<Choose><When Condition="{self._condition()}">{self._body(is_inner=True)}</When>'
                    f'<When Condition="{self._condition()}">{self._properties()}</When>'
                    f"<Otherwise>{self._body(is_inner=True)}</Otherwise></Choose>"
                )
        return "".join(parts)

    def _versions(self) -> str:
        pins = self._chance.choice(
            ["", "<CentralPackageTransitivePinningEnabled>true</CentralPackageTransitivePinningEnabled>"]
        )
        items = "".join(
            f'<PackageVersion Include="{each}" Version="{self._chance.choice(["1.0.0", "2.5.0", "[3.0,4.0)"])}"'
            f"{self._when(0.2)} />"
            for each in _IDS
        )
        every = f'<GlobalPackageReference Include="G" Version="1.0"{self._when(0.3)} />'
        return (
            f"<PropertyGroup><ManagePackageVersionsCentrally>true</ManagePackageVersionsCentrally>{pins}</PropertyGroup>"
            f"<ItemGroup>{items}{every if self._chance.random() < 0.3 else ''}</ItemGroup>"
        )
