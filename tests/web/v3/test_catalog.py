"""The catalog over HTTP: what a mirror that follows with a cursor reads."""

from typing import Any

from tests.flows.private_feed import House, opened

INDEX = "/v3/catalog0/index.json"


async def items(house: House) -> list[dict[str, Any]]:
    """Every item of every page, in the order of the pages."""
    index = await house.json(INDEX)
    assert index["count"] == len(index["items"])
    found: list[dict[str, Any]] = []
    for entry in index["items"]:
        page = await house.json(path_of(house, entry["@id"]))
        assert page["count"] == entry["count"] == len(page["items"])
        found += page["items"]
    return found


def path_of(house: House, url: str) -> str:
    base = f"http://127.0.0.1:{house.port}"
    assert url.startswith(base), url
    return url.removeprefix(base)


async def test_an_empty_catalog_has_no_pages(upstream, tmp_path):
    async with opened(tmp_path, upstream) as house:
        assert (await house.json(INDEX))["items"] == []
        assert (await house.get("/v3/catalog0/page0.json")).status == 404


async def test_every_change_is_an_item_immediately_and_in_order(upstream, tmp_path):
    async with opened(tmp_path, upstream) as house:
        acts = [
            ("PUT", "1.0.0"), ("PUT", "2.0.0-Beta"), ("DELETE", "1.0.0"), ("POST", "1.0.0"),
            ("DELETE", "2.0.0-Beta?Type=HardDelete"),
        ]  # fmt: skip
        for method, what in acts:
            before = len(await items(house))
            if method == "PUT":
                await house.push("Contoso.Utils", what)
            else:
                await house.send(method, f"/api/v2/package/Contoso.Utils/{what}")
            assert len(await items(house)) == before + 1
        found = await items(house)
        assert [item["@type"] for item in found] == ["nuget:PackageDetails"] * 4 + ["nuget:PackageDelete"]
        stamps = [item["commitTimeStamp"] for item in found]
        assert stamps == sorted(set(stamps))
        assert (await house.json(INDEX))["commitTimeStamp"] == stamps[-1]
        leaves = [await house.json(path_of(house, item["@id"])) for item in found]
        assert [leaf.get("listed") for leaf in leaves[:4]] == [True, True, False, True]
        assert {leaf["id"] for leaf in leaves} == {"Contoso.Utils"}
        # A leaf never changes: it describes the version at its time.
        assert leaves[0]["@id"] != leaves[2]["@id"]


async def test_a_change_without_effect_is_not_an_item(upstream, tmp_path):
    async with opened(tmp_path, upstream) as house:
        await house.push()
        await house.push()
        await house.send("POST", "/api/v2/package/Contoso.Utils/1.0.0")
        await house.send("DELETE", "/api/v2/package/Contoso.Utils/9.0.0")
        assert len(await items(house)) == 1


async def test_missing_documents(upstream, tmp_path):
    async with opened(tmp_path, upstream) as house:
        await house.push()
        (item,) = await items(house)
        leaf = path_of(house, item["@id"])
        assert (await house.get(leaf)).status == 200
        assert (await house.get(leaf.upper().replace("/V3/CATALOG0/DATA", "/v3/catalog0/data"))).status in (200, 404)
        stamp = leaf.split("/")[-2]
        for path in (
            "/v3/catalog0/page1.json", "/v3/catalog0/page00.json", "/v3/catalog0/page-1.json", "/v3/catalog0/x.json",
            "/v3/catalog0/page99999999999.json", "/v3/catalog0/index.xml", leaf.replace("utils", "other"),
            leaf.replace("1.0.0", "2.0.0"), leaf.replace(stamp, "2020.01.01.00.00.00.0000000"),
            leaf.replace(stamp, "now"), leaf.replace(stamp, "9999.99.99.99.99.99.9999999"),
        ):  # fmt: skip
            assert (await house.get(path)).status == 404, path


async def test_names_the_catalog_in_the_service_index(upstream, tmp_path):
    async with opened(tmp_path, upstream) as house:
        resources = (await house.json("/v3/index.json"))["resources"]
        (url,) = (each["@id"] for each in resources if each["@type"] == "Catalog/3.0.0")
        assert path_of(house, url) == INDEX
