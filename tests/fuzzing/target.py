"""A fuzzing target: how an input is built from choices, and what must hold for every input."""

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
    """`use` processes an input as the server does, and raises one of `refusals` for input that is not accepted.

    It raises AssertionError if a property does not hold. Any other exception is a finding too. It may return
    Outcome.REFUSED for input that is left to other code. `refusals` are matched exactly: a subclass is not a
    documented refusal.
    """

    name: str
    make: Callable[[Choices], Any]
    use: Callable[[Any], Outcome | None]
    refusals: tuple[type[NugetproxyError], ...] = ()

    def run(self, made: Any) -> Outcome:
        """Raises every finding."""
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
