"""What the SDK's own files set before and after a project's text, as far as restore depends on it.

Written in MSBuild's language and evaluated like any other file. Which packages the SDK adds is not here: that is
`nuget/closure/sdk.py`. Source: the files of the .NET SDK 10 (Microsoft.NET.Sdk, NuGet.targets), compared with it in
tests/clients.
"""

from typing import Final

BEFORE_DIRECTORY_PROPS: Final = """<Project>
  <PropertyGroup>
    <UsingMicrosoftNETSdk>true</UsingMicrosoftNETSdk>
    <UsingNETSdkDefaults>true</UsingNETSdkDefaults>
    <NETCoreSdkVersion>10.0.401</NETCoreSdkVersion>
    <BundledNETCoreAppTargetFrameworkVersion>10.0</BundledNETCoreAppTargetFrameworkVersion>
    <NETCoreAppMaximumVersion>10.0</NETCoreAppMaximumVersion>
    <SdkAnalysisLevel>10.0.400</SdkAnalysisLevel>
  </PropertyGroup>
</Project>"""

DIRECTORY_PROPS: Final = """<Project>
  <PropertyGroup>
    <ImportDirectoryBuildProps Condition="'$(ImportDirectoryBuildProps)' == ''">true</ImportDirectoryBuildProps>
  </PropertyGroup>
  <PropertyGroup Condition="'$(ImportDirectoryBuildProps)' == 'true' and '$(DirectoryBuildPropsPath)' == ''">
    <DirectoryBuildPropsPath>$([MSBuild]::GetPathOfFileAbove('Directory.Build.props', '$(MSBuildProjectDirectory)'))</DirectoryBuildPropsPath>
  </PropertyGroup>
  <Import Project="$(DirectoryBuildPropsPath)"
          Condition="'$(ImportDirectoryBuildProps)' == 'true' and Exists('$(DirectoryBuildPropsPath)')" />
  <PropertyGroup>
    <ImportDirectoryPackagesProps Condition="'$(ImportDirectoryPackagesProps)' == ''">true</ImportDirectoryPackagesProps>
  </PropertyGroup>
  <PropertyGroup Condition="'$(ImportDirectoryPackagesProps)' == 'true' and '$(DirectoryPackagesPropsPath)' == ''">
    <DirectoryPackagesPropsPath>$([MSBuild]::GetPathOfFileAbove('Directory.Packages.props', '$(MSBuildProjectDirectory)'))</DirectoryPackagesPropsPath>
  </PropertyGroup>
  <Import Project="$(DirectoryPackagesPropsPath)"
          Condition="'$(ImportDirectoryPackagesProps)' == 'true' and Exists('$(DirectoryPackagesPropsPath)')" />
  <PropertyGroup Condition="'$(ImportDirectoryPackagesProps)' == 'true' and Exists('$(DirectoryPackagesPropsPath)')">
    <CentralPackageVersionsFileImported>true</CentralPackageVersionsFileImported>
  </PropertyGroup>
</Project>"""  # noqa: E501

PROPS: Final = """<Project>
  <PropertyGroup>
    <Configurations Condition="'$(Configurations)' == ''">Debug;Release</Configurations>
    <Configuration Condition="'$(Configuration)' == ''">Debug</Configuration>
    <Platform Condition="'$(Platform)' == ''">AnyCPU</Platform>
    <OutputType Condition="'$(OutputType)' == ''">Library</OutputType>
    <AssemblyName Condition="'$(AssemblyName)' == ''">$(MSBuildProjectName)</AssemblyName>
    <RootNamespace Condition="'$(RootNamespace)' == ''">$(MSBuildProjectName.Replace(" ", "_"))</RootNamespace>
    <RestoreProjectStyle>PackageReference</RestoreProjectStyle>
    <TreatWarningsAsErrors Condition="'$(TreatWarningsAsErrors)' == ''">false</TreatWarningsAsErrors>
    <Language Condition="'$(MSBuildProjectExtension)' == '.csproj'">C#</Language>
    <Language Condition="'$(MSBuildProjectExtension)' == '.fsproj'">F#</Language>
    <Language Condition="'$(MSBuildProjectExtension)' == '.vbproj'">VB</Language>
    <DefaultLanguageSourceExtension Condition="'$(Language)' == 'C#'">.cs</DefaultLanguageSourceExtension>
  </PropertyGroup>
  <ItemGroup Condition="'$(DisableImplicitFrameworkReferences)' != 'true' and '$(_ImpliesAspNetCore)' == 'true' and '$(TargetFrameworkIdentifier)' == '.NETCoreApp' and '$(_TargetFrameworkVersionWithoutV)' >= '3.0'">
    <FrameworkReference Include="Microsoft.AspNetCore.App" />
  </ItemGroup>
</Project>"""  # noqa: E501

