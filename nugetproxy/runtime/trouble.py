"""What is wrong with the server as a whole: the supervisor says it, its workers tell those who ask for readiness."""

from dataclasses import dataclass


@dataclass
class Trouble:
    """`why` is a sentence for people; empty when nothing is wrong."""

    why: str = ""
