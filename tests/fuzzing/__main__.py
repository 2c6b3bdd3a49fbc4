"""`scripts/fuzz`: many inputs for every target, on several processors, with findings saved in a folder.

scripts/fuzz --inputs 1000000            so many inputs, divided evenly among the targets
scripts/fuzz --target nuspec --seed 7    one target, from other seeds
scripts/fuzz --guided --target archive   guided by coverage, where atheris is installed; until Ctrl-C
scripts/fuzz --repeat FILE.choices       a finding once more, with its traceback
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fuzzing.findings import Finding, keep, read, run, smaller
from tests.fuzzing.targets import LONGEST, TARGETS

BLOCK: Final = 1_000
"""Inputs of one unit of work; each has its own seed, so that it can be repeated alone."""

_MEMORY: Final = 4 * 2**30
_SIZES: Final = (8, 32, 64, 128, 256, LONGEST)


@dataclass(slots=True)
class _Result:
    target: str
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


def inputs(name: str, seed: int, block: int, count: int) -> Iterator[bytes]:
    """The choices of one block."""
    chance = random.Random(f"{seed}/{name}/{block}")
    for _ in range(count):
        yield chance.randbytes(chance.choice(_SIZES))


def _work(name: str, seed: int, block: int, count: int) -> _Result:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    target, result, places = TARGETS[name], _Result(name), set[str]()
    began = time.process_time()
    for data in inputs(name, seed, block, count):
        outcome = run(target, data)
        if not isinstance(outcome, Finding):
            result.outcomes[outcome.name] += 1
            continue
        result.outcomes["FOUND"] += 1
        if outcome.place not in places:
            places.add(outcome.place)
            result.findings.append(smaller(target, outcome))
    result.seconds = time.process_time() - began
    return result


def _fuzz(names: list[str], total: int, seed: int, processes: int, folder: Path) -> int:
    each = -(-total // len(names))
    blocks = [
        (name, seed, block, min(BLOCK, each - block * BLOCK)) for block in range(-(-each // BLOCK)) for name in names
    ]
    sums = {name: _Result(name) for name in names}
    kept: dict[str, Path] = {}
    print(f"{each} inputs for each of {len(names)} targets, seed {seed}, {processes} processes")
    began = time.monotonic()
    with ProcessPoolExecutor(processes) as pool:
        for done in as_completed([pool.submit(_work, *block) for block in blocks]):
            result = done.result()
            summed = sums[result.target]
            summed.outcomes += result.outcomes
            summed.seconds += result.seconds
            for finding in result.findings:
                if (key := f"{finding.target} {finding.place}") not in kept:
                    kept[key] = keep(finding, folder)
                    print(f"FOUND {key}: {kept[key]}", flush=True)
    _tell(sums, time.monotonic() - began, kept)
    return 1 if kept else 0


def _tell(sums: dict[str, _Result], seconds: float, kept: dict[str, Path]) -> None:
    print(f"{'target':24} {'inputs':>9} {'accepted':>9} {'refused':>9} {'found':>6} {'inputs/s':>9}")
    for name, result in sums.items():
        count, outcomes = result.outcomes.total(), result.outcomes
        rate = count / result.seconds if result.seconds else 0.0
        print(f"{name:24} {count:9} {outcomes['ACCEPTED']:9} {outcomes['REFUSED']:9} {outcomes['FOUND']:6} {rate:9.0f}")
    total, cpu = sum(each.outcomes.total() for each in sums.values()), sum(each.seconds for each in sums.values())
    print(f"{total} inputs in {seconds:.0f} s, {cpu:.0f} s of processor time; {len(kept)} different findings")


def _repeat(path: Path) -> int:
    name, data = read(path)
    found = run(TARGETS[name], data)
    print(found.report if isinstance(found, Finding) else f"{name}: {found.name}, nothing found")
    return 1 if isinstance(found, Finding) else 0


def _guided(name: str, arguments: list[str]) -> int:
    command = [sys.executable, "-m", "tests.fuzzing.guided", name, *arguments]
    return subprocess.run(command, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Fuzz all code that reads untrusted bytes.")
    parser.add_argument("--inputs", type=int, default=100_000, help="in total (%(default)s)")
    parser.add_argument("--target", action="append", choices=tuple(TARGETS), help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=1, help="where the inputs come from (%(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="(%(default)s)")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder for findings (%(default)s)")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="run one finding again")
    parser.add_argument("--guided", action="store_true", help="guide one target by coverage, with atheris")
    parser.add_argument("libfuzzer", nargs="*", help="with --guided: arguments for libFuzzer, behind --")
    given = parser.parse_args()
    if given.repeat:
        return _repeat(given.repeat)
    names = given.target or list(TARGETS)
    if given.guided:
        if len(names) != 1:
            parser.error("--guided wants one --target")
        return _guided(names[0], given.libfuzzer)
    return _fuzz(names, given.inputs, given.seed, given.processes, given.findings)


if __name__ == "__main__":
    sys.exit(main())
