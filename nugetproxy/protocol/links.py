"""Every URL of ours that appears in a document.

Callers pass lower-case ids and versions. Mapping the URL of a request to a handler belongs to the routes.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from nugetproxy.protocol.v3.registration_values import Hive

# Nearly every id and version consists only of these characters, and a large index holds thousands of links.
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")


@dataclass(frozen=True, slots=True)
class Links:
    """URLs below one base, such as `https://packages.example.com/nuget`(without a trailing slash)."""

    base: str

    @property
    def is_https(self) -> bool:
        return self.base[:8].lower() == "https://"

    # --- service index and flat container -----------------------------------------------------------------------------

    def service_index(self) -> str:
        return f"{self.base}/v3/index.json"

    def flat_container(self) -> str:
        return f"{self.base}/v3/flatcontainer/"

    def versions(self, lower_id: str) -> str:
        return f"{self.base}/v3/flatcontainer/{_segment(lower_id)}/index.json"

    def nupkg(self, lower_id: str, lower_version: str) -> str:
        package_id, version = _segment(lower_id), _segment(lower_version)
        return f"{self.base}/v3/flatcontainer/{package_id}/{version}/{package_id}.{version}.nupkg"

    def nuspec(self, lower_id: str, lower_version: str) -> str:
        package_id = _segment(lower_id)
        return f"{self.base}/v3/flatcontainer/{package_id}/{_segment(lower_version)}/{package_id}.nuspec"

    def part(self, lower_id: str, lower_version: str, name: str) -> str:
        """`name` is readme, icon or license."""
        return f"{self.base}/v3/flatcontainer/{_segment(lower_id)}/{_segment(lower_version)}/{_segment(name)}"

    def readme_template(self) -> str:
        return f"{self.base}/v3/flatcontainer/{{lower_id}}/{{lower_version}}/readme"

    # --- registrations and the catalog --------------------------------------------------------------------------------

    def registration_base(self, hive: Hive) -> str:
        return f"{self.base}/v3/{hive.value}/"

    def registration_index(self, hive: Hive, lower_id: str) -> str:
        return f"{self.base}/v3/{hive.value}/{_segment(lower_id)}/index.json"

    def registration_page(self, hive: Hive, lower_id: str, lower: str, upper: str) -> str:
        """`lower` and `upper` are lower-case normalised versions."""
        return f"{self.base}/v3/{hive.value}/{_segment(lower_id)}/page/{_segment(lower)}/{_segment(upper)}.json"

    def registration_leaf(self, hive: Hive, lower_id: str, lower_version: str) -> str:
        return f"{self.base}/v3/{hive.value}/{_segment(lower_id)}/{_segment(lower_version)}.json"

    def catalog_entry(self, lower_id: str, lower_version: str) -> str:
        return f"{self.base}/v3/catalog/{_segment(lower_id)}/{_segment(lower_version)}.json"

    def catalog_index(self) -> str:
        return f"{self.base}/v3/catalog0/index.json"

    def catalog_page(self, number: int) -> str:
        return f"{self.base}/v3/catalog0/page{number}.json"

    def catalog_leaf(self, stamp: str, lower_id: str, lower_version: str) -> str:
        """`stamp` is `protocol.times.stamp_in_url`: it distinguishes the events of one version."""
        return f"{self.base}/v3/catalog0/data/{_segment(stamp)}/{_segment(lower_id)}.{_segment(lower_version)}.json"

    # --- search -------------------------------------------------------------------------------------------------------

    def search(self) -> str:
        return f"{self.base}/v3/query"

    def autocomplete(self) -> str:
        return f"{self.base}/v3/autocomplete"

    # --- the V2 feed --------------------------------------------------------------------------------------------------

    def v2(self) -> str:
        return f"{self.base}/api/v2"

    # --- pushes ---

    def publish(self) -> str:
        return f"{self.base}/api/v2/package"

    def symbol_publish(self) -> str:
        return f"{self.base}/api/v2/symbolpackage"

    def symbols(self) -> str:
        """Where debuggers request PDBs."""
        return f"{self.base}/symbols"

    def v2_collection(self, name: str) -> str:
        """`name` is Packages, or one of the functions with or without its parentheses."""
        return f"{self.base}/api/v2/{name}"

    def v2_entry(self, package_id: str, version: str) -> str:
        """An entry's own URL. Only here does the id keep its casing."""
        return f"{self.base}/api/v2/Packages(Id='{_segment(package_id)}',Version='{_segment(version)}')"

    def v2_package(self, lower_id: str, lower_version: str) -> str:
        return f"{self.base}/api/v2/package/{_segment(lower_id)}/{_segment(lower_version)}"

    # --- vulnerabilities and signatures -------------------------------------------------------------------------------

    def vulnerability_index(self) -> str:
        return f"{self.base}/v3/vulnerabilities/index.json"

    def vulnerability_page(self, name: str) -> str:
        return f"{self.base}/v3/vulnerabilities/{_segment(name)}.json"

    def repository_signatures(self, version: str) -> str:
        return f"{self.base}/v3/repository-signatures/{_segment(version)}/index.json"

    def certificate(self, sha256: str) -> str:
        """`sha256` is the lower-case hexadecimal fingerprint."""
        return f"{self.base}/v3/repository-signatures/certificates/{_segment(sha256)}.crt"


def _segment(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe="")