BEFORE_DIRECTORY_TARGETS: Final = """<Project>
  <PropertyGroup>
    <_IsExecutable Condition="'$(OutputType)' == 'Exe' or '$(OutputType)' == 'WinExe'">true</_IsExecutable>
    <HasRuntimeOutput Condition="'$(HasRuntimeOutput)' == ''">$(_IsExecutable)</HasRuntimeOutput>
  </PropertyGroup>
  <PropertyGroup Condition="'$(TargetFramework)' != '' and ('$(TargetFrameworkIdentifier)' == '' or '$(TargetFrameworkVersion)' == '')">
    <TargetFrameworkIdentifier>$([MSBuild]::GetTargetFrameworkIdentifier('$(TargetFramework)'))</TargetFrameworkIdentifier>
    <TargetFrameworkVersion>v$([MSBuild]::GetTargetFrameworkVersion('$(TargetFramework)', 2))</TargetFrameworkVersion>
  </PropertyGroup>
  <PropertyGroup>
    <_TargetFrameworkVersionWithoutV>$(TargetFrameworkVersion.TrimStart('vV'))</_TargetFrameworkVersionWithoutV>
    <TargetPlatformIdentifier Condition="'$(TargetFramework)' != '' and '$(TargetPlatformIdentifier)' == ''">$([MSBuild]::GetTargetPlatformIdentifier('$(TargetFramework)'))</TargetPlatformIdentifier>
    <TargetPlatformVersion Condition="'$(TargetFramework)' != '' and '$(TargetPlatformIdentifier)' != '' and '$(TargetPlatformVersion)' == ''">$([MSBuild]::GetTargetPlatformVersion('$(TargetFramework)', 2))</TargetPlatformVersion>
    <TargetPlatformVersion Condition="'$(TargetPlatformVersion)' == '0.0'"></TargetPlatformVersion>
    <TargetPlatformVersion Condition="'$(TargetPlatformIdentifier)' == 'Windows' and '$(TargetPlatformVersion)' == ''">7.0</TargetPlatformVersion>
  </PropertyGroup>
  <PropertyGroup Condition="'$(SelfContained)' == '' and '$(PublishSelfContained)' == '' and '$(TargetFrameworkIdentifier)' == '.NETCoreApp' and $([MSBuild]::VersionGreaterThanOrEquals($(_TargetFrameworkVersionWithoutV), '8.0')) and ('$(PublishTrimmed)' == 'true' or '$(PublishSingleFile)' == 'true' or '$(PublishAot)' == 'true')">
    <PublishSelfContained>true</PublishSelfContained>
  </PropertyGroup>
  <PropertyGroup Condition="'$(RuntimeIdentifier)' == '' and '$(_IsExecutable)' == 'true' and '$(IsRidAgnostic)' != 'true'">
    <RuntimeIdentifier Condition="'$(SelfContained)' == 'true' or '$(UseCurrentRuntimeIdentifier)' == 'true'">$(NETCoreSdkPortableRuntimeIdentifier)</RuntimeIdentifier>
  </PropertyGroup>
  <PropertyGroup Condition="'$(UseDefaultPublishRuntimeIdentifier)' == '' and '$(PublishRuntimeIdentifier)' == '' and '$(RuntimeIdentifier)' == '' and '$(_IsExecutable)' == 'true' and ('$(PublishSelfContained)' == 'true' or '$(PublishReadyToRun)' == 'true' or '$(PublishTrimmed)' == 'true' or '$(PublishSingleFile)' == 'true' or '$(PublishAot)' == 'true')">
    <UseDefaultPublishRuntimeIdentifier>true</UseDefaultPublishRuntimeIdentifier>
  </PropertyGroup>
  <PropertyGroup>
    <PublishRuntimeIdentifier Condition="'$(UseDefaultPublishRuntimeIdentifier)' == 'true'">$(NETCoreSdkPortableRuntimeIdentifier)</PublishRuntimeIdentifier>
    <RuntimeIdentifiers Condition="'$(PublishRuntimeIdentifier)' != ''">$(RuntimeIdentifiers);$(PublishRuntimeIdentifier)</RuntimeIdentifiers>
    <SelfContained Condition="'$(SelfContained)' == '' and '$(RuntimeIdentifier)' != '' and '$(HasRuntimeOutput)' == 'true' and '$(TargetFrameworkIdentifier)' == '.NETCoreApp' and $([MSBuild]::VersionLessThan($(_TargetFrameworkVersionWithoutV), '8.0'))">true</SelfContained>
    <_IsNETCoreOrNETStandard Condition="'$(TargetFrameworkIdentifier)' == '.NETCoreApp' or '$(TargetFrameworkIdentifier)' == '.NETStandard'">true</_IsNETCoreOrNETStandard>
    <AssetTargetFallback Condition="'$(DisableImplicitAssetTargetFallback)' != 'true' and '$(_IsNETCoreOrNETStandard)' == 'true' and '$(_TargetFrameworkVersionWithoutV)' >= '2.0'">$(AssetTargetFallback);net461;net462;net47;net471;net472;net48;net481</AssetTargetFallback>
  </PropertyGroup>
</Project>"""  # noqa: E501

