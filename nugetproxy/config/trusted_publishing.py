"""The settings of trusted publishing: `[trusted_publishing]`."""

import re
from typing import Annotated

from pydantic import AfterValidator

from nugetproxy.config.values import Section


def _checked_audience(text: str) -> str:
    if not 0 < len(text) <= 255 or re.search(r"\s", text) or not text.isprintable():
        raise ValueError('expected the audience of tokens, such as "https://nuget.example.com"')
    return text


class TrustedPublishingSettings(Section):
    enabled: bool = True
    audiences: tuple[Annotated[str, AfterValidator(_checked_audience)], ...] = ()
    ca_file: str = ""
