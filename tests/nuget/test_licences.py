import random

import pytest

from nugetproxy.nuget.licence_expression import AllOf, AnyOf, Expression, Licence, parse_expression
from nugetproxy.nuget.licences import (
    LicenceList,
    Standing,
    expression_at,
    stated_licence,
    when_allowed,
    when_denied,
    wrong_entry,
)
from nugetproxy.nuget.nupkg import Nupkg
from tests.nuget.test_signature import real_packages

PERMITTED, DENIED, UNKNOWN = Standing

# --- expressions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("MIT", True),
        ("Apache-2.0+", True),
        ("(MIT)", True),
        ("MIT OR Apache-2.0", True),
        ("MIT AND (LGPL-2.1-only OR BSD-3-Clause)", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("(GPL-2.0-only WITH Classpath-exception-2.0) OR MIT", True),
        ("LicenseRef-Contoso", True),
        ("", False),
        ("MIT or Apache-2.0", False),
        ("MIT Apache-2.0", False),
        ("MIT OR", False),
        ("OR MIT", False),
        ("(MIT", False),
        ("MIT)", False),
        ("()", False),
        ("MIT (BSD)", False),
        ("MIT WITH (A)", False),
        ("A WITH B WITH C", False),
        ("MIT, BSD", False),
        ("(" * 200 + "MIT" + ")" * 200, False),
    ],
)
def test_the_syntax(text, is_right):
    assert (parse_expression(text) is not None) is is_right


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("MIT", Licence("MIT")),
        ("GPL-2.0-only WITH Classpath-exception-2.0", Licence("GPL-2.0-only", "Classpath-exception-2.0")),
        ("A OR B AND C", AnyOf((Licence("A"), AllOf((Licence("B"), Licence("C")))))),
        ("(A OR B) AND C WITH D", AllOf((AnyOf((Licence("A"), Licence("B"))), Licence("C", "D")))),
        ("((A))", Licence("A")),
        ("A AND B AND C", AllOf((Licence("A"), Licence("B"), Licence("C")))),
    ],
)
def test_precedence(text, tree):
    assert parse_expression(text) == tree


# --- what a list permits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "denied", "standing"),
    [
        ("MIT", "GPL-3.0-only", PERMITTED),
        ("GPL-3.0-only", "GPL-3.0-only", DENIED),
        ("gpl-3.0-ONLY", "GPL-3.0-only", DENIED),
        ("GPL-3.0", "GPL-3.0-only", DENIED),
        ("GPL-3.0-only", "GPL-3.0", DENIED),
        ("MIT OR GPL-3.0-only", "GPL-3.0-only", PERMITTED),
        ("MIT AND GPL-3.0-only", "GPL-3.0-only", DENIED),
        ("GPL-2.0-only OR GPL-3.0-only", "GPL-2.0-only,GPL-3.0-only", DENIED),
        ("(MIT OR GPL-3.0-only) AND GPL-2.0-only", "GPL-2.0-only", DENIED),
        ("(MIT AND GPL-3.0-only) OR (BSD-3-Clause AND MIT)", "GPL-3.0-only", PERMITTED),
        # A later version is a choice, as far as there is one.
        ("GPL-2.0-or-later", "GPL-2.0-only", PERMITTED),
        ("GPL-2.0-or-later", "GPL-3.0-only", PERMITTED),
        ("GPL-2.0-or-later", "GPL-2.0-only,GPL-3.0-only", DENIED),
        ("GPL-3.0-or-later", "GPL-3.0-only", DENIED),
        ("GPL-3.0+", "GPL-3.0-only", DENIED),
        ("GPL-3.0-only", "GPL-2.0-or-later", DENIED),
        ("GPL-2.0-only", "GPL-3.0-or-later", PERMITTED),
        ("Apache-1.1+", "Apache-1.1", PERMITTED),
        ("Apache-2.0+", "Apache-2.0", DENIED),
        ("MIT+", "MIT", DENIED),
        # Exceptions.
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", DENIED),
        ("GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", PERMITTED),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", DENIED),
        # Globs.
        ("AGPL-3.0-or-later", "*GPL-*", DENIED),
        ("MIT OR AGPL-3.0-only", "*GPL-*", PERMITTED),
        ("LicenseRef-Contoso-EULA", "LicenseRef-*", DENIED),
        # What nobody can judge.
        ("NONE", "GPL-3.0-only", UNKNOWN),
        ("NOASSERTION", "*", UNKNOWN),
        ("LicenseRef-Contoso", "GPL-3.0-only", UNKNOWN),
        ("LicenseRef-Contoso", "LicenseRef-Contoso", DENIED),
        ("GPL-3-only", "GPL-3.0-only", UNKNOWN),
        ("MIT WITH My-exception", "GPL-3.0-only", UNKNOWN),
        ("LicenseRef-Microsoft-DotNet-Library", "GPL-3.0-only", PERMITTED),
        ("LicenseRef-Microsoft-DotNet-Library", "LicenseRef-*", DENIED),
        ("MIT OR LicenseRef-Contoso", "GPL-3.0-only", PERMITTED),
        ("MIT AND LicenseRef-Contoso", "GPL-3.0-only", UNKNOWN),
        ("GPL-3.0-only AND LicenseRef-Contoso", "GPL-3.0-only", DENIED),
        ("GPL-3.0-only OR LicenseRef-Contoso", "GPL-3.0-only", UNKNOWN),
        ("MIT OR", "GPL-3.0-only", UNKNOWN),
        ("", "GPL-3.0-only", UNKNOWN),
    ],
)
def test_denied_licences(expression, denied, standing):
    assert when_denied(stated_licence(expression), LicenceList(tuple(denied.split(",")))) is standing


