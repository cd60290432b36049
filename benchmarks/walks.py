"""What requests are asked and how they are changed: the walk of this process against messages."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

import attrs

from benchmarks.harness import Case, Way
from benchmarks.requests import SERVICES, Sample
from otlp_capture import otlp
from otlp_capture.otlp import DEFAULT_LIMITS, TRACE_PLACES, IdMapping, Signal, TraceChoice
from otlp_capture.otlp.remap import remap_by_parsing
from otlp_capture.otlp.scan import scan_by_parsing
from otlp_capture.otlp.select import select_by_parsing
from otlp_capture.otlp.select_traces import select_traces_by_parsing
from otlp_capture.otlp.shift import shift_by_parsing

_HOUR_NS: Final = 3_600_000_000_000
_MAPPING: Final = IdMapping(seed=7, loop=1, copy=2)
_A_FIFTH: Final = TraceChoice(high=TRACE_PLACES // 5)
_SELECTED: Final = frozenset(SERVICES[::2])

_Road = Callable[[bytes, Signal], object]


@attrs.frozen
class Walk:
    """An operation by its public function and by messages, and the floors of the former."""

    name: str
    by_function: _Road
    by_messages: _Road
    ratio_floor: float | None
    speed_floor: float | None = None

    def cases(self, samples: Iterable[Sample]) -> Iterator[Case]:
        """Yield a case for each sample; only some have floors."""
        for each in samples:
            yield Case(
                self.name,
                each.name,
                len(each.request),
                [
                    Way("messages (upb)", partial(self.by_messages, each.request, each.signal)),
                    Way(
                        f"otlp.{self.name}",
                        partial(self.by_function, each.request, each.signal),
                        self.ratio_floor if each.has_floors else None,
                        self.speed_floor if each.has_floors else None,
                    ),
                ],
            )


def _is_selected(service: str) -> bool:
    return service in _SELECTED


SCAN: Final = Walk(
    "scan",
    otlp.scan,
    lambda request, signal: scan_by_parsing(request, signal, DEFAULT_LIMITS),
    ratio_floor=10,
    speed_floor=1_000,
)
SHIFT: Final = Walk(
    "shift_timestamps",
    lambda request, signal: otlp.shift_timestamps(request, signal, _HOUR_NS),
    lambda request, signal: shift_by_parsing(request, signal, _HOUR_NS),
    ratio_floor=20,
    speed_floor=1_000,
)
REMAP: Final = Walk(
    "remap_ids",
    lambda request, signal: otlp.remap_ids(request, signal, _MAPPING),
    lambda request, signal: remap_by_parsing(request, signal, _MAPPING),
    ratio_floor=10,
)
SELECT: Final = Walk(
    "select_services",
    lambda request, signal: otlp.select_services(request, signal, _is_selected),
    lambda request, signal: select_by_parsing(request, signal, _is_selected),
    ratio_floor=None,
)
SELECT_TRACES: Final = Walk(
    "select_traces",
    lambda request, signal: otlp.select_traces(request, signal, _A_FIFTH),
    lambda request, signal: select_traces_by_parsing(request, signal, _A_FIFTH),
    ratio_floor=2,
    speed_floor=1_000,
)
