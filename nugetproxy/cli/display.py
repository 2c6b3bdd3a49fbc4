"""How far a long command is: a bar on a terminal, a line every few seconds elsewhere.

What is counted, and in which words, is up to the commands.
"""

import sys
import time
from collections.abc import Callable
from typing import Final, Self

import click

_LINE_SECONDS: Final = 10.0
# A bar that is redrawn more often looks the same.
_BAR_SECONDS: Final = 0.1


class Display:
    """Plain lines on standard error. With `silent`, only those of `line`. Any one thread at a time may call it."""

    seconds = _LINE_SECONDS

    def __init__(self, *, silent: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._silent = silent
        self._clock = clock
        self._next = clock() + self.seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""

    def show(self, text: Callable[[], str], done: int, total: int) -> None:
        """Call this after each step: `text` is called only if it is shown. `total` is 0 while it is not known."""
        if not self._silent and (now := self._clock()) >= self._next:
            self._next = now + self.seconds
            self._draw(text(), done, total)

    def line(self, text: str) -> None:
        """Show a line that stays."""
        click.echo(text, err=True)

    def _draw(self, text: str, _done: int, _total: int) -> None:
        self.line(text)


class TerminalDisplay(Display):
    """A bar on a terminal, which disappears at the end."""

    seconds = _BAR_SECONDS

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar = self._bars.add_task("", total=None)
        self._next = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def line(self, text: str) -> None:
        self._bars.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _draw(self, text: str, done: int, total: int) -> None:
        self._bars.update(self._bar, description=text, total=total or None, completed=done)


def display_for(*, silent: bool) -> Display:
    """On a terminal a bar; elsewhere lines, or nothing if `silent`. Only the bar loads its library."""
    return TerminalDisplay() if sys.stderr.isatty() else Display(silent=silent)
