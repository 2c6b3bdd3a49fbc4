"""Cases of what the SDK adds: projects that reference others, frameworks, runtimes, packs, kinds of projects."""

# ruff: noqa: E501 (texts of files)

from tests.nuget.projects.markup import A1, CENTRAL, USES_CENTRAL, P, packages, project, props, sdk

CASES: dict[str, dict[str, str]] = {
    "project-references": {
        "app/app.csproj": sdk(
            '<ItemGroup><ProjectReference Include="..\\lib\\lib.csproj" />'
            '<ProjectReference Include="../tool/tool.csproj" ReferenceOutputAssembly="false" />'
            '<ProjectReference Include="../own/own.csproj" PrivateAssets="all" /></ItemGroup>'
        ),
        "lib/lib.csproj": sdk(A1, "netstandard2.0"),
        "tool/tool.csproj": sdk(A1),
        "own/own.csproj": sdk(A1),
    },
    "project-references-by-wildcard": {
        "app/app.csproj": sdk('<ItemGroup><ProjectReference Include="../libs/**/*.csproj" Exclude="../libs/x/*.csproj" /></ItemGroup>'),
        "libs/a/a.csproj": sdk(A1),
        "libs/b/c/b.csproj": sdk(A1),
        "libs/x/x.csproj": sdk(A1),
    },
    "project-references-by-framework": {
        "app/app.csproj": sdk(
            "<ItemGroup Condition=\"'$(TargetFramework)' == 'net8.0'\"><ProjectReference Include=\"../lib/lib.csproj\" />"
            "</ItemGroup>",
            "net8.0;net10.0",
        ),
        "lib/lib.csproj": sdk(A1, "netstandard2.0"),
    },
    "runtimes": {"p.csproj": sdk(props(RuntimeIdentifiers="linux-x64;win-x64") + A1)},
    "runtime": {"p.csproj": sdk(props(RuntimeIdentifier="linux-musl-x64", OutputType="Exe") + A1)},
    "runtimes-by-framework": {
        "p.csproj": sdk(
            "<PropertyGroup Condition=\"'$(TargetFramework)' == 'net8.0'\"><RuntimeIdentifiers>osx-x64</RuntimeIdentifiers>"
            "</PropertyGroup>" + A1,
            "net8.0;net10.0",
        )
    },
    "self-contained": {"p.csproj": sdk(props(OutputType="Exe", SelfContained="true"))},
    "aot": {"p.csproj": sdk(props(OutputType="Exe", PublishAot="true"))},
    "aot-in-one-framework": {
        "p.csproj": sdk(
            "<PropertyGroup Condition=\"'$(TargetFramework)' == 'net10.0'\"><PublishAot>true</PublishAot></PropertyGroup>"
            + props(OutputType="Exe"),
            "net8.0;net10.0",
        )
    },
    "single-file": {"p.csproj": sdk(props(OutputType="Exe", PublishSingleFile="true"), "net8.0")},
    "ready-to-run-library": {"p.csproj": sdk(props(PublishReadyToRun="true"))},
    "fallback": {"p.csproj": sdk(props(AssetTargetFallback="$(AssetTargetFallback);portable-net45+win8") + A1)},
    "fallback-off": {"p.csproj": sdk(props(DisableImplicitAssetTargetFallback="true") + A1)},
    "windows": {"p.csproj": sdk(props(EnableWindowsTargeting="true") + A1, "net10.0-windows")},
    "windows-version": {"p.csproj": sdk(props(EnableWindowsTargeting="true") + A1, "net8.0-windows10.0.19041.0")},
    "vb": {"p.vbproj": sdk(A1)},
    "visual-studio-style": {
        "p.csproj": '<?xml version="1.0" encoding="utf-8"?><Project ToolsVersion="15.0" '
        'xmlns="http://schemas.microsoft.com/developer/msbuild/2003">'
        '<Import Project="$(MSBuildExtensionsPath)\\$(MSBuildToolsVersion)\\Microsoft.Common.props" '
        "Condition=\"Exists('$(MSBuildExtensionsPath)\\$(MSBuildToolsVersion)\\Microsoft.Common.props')\" />"
        "<PropertyGroup><TargetFrameworkVersion>v4.7.2</TargetFrameworkVersion><OutputType>Library</OutputType>"
        f'</PropertyGroup>{A1}<Import Project="$(MSBuildToolsPath)\\Microsoft.CSharp.targets" /></Project>'
    },
    "comments-and-namespace": {
        "p.csproj": '<Project Sdk="Microsoft.NET.Sdk" xmlns="http://schemas.microsoft.com/developer/msbuild/2003">'
        "<!-- c --><PropertyGroup><TargetFramework>net<!-- x -->10.0</TargetFramework></PropertyGroup>"
        f"<ItemGroup><!-- {P.format('No', '1.0')} -->{P.format('A', '1.0')}</ItemGroup></Project>"
    },
    "case": {
        "p.csproj": '<Project Sdk="microsoft.net.sdk"><PropertyGroup><targetframework>NET8.0</targetframework>'
        '</PropertyGroup><ItemGroup><packagereference Include="A" version="1.0" /></ItemGroup></Project>'
    },
    "spaces": {
        "p.csproj": sdk(
            '<ItemGroup><PackageReference Include=" A " Version=" 1.0 " /><PackageReference Include="B"><Version>\n 2.0 \n'
            "</Version></PackageReference></ItemGroup>"
        )
    },
    "pruning-off": {"p.csproj": sdk(props(RestoreEnablePackagePruning="false") + A1)},
    "pruning-on": {"p.csproj": sdk(props(RestoreEnablePackagePruning="true") + A1, "net8.0")},
    "implicit-off": {"p.csproj": sdk(props(DisableImplicitFrameworkReferences="true") + A1, "netstandard2.0")},
    "directory-without-slash": {
        "common.props": project(props(Base="$([MSBuild]::NormalizeDirectory('$(MSBuildThisFileDirectory)', 'x'))")),
        "x/v.props": project(props(V="6.0.0")),
        "p.csproj": sdk('<Import Project="common.props" /><Import Project="$(Base)v.props" />' + packages("A $(V)")),
    },
    "asp-net-reference": {
        "p.csproj": sdk('<ItemGroup><FrameworkReference Include="Microsoft.AspNetCore.App" /></ItemGroup>', "net8.0;net10.0")
    },
    "old-frameworks": {"p.csproj": sdk(A1, "netcoreapp2.1;netstandard1.6;netstandard2.0;net461;net35")},
    "executables": {"p.csproj": sdk(props(OutputType="Exe"), "net6.0;net8.0;net10.0;net48")},
    "no-host": {"p.csproj": sdk(props(OutputType="Exe", UseAppHost="false"), "net8.0")},
    "trimmed": {"p.csproj": sdk(props(OutputType="Exe", PublishTrimmed="true"), "net8.0;net10.0")},
    "trimmable-library": {"p.csproj": sdk(props(IsTrimmable="true"), "net8.0;net10.0")},
    "aot-library": {"p.csproj": sdk(props(IsAotCompatible="true"), "net8.0;net10.0")},
    "ready-to-run": {
        "p.csproj": sdk(props(OutputType="Exe", PublishReadyToRun="true", RuntimeIdentifiers="linux-x64;win-x64"), "net8.0")
    },
    "self-contained-for-runtimes": {
        "p.csproj": sdk(props(OutputType="WinExe", SelfContained="true", RuntimeIdentifiers="linux-x64;osx-arm64"), "net8.0")
    },
    "runtime-before-8": {"p.csproj": sdk(props(OutputType="Exe", RuntimeIdentifier="linux-x64"), "net6.0")},
    "own-pruning": {
        "p.csproj": sdk('<ItemGroup><PrunePackageReference Include="Own" Version="1.2.3" /></ItemGroup>' + A1)
    },
    "own-implicit": {
        "p.csproj": sdk(packages("NETStandard.Library 2.0.1", "Microsoft.NETCore.App 2.1.5"), "netstandard2.0;netcoreapp2.1")
    },
    "shared-framework-without-version": {
        "p.csproj": sdk('<ItemGroup><PackageReference Include="Microsoft.AspNetCore.App" /></ItemGroup>', "netcoreapp2.1;netcoreapp2.2")
    },
    "own-framework-version": {"p.csproj": sdk(props(RuntimeFrameworkVersion="2.1.7"), "netcoreapp2.1")},
    "patch-of-framework": {"p.csproj": sdk(props(OutputType="Exe", SelfContained="true", RuntimeIdentifier="linux-x64", RuntimeFrameworkVersion="8.0.5"), "net8.0")},
    "patch-of-tools": {
        "aot/p.csproj": sdk(props(OutputType="Exe", PublishAot="true", RuntimeFrameworkVersion="8.0.5"), "net8.0"),
        "ready/p.csproj": sdk(props(OutputType="Exe", PublishReadyToRun="true", RuntimeFrameworkVersion="8.0.5"), "net8.0"),
    },
    "central-and-implicit": {
        "Directory.Packages.props": CENTRAL,
        "p.csproj": sdk(USES_CENTRAL + props(PublishAot="true", OutputType="Exe")),
    },
    "central-netstandard": {"Directory.Packages.props": CENTRAL, "p.csproj": sdk(USES_CENTRAL, "netstandard2.0")},
    "default-of-a-package": {
        "Directory.Build.targets": project(
            '<ItemGroup><PackageReference Update="A" Version="2.5.0" /></ItemGroup>'
        ),
        "p.csproj": sdk('<ItemGroup><PackageReference Include="A" /></ItemGroup>'),
    },
    "app": {
        "app.cs": "#!/usr/bin/env dotnet\n// why\n\n#:package A@1.2.3\n#:package B@1.*\n#:property V=4.0.0\n"
        "#:package C@$(V)\nConsole.WriteLine(1);\n#if X\n#:package No@1.0\n#endif\n",
    },
    "app-in-a-repository": {
        "Directory.Build.props": project(packages("FromProps 1.0")),
        "Directory.Packages.props": CENTRAL,
        "apps/app.cs": "#:sdk Microsoft.NET.Sdk\n#:property PublishAot=false\n#:property TargetFramework=net8.0\n"
        "#:package A\n#:project ../lib/lib.csproj\nreturn 0;\n",
        "lib/lib.csproj": sdk(USES_CENTRAL, "netstandard2.0"),
    },
}  # fmt: skip
