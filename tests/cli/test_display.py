"""How far a command is: bars on terminals, lines elsewhere, and when neither is drawn."""

import io
import sys

import pytest

from nugetproxy.cli.bundle_progress import BundleProgress
from nugetproxy.cli.display import Display, TerminalDisplay, display_for
from nugetproxy.cli.prewarm_progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def never() -> str:
    raise AssertionError("a text that nobody sees is not made")


def test_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]):
    clock = Clock()
    display = Display(clock=clock)
    with display:
        display.show(never, 1, 9)
        clock.now += 10
        display.show(lambda: "2 of 9", 2, 9)
        clock.now += 9
        display.show(never, 3, 9)
        clock.now += 1
        display.show(lambda: "4 of 9", 4, 9)

    assert capsys.readouterr().err == "2 of 9\n4 of 9\n"


def test_scripts_see_only_what_they_must(capsys: pytest.CaptureFixture[str]):
    clock = Clock()
    display = Display(silent=True, clock=clock)
    clock.now += 100
    display.show(never, 1, 9)
    Progress(display).resting(4.2, "the upstream asks for it")

    assert capsys.readouterr().err == "Waiting 5 s: the upstream asks for it\n"


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    display = display_for(silent=True)
    assert isinstance(display, TerminalDisplay)

    with display:
        BundleProgress(display, "Verifying").advanced(2_000_000, 2_500_000_000)
        display.line("[b]a line[/b]")

    assert "Verifying: 2.0 of 2,500.0 MB" in terminal.getvalue()
    assert "[b]a line[/b]" in terminal.getvalue()


def test_a_file_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    assert not isinstance(display_for(silent=False), TerminalDisplay)


def test_an_import_has_two_parts(capsys: pytest.CaptureFixture[str]):
    clock = Clock()
    progress = BundleProgress(Display(clock=clock), "Verifying")
    clock.now += 10
    progress.advanced(1_000_000, 3_000_000)
    progress.placed(200, 10_000)
    clock.now += 10
    progress.placed(200, 10_000)

    assert capsys.readouterr().err == "Verifying: 1.0 of 3.0 MB\nPutting in place: 400 of 10,000 packages\n"
