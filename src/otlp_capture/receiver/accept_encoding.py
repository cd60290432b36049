"""Whether an HTTP client wants its answer compressed. Source: RFC 9110, 12.4.2 and 12.5.3."""

import math
from typing import Final

_GZIP: Final = ("gzip", "x-gzip")


def wants_gzip(accept_encoding: str) -> bool:
    """Whether gzip is accepted, and no less than no coding at all.

    >>> wants_gzip("deflate, gzip;q=0.5"), wants_gzip("gzip;q=0.5, identity"), wants_gzip("")
    (True, False, False)
    """
    weights = dict(_weighed(element) for element in accept_encoding.lower().split(","))
    others = weights.get("*", 0.0)
    gzip = max((weights[name] for name in _GZIP if name in weights), default=others)
    # Without a word about it identity is acceptable, and nobody prefers it.
    identity = weights.get("identity", 0.0)
    return gzip > 0 and gzip >= identity


def _weighed(element: str) -> tuple[str, float]:
    """Return a coding and its weight; one that makes no sense is not wanted."""
    coding, *parameters = (part.strip() for part in element.split(";"))
    if not parameters:
        return coding, 1.0
    name, _, value = parameters[0].partition("=")
    try:
        weight = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return coding, 0.0
    return coding, weight if math.isfinite(weight) and 0 <= weight <= 1 else 0.0
