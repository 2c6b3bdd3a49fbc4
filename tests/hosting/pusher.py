"""A process that pushes, to be killed: `python -m tests.hosting.pusher DIRECTORY NAME TOLD`.

For each version reported as published it immediately writes one line to the file TOLD. The content is derived from the
version, so the test can tell later which bytes belong to it.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from tests.builders import make_nupkg
from tests.hosting.house import House

PAYLOAD = 20_000


def package_of(name: str, number: int) -> bytes:
    return make_nupkg("Contoso.Killed", f"{number}.0.0-{name}", payload=f"{name} {number} ".encode() * (PAYLOAD // 10))


async def push_for_ever(directory: Path, name: str, told: Path) -> None:
    house = House(directory)
    actor = await house.actor()
    descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in itertools.count(1):
        pushed = await house.publish.push(actor, house.spool(package_of(name, number)), address="")
        os.write(descriptor, f"{pushed.identity.lower_version}\n".encode())


if __name__ == "__main__":
    asyncio.run(push_for_ever(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
