"""The base score of a CVSS 3 vector. Source: the CVSS v3.1 specification, section 7.1 (3.0 differs in nothing here)."""

from math import ceil
from typing import Final

_EXPLOIT: Final = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
}
_PRIVILEGES: Final = {False: {"N": 0.85, "L": 0.62, "H": 0.27}, True: {"N": 0.85, "L": 0.68, "H": 0.5}}
_IMPACT: Final = {"H": 0.56, "L": 0.22, "N": 0.0}


def base_score(vector: str) -> float | None:
    """0.0 to 10.0; None if it is not a CVSS 3.0 or 3.1 vector with all base metrics."""
    version, *parts = vector.strip().split("/")
    if version not in ("CVSS:3.0", "CVSS:3.1"):
        return None
    metrics = dict(part.partition(":")[::2] for part in parts)
    try:
        changed = {"U": False, "C": True}[metrics["S"]]
        exploit = 8.22 * _PRIVILEGES[changed][metrics["PR"]]
        for name, weights in _EXPLOIT.items():
            exploit *= weights[metrics[name]]
        left = 1.0
        for name in ("C", "I", "A"):
            left *= 1 - _IMPACT[metrics[name]]
    except KeyError:
        return None
    lost = 1 - left
    impact = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15 if changed else 6.42 * lost
    if impact <= 0:
        return 0.0
    return _rounded_up(min((1.08 if changed else 1.0) * (impact + exploit), 10.0))


def _rounded_up(score: float) -> float:
    """To one decimal, as the specification does it: without the errors of binary fractions."""
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else ceil(whole / 10_000) / 10