@pytest.mark.parametrize(
    ("expression", "allowed", "standing"),
    [
        ("MIT", "MIT,Apache-2.0", PERMITTED),
        ("MIT AND Apache-2.0", "MIT,Apache-2.0", PERMITTED),
        ("MIT AND GPL-3.0-only", "MIT", DENIED),
        ("MIT OR GPL-3.0-only", "MIT", PERMITTED),
        ("GPL-2.0-or-later", "GPL-3.0-only", PERMITTED),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", PERMITTED),
        ("GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", DENIED),
        ("LicenseRef-Contoso", "LicenseRef-Contoso", PERMITTED),
        ("Nonsense-1.0", "MIT", DENIED),
        ("NOASSERTION", "MIT", UNKNOWN),
        ("", "MIT", UNKNOWN),
    ],
)
def test_allowed_licences(expression, allowed, standing):
    assert when_allowed(stated_licence(expression), LicenceList(tuple(allowed.split(",")))) is standing


def test_random_expressions_agree_with_trying_every_choice():
    """
    A denied list denies exactly the expressions for which every selection of licences contains a denied one.
    """
    chance = random.Random(11)
    names = ["MIT", "ISC", "Zlib", "Apache-2.0", "BSD-3-Clause"]

    def made(depth: int) -> str:
        if depth == 0 or chance.random() < 0.3:
            return chance.choice(names)
        operator = chance.choice([" AND ", " OR "])
        return "(" + operator.join(made(depth - 1) for _ in range(chance.randrange(2, 4))) + ")"

    def selections(tree: Expression) -> set[frozenset[str]]:
        if isinstance(tree, Licence):
            return {frozenset({tree.name})}
        parts = [selections(part) for part in tree.parts]
        if isinstance(tree, AnyOf):
            return set().union(*parts)
        both = {frozenset[str]()}
        for part in parts:
            both = {one | other for one in both for other in part}
        return both

    for _ in range(300):
        text = made(3)
        tree = parse_expression(text)
        assert tree is not None
        denied = frozenset(chance.sample(names, 2))
        left = any(denied.isdisjoint(selection) for selection in selections(tree))
        standing = when_denied(stated_licence(text), LicenceList(tuple(denied)))
        assert standing is (PERMITTED if left else DENIED), text


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("MIT", ""),
        ("gpl-2.0-ONLY", ""),
        ("Apache-2.0+", ""),
        ("GPL-*", ""),
        ("LicenseRef-*", ""),
        ("LicenseRef-Contoso", ""),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ""),
        ("GPL-3", "not on the SPDX licence list"),
        ("GPL-2.0-only WITH Classpath", "not on the SPDX licence list"),
        ("GPL3-*", "no licence on the SPDX list matches"),
        ("MIT OR ISC", "expected one SPDX licence"),
        ("", "expected one SPDX licence"),
    ],
)
def test_entries_of_a_list_are_checked(entry, why):
    found = wrong_entry(entry)

    assert why in found if why else not found


