"""The upstream: a V3 feed that generates its answers from the seed.

`python -m benchmarks.day.upstream PORT WORLD`. Its paths are ours, so that nginx in front of it
answers the same addresses as we do.
"""

import asyncio
import hashlib
import json
import sys

from aiohttp import web

from benchmarks.day.world import World

_TYPES = (
    ("PackageBaseAddress/3.0.0", "/v3/flatcontainer/"),
    ("RegistrationsBaseUrl", "/v3/registration/"),
    ("RegistrationsBaseUrl/3.4.0", "/v3/registration-gz/"),
    ("RegistrationsBaseUrl/3.6.0", "/v3/registration-gz-semver2/"),
    ("SearchQueryService/3.5.0", "/v3/query"),
    ("SearchAutocompleteService/3.5.0", "/v3/autocomplete"),
    ("VulnerabilityInfo/6.7.0", "/v3/vulnerabilities/index.json"),
)


async def serve(port: int, world: World) -> None:
    base = f"http://127.0.0.1:{port}"
    kept = {(package.lower_id, package.version): package for package in world.on_disk}

    def answer(body: bytes, **headers: str) -> web.Response:
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        return web.Response(body=body, headers={"Content-Type": "application/json", "ETag": tag, **headers})

    async def index(_: web.Request) -> web.Response:
        resources = [{"@id": base + path, "@type": name} for name, path in _TYPES]
        return answer(json.dumps({"version": "3.0.0", "resources": resources}).encode())

    async def versions(request: web.Request) -> web.Response:
        lower_id = request.match_info["id"]
        return answer(world.versions_list(lower_id)) if lower_id in world.rank_of else web.Response(status=404)

    async def registration(request: web.Request) -> web.Response:
        lower_id = request.match_info["id"]
        if lower_id not in world.rank_of:
            return web.Response(status=404)
        return answer(world.registration(lower_id, base), **{"Content-Encoding": "gzip"})

    async def nupkg(request: web.Request) -> web.Response:
        package = kept.get((request.match_info["id"], request.match_info["version"]))
        if package is None:
            return web.Response(status=404)
        body = await asyncio.to_thread(world.nupkg, package)
        return answer(body, **{"Content-Type": "application/octet-stream"})

    async def search(request: web.Request) -> web.Response:
        word = request.query.get("q", "")
        found = [name for name in world.names[:2000] if word in name][:20]
        hits = [
            {"id": name, "version": "1.0.0", "versions": [{"version": "1.0.0", "downloads": 1, "@id": base}]}
            for name in found
        ]
        return answer(json.dumps({"totalHits": len(hits), "data": hits}).encode())

    async def vulnerabilities(_: web.Request) -> web.Response:
        page = {"@name": "base", "@id": f"{base}/v3/vulnerabilities/base.json", "@updated": "2026-11-01T00:00:00Z"}
        return answer(json.dumps([page]).encode())

    async def vulnerable(_: web.Request) -> web.Response:
        advisories = {
            name: [{"severity": 2, "url": "https://example.com/advisory", "versions": "(, 1.0.0)"}]
            for name in world.names[:1500]
        }
        return answer(json.dumps(advisories).encode())

    application = web.Application()
    application.router.add_get("/v3/index.json", index)
    application.router.add_get("/v3/flatcontainer/{id}/index.json", versions)
    application.router.add_get("/v3/flatcontainer/{id}/{version}/{file}.nupkg", nupkg)
    application.router.add_get("/v3/{hive:registration[a-z0-9-]*}/{id}/index.json", registration)
    application.router.add_get("/v3/query", search)
    application.router.add_get("/v3/vulnerabilities/index.json", vulnerabilities)
    application.router.add_get("/v3/vulnerabilities/base.json", vulnerable)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), World(*map(int, sys.argv[2].split("-")))))
