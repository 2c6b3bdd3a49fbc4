"""Signed identity tokens (JWT, RFC 7519): read, and verified with the keys that their issuer publishes. Pure.

What the claims mean is decided in `claims`. The library that checks signatures is loaded at the first token.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from nugetproxy.accounts.model import SECOND
from nugetproxy.accounts.trusted_publishing.claims import Claims, shown, text_of
from nugetproxy.errors import TokenRefused

Jwk = Mapping[str, Any]

LONGEST_TOKEN: Final = 8192
LEEWAY: Final = 60
"""Seconds by which the clocks of an issuer and of this server may differ."""

_LONGEST_ID: Final = 255
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
# By algorithm: the type of its keys, and for elliptic curves the curve (RFC 7518, RFC 8037). No algorithm with a shared
# secret: an issuer publishes its keys, so anybody could sign with them.
_ALGORITHMS: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", "")),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
_SHORTEST_MODULUS: Final = 256  # bytes: RSA with 2048 bits


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token as it was sent. Nothing in it can be believed yet; `issuer` says whose keys to try."""

    text: str
    algorithm: str
    key_id: str
    issuer: str


def read_token(text: str) -> UnverifiedToken:
    """Raises TokenRefused for what is not a signed token, or is signed in a way that is not accepted."""
    if len(text) > LONGEST_TOKEN or not _FORM.fullmatch(text):
        raise TokenRefused("the bearer token is not a JSON Web Token (three parts, separated by dots)")
    header, payload = (_object(part) for part in text.split(".")[:2])
    algorithm = text_of(header, "alg")
    if algorithm not in _ALGORITHMS:
        raise TokenRefused(f"the token's algorithm {shown(algorithm)} is not accepted: use {', '.join(_ALGORITHMS)}")
    if "crit" in header or text_of(header, "typ").upper() not in ("", "JWT"):
        raise TokenRefused("the token's header has a type or a critical extension that is not accepted")
    issuer = payload.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise TokenRefused("the token has no claim 'iss'")
    return UnverifiedToken(text, algorithm, text_of(header, "kid"), issuer)


def verified(token: UnverifiedToken, keys: Sequence[Jwk], audiences: Sequence[str], now: int) -> Claims:
    """The claims of a token that is signed with one of its issuer's keys, meant for us, and valid at `now`
    (unix microseconds).

    Raises TokenRefused.
    """
    claims = _signed(token, _key_for(token, keys))
    if claims.get("iss") != token.issuer:
        raise TokenRefused("the token's signature is wrong")  # impossible, unless it is read in two ways
    _check_audience(claims, audiences)
    seconds = now / SECOND
    expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise TokenRefused("the token has no claim 'exp': it would never expire")
    if seconds >= expires + LEEWAY:
        raise TokenRefused("the token has expired: request a new one, just before it is used")
    if max(begins or 0, issued or 0) > seconds + LEEWAY:
        raise TokenRefused("the token is not valid yet: check the clocks of the issuer and of this server")
    identifier = claims.get("jti")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= _LONGEST_ID:
        raise TokenRefused("the token has no claim 'jti' of 1 to 255 characters: it could be used twice")
    return claims


def ends_at(claims: Claims) -> int:
    """When a verified token cannot be used any more, in unix microseconds."""
    return (int(_time(claims, "exp") or 0) + LEEWAY) * SECOND


def _signed(token: UnverifiedToken, key: Jwk) -> dict[str, Any]:
    # Loads cryptography, which takes 40 ms and 8 MB.
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    try:
        public = import_key({name: value for name, value in key.items() if name in _PUBLIC})
        payload = jws.deserialize_compact(token.text, public, algorithms=[token.algorithm]).payload
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise TokenRefused("the token's signature is wrong") from error
    return _parsed(payload or b"")


_PUBLIC: Final = frozenset({"kty", "n", "e", "crv", "x", "y"})


def _key_for(token: UnverifiedToken, keys: Sequence[Jwk]) -> Jwk:
    kind, curve = _ALGORITHMS[token.algorithm]
    named = [key for key in keys if not token.key_id or key.get("kid") == token.key_id]
    if not named:
        raise TokenRefused(f"the issuer {shown(token.issuer)} publishes no key {shown(token.key_id)}")
    suitable = [
        key
        for key in named
        if key.get("kty") == kind
        and (not curve or key.get("crv") == curve)
        and key.get("use") in (None, "sig")
        and key.get("alg") in (None, token.algorithm)
    ]
    if len(suitable) != 1:
        raise TokenRefused(f"the issuer publishes {len(suitable) or 'no'} keys that fit the token: one must be named")
    if kind == "RSA" and len(str(suitable[0].get("n", ""))) * 3 // 4 < _SHORTEST_MODULUS:
        raise TokenRefused("the issuer's key is too short: RSA keys need 2048 bits")
    return suitable[0]


def _check_audience(claims: Claims, audiences: Sequence[str]) -> None:
    """Every audience must be ours: another one could use the token here."""
    named = claims.get("aud")
    listed = named if isinstance(named, list) else [named]
    if not audiences:
        raise TokenRefused("this server has no audience: set trusted_publishing.audiences or server.public_url")
    if not listed or any(each not in audiences for each in listed):
        actual = ", ".join(shown(str(each)) for each in listed[:3])
        raise TokenRefused(f"the token's audience is {actual}; request one for '{audiences[0]}'")


def _time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"the token's claim '{name}' is not a time")
    return value


def _object(part: str) -> dict[str, Any]:
    try:
        return _parsed(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError as error:
        raise TokenRefused("the bearer token is not a JSON Web Token: a part of it is not base64url") from error


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise TokenRefused("the bearer token is not a JSON Web Token: a part of it is not JSON") from error
    if not isinstance(value, dict):
        raise TokenRefused("the bearer token is not a JSON Web Token: a part of it is not a JSON object")
    return value
