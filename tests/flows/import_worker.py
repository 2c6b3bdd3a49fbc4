"""Imports bundles in processes of their own, one after another, which the test kills: `import_worker.py KEY.pub`.

It reads lines of a data directory and a bundle. It answers with the process id when an import begins, and with how it
ended. Each is forked from here, because starting an interpreter takes longer than an import.
"""

import asyncio
import os
import sys
import traceback
from pathlib import Path

from nugetproxy import logs
from nugetproxy.cli.bundle_import import import_file
from nugetproxy.config import load
from nugetproxy.mirroring.bundle.importing import Options
from nugetproxy.mirroring.bundle.signature import PublicKey


def main(key: str) -> None:
    logs.set_up("plain", "error")
    trusted = [PublicKey.read(Path(key))]
    for line in sys.stdin:
        data, bundle = line.split()
        child = os.fork()
        if child == 0:
            try:
                config = load(None, {}, {"storage.path": data, "storage.reserve": 0})
                asyncio.run(import_file(config, Path(bundle), trusted, Options()))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
