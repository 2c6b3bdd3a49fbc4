"""What an Accept header says about media types (RFC 9110 section 12.5.1)."""


def preference(accept: str, *types: str) -> float:
    """The highest quality that the header gives to one of `types` (in lower case); 0 if it names none of them.

    Wildcards do not count: `*/*` says nothing about what a client prefers.
    """
    best = 0.0
    for item in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        if media_type in types:
            best = max(best, next((_quality(each[2:]) for each in parameters if each.startswith("q=")), 1.0))
    return best


def _quality(text: str) -> float:
    try:
        return min(1.0, float(text))
    except ValueError:
        return 0.0
