"""The lane never keeps an answer longer than it is valid. With a real process, because only that has the lane."""

import asyncio
import json
from pathlib import Path

from tests.fakes.upstream import FakeUpstream
from tests.serving import Server

LIST = "/v3/flatcontainer/contoso.utils/index.json"


async def test_a_list_that_is_proved_old_is_not_hot_any_more(tmp_path: Path) -> None:
    """
    A version is downloaded that the hot list lacks: the next request for the list shows it, although the list was
    fresh.
    """
    async with FakeUpstream() as upstream:
        upstream.add_package("Contoso.Utils", "1.0.0")
        with Server(tmp_path / "data", upstream=upstream.url) as server:
            for _ in range(3):
                assert json.loads(await asyncio.to_thread(server.get, LIST)) == {"versions": ["1.0.0"]}
            upstream.add_package("Contoso.Utils", "2.0.0")
            newer = "/v3/flatcontainer/contoso.utils/2.0.0/contoso.utils.2.0.0.nupkg"
            await asyncio.to_thread(server.get, newer)

            seen: list[str] = []
            for _ in range(50):
                seen = json.loads(await asyncio.to_thread(server.get, LIST))["versions"]
                if len(seen) == 2:
                    break
                await asyncio.sleep(0.02)
            assert seen == ["1.0.0", "2.0.0"]
