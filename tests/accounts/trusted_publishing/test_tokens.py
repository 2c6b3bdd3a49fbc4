"""What makes a token believable: its form, its signature, its audience and its times."""

import json

import pytest

from nugetproxy.accounts.trusted_publishing.tokens import ends_at, read_token, verified
from nugetproxy.errors import TokenRefused
from tests.accounts.places import NOON
from tests.fakes.issuer import (
    AUDIENCE,
    ec_key,
    public,
    rsa_key,
    signed,
    signed_with_public_key,
    unsigned,
)

AT = NOON // 1_000_000
ISSUER = "https://issuer.test"
KEY, OTHER, CURVE = rsa_key("one"), rsa_key("two"), ec_key("curve")
KEYS = [public(KEY, alg="RS256"), public(OTHER), public(CURVE)]
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "exp": AT + 300, "nbf": AT, "iat": AT, "jti": "1", "sub": "x"}


def checked(text: str, keys=None, audiences=(AUDIENCE,), now: int = NOON):
    return verified(read_token(text), KEYS if keys is None else keys, audiences, now)


@pytest.mark.parametrize(
    "token",
    [
        signed(CLAIMS, KEY),
        signed(CLAIMS, OTHER, alg="PS512"),
        signed(CLAIMS, CURVE, alg="ES256"),
        signed(CLAIMS, KEY, typ=None),
        signed({**CLAIMS, "exp": AT - 59}, KEY),
        signed({**CLAIMS, "nbf": AT + 59, "iat": AT + 59}, KEY),
        signed({**CLAIMS, "aud": [AUDIENCE]}, KEY),
        signed({**CLAIMS, "exp": AT + 300.5, "nbf": None, "iat": None}, KEY),
    ],
)
def test_accepted(token):
    assert checked(token)["sub"] == "x"


def test_a_key_need_not_be_named_if_there_is_one():
    assert checked(signed(CLAIMS, KEY, kid=None), keys=[public(KEY)])["sub"] == "x"
    with pytest.raises(TokenRefused, match="publishes 2 keys"):
        checked(signed(CLAIMS, KEY, kid=None), keys=[public(KEY), public(OTHER)])


def test_it_ends_with_its_leeway():
    assert ends_at(CLAIMS) == (AT + 360) * 1_000_000


HEAD = {"alg": "RS256", "typ": "JWT", "kid": "one"}
_, PAYLOAD, SIGNATURE = signed(CLAIMS, KEY).split(".")
REFUSED = [
    ("", "not a JSON Web Token"),
    ("x.y", "not a JSON Web Token"),
    ("a.b.c", "not a JSON Web Token"),
    ("e30.e30.x", "algorithm ''"),
    ("W10.W10.x", "not a JSON object"),
    ("." * 3, "not a JSON Web Token"),
    ("x" * 20_000, "not a JSON Web Token"),
    (signed(CLAIMS, KEY) + "\n", "not a JSON Web Token"),
    (unsigned(CLAIMS, alg="none"), "algorithm 'none'"),
    (unsigned(CLAIMS, alg="None", kid="one"), "algorithm 'None'"),
    (unsigned(CLAIMS, **HEAD), "signature is wrong"),
    (unsigned(CLAIMS, SIGNATURE[:-8] + "AAAAAAAA", **HEAD), "signature is wrong"),
    (unsigned({**CLAIMS, "sub": "y"}, SIGNATURE, **HEAD), "signature is wrong"),
    (signed_with_public_key(CLAIMS, KEY), "algorithm 'HS256'"),
    (unsigned(CLAIMS, "x", alg="HS256", kid="one"), "algorithm 'HS256'"),
    (unsigned(CLAIMS, "x", alg=["RS256"]), "algorithm ''"),
    (signed(CLAIMS, OTHER, kid="one"), "signature is wrong"),
    (signed(CLAIMS, KEY, kid="three"), "publishes no key 'three'"),
    (signed(CLAIMS, CURVE, alg="ES256", kid="one"), "no keys that fit"),
    (signed(CLAIMS, KEY, alg="RS512"), "no keys that fit"),
    (unsigned(CLAIMS, "x", **HEAD, crit=["exp"]), "critical extension"),
    (signed(CLAIMS, KEY, typ="at+jwt"), "type"),
    (signed({**CLAIMS, "iss": None}, KEY), "no claim 'iss'"),
    (signed({**CLAIMS, "aud": "https://www.nuget.org"}, KEY), "audience is 'https://www.nuget.org'"),
    (signed({**CLAIMS, "aud": [AUDIENCE, "https://other.test"]}, KEY), "audience"),
    (signed({**CLAIMS, "aud": []}, KEY), "audience"),
    (signed({**CLAIMS, "aud": None}, KEY), "audience"),
    (signed({**CLAIMS, "aud": {AUDIENCE: 1}}, KEY), "audience"),
    (signed({**CLAIMS, "exp": AT - 60}, KEY), "has expired"),
    (signed({**CLAIMS, "exp": None}, KEY), "no claim 'exp'"),
    (signed({**CLAIMS, "exp": str(AT + 300)}, KEY), "'exp' is not a time"),
    (signed({**CLAIMS, "exp": True}, KEY), "'exp' is not a time"),
    (signed({**CLAIMS, "nbf": AT + 61}, KEY), "not valid yet"),
    (signed({**CLAIMS, "iat": AT + 61}, KEY), "not valid yet"),
    (signed({**CLAIMS, "jti": None}, KEY), "no claim 'jti'"),
    (signed({**CLAIMS, "jti": ""}, KEY), "no claim 'jti'"),
    (signed({**CLAIMS, "jti": "x" * 256}, KEY), "no claim 'jti'"),
    (signed({**CLAIMS, "jti": 7}, KEY), "no claim 'jti'"),
    (signed(b"[]", KEY), "not a JSON object"),
    (signed(b"{", KEY), "not JSON"),
]


@pytest.mark.parametrize(("token", "why"), REFUSED, ids=range(len(REFUSED)))
def test_refused(token, why):
    with pytest.raises(TokenRefused, match=why) as refused:
        checked(token)
    assert str(refused.value).isprintable()


def test_without_an_audience_of_ours_nothing_is_accepted():
    """A token's own word about its audience is never believed, nor that of the request's Host."""
    with pytest.raises(TokenRefused, match="no audience"):
        checked(signed(CLAIMS, KEY), audiences=())


@pytest.mark.parametrize(
    "changed",
    [{"use": "enc"}, {"alg": "RS384"}, {"kty": "EC"}, {"n": "AQAB"}, {"n": None}, {"e": "*"}, {"kty": None}],
)
def test_a_published_key_that_does_not_fit_is_not_used(changed):
    with pytest.raises(TokenRefused):
        checked(signed(CLAIMS, KEY), keys=[{**public(KEY), **changed}])


def test_private_parts_that_an_issuer_published_by_mistake_change_nothing():
    assert checked(signed(CLAIMS, KEY), keys=[json.loads(json.dumps({**KEY.as_dict(private=True), "kid": "one"}))])
