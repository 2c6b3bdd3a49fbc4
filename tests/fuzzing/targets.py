"""Every target, by its name."""

from typing import Final

from tests.fuzzing import (
    advisories,
    documents,
    headers,
    http_requests,
    moving_in,
    names,
    nuspecs,
    packages,
    queries,
    settings,
    upstream_answers,
)
from tests.fuzzing.target import Target, by_name

TARGETS: Final[dict[str, Target]] = by_name(
    (
        *nuspecs.TARGETS,
        *packages.TARGETS,
        *documents.TARGETS,
        *advisories.TARGETS,
        *upstream_answers.TARGETS,
        *names.TARGETS,
        *queries.TARGETS,
        *http_requests.TARGETS,
        *headers.TARGETS,
        *settings.TARGETS,
        *moving_in.TARGETS,
    )
)

LONGEST: Final = 384
"""Bytes of choices that an input is made of. More make few inputs more interesting and all of them slower."""
