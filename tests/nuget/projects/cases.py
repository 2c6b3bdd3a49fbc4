"""Repositories by name, each a few files: what people write in project files, one construct each."""

# ruff: noqa: E501 (texts of files)

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

CASES: dict[str, dict[str, str]] = {
    "plain": {"p.csproj": sdk(A1)},
    "nothing": {"p.csproj": sdk("")},
    "ranges": {"p.csproj": sdk(packages("A [1.0,2.0)", "B 1.*", "C (1.0,)", "D *", "E 1.0.*-*", "F [1.0]", "G 1.0.0.0"))},
    "no-version": {"p.csproj": sdk('<ItemGroup><PackageReference Include="A" /></ItemGroup>')},
    "metadata-elements": {
        "p.csproj": sdk(
            '<ItemGroup><PackageReference Include="A"><Version>1.2.3</Version><PrivateAssets>all</PrivateAssets>'
            "</PackageReference></ItemGroup>"
        )
    },
    "assets": {
        "p.csproj": sdk(
            '<ItemGroup><PackageReference Include="A" Version="1.0" PrivateAssets="All" />'
            '<PackageReference Include="B" Version="1.0" ExcludeAssets="all" />'
            '<PackageReference Include="C" Version="1.0" IncludeAssets="none" />'
            '<PackageReference Include="D" Version="1.0" IncludeAssets="runtime;build" PrivateAssets="build; compile" />'
            '<PackageReference Include="E" Version="1.0" ExcludeAssets="runtime" /></ItemGroup>'
        )
    },
    "several-frameworks": {"p.csproj": sdk(A1, "net10.0;net8.0;net472;netstandard2.0;netstandard2.1;netcoreapp3.1")},
    "conditional-on-framework": {
        "p.csproj": sdk(
            "<ItemGroup Condition=\"'$(TargetFramework)' == 'net472'\">" + P.format("Old", "1.0") + "</ItemGroup>"
            "<ItemGroup Condition=\" '$(TargetFramework)' != 'net472' \">" + P.format("New", "2.0") + "</ItemGroup>"
            "<ItemGroup><PackageReference Include='Std' Version='3.0' "
            "Condition=\"$(TargetFramework.StartsWith('netstandard'))\" /></ItemGroup>",
            "net472;net8.0;netstandard2.0",
        )
    },
    "framework-identifier": {
        "p.csproj": sdk(
            "<ItemGroup Condition=\"'$(TargetFrameworkIdentifier)' == '.NETFramework'\">" + P.format("F", "1.0")
            + "</ItemGroup><ItemGroup Condition=\"'$(TargetFrameworkIdentifier)' == '.NETCoreApp' And "
            "$([MSBuild]::VersionGreaterThanOrEquals($(TargetFrameworkVersion), '9.0'))\">" + P.format("N", "1.0")
            + "</ItemGroup>",
            "net48;net8.0;net10.0",
        )
    },
    "compatible": {
        "p.csproj": sdk(
            "<ItemGroup Condition=\"$([MSBuild]::IsTargetFrameworkCompatible('$(TargetFramework)', 'net8.0'))\">"
            + P.format("N", "1.0") + "</ItemGroup><ItemGroup Condition=\"!$([MSBuild]::IsTargetFrameworkCompatible("
            "'$(TargetFramework)', 'netstandard2.1'))\">" + P.format("S", "1.0") + "</ItemGroup>",
            "net472;net8.0;net10.0;netstandard2.0",
        )
    },
    "identifier-function": {
        "p.csproj": sdk(
            props(Id="$([MSBuild]::GetTargetFrameworkIdentifier('$(TargetFramework)'))",
                  V="$([MSBuild]::GetTargetFrameworkVersion('$(TargetFramework)'))")
            + packages("A 1.0.0-$(Id.Substring(4).ToLowerInvariant())", "B $(V).7"),
            "net472;net8.0",
        )
    },
    "properties": {
        "p.csproj": sdk(props(AVersion="1.2.3", BVersion="$(AVersion)-beta") + packages("A $(AVersion)", "B $(BVersion)"))
    },
    "property-order": {
        "p.csproj": sdk(packages("A $(Late)") + props(Late="2.0.0", Early="$(Never)1.0.0") + packages("B $(Early)"))
    },
    "property-default": {
        "p.csproj": sdk(
            "<PropertyGroup><X Condition=\"'$(X)' == ''\">1.1</X><X Condition=\"'$(X)' == ''\">9.9</X></PropertyGroup>"
            + packages("A $(X)")
        )
    },
    "property-functions": {
        "p.csproj": sdk(
            props(T="v1.2.3-RC", U="$(T.TrimStart('v').ToLowerInvariant())", W="$(U.Replace('-rc', ''))",
                  L="$(W.Split('.')[0])", S="$(W.Substring(2, 1))", N="$([MSBuild]::Add($(L), 4))",
                  E="$([System.String]::Concat('4', '.5'))", I="$(W.IndexOf('.'))", Z="$([System.Version]::Parse('7.8.9').Minor)")
            + packages("A $(U)", "B $(W)", "C $(L).$(S)", "D $(N).0", "E $(E)", "F $(I).0", "G $(Z).0")
        )
    },
    "choose": {
        "p.csproj": sdk(
            "<Choose><When Condition=\"'$(TargetFramework)' == 'net8.0'\"><PropertyGroup><V>8.0.0</V></PropertyGroup>"
            "<ItemGroup>" + P.format("Eight", "1.0") + "</ItemGroup></When><When Condition=\"'$(TargetFramework)' == "
            "'net472'\"><PropertyGroup><V>4.7.2</V></PropertyGroup></When><Otherwise><PropertyGroup><V>1.0.0</V>"
            "</PropertyGroup><ItemGroup>" + P.format("Other", "1.0") + "</ItemGroup></Otherwise></Choose>"
            + packages("A $(V)"),
            "net8.0;net472;net10.0",
        )
    },
    "choose-is-decided-once": {
        "p.csproj": sdk(
            "<Choose><When Condition=\"'$(Late)' == 'x'\"><ItemGroup>" + P.format("Wrong", "1.0") + "</ItemGroup></When>"
            "<Otherwise><ItemGroup>" + P.format("Right", "1.0") + "</ItemGroup><Choose><When Condition=\"'$(Late)' == ''\">"
            "<ItemGroup>" + P.format("Inner", "$(Late)1.0") + "</ItemGroup></When></Choose></Otherwise></Choose>"
            + props(Late="x").replace(">x<", ">2.<")
        )
    },
    "parts-of-conditions": {
        "p.csproj": sdk(
            "<ItemGroup Condition=\"'$(None)' != '' and '$(None)' &gt; '1.0'\">" + P.format("No", "1.0") + "</ItemGroup>"
            "<ItemGroup Condition=\"'$(None)' == '' or '$(None)' &gt; '1.0'\">" + P.format("Yes", "1.0") + "</ItemGroup>"
        )
    },
    "executable-too-late": {
        "Directory.Build.targets": project(props(OutputType="Exe")),
        "p.csproj": sdk(A1, "net8.0"),
    },
    "downloads-twice": {
        "p.csproj": sdk(
            '<ItemGroup><PackageDownload Include="T" Version="[1.0.0]" /><PackageDownload Include="t" Version="[2.0.0]" />'
            "</ItemGroup>"
        )
    },
    "conditions": {
        "p.csproj": sdk(
            props(One="1", Yes="true", Text="Hello", Empty="")
            + "<ItemGroup>"
            + "".join(
                f'<PackageReference Include="C{number}" Version="1.0" Condition="{condition}" />'
                for number, condition in enumerate(
                    [
                        "'$(One)' == '1.0'", "$(One) &gt; 0", "'$(One)' &lt; 1", "$(Yes)", "!$(Yes)", "'$(Text)' == 'hELLO'",
                        "'$(Text)' == 'hello' And '$(Empty)' == ''", "'$(Text)' == 'x' Or ('$(One)' == '1' and $(Yes))",
                        "!('$(Text)' == 'x')", "'$(Yes)' == 'on'", "Exists('p.csproj')", "Exists('none.txt')",
                        "HasTrailingSlash('a/')", "HasTrailingSlash('a')", "'$(Empty)' != '' or '$(Undefined)' == ''",
                        "'1.10' &gt; '1.9'", "'1.10.0' &gt; '1.9.0'", "'$(MSBuildProjectName)' == 'p'",
                        "$(Text.Contains('ell'))", "'$(Text.Length)' == '5'", "$(Text.EndsWith('O'))", "'a' == 'b' or true",
                        "false and '$(x' == ''", "'%41' == 'A'", "'$(MSBuildProjectExtension)' == '.csproj'",
                    ]
                )
            )
            + "</ItemGroup>"
        )
    },
    "update-and-remove": {
        "p.csproj": sdk(
            packages("A 1.0.0", "B 1.0.0", "C 1.0.0", "Contoso.X 1.0", "Contoso.Y 1.0")
            + '<ItemGroup><PackageReference Update="A" Version="2.0.0" /><PackageReference Remove="B" />'
            '<PackageReference Update="c"><Version>3.0.0</Version></PackageReference>'
            '<PackageReference Update="Contoso.*" PrivateAssets="all" /><PackageReference Update="Nobody" Version="9" />'
            "</ItemGroup>"
        )
    },
    "duplicates": {"p.csproj": sdk(packages("A 1.0.0", "a 2.0.0", "B 1.0.0", "A 1.0.0"))},
    "lists": {"p.csproj": sdk('<ItemGroup><PackageReference Include="A;B; C" Version="1.0" Exclude="B" /></ItemGroup>')},
    "item-lists": {
        "p.csproj": sdk(
            '<ItemGroup><Mine Include="A" Version="1.1" /><Mine Include="B" Version="1.2" />'
            '<PackageReference Include="@(Mine)" /><PackageReference Update="@(Mine)" PrivateAssets="all" />'
            '<PackageReference Include="@(Mine->\'%(Identity)\')" Version="9" Condition="false" /></ItemGroup>'
        )
    },
    "item-metadata": {
        "p.csproj": sdk(
            packages("A 1.0.0", "B 2.0.0")
            + '<ItemGroup><PackageReference Update="@(PackageReference)" Version="%(Version)-x" />'
            "<PackageReference Update=\"B\"><PrivateAssets Condition=\"'%(Identity)' == 'B'\">all</PrivateAssets>"
            "</PackageReference></ItemGroup>"
        )
    },
    "definitions": {
        "p.csproj": sdk(
            "<ItemDefinitionGroup><PackageReference><PrivateAssets>all</PrivateAssets></PackageReference>"
            "</ItemDefinitionGroup>" + A1
        )
    },
    "escapes": {"p.csproj": sdk(props(V="1.0%2E5") + packages("A $(V)", "B [1.0%2C2.0%5D"))},
    "downloads": {
        "p.csproj": sdk(
            '<ItemGroup><PackageDownload Include="Tool" Version="[1.0.0]" />'
            '<PackageDownload Include="Two" Version="[1.0];[2.0-beta]" /></ItemGroup>'
        )
    },
    "directory-build": {
        "Directory.Build.props": project(props(AVersion="1.1.1") + packages("FromProps 1.0")),
        "Directory.Build.targets": project(
            packages("FromTargets $(Own)")
            + "<ItemGroup Condition=\"'$(TargetFrameworkIdentifier)' == '.NETCoreApp'\">" + P.format("Core", "1.0")
            + "</ItemGroup>"
        ),
        "src/p.csproj": sdk(props(Own="4.0.0") + packages("A $(AVersion)")),
    },
    "directory-build-nearest": {
        "Directory.Build.props": project(packages("Outer 1.0")),
        "src/Directory.Build.props": project(packages("Inner 1.0")),
        "src/p.csproj": sdk(""),
    },
    "directory-build-parent": {
        "Directory.Build.props": project(packages("Outer 1.0") + props(V="5.0.0")),
        "src/Directory.Build.props": project(
            "<Import Project=\"$([MSBuild]::GetPathOfFileAbove('Directory.Build.props', '$(MSBuildThisFileDirectory)../'))\""
            " />" + packages("Inner $(V)")
        ),
        "src/p.csproj": sdk(""),
    },
    "directory-build-framework": {
        "Directory.Build.props": project(
            "<PropertyGroup><TargetFrameworks>net8.0;net10.0</TargetFrameworks></PropertyGroup>"
        ),
        "p.csproj": f'<Project Sdk="Microsoft.NET.Sdk">{A1}</Project>',
    },
    "directory-build-off": {
        "Directory.Build.props": project(packages("No 1.0")),
        "p.csproj": '<Project><PropertyGroup><ImportDirectoryBuildProps>false</ImportDirectoryBuildProps></PropertyGroup>'
        '<Import Project="Sdk.props" Sdk="Microsoft.NET.Sdk" />'
        "<PropertyGroup><TargetFramework>net10.0</TargetFramework></PropertyGroup>" + A1
        + '<Import Project="Sdk.targets" Sdk="Microsoft.NET.Sdk" /></Project>',
    },
    "imports": {
        "build/one.props": project(packages("One 1.0") + props(Seen="$(MSBuildThisFileName)-$(MSBuildProjectName)")),
        "build/two.props": project(packages("Two 1.0")),
        "src/p.csproj": sdk(
            '<Import Project="..\\build\\*.props" /><Import Project="none.props" Condition="Exists(\'none.props\')" />'
            '<ImportGroup Condition="true"><Import Project="$(MSBuildThisFileDirectory)local.props" /></ImportGroup>'
            + packages("A 1.0.0-$(Seen)")
        ),
        "src/local.props": project(
            "<PropertyGroup Condition=\"Exists('local.props')\"><L>3.3</L></PropertyGroup>" + packages("L $(L)")
        ),
    },
    "imported-twice": {
        "a.props": project(packages("A 1.0")),
        "p.csproj": sdk('<Import Project="a.props" /><Import Project="./a.props" />'),
    },
    "central": {"Directory.Packages.props": CENTRAL, "src/p.csproj": sdk(USES_CENTRAL)},
    "central-override": {
        "Directory.Packages.props": CENTRAL,
        "p.csproj": sdk('<ItemGroup><PackageReference Include="A" VersionOverride="1.9.0" /></ItemGroup>'),
    },
    "central-pinning": {
        "Directory.Packages.props": CENTRAL.replace(
            "</PropertyGroup>",
            "<CentralPackageTransitivePinningEnabled>true</CentralPackageTransitivePinningEnabled></PropertyGroup>",
        ),
        "p.csproj": sdk(USES_CENTRAL),
    },
    "central-global": {
        "Directory.Packages.props": CENTRAL.replace(
            "</Project>", '<ItemGroup><GlobalPackageReference Include="G" Version="7.0.0" /></ItemGroup></Project>'
        ),
        "p.csproj": sdk(USES_CENTRAL),
    },
    "central-off-in-project": {
        "Directory.Packages.props": CENTRAL,
        "p.csproj": sdk(props(ManagePackageVersionsCentrally="false") + A1),
    },
    "central-without-switch": {
        "Directory.Packages.props": CENTRAL.replace("true", "false"),
        "p.csproj": sdk(A1),
    },
    "central-by-framework": {
        "Directory.Packages.props": project(
            props(ManagePackageVersionsCentrally="true")
            + '<ItemGroup><PackageVersion Include="A" Version="8.0.0" /></ItemGroup>'
            "<ItemGroup Condition=\"'$(TargetFramework)' == 'net10.0'\"><PackageVersion Update=\"A\" Version=\"10.0.0\" />"
            "</ItemGroup>"
        ),
        "p.csproj": sdk('<ItemGroup><PackageReference Include="A" /></ItemGroup>', "net8.0;net10.0"),
    },
    "central-imported": {
        "Directory.Packages.props": CENTRAL,
        "src/Directory.Packages.props": project(
            "<Import Project=\"$([MSBuild]::GetPathOfFileAbove(Directory.Packages.props, $(MSBuildThisFileDirectory)..))\" />"
            '<ItemGroup><PackageVersion Update="A" Version="1.7.0" /><PackageVersion Include="D" Version="4.0.0" />'
            "</ItemGroup>"
        ),
        "src/p.csproj": sdk(USES_CENTRAL),
    },
    "central-in-directory-build": {
        "Directory.Build.props": project(props(ManagePackageVersionsCentrally="true")),
        "Directory.Packages.props": project('<ItemGroup><PackageVersion Include="A" Version="1.5.0" /></ItemGroup>'),
        "p.csproj": sdk('<ItemGroup><PackageReference Include="A" /></ItemGroup>'),
    },
    "central-own-path": {
        "Directory.Build.props": project(
            props(DirectoryPackagesPropsPath="$(MSBuildThisFileDirectory)eng/Versions.props",
                  ManagePackageVersionsCentrally="true")
        ),
        "eng/Versions.props": project('<ItemGroup><PackageVersion Include="A" Version="1.6.0" /></ItemGroup>'),
        "p.csproj": sdk('<ItemGroup><PackageReference Include="A" /></ItemGroup>'),
    },
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
