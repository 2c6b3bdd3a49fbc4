"""The names of resources in a service index: those we publish, and those we look for in an upstream's.

Clients differ in which of several names for the same thing they know, so most things are published under several.
Source: docs/api/overview, and the selection rules of the official client, Paket, Renovate and PSResourceGet.
"""

# --- what we publish --------------------------------------------------------------------------------------------------

FLAT_CONTAINER = ("PackageBaseAddress/3.0.0",)

REGISTRATIONS_PLAIN = ("RegistrationsBaseUrl", "RegistrationsBaseUrl/3.0.0-beta", "RegistrationsBaseUrl/3.0.0-rc")
REGISTRATIONS_GZ = ("RegistrationsBaseUrl/3.4.0",)
REGISTRATIONS_GZ_SEMVER2 = ("RegistrationsBaseUrl/3.6.0",)
# Renovate ignores this name, the official client prefers it; clients older than its clientVersion ignore it.
REGISTRATIONS_VERSIONED = "RegistrationsBaseUrl/Versioned"
SEMVER2_CLIENT_VERSION = "4.3.0-alpha"

# The official client looks for -beta only, Paket for the bare name, library users of 7.x for 3.5.0.
SEARCH = tuple(f"SearchQueryService{version}" for version in ("", "/3.0.0-beta", "/3.0.0-rc", "/3.5.0"))
AUTOCOMPLETE = tuple(f"SearchAutocompleteService{version}" for version in ("", "/3.0.0-beta", "/3.0.0-rc", "/3.5.0"))

# For clients that speak V2 to a V3 source: `nuget list` of the 5.x line, and PowerShell's package sources.
LEGACY_GALLERY = ("LegacyGallery", "LegacyGallery/2.0.0")
PACKAGE_PUBLISH = "PackagePublish/2.0.0"
SYMBOL_PACKAGE_PUBLISH = "SymbolPackagePublish/4.9.0"
CATALOG = "Catalog/3.0.0"

VULNERABILITIES = "VulnerabilityInfo/6.7.0"
README_TEMPLATE = "ReadmeUriTemplate/6.13.0"
# SDK 10 takes 5.0.0, clients before 5.0 the older one.
REPOSITORY_SIGNATURES_VERSIONS = ("4.7.0", "5.0.0")

# --- what we look for, best first -------------------------------------------------------------------------------------

ACCEPTED_FLAT_CONTAINER = ("PackageBaseAddress/Versioned", "PackageBaseAddress/3.0.0", "PackageBaseAddress")
# The first two lead to the hive with SemVer 2 packages, deprecations and vulnerabilities.
ACCEPTED_REGISTRATIONS = (
    "RegistrationsBaseUrl/Versioned",
    "RegistrationsBaseUrl/3.6.0",
    "RegistrationsBaseUrl/3.4.0",
    "RegistrationsBaseUrl/3.0.0-rc",
    "RegistrationsBaseUrl/3.0.0-beta",
    "RegistrationsBaseUrl",
)
# 3.5.0 first: it alone promises to understand packageType.
_SEARCH_VERSIONS = ("/3.5.0", "/Versioned", "/3.4.0", "/3.0.0-rc", "/3.0.0-beta", "")
ACCEPTED_SEARCH = tuple(f"SearchQueryService{version}" for version in _SEARCH_VERSIONS)
ACCEPTED_AUTOCOMPLETE = tuple(f"SearchAutocompleteService{version}" for version in _SEARCH_VERSIONS)
ACCEPTED_VULNERABILITIES = ("VulnerabilityInfo/6.7.0",)
ACCEPTED_REPOSITORY_SIGNATURES = (
    "RepositorySignatures/5.0.0",
    "RepositorySignatures/4.9.0",
    "RepositorySignatures/4.7.0",
)
ACCEPTED_CATALOG = ("Catalog/3.0.0",)
