"""The service document and `$metadata`, which V2 clients request before they request packages.

NuGet 2.8 cannot look up dependencies without `$metadata`, and takes the list of functions from it. Source:
nuget.org's api/v2/$metadata.
"""

from xml.sax.saxutils import escape

from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v2.atom import METADATA_NAMESPACE
from nugetproxy.protocol.v2.properties import PROPERTIES

_SERVICE = """<?xml version="1.0" encoding="utf-8"?>
<service xml:base="{base}" xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom">
<workspace><atom:title type="text">Default</atom:title>
<collection href="Packages"><atom:title type="text">Packages</atom:title></collection>
</workspace>
</service>"""

_STRING = 'Type="Edm.String" FixedLength="false" Unicode="false"'
_BOOLEAN = 'Type="Edm.Boolean" Nullable="false"'

FUNCTIONS = {
    "Search": {
        "searchTerm": _STRING,
        "targetFramework": _STRING,
        "includePrerelease": _BOOLEAN,
        "semVerLevel": _STRING,
    },
    "FindPackagesById": {"id": _STRING, "semVerLevel": _STRING},
    "GetUpdates": {
        "packageIds": _STRING,
        "versions": _STRING,
        "includePrerelease": _BOOLEAN,
        "includeAllVersions": _BOOLEAN,
        "targetFrameworks": _STRING,
        "versionConstraints": _STRING,
        "semVerLevel": _STRING,
    },
}
"""The functions and their parameters. Clients look for them by these names."""


def write_service_document(links: Links) -> bytes:
    return _SERVICE.format(base=escape(links.v2())).encode()


def write_metadata() -> bytes:
    """The same for every client: it contains no URL of ours."""
    return _METADATA


def _metadata() -> bytes:
    properties = "\n".join(
        f'<Property Name="{each.name}" Type="{each.edm}"' + ("/>" if each.is_nullable else ' Nullable="false"/>')
        for each in PROPERTIES
    )
    functions = "\n".join(
        f'<FunctionImport Name="{name}" ReturnType="Collection(NuGetGallery.OData.V2FeedPackage)" EntitySet="Packages">'
        + "".join(f'<Parameter Name="{parameter}" {kind}/>' for parameter, kind in parameters.items())
        + "</FunctionImport>"
        for name, parameters in FUNCTIONS.items()
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">
<edmx:DataServices m:DataServiceVersion="2.0" m:MaxDataServiceVersion="2.0" xmlns:m="{METADATA_NAMESPACE}">
<Schema Namespace="NuGetGallery.OData" xmlns="http://schemas.microsoft.com/ado/2006/04/edm">
<EntityType Name="V2FeedPackage" m:HasStream="true">
<Key><PropertyRef Name="Id"/><PropertyRef Name="Version"/></Key>
{properties}
</EntityType>
</Schema>
<Schema Namespace="NuGetGallery" xmlns="http://schemas.microsoft.com/ado/2006/04/edm">
<EntityContainer Name="V2FeedContext" m:IsDefaultEntityContainer="true">
<EntitySet Name="Packages" EntityType="NuGetGallery.OData.V2FeedPackage"/>
{functions}
</EntityContainer>
</Schema>
</edmx:DataServices>
</edmx:Edmx>""".encode()


_METADATA = _metadata()
