import json

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.v3.signatures import (
    SHA256_OID,
    RepositorySignatures,
    merge_repository_signatures,
    read_repository_signatures,
    write_repository_signatures,
)
from tests.protocol.urls import foreign_urls

ONE, TWO = "ab" * 32, "cd" * 32


def certificate(fingerprint, url="https://up.example/c.crt", **more):
    stated = {
        "subject": "CN=a",
        "issuer": "CN=b",
        "notBefore": "2018-04-10T00:00:00.0000000Z",
        "notAfter": "2028-04-10",
    }
    return {"fingerprints": {SHA256_OID: fingerprint}, **stated, "contentUrl": url, **more}


def test_nuget_orgs_document_is_unchanged_except_urls(links, kept):
    theirs = json.loads(kept("repository-signatures"))

    ours = json.loads(
        write_repository_signatures(read_repository_signatures(kept("repository-signatures")), links, "5.0.0")
    )

    for certificate in theirs["signingCertificates"]:
        certificate["contentUrl"] = links.certificate(certificate["fingerprints"][SHA256_OID])
    assert ours == theirs
    assert foreign_urls(ours, links.base) == []


@pytest.mark.parametrize(
    ("expected", "signed", "version"),
    [(True, True, "5.0.0"), (False, True, "4.7.0"), (False, True, "4.9.0"), (False, False, "5.0.0")],
)
def test_all_signed_is_only_stated_to_clients_that_know_it(links, expected, signed, version):
    document = write_repository_signatures(RepositorySignatures(signed, ()), links, version)

    assert json.loads(document)["allRepositorySigned"] is expected


def test_certificates_have_urls_by_fingerprint():
    several = (certificate(ONE.upper(), "https://up.example/1"), certificate(TWO, "file:///etc/x"), certificate(ONE))

    assert RepositorySignatures(True, several).addresses == {ONE: "https://up.example/1"}


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"allRepositorySigned": True},
        {"allRepositorySigned": "true", "signingCertificates": []},
        {"allRepositorySigned": True, "signingCertificates": {}},
        {"allRepositorySigned": True, "signingCertificates": [1]},
        {"allRepositorySigned": True, "signingCertificates": [{}]},
        {"allRepositorySigned": True, "signingCertificates": [{"fingerprints": []}]},
        {"allRepositorySigned": True, "signingCertificates": [certificate("../../x")]},
        {"allRepositorySigned": True, "signingCertificates": [certificate(ONE + "\n")]},
        *(
            {"allRepositorySigned": True, "signingCertificates": [certificate(ONE, **{name: value})]}
            for name in ("subject", "issuer", "notBefore", "notAfter")
            for value in (None, ["x"], 1)
        ),
        {"allRepositorySigned": True, "signingCertificates": [certificate(ONE, notAfter="for ever")]},
    ],
)
def test_incomplete_documents_are_unreadable(document):
    """
    Guessing would weaken or break verification.
    """
    with pytest.raises(UnreadableDocument):
        read_repository_signatures(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("expected", "several"),
    [(False, []), (True, [True]), (True, [True, True]), (False, [True, False]), (False, [False])],
)
def test_all_is_signed_only_if_all_of_each_is(expected, several):
    merged = merge_repository_signatures(RepositorySignatures(signed, ()) for signed in several)

    assert merged.all_repository_signed is expected


def test_merged_certificates_are_unique():
    merged = merge_repository_signatures(
        [
            RepositorySignatures(True, (certificate(ONE, mine=True),)),
            RepositorySignatures(True, (certificate(ONE.upper(), mine=False), certificate(TWO))),
        ]
    )

    assert [entry.get("mine") for entry in merged.certificates] == [True, None]
