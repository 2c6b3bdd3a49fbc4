"""Findings: distinguished by where they happen, minimised, and saved so that they can be inspected and repeated."""

import contextlib
import hashlib
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from tests.fuzzing.choices import Choices
from tests.fuzzing.target import Outcome, Target

SLOW_SECONDS: Final = 2.0
"""Processor time for one input. The most expensive valid one takes a quarter of it."""

HUNG_SECONDS: Final = 60
"""Of processor time, after which an input is given up."""
_SHRINKING_SECONDS: Final = 20.0


class Slow(Exception):
    """An input took longer than SLOW_SECONDS."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`place` is the same for findings that are probably one."""

    target: str
    place: str
    data: bytes
    report: str


def run(target: Target, data: bytes) -> Outcome | Finding:
    """Build an input from `data` and use it."""
    made = target.make(Choices(data))
    began = time.process_time()
    try:
        with _at_most(HUNG_SECONDS):
            outcome = target.run(made)
        if (took := time.process_time() - began) > SLOW_SECONDS:
            raise Slow(f"{took:.1f} s of processor time")
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} {Path(frame.filename).name}:{frame.lineno}"
        report = f"{target.name}: {error!r}\n\nchoices: {data.hex()}\n\ninput: {made!r}\n\n{traceback.format_exc()}"
        return Finding(target.name, place, data, report)
    return outcome


def smaller(target: Target, finding: Finding) -> Finding:
    """The same finding with fewer and simpler choices, as far as these are found in a short time."""
    until = time.monotonic() + _SHRINKING_SECONDS
    best = finding
    size = max(1, len(best.data) // 2)
    while size and time.monotonic() < until:
        at = 0
        while at < len(best.data) and time.monotonic() < until:
            cut = best.data[:at] + best.data[at + size :]
            zeroed = best.data[:at] + bytes(size) + best.data[at + size :]
            for data in (cut, zeroed):
                if len(data) <= len(best.data) and data != best.data:
                    again = run(target, data)
                    if isinstance(again, Finding) and again.place == finding.place:
                        best = again
                        break
            else:
                at += size
        size //= 2
    return best


def keep(finding: Finding, folder: Path) -> Path:
    """Write what is needed to inspect and repeat a finding: `FILE.choices` and `FILE.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{finding.target.replace(' ', '-').replace('$', '')}-{hashlib.sha256(finding.data).hexdigest()[:12]}"
    (folder / f"{name}.txt").write_text(finding.report, "utf-8", "backslashreplace")
    path = folder / f"{name}.choices"
    path.write_bytes(finding.target.encode() + b"\n" + finding.data)
    return path


def read(path: Path) -> tuple[str, bytes]:
    """The name of the target and the choices of a saved finding."""
    name, _, data = path.read_bytes().partition(b"\n")
    return name.decode(), data


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        raise Slow(f"still running after {seconds} s")

    # Processor time, because a busy or suspended machine is no finding.
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
