"""Requests that push, as bytes."""

from tests.builders import make_nupkg
from tests.flows.private_feed import PUSH, House, head

PACKAGE = make_nupkg("Contoso.Utils", "1.0.0", payload=b"bytes \r\n--almost a boundary\r\n" * 2000)


def request(house: House, headers: dict[str, str], body: bytes, *, path: str = PUSH, key: str | None = None) -> bytes:
    key = house.key if key is None else key
    whose = {"X-NuGet-ApiKey": key} if key else {}
    return head("PUT", path, {"Host": f"127.0.0.1:{house.port}", **whose, **headers}) + body
