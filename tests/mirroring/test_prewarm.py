"""Which of several mentions of a package count."""

import base64

import pytest

from nugetproxy.mirroring.prewarm import distinct
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.lock_files import Wanted

ONE, OTHER = (base64.b64encode(bytes([number]) * 64).decode() for number in (1, 2))


def want(version: str, digest: str | None = None, name: str = "A") -> Wanted:
    return Wanted(PackageIdentity.parse(name, version), digest)


@pytest.mark.parametrize(
    ("mentioned", "expected"),
    [
        ([], []),
        ([want("1.0"), want("1.0.0")], [want("1.0")]),
        ([want("1.0"), want("1.0", ONE)], [want("1.0", ONE)]),
        ([want("1.0", ONE), want("1.0")], [want("1.0", ONE)]),
        ([want("1.0", ONE), want("1.0", ONE, "a")], [want("1.0", ONE)]),
        ([want("1.0", ONE), want("1.0", OTHER)], [want("1.0", ONE), want("1.0", OTHER)]),
        ([want("1.0", ONE), want("2.0")], [want("1.0", ONE), want("2.0")]),
    ],
)
def test_each_identity_once_with_every_hash(mentioned, expected):
    assert distinct(mentioned) == expected
