"""Exports that are killed: a process that loads everything once, and forks one export for each line that it reads.

Arguments: the data directory, where to write, and the size of volumes (0: one file). A line has the seconds after which
the export is killed, or is empty. The answer is how it ended: 0 if it is complete.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from nugetproxy.mirroring.bundle.target import files
from nugetproxy.runtime.exporting import EVERYTHING, Export
from tests.mirroring.bundle.bundles import key_of
from tests.mirroring.bundle.shelf import Shelf


async def export(data: Path, to: Path, volume_size: int) -> None:
    async with Export(Shelf(data).config()) as opened:
        with files(to, volume_size or None, is_private=False) as target:
            await opened.write(EVERYTHING, key_of("kills"), target)


def main(data: str, to: str, volume_size: str) -> None:
    for line in sys.stdin:
        process = os.fork()
        if not process:
            try:
                asyncio.run(export(Path(data), Path(to), int(volume_size)))
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        if line.strip():
            time.sleep(float(line))
            os.kill(process, signal.SIGKILL)  # if it has ended, it is still ours: nobody has waited for it
        print(os.waitpid(process, 0)[1], flush=True)


main(*sys.argv[1:])
