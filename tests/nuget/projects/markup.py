"""Texts of project files, from their parts."""

P = '<PackageReference Include="{}" Version="{}" />'


def sdk(body: str, framework: str = "net10.0", name: str = "Microsoft.NET.Sdk") -> str:
    """An SDK project with one or more target frameworks."""
    plural = "s" if ";" in framework else ""
    stated = f"<PropertyGroup><TargetFramework{plural}>{framework}</TargetFramework{plural}></PropertyGroup>"
    return f'<Project Sdk="{name}">{stated}{body}</Project>'


def packages(*pairs: str) -> str:
    """Package references as `Id Version`, in a group."""
    return f"<ItemGroup>{''.join(P.format(*pair.split(' ', 1)) for pair in pairs)}</ItemGroup>"


def props(**values: str) -> str:
    return f"<PropertyGroup>{''.join(f'<{key}>{value}</{key}>' for key, value in values.items())}</PropertyGroup>"


def project(body: str) -> str:
    return f"<Project>{body}</Project>"


A1 = packages("A 1.0.0")
CENTRAL = project(
    props(ManagePackageVersionsCentrally="true")
    + '<ItemGroup><PackageVersion Include="A" Version="1.5.0" /><PackageVersion Include="B" Version="[2.0,3.0)" />'
    '<PackageVersion Include="C" Version="3.0.0-rc.1" /></ItemGroup>'
)
USES_CENTRAL = '<ItemGroup><PackageReference Include="A" /><PackageReference Include="B" /></ItemGroup>'
