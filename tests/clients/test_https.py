"""Over https with a private CA: the client fetches RepositorySignatures and verifies every signature."""

import json
import ssl
import urllib.request
from pathlib import Path

import pytest

from tests.certificates import PrivateCA
from tests.clients.deployment import serve
from tests.clients.kit import Workplace
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def test_every_signature_is_verified_over_https(tmp_path: Path) -> None:
    """
    An https server over an https upstream advertises RepositorySignatures, the client asks for them and restores.
    """
    ca = PrivateCA(tmp_path / "ca")
    config = f"""
[[mirroring.upstream]]
name = "nuget.org"
service_index = "SERVICE_INDEX"
ca_file = "{ca.file}"
"""
    with StandIn("--no-made", tls=ca.issue("upstream")) as nuget_org:
        text = config.replace("SERVICE_INDEX", nuget_org.url)
        with serve(tmp_path / "data", config=text, tls=ca.issue("server")) as server:
            trust = ssl.create_default_context(cafile=str(ca.file))
            with urllib.request.urlopen(server.url, context=trust, timeout=30) as answer:
                types = {resource["@type"] for resource in json.load(answer)["resources"]}
            assert {"RepositorySignatures/4.7.0", "RepositorySignatures/5.0.0"} <= types

            workplace = Workplace(tmp_path / "work", server.url, insecure=False, ca=ca.file)
            workplace.dotnet("restore", "--locked-mode", cwd=workplace.graph("web")).must_succeed()
            cached = {path.name for path in (workplace.home / "http").rglob("*.dat")}
            assert "repository_signatures_5.0.0.dat" in cached
            assert "/v3-index/repository-signatures/5.0.0/index.json" in server.log or "signatures" in server.log


def test_a_forged_package_is_refused(tmp_path: Path) -> None:
    """
    A package that was changed upstream after signing is neither stored nor served.
    """
    with StandIn() as nuget_org, serve(tmp_path / "data", upstream=nuget_org.url) as server:
        nuget_org.faults({"match": r"dapper.*\.nupkg$", "kind": "corrupt", "times": 1000})
        workplace = Workplace(tmp_path / "work", server.url)
        project = workplace.project("forged", ("Dapper", "2.1.86"), audit=False)
        workplace.dotnet("restore", cwd=project).must_fail()
        assert not list((tmp_path / "data" / "mirror").rglob("dapper*.nupkg"))
        assert server.metric("nugetproxy_content_rejected_total") >= 1
