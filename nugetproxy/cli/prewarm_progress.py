"""How far a prewarm is: a bar on a terminal, a line every few seconds elsewhere."""

import math
import time
from typing import Any, Final

import click

_EVERY_SECONDS: Final = 10.0


class Progress:
    """Plain lines on standard error; with `silent`, only those about pauses."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._last = time.monotonic()
        self._asked = self._done = self._total = self._bytes = 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, total: int) -> None:
        """Resolving has ended; there are `total` packages and ids to fetch."""
        self._total = total

    def asked(self, _what: str) -> None:
        self._asked += 1
        self._show()

    def advanced(self, _what: str) -> None:
        self._done += 1
        self._show()

    def received(self, size: int) -> None:
        self._bytes += size
        self._show()

    def resting(self, seconds: float, why: str) -> None:
        self._line(f"Waiting {math.ceil(seconds)} s: {why}")

    def _text(self) -> str:
        if not self._total:
            return f"Resolving: {self._asked} answers, {self._bytes / 1e6:.1f} MB"
        left = self._total - self._done
        return f"Fetching: {self._done} of {self._total}, {self._bytes / 1e6:.1f} MB, {left} left"

    def _show(self) -> None:
        if not self._silent and time.monotonic() - self._last >= _EVERY_SECONDS:
            self._last = time.monotonic()
            self._line(self._text())

    def _line(self, text: str) -> None:
        click.echo(text, err=True)


class TerminalProgress(Progress):
    """A bar on the console of a terminal."""

    def __init__(self, console: Any) -> None:
        super().__init__()
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
        self._bars = Bars(*columns, console=console)
        self._task = self._bars.add_task("Resolving", total=None)

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def _show(self) -> None:
        self._bars.update(self._task, description=self._text(), total=self._total or None, completed=self._done)

    def _line(self, text: str) -> None:
        self._bars.console.print(text, highlight=False, markup=False, soft_wrap=True)


def progress_for(*, as_json: bool) -> Progress:
    """On a terminal a bar; elsewhere lines, or nothing for scripts."""
    from rich.console import Console

    console = Console(stderr=True)
    return TerminalProgress(console) if console.is_terminal else Progress(silent=as_json)
