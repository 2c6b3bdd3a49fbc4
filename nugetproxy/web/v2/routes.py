"""The paths of the V2 feed: (path, handler, resource), for `web/routes.py` to add.

An OData path names a set or a function with or without brackets and their contents. Such a segment is one variable here
and is parsed by its handler, decoded; only its beginning is matched, so that other methods' paths and paths below
`/api/v2` that are not OData keep their own routes.
"""

from nugetproxy.web.http.resource import Resource
from nugetproxy.web.v2.completion import package_ids, package_versions
from nugetproxy.web.v2.entries import package_file
from nugetproxy.web.v2.feed import collection, count_or_property
from nugetproxy.web.v2.service import metadata, service_document

_SETS = "(?i:Packages|FindPackagesById|Search|GetUpdates)"
_COLLECTION = "{collection:" + _SETS + r"(?:(?:\(|%28)[^/]*)?}"

V2_BATCH = r"/api/v2/{batch:(?:\$|%24)batch}"
"""For POST."""

V2_ROUTES = (
    ("/api/v2", service_document, Resource.V2_SERVICE),
    ("/api/v2/", service_document, Resource.V2_SERVICE),
    (r"/api/v2/{metadata:(?:\$|%24)metadata}", metadata, Resource.V2_METADATA),
    ("/api/v2/package-ids", package_ids, Resource.V2_COMPLETION),
    ("/api/v2/package-versions/{id}", package_versions, Resource.V2_COMPLETION),
    ("/api/v2/package/{id}", package_file, Resource.NUPKG),
    ("/api/v2/package/{id}/{version}", package_file, Resource.NUPKG),
    (f"/api/v2/{_COLLECTION}", collection, Resource.V2_FEED),
    (f"/api/v2/{_COLLECTION}/{{below}}", count_or_property, Resource.V2_FEED),
)
