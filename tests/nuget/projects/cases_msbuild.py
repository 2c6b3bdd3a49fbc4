"""Cases of the language: references, properties, conditions, items, imports, and central versions."""

# ruff: noqa: E501 (texts of files)

from tests.nuget.projects.markup import A1, CENTRAL, USES_CENTRAL, P, packages, project, props, sdk

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
}  # fmt: skip
