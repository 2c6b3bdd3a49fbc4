"""The documents of a mirror as entries of a bundle: all that last, or those that are about certain packages.

They travel as stored. A bundle holds no absences: whether something exists by now is for the upstream to say.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Final

from nugetproxy.errors import UnreadableDocument
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.mirroring.bundle.hashing import sha512_of
from nugetproxy.mirroring.bundle.manifest import DocumentFacts, Entry, Kind, path_of
from nugetproxy.mirroring.bundle.writing import Problems
from nugetproxy.mirroring.documents.addresses import quoted
from nugetproxy.nuget.identity import PackageId
from nugetproxy.protocol.v3.registration import Leaf, read_index, read_page
from nugetproxy.protocol.v3.service_index import UpstreamEndpoints, check_service_index
from nugetproxy.protocol.v3.signatures import read_repository_signatures
from nugetproxy.protocol.v3.vulnerabilities import read_vulnerability_index
from nugetproxy.storage.documents.snapshot import DocumentsSnapshot

KINDS: Final = frozenset({Kind.DOCUMENT})


class KeptDocuments:
    """The documents of a snapshot, as `writing.Content`: of all packages, or of `ids` with what all clients read.

    `upstreams` are service indexes by name.
    """

    def __init__(
        self, snapshot: DocumentsSnapshot, upstreams: Mapping[str, str], ids: Collection[PackageId] | None
    ) -> None:
        self._snapshot = snapshot
        self._ids = ids
        self._endpoints = {name: _endpoints(snapshot.get(url)) for name, url in upstreams.items()}
        self._service_indexes = tuple(upstreams.values())

    def entries(self, problems: Problems) -> Iterator[Entry]:
        """See `Content`."""
        urls = set(self._snapshot.lasting_urls() if self._ids is None else self._about(self._ids))
        # Hashes instead of URLs: the order is that of the paths.
        for url in sorted(urls, key=lambda url: sha256(url.encode()).digest()):
            stored = self._snapshot.get(url)
            if stored is None or stored.status != 200:
                continue
            facts = DocumentFacts(
                stored.url, stored.status, stored.etag, stored.last_modified, stored.content_type, stored.fetched,
                stored.confirmed, stored.expired,
            )  # fmt: skip
            entry = Entry(path_of(Kind.DOCUMENT, facts), len(stored.body), sha512_of(stored.body), Kind.DOCUMENT, facts)
            if _fits(entry):
                yield entry

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """See `Content`."""
        assert isinstance(entry.facts, DocumentFacts)
        stored = self._snapshot.get(entry.facts.url)
        if stored is None:
            raise FileNotFoundError(entry.path)
        yield stored.body

    def leaves(self, upstream: str, package_id: PackageId) -> dict[str, Leaf]:
        """What the kept registration of an id states about its versions, by lower version."""
        endpoints = self._endpoints.get(upstream)
        if endpoints is None or endpoints.registrations is None:
            return {}
        leaves: dict[str, Leaf] = {}
        for url in self._registration_urls(endpoints.registrations, package_id):
            body = self._body(url)
            try:
                pages = read_index(body, package_id).pages if url.endswith("/index.json") else ()
                pages = pages or (read_page(body, package_id),)
            except UnreadableDocument:
                continue
            for page in pages:
                leaves.update((leaf.version.lower, leaf) for leaf in page.leaves or ())
        return leaves

    def _about(self, ids: Iterable[PackageId]) -> Iterator[str]:
        yield from self._service_indexes
        known = [endpoints for endpoints in self._endpoints.values() if endpoints is not None]
        for endpoints in known:
            yield from self._trust_urls(endpoints)
        for package_id in ids:
            for endpoints in known:
                if endpoints.flat_container is not None:
                    yield f"{endpoints.flat_container}{quoted(package_id.lower)}/index.json"
                if endpoints.registrations is not None:
                    yield from self._registration_urls(endpoints.registrations, package_id)

    def _trust_urls(self, endpoints: UpstreamEndpoints) -> Iterator[str]:
        """Signatures with their certificates, and vulnerabilities with all pages."""
        if endpoints.repository_signatures is not None:
            yield endpoints.repository_signatures
            with suppress(UnreadableDocument):
                yield from read_repository_signatures(self._body(endpoints.repository_signatures)).addresses.values()
        if endpoints.vulnerabilities is not None:
            yield endpoints.vulnerabilities
            with suppress(UnreadableDocument):
                yield from (page.url for page in read_vulnerability_index(self._body(endpoints.vulnerabilities)))

    def _registration_urls(self, registrations: str, package_id: PackageId) -> Iterator[str]:
        """The index, and the pages that it leaves out."""
        index = f"{registrations}{quoted(package_id.lower)}/index.json"
        yield index
        try:
            pages = read_index(self._body(index), package_id).pages
        except UnreadableDocument:
            return
        yield from (page.url for page in pages if page.leaves is None)

    def _body(self, url: str) -> bytes:
        """Empty, which no reader accepts, if it is not kept."""
        stored = self._snapshot.get(url)
        return b"" if stored is None or stored.status != 200 else stored.body


def _endpoints(stored: StoredResponse | None) -> UpstreamEndpoints | None:
    try:
        return None if stored is None else check_service_index(stored.body)
    except UnreadableDocument:
        return None


def _fits(entry: Entry) -> bool:
    """An upstream may send headers and addresses of any length; no client needs such a document."""
    try:
        entry.to_line()
    except ValueError:
        return False
    return True
