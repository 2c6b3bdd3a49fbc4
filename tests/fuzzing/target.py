"""What is fuzzed: how an input is made of choices, and what must hold for it whatever it is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from nugetproxy.errors import NugetproxyError
from tests.fuzzing.choices import Choices


class Outcome(Enum):
    ACCEPTED = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Target:
    """`use` does with an input what the server does; it raises one of `refusals` for what is not accepted, and
    AssertionError where something does not hold that must. Whatever else it raises is a finding too. It may return
    Outcome.REFUSED for what is left to others.

    `refusals` are meant exactly: a class that is derived from one is no documented refusal.
    """

    name: str
    make: Callable[[Choices], Any]
    use: Callable[[Any], Outcome | None]
    refusals: tuple[type[NugetproxyError], ...] = ()

    def run(self, made: Any) -> Outcome:
        """Raises whatever is a finding."""
        try:
            return self.use(made) or Outcome.ACCEPTED
        except self.refusals as error:
            refused = error
        if type(refused) not in self.refusals:
            raise AssertionError(f"{type(refused).__name__} is not a documented refusal here") from refused
        check_sentence(str(refused))
        return Outcome.REFUSED


def check_sentence(sentence: str) -> None:
    """A refusal is shown to people and becomes a status line: one printable line of bounded length."""
    assert sentence
    assert sentence.isprintable(), sentence
    assert len(sentence) <= 8_000, len(sentence)


def by_name(targets: Iterable[Target]) -> dict[str, Target]:
    named: dict[str, Target] = {}
    for target in targets:
        assert target.name not in named, target.name
        named[target.name] = target
    return named
