"""What is wrong with the server as a whole: set by the supervisor, reported by its workers as readiness."""

from dataclasses import dataclass


@dataclass
class Trouble:
    """`why` is a sentence for people; empty if nothing is wrong."""

    why: str = ""
