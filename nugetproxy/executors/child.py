"""The child side of `executors.processes`: runs one job after the other until its parent is gone.

`python -m nugetproxy.executors.child FD NICENESS`. A job is a pickled (function, arguments, keywords), an answer a
pickled (failure, value); each is preceded by eight bytes with its length. Both ends are our own code.
"""

import os
import pickle
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any, BinaryIO, Final

from nugetproxy.errors import NugetproxyError

HEAD: Final = 8
"""Bytes of a length, big-endian."""


def main() -> None:
    line = socket.socket(fileno=int(sys.argv[1]))
    niceness = int(sys.argv[2])
    # A service manager or a terminal signals all processes together; an accepted push must still be finished.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
    # A parent that is killed resets the connection; that is no error of ours.
    with suppress(ConnectionError), line, line.makefile("rb") as jobs, line.makefile("wb") as answers:
        while (job := _read(jobs)) is not None:
            answer = pickle.dumps(_done(job, niceness), pickle.HIGHEST_PROTOCOL)
            niceness = 0  # the argument is an increment
            answers.write(len(answer).to_bytes(HEAD, "big") + answer)
            answers.flush()


def _read(jobs: BinaryIO) -> bytes | None:
    head = jobs.read(HEAD)
    return jobs.read(int.from_bytes(head, "big")) if len(head) == HEAD else None


def _done(job: bytes, niceness: int) -> tuple[Exception | str | None, Any]:
    """An exception of `errors` is returned as it is, any other as the text of its traceback."""
    try:
        work, args, kwargs = pickle.loads(job)  # noqa: S301 - from our parent
        os.nice(niceness)  # not before the modules are loaded, because somebody is waiting for that
        return None, work(*args, **kwargs)
    except NugetproxyError as error:
        return error, None
    except Exception:  # noqa: BLE001 - whatever it was, the parent raises it
        return traceback.format_exc(), None


if __name__ == "__main__":
    main()
