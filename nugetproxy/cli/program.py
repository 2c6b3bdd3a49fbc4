"""How this program was started: the command that hints show, so that people can type it."""

import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

NAME: Final = "nugetproxy"


def program(
    argv: Sequence[str] | None = None,
    orig_argv: Sequence[str] | None = None,
    which: Callable[[str], str | None] = shutil.which,
) -> str:
    """`nugetproxy` if a shell finds this very program under that name; else as it was typed, quoted for a shell.

    The arguments are `sys.argv`, `sys.orig_argv` and `shutil.which`, except in tests.
    """
    typed = (argv or sys.argv)[0]
    if Path(typed).name == "__main__.py":
        return shlex.join([(orig_argv or sys.orig_argv)[0], "-m", NAME])
    if Path(typed).name != NAME:
        return NAME  # another program that runs our commands: its users know how
    found = which(NAME)
    return NAME if found is not None and _is_same(found, typed) else shlex.quote(typed)


def _is_same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
