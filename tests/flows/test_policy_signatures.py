"""The rules `unsigned` and `install_scripts` over real sockets, with packages that are signed for the test."""

import dataclasses

from tests import signing
from tests.builders import make_nupkg
from tests.fakes import faults
from tests.flows.mirror import running
from tests.flows.test_policy import ruled, shown
from tests.shared import shared
from tests.signing import Signing

ADDRESS = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"


def package(*signings: Signing) -> bytes:
    unsigned = make_nupkg(payload=b"content")
    return signing.signed(unsigned, *signings) if signings else unsigned


def by_author() -> Signing:
    return Signing(signing.author(), "author")


def by_repository(by: signing.Party | None = None) -> Signing:
    return Signing(by or signing.repository(), "repository", owners=("contoso",))


async def test_a_signature_of_the_published_certificate_is_enough(tmp_path, upstream):
    upstream.gallery.certificates.append(signing.repository().der)
    upstream.add_package(package(by_author(), by_repository()))
    async with ruled(tmp_path, upstream, {"unsigned": True}) as mirror:
        assert (await mirror.get(ADDRESS)).status == 200
        assert (await shown(mirror, "Contoso.Utils"))["versions"] == {"1.0.0"}


async def test_a_signature_of_another_certificate_is_not(tmp_path, upstream):
    """
    It says that it is the repository's, and is valid by itself.
    """
    impostor = signing.party(
        "Repository", signing.root("Other Root"), purposes=(signing.CODE,), valid=(signing.FROM, signing.TO)
    )
    upstream.gallery.certificates.append(signing.repository().der)
    upstream.add_package(package(by_repository(impostor)))
    async with ruled(tmp_path, upstream, {"unsigned": True}) as mirror:
        got = await mirror.get(ADDRESS)

        assert (got.status, "does not publish the certificate of its repository" in got.reason) == (403, True)
        assert not (await shown(mirror, "Contoso.Utils"))["versions"]


async def test_a_forged_signature_is_not(tmp_path, upstream):
    forged = dataclasses.replace(signing.repository(), key=signing.key("Forger"))
    upstream.gallery.certificates.append(signing.repository().der)
    upstream.add_package(package(by_repository(forged)))
    async with ruled(tmp_path, upstream, {"unsigned": True}) as mirror:
        got = await mirror.get(ADDRESS)

        assert (got.status, "invalid signature" in got.reason) == (403, True)


async def test_an_author_is_trusted_by_roots_in_the_settings(tmp_path, upstream):
    """
    What was refused is judged again when other signers are trusted.
    """
    upstream.add_package(package(by_author()))
    async with ruled(tmp_path, upstream, {"unsigned": True}) as mirror:
        got = await mirror.get(ADDRESS)
        assert (got.status, "ends in no trusted root" in got.reason) == (403, True)
        assert not (await shown(mirror, "Contoso.Utils"))["versions"]
    roots = tmp_path / "roots.pem"
    roots.write_bytes(signing.root().pem + signing.root("Time Root").pem)
    rule = {"name": "signed", "action": "block", "unsigned": True}
    async with running(tmp_path, upstream, policy={"rule": [rule], "trusted_roots": str(roots)}) as mirror:
        assert (await mirror.get(ADDRESS)).status == 200
        assert (await shown(mirror, "Contoso.Utils"))["versions"] == {"1.0.0"}


async def test_packages_of_nuget_org_pass_though_the_feed_publishes_no_certificates(tmp_path, upstream):
    upstream.fault("*/repository-signatures/*", faults.status(404))
    folder = shared() / "nuget-org" / "packages" / "dapper" / "2.1.66"
    upstream.add_package((folder / "dapper.2.1.66.nupkg").read_bytes())
    async with ruled(tmp_path, upstream, {"unsigned": True}) as mirror:
        assert (await mirror.get("/v3/flatcontainer/dapper/2.1.66/dapper.2.1.66.nupkg")).status == 200


async def test_owners_of_a_trusted_signature_count(tmp_path, upstream):
    upstream.gallery.certificates.append(signing.repository().der)
    upstream.add_package(package(by_repository()))
    rules = {"unsigned": True}, {"action": "allow", "owners": ["contoso"]}
    async with ruled(tmp_path, upstream, *rules) as mirror:
        assert (await mirror.get(ADDRESS)).status == 200


async def test_install_scripts(tmp_path, upstream):
    files = {"1.0.0": "lib/net8.0/a.dll", "1.1.0": "Tools/Install.ps1", "2.0.0": "build/a%2Etargets"}
    for version, file in files.items():
        upstream.add_package(make_nupkg("Contoso.Utils", version, files={file: b"x"}))
    async with ruled(tmp_path, upstream, {"install_scripts": True}) as mirror:
        found = {version: await mirror.get(ADDRESS.replace("1.0.0", version)) for version in files}

        assert {version: got.status for version, got in found.items()} == {"1.0.0": 200, "1.1.0": 403, "2.0.0": 403}
        assert "contains tools/install.ps1" in found["1.1.0"].reason
        assert "contains build/*.targets" in found["2.0.0"].reason
        assert (await shown(mirror, "Contoso.Utils"))["versions"] == {"1.0.0"}
