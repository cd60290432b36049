"""How much may leave in a second."""

from typing import Final, Literal, TypeAlias, get_args

import attrs

RateUnit: TypeAlias = Literal["requests", "records", "bytes"]
RATE_UNITS: Final[tuple[RateUnit, ...]] = get_args(RateUnit)


@attrs.frozen
class Rate:
    """A bound on what a replay sends.

    Attributes:
        per_second: how many a second.
        unit: of what: requests, records (spans, data points, log records), or bytes of requests
            as they are written, before compression.
    """

    per_second: float
    unit: RateUnit = "requests"
