"""What all settings are made of: the base of the sections, and durations."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DURATIONS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# A hundred years in seconds, within the range of event loop timers.
_LONGEST_DURATION = 100 * 365 * 86400.0


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def parse_duration(text: object) -> float:
    """Convert a duration, as text ("15m", "1.5s", "30d") or a number, to seconds. Raises ValueError."""
    seconds: float | None = None
    if isinstance(text, int | float) and not isinstance(text, bool):
        seconds = text
    elif isinstance(text, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text, re.ASCII)):
        unit = _DURATIONS.get(match[2])
        seconds = float(match[1]) * unit if unit is not None else None
    if seconds is None or not abs(seconds) <= _LONGEST_DURATION:
        raise ValueError('expected a duration such as "250ms", "30s", "15m", "2h" or "7d"')
    return float(seconds)


Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, allow_inf_nan=False)]
