"""The addresses of pages, as paths below the prefix under which clients see this server."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from nugetproxy.nuget.identity import lower_invariant


@dataclass(frozen=True, slots=True)
class Addresses:
    """`prefix` is "" or begins with a slash: the path of `server.public_url`."""

    prefix: str

    def home(self) -> str:
        return f"{self.prefix}/"

    def asset(self, name: str) -> str:
        """`name` is that of `assets.hashed_name`."""
        return f"{self.prefix}/ui/{name}"

    def search(self, **parameters: object) -> str:
        """Parameters that are empty, False or None are left out."""
        return self._with(f"{self.prefix}/packages", parameters)

    def package(self, package_id: str, version: str = "") -> str:
        below = f"/{quote(version, safe='')}" if version else ""
        return f"{self.prefix}/packages/{quote(package_id, safe='')}{below}"

    def versions(self, package_id: str) -> str:
        return f"{self.package(package_id)}/versions"

    def used_by(self, package_id: str) -> str:
        return f"{self.package(package_id)}/used-by"

    def files(self, package_id: str, version: str, **parameters: object) -> str:
        """`path` shows one of the files, `folder` a part of the tree."""
        return self._with(f"{self.package(package_id, version)}/files", parameters)

    def compare(self, package_id: str, before: str, after: str) -> str:
        return self._with(f"{self.package(package_id)}/compare", {"from": before, "to": after})

    def badge(self, package_id: str) -> str:
        return f"{self.package(package_id)}/badge.svg"

    def versions_feed(self, package_id: str) -> str:
        return f"{self.package(package_id)}/feed.atom"

    def pushes_feed(self) -> str:
        return f"{self.prefix}/feed.atom"

    def part(self, package_id: str, version: str, name: str) -> str:
        """The readme, icon, license or nuspec of a version, as clients get it."""
        lower_id, lower_version = quote(lower_invariant(package_id), safe=""), quote(version.lower(), safe="")
        return f"{self.prefix}/v3/flatcontainer/{lower_id}/{lower_version}/{quote(name, safe='')}"

    def autocomplete(self) -> str:
        return f"{self.prefix}/v3/autocomplete"

    def sign_in(self, after: str = "") -> str:
        """`after`: the path to go on to."""
        return self._with(f"{self.prefix}/sign-in", {"next": after})

    def sign_out(self) -> str:
        return f"{self.prefix}/sign-out"

    def account(self) -> str:
        return f"{self.prefix}/account"

    def keys(self) -> str:
        return f"{self.account()}/keys"

    def key(self, key_id: str, act: str) -> str:
        return f"{self.keys()}/{quote(key_id, safe='')}/{act}"

    def device(self) -> str:
        return f"{self.prefix}/device"

    def end_session(self, session_id: str) -> str:
        return f"{self.account()}/sessions/{session_id}/end"

    @staticmethod
    def _with(path: str, parameters: dict[str, object]) -> str:
        given = {name: "true" if value is True else value for name, value in parameters.items() if value}
        return f"{path}?{urlencode(given)}" if given else path
