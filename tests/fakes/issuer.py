"""An issuer of identity tokens over TLS on loopback: discovery, published keys, and tokens as CI platforms sign them.

Written without our own readers. What a token says is up to the test, also when no honest issuer would say it.
"""

import base64
import hashlib
import hmac
import json
import ssl
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from tests.certificates import PrivateCA

AUDIENCE = "https://nuget.test"

GITHUB = {
    "repository": "Contoso/sdk",
    "repository_id": "74",
    "repository_owner": "Contoso",
    "repository_owner_id": "65",
    "job_workflow_ref": "Contoso/sdk/.github/workflows/release.yml@refs/heads/main",
    "ref": "refs/heads/main",
    "event_name": "push",
    "environment": "production",
    "run_id": "1001",
    "sub": "repo:Contoso/sdk:environment:production",
}
GITLAB = {
    "namespace_id": "72",
    "namespace_path": "contoso/libraries",
    "project_id": "20",
    "project_path": "contoso/libraries/sdk",
    "ref": "v1.0.0",
    "ref_type": "tag",
    "pipeline_source": "push",
    "pipeline_id": "574",
    "sub": "project_path:contoso/libraries/sdk:ref_type:tag:ref:v1.0.0",
}


def rsa_key(kid: str, bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits, {"kid": kid})


def ec_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


def public(key: RSAKey | ECKey, **more: str) -> dict[str, Any]:
    return {**key.as_dict(private=False), "use": "sig", **more}


def claims_of(issuer: str, origin: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """Claims that are valid for five minutes; a claim changed to None is left out."""
    now = int(time.time())
    times = {"iat": now, "nbf": now - 10, "exp": now + 300}
    whole = {"iss": issuer, "aud": AUDIENCE, "jti": uuid.uuid4().hex, **times, **origin, **changed}
    return {name: value for name, value in whole.items() if value is not None}


def signed(claims: Mapping[str, Any] | bytes, key: Any, *, alg: str = "RS256", **header: Any) -> str:
    """`header` with None leaves out `kid`."""
    whole = {"alg": alg, "typ": "JWT", "kid": getattr(key, "kid", None), **header}
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    given = {name: value for name, value in whole.items() if value is not None}
    return jws.serialize_compact(given, payload, key, algorithms=[alg])


def unsigned(claims: Mapping[str, Any], signature: str = "", **header: Any) -> str:
    """Parts as they are given, with nothing that proves them."""
    return ".".join([_part(header), _part(claims), signature])


def signed_with_public_key(claims: Mapping[str, Any], key: RSAKey) -> str:
    """HS256 with the public key as the secret: accepted where the algorithm of the header is believed."""
    text = unsigned(claims, alg="HS256", kid=key.kid)
    digest = hmac.digest(key.as_pem(private=False), text.rstrip(".").encode(), hashlib.sha256)
    return text + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class FakeIssuer:
    """`async with FakeIssuer(folder) as issuer`. `asked` are the paths that were requested; `down` fails them."""

    def __init__(self, folder: Path) -> None:
        ca = PrivateCA(folder)
        self.ca_file = ca.file
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(*ca.issue())
        self.key: RSAKey | ECKey = rsa_key("first")
        self.published: list[dict[str, Any]] = [public(self.key)]
        self.asked: list[str] = []
        self.down = False
        self.configuration: dict[str, Any] = {}
        self.url = ""

    async def __aenter__(self) -> "FakeIssuer":
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"https://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ConnectionError):
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if self.down:
            return web.Response(status=500)
        if request.path == "/.well-known/openid-configuration":
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **self.configuration})
        if request.path == "/jwks":
            return web.json_response({"keys": self.published})
        return web.Response(status=404)

    def token(self, origin: Mapping[str, Any] = GITHUB, **changed: Any) -> str:
        return signed(claims_of(self.url, origin, **changed), self.key)
