"""What an old package must be like: remarks where a push is refused, refusals where clients could not read it."""

import io

import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.hosting.moving_in.rules import check_import
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.push_rules import PushLimits, check_push
from tests.builders import make_nupkg, make_nuspec

DEEP = b"\0" * 80_000_000


def checked(package: bytes) -> tuple[str, ...]:
    return check_import(Nupkg(io.BytesIO(package)))


@pytest.mark.parametrize(
    ("package", "remark"),
    [
        (make_nupkg(nuspec=make_nuspec(description="", authors="")), "its nuspec has no authors"),
        (make_nupkg(nuspec=make_nuspec(more="<projectUrl>www.contoso.com</projectUrl>")), "is not an absolute http"),
        (make_nupkg(nuspec=make_nuspec(icon="missing.png")), "but the package has no such file"),
        (make_nupkg(dependencies=[("Serilog", "1.*")]), "floating version"),
        (make_nupkg(dependencies=[("Serilog", "1.0"), ("serilog", "2.0")]), "twice"),
        (make_nupkg(nuspec=make_nuspec(license_expression="Free!")), "not an SPDX expression"),
        (make_nupkg(nuspec=make_nuspec("Contoso.Größe")), "non-ASCII"),
    ],
)
def test_what_a_push_refuses_is_a_remark(package, remark):
    with pytest.raises(InvalidPackage):
        check_push(Nupkg(io.BytesIO(package)))
    assert any(remark in each for each in checked(package)), checked(package)


@pytest.mark.parametrize(
    ("package", "why"),
    [
        (make_nupkg(files={"../evil.txt": b""}), "leads out of the package"),
        (make_nupkg(files={"lib\\a.dll": b""}), "backslash"),
        (make_nupkg(nuspec=make_nuspec(package_types=["SymbolsPackage"])), "symbols package"),
        (make_nupkg(nuspec=make_nuspec(more="<id>Other</id>")), "only one is allowed"),
        (make_nupkg(dependencies=[("not an id", "1.0")]), "dependency without a valid id"),
        (make_nupkg(nuspec=make_nuspec(more="<!-- -->").replace(b"<metadata>", b'<metadata minClientVersion="x">')),
         "minClientVersion"),
        (make_nupkg(dependencies=[(f"Contoso.{'x' * 80}{number}", "1.0") for number in range(2_000)]), "too long"),
        (make_nupkg(files={"zeros": DEEP}), "archive bombs"),
    ],
)  # fmt: skip
def test_what_clients_could_not_read_is_refused(package, why):
    with pytest.raises(InvalidPackage, match=why):
        checked(package)


def test_a_package_with_nothing_to_remark():
    assert checked(make_nupkg(readme="# Hello")) == ()


def test_the_limits_are_those_of_the_settings():
    package = Nupkg(io.BytesIO(make_nupkg(files={"zeros": bytes(100_000)})))
    with pytest.raises(InvalidPackage, match="archive bombs"):
        check_import(package, PushLimits(max_ratio=2, ratio_free_size=10))
