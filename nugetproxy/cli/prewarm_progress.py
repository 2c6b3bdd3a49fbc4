"""How far a prewarm is."""

import math

from nugetproxy.cli.display import Display


class Progress:
    """Counts the steps of a prewarm and shows them."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._asked = self._done = self._total = self._bytes = 0

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
        self._display.line(f"Waiting {math.ceil(seconds)} s: {why}")

    def _text(self) -> str:
        if not self._total:
            return f"Resolving: {self._asked} answers, {self._bytes / 1e6:.1f} MB"
        left = self._total - self._done
        return f"Fetching: {self._done} of {self._total}, {self._bytes / 1e6:.1f} MB, {left} left"

    def _show(self) -> None:
        self._display.show(self._text, self._done, self._total)