# --- what a package states ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expression"),
    [
        ("https://licenses.nuget.org/MIT", "MIT"),
        ("https://licenses.nuget.org/MS-PL%20OR%20Apache-2.0", "MS-PL OR Apache-2.0"),
        ("https://licenses.nuget.org/(MIT%20OR%20ISC)", "(MIT OR ISC)"),
        ("https://licenses.nuget.org/", ""),
        ("http://www.apache.org/licenses/LICENSE-2.0.html", "Apache-2.0"),
        ("https://apache.org/licenses/LICENSE-2.0", "Apache-2.0"),
        ("http://opensource.org/licenses/MIT", "MIT"),
        ("http://www.opensource.org/licenses/mit-license.php", "MIT"),
        ("https://opensource.org/license/mit/", "MIT"),
        ("http://opensource.org/licenses/BSD-3-Clause", "BSD-3-Clause"),
        ("https://choosealicense.com/licenses/mit/", "MIT"),
        ("https://spdx.org/licenses/Apache-2.0.html", "Apache-2.0"),
        ("http://www.gnu.org/licenses/gpl-3.0.txt", "GPL-3.0-only"),
        ("https://www.gnu.org/licenses/old-licenses/gpl-2.0-standalone.html", "GPL-2.0-only"),
        ("http://go.microsoft.com/fwlink/?LinkId=329770", "LicenseRef-Microsoft-DotNet-Library"),
        ("https://go.microsoft.com/fwlink/?LinkId=1", ""),
        ("https://github.com/dotnet/corefx/blob/master/LICENSE.TXT", "MIT"),
        ("https://github.com/contoso/thing/blob/master/LICENSE.TXT", ""),
        ("https://opensource.org.evil.example/licenses/MIT", ""),
        ("https://evil.example/opensource.org/licenses/MIT", ""),
        ("https://opensource.org@evil.example/licenses/MIT", ""),
        ("ftp://opensource.org/licenses/MIT", ""),
        ("https://aka.ms/deprecateLicenseUrl", ""),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_addresses_of_licences(url, expression):
    assert expression_at(url) == expression


@pytest.mark.parametrize(
    ("fields", "stated", "why"),
    [
        (("MIT", "", "https://licenses.nuget.org/MIT"), "MIT", ""),
        (("MIT", "", "http://www.gnu.org/licenses/gpl-3.0.txt"), "MIT", ""),
        (("", "LICENSE.md", "https://aka.ms/deprecateLicenseUrl"), "LICENSE.md", "a file of its own"),
        (("", "", "https://contoso.example/eula"), "https://contoso.example/eula", "its licenseUrl is unknown"),
        (
            ("", "", "https://www.nuget.org/packages/A/1.0.0/license"),
            "https://www.nuget.org/packages/A/1.0.0/license",
            "a file",
        ),
        (("", "", "https://aka.ms/deprecateLicenseUrl"), "https://aka.ms/deprecateLicenseUrl", "a file of its own"),
        (("", "", "http://opensource.org/licenses/MIT"), "MIT", ""),
        (("", "", ""), "", "it states no licence"),
        (("MIT OR", "", ""), "MIT OR", "not a readable SPDX expression"),
    ],
)
def test_what_a_package_states(fields, stated, why):
    licence = stated_licence(*fields)

    assert licence.stated == stated
    assert (licence.expression is None) is bool(why)
    assert why in licence.why_unknown


def test_an_address_of_a_licence_file():
    """
    In registrations of nuget.org it is all that there is.
    """
    licence = stated_licence("", "", "https://www.nuget.org/packages/A/1.0.0/license")

    assert licence.why_unknown == "its licence is a file of its own"


def test_few_real_packages_have_unknown_licences():
    """
    Of packages of ten years; those few have a licence file of their own.
    """
    unknown = []
    for path in real_packages():
        with path.open("rb") as file:
            manifest = Nupkg(file).manifest
        stated = stated_licence(manifest.license_expression, manifest.license_file, manifest.license_url)
        if when_denied(stated, LicenceList(("GPL-3.0-only",))) is not PERMITTED:
            unknown.append((path.name, stated.stated))

    assert unknown == [("automapper.17.0.0.nupkg", "LICENSE.md"), ("hangfire.core.1.8.25.nupkg", "LICENSE.md")]


@pytest.mark.parametrize(
    "fields", [("MIT\r\nX: y",), ("", "a\nb"), ("", "", "https://contoso.example/\n" + "x" * 9_000)]
)
def test_what_is_stated_fits_into_a_message(fields):
    licence = stated_licence(*fields)

    assert licence.stated.isprintable()
    assert licence.why_unknown.isprintable()
    assert len(licence.stated) <= 500


def test_hostile_texts_are_bounded():
    for text in ["(" * 100_000, "A OR " * 100_000, "A" * 1_000_000, "(A OR " * 60 + "A" + ")" * 60]:
        assert parse_expression(text) is None
