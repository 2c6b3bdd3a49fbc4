"""Jobs for other processes, in a module that loads quickly."""

import os
import signal
import sys
import time
from pathlib import Path

from nugetproxy.errors import TooLarge


def where() -> tuple[int, int]:
    return os.getpid(), os.nice(0)


def refuse(what: str) -> None:
    raise TooLarge(what, 5)


def fail() -> None:
    raise ZeroDivisionError("by nothing")


def wait_for(path: Path) -> int:
    while not path.exists():
        time.sleep(0.005)
    return os.getpid()


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def ignore(signum: int) -> str:
    os.kill(os.getpid(), signum)
    return "still there"


def imported() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}
