"""The fuzzing targets, with some of their inputs; `scripts/fuzz` runs them with any number."""

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nugetproxy.errors import InvalidRequest, InvalidVersion
from nugetproxy.nuget import archive_layout, nuspec_parser
from nugetproxy.protocol.v2 import batch, odata_query
from nugetproxy.web.lane import request_head
from nugetproxy.web.requests import first_part
from tests.fuzzing.__main__ import inputs
from tests.fuzzing.choices import Choices
from tests.fuzzing.findings import Finding, keep, read, run, smaller
from tests.fuzzing.target import Outcome, Target
from tests.fuzzing.targets import LONGEST, TARGETS

INPUTS = 10_000
"""In total, divided evenly. The same in each run, so that failures are reproducible."""

EACH = -(-INPUTS // len(TARGETS))


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name):
    target, outcomes = TARGETS[name], Counter[Outcome]()

    @settings(
        max_examples=EACH,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=LONGEST // 4, max_size=LONGEST))
    def once(data: bytes) -> None:
        outcomes[target.run(target.make(Choices(data)))] += 1

    once()
    # Inputs that are all refused, or all accepted although refusals are possible, would prove little.
    assert outcomes[Outcome.ACCEPTED] >= EACH // 25
    assert outcomes[Outcome.REFUSED] or not target.refusals


def _visit_for_ever(tree: Any) -> None:
    tree.visited += 1


def _forgets_half_a_mark(part: Any, mark: bytes) -> bool:
    at = part._kept.find(mark, part._searched)
    part._searched = len(part._kept)
    if at >= 0:
        del part._kept[: at + len(mark)]
    return bool(at >= 0)


ANY_CASE = re.compile(batch._BOUNDARY.pattern, re.IGNORECASE)
PLANTED: dict[str, tuple[Any, str, Any, str]] = {
    "a bound that is not kept": (nuspec_parser._BoundedTree, "_visit", _visit_for_ever, "pushed nuspec"),
    "a second header that nobody reads": (archive_layout, "_check_header", lambda *_: None, "pushed archive"),
    "letters that others are without case": (batch, "_BOUNDARY", ANY_CASE, "$batch"),
    "characters that cannot be printed": (odata_query, "_printable", lambda text: text, "$filter"),
    "a header that the lane overlooks": (request_head, "_LEFT_TO_AIOHTTP", frozenset(), "request head"),
    "a mark that comes in two pieces": (first_part.FirstPart, "_cut", _forgets_half_a_mark, "form"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(monkeypatch, fault):
    holder, name, replacement, target_name = PLANTED[fault]
    monkeypatch.setattr(holder, name, replacement)
    target = TARGETS[target_name]

    found = next(each for data in inputs(target_name, 1, 0, 5_000) if isinstance(each := run(target, data), Finding))

    assert found.place


def test_a_finding_is_made_small_kept_and_repeated(monkeypatch, tmp_path):
    holder, name, replacement, target_name = PLANTED["letters that others are without case"]
    monkeypatch.setattr(holder, name, replacement)
    target = TARGETS[target_name]
    found = next(each for data in inputs(target_name, 1, 0, 5_000) if isinstance(each := run(target, data), Finding))

    small = smaller(target, found)

    assert len(small.data) < len(found.data)
    kept_name, data = read(keep(small, tmp_path))
    again = run(TARGETS[kept_name], data)
    assert isinstance(again, Finding)
    assert again.place == found.place


def test_choices_that_are_used_up_are_the_first_ones():
    choices = Choices(b"")

    assert (choices.below(9), choices.one_of("abc"), choices.chance(2), choices.number()) == (0, "a", False, 0)
    assert (choices.some(lambda: 1, 5), choices.text("x", 5), choices.raw(5), choices.edited(b"abc")) == (
        [],
        "",
        b"",
        b"abc",
    )


def test_a_class_that_is_derived_from_a_refusal_is_a_finding():
    def use(_: str) -> None:
        raise InvalidVersion("x")

    target = Target("a target", lambda choices: choices.text("ab", 3), use, (InvalidRequest,))

    assert isinstance(run(target, b""), Finding)