DIRECTORY_TARGETS: Final = """<Project>
  <PropertyGroup>
    <ImportDirectoryBuildTargets Condition="'$(ImportDirectoryBuildTargets)' == ''">true</ImportDirectoryBuildTargets>
  </PropertyGroup>
  <PropertyGroup Condition="'$(ImportDirectoryBuildTargets)' == 'true' and '$(DirectoryBuildTargetsPath)' == ''">
    <DirectoryBuildTargetsPath>$([MSBuild]::GetPathOfFileAbove('Directory.Build.targets', '$(MSBuildProjectDirectory)'))</DirectoryBuildTargetsPath>
  </PropertyGroup>
  <Import Project="$(DirectoryBuildTargetsPath)"
          Condition="'$(ImportDirectoryBuildTargets)' == 'true' and Exists('$(DirectoryBuildTargetsPath)')" />
</Project>"""  # noqa: E501

TARGETS: Final = """<Project>
  <PropertyGroup>
    <_CentralPackageVersionsEnabled Condition="'$(ManagePackageVersionsCentrally)' == 'true' and '$(CentralPackageVersionsFileImported)' == 'true'">true</_CentralPackageVersionsEnabled>
    <_PrunesByDefault Condition="'$(UsingMicrosoftNETSdk)' == 'true' and '$(TargetFrameworkIdentifier)' == '.NETCoreApp' and $([MSBuild]::VersionGreaterThanOrEquals('$(TargetFrameworkVersion)', '10.0'))">true</_PrunesByDefault>
  </PropertyGroup>
  <ItemGroup Condition="'$(ManagePackageVersionsCentrally)' == 'true' and '$(RestoreEnableGlobalPackageReference)' != 'false'">
    <PackageReference Include="@(GlobalPackageReference)" Version=""
                      IncludeAssets="Runtime;Build;Native;contentFiles;Analyzers" PrivateAssets="All" />
    <PackageVersion Include="@(GlobalPackageReference)" Version="%(Version)" />
  </ItemGroup>
</Project>"""  # noqa: E501

ASP_NET_SDKS: Final = frozenset({"microsoft.net.sdk.web"})
WEB_ASSEMBLY_SDKS: Final = frozenset({"microsoft.net.sdk.blazorwebassembly", "microsoft.net.sdk.webassembly"})
EXECUTABLE_SDKS: Final = frozenset({"microsoft.net.sdk.web", "microsoft.net.sdk.worker"})

BUNDLED: Final = frozenset(
    {
        "microsoft.net.sdk",
        "microsoft.net.sdk.web",
        "microsoft.net.sdk.worker",
        "microsoft.net.sdk.razor",
        "microsoft.net.sdk.publish",
        "microsoft.net.sdk.blazorwebassembly",
        "microsoft.net.sdk.webassembly",
        "microsoft.net.sdk.staticwebassets",
        "microsoft.net.sdk.windowsdesktop",
        "microsoft.net.sdk.functions",
        "microsoft.build.tasks.git",
    }
)
"""SDKs that come with .NET: no package."""

WITHOUT_PACKAGES_OF_THEIR_OWN: Final = frozenset({"microsoft.build.notargets", "microsoft.build.traversal"})
"""SDKs from packages that extend Microsoft.NET.Sdk and add no packages to a project."""
