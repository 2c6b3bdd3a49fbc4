"""A data directory that is filled from a list, and proved."""

import asyncio
from json import loads
from pathlib import Path
from typing import Any

from tests.cli.command_line import CommandLine
from tests.fakes.upstream import FakeUpstream


class Site:
    """A data directory that is filled from a list."""

    def __init__(self, folder: Path, upstream: FakeUpstream) -> None:
        self._folder = folder
        self._upstream = upstream
        self.data = folder / "data"
        self.line = CommandLine(self.data)

    async def run(self, text: str, *arguments: str) -> Any:
        """prewarm"""
        listed = self._folder / "packages.txt"
        listed.write_text(text)
        given = ["prewarm", str(listed), "--upstream", self._upstream.url, *arguments]
        return await asyncio.to_thread(self.line.run, *given)

    async def prove(self, *arguments: str) -> tuple[int, Any]:
        """The exit code and the result."""
        ended = await asyncio.to_thread(self.line.run, "prove", *arguments, "--json")
        assert ended.stdout, ended.output
        return ended.exit_code, loads(ended.stdout)

    async def report(self, text: str, *arguments: str, code: int = 0) -> Any:
        ended = await self.run(text, "--json", *arguments)
        assert ended.exit_code == code, ended.output
        return loads(ended.stdout)

    @property
    def kept(self) -> set[str]:
        return {path.name for path in (self.data / "mirror").rglob("*.nupkg")}
