"""How far an export or an import of a bundle is."""

from nugetproxy.cli.display import Display


class BundleProgress:
    """Counts the steps and shows them. `what` is said of the content that passes: "Exporting", for example."""

    def __init__(self, display: Display, what: str) -> None:
        self._display = display
        self._what = what
        self._bytes = self._packages = 0

    def advanced(self, size: int, total: int) -> None:
        """So many bytes of content have passed, of this total."""
        self._bytes += size
        self._display.show(
            lambda: f"{self._what}: {self._bytes / 1e6:,.1f} of {total / 1e6:,.1f} MB", self._bytes, total
        )

    def placed(self, count: int, total: int) -> None:
        """So many packages have been put in place, of this total."""
        self._packages += count
        self._display.show(lambda: f"Putting in place: {self._packages:,} of {total:,} packages", self._packages, total)
