"""The two roads that a request can take, held against each other."""

from array import array
from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture.otlp import (
    DEFAULT_LIMITS,
    TRACE_PLACES,
    ChosenRecords,
    IdMapping,
    Limits,
    Redacted,
    RedactionPolicy,
    Signal,
    TraceChoice,
)
from otlp_capture.otlp.redact import redact_by_parsing
from otlp_capture.otlp.remap import remap_by_parsing
from otlp_capture.otlp.scan import scan_by_parsing
from otlp_capture.otlp.select import select_by_parsing, select_from
from otlp_capture.otlp.select_traces import select_traces_by_parsing
from otlp_capture.otlp.shift import shift_by_parsing
from otlp_capture.otlp.span_links import SpanLinks, span_links_by_parsing
from tests.strategies import REQUEST_TYPES

HALF: Final = TRACE_PLACES // 2
MAPPING: Final = IdMapping(seed=7, loop=1, copy=2)


def compiled_walk() -> Any:
    """Return the compiled walk, whichever road the process takes; skip where it is not built."""
    reason = "the extension is not built: it needs a C compiler"
    compiled = pytest.importorskip("otlp_capture.otlp.kernel.compiled", reason=reason)
    return compiled.CompiledWalk()


def meaning(outcome: Any, signal: Signal) -> Any:
    """Return what an edited request says, unknown fields included, or the refusal."""
    if isinstance(outcome, Failure):
        return outcome
    return REQUEST_TYPES[signal].FromString(outcome.unwrap()).SerializeToString(deterministic=True)


@attrs.frozen
class Roads:
    """Each operation by the compiled walk and by parsing.

    A method asserts that both do the same, and says whether the walk did it or handed over. What
    a scan refuses is edited by nobody: there the walk owes no more than to stay within the bytes.
    """

    kernel: Any

    def scan(self, body: bytes, signal: Signal, limits: Limits = DEFAULT_LIMITS) -> bool:
        walked = self.kernel.scan(body, signal, limits)
        assert walked is None or walked == scan_by_parsing(body, signal, limits)
        return walked is not None

    def shift(self, body: bytes, signal: Signal, delta_ns: int) -> bool:
        walked = self.kernel.shift(body, signal, delta_ns)
        return self._compare(walked, lambda: shift_by_parsing(body, signal, delta_ns), body, signal)

    def remap(self, body: bytes, signal: Signal, mapping: IdMapping = MAPPING) -> bool:
        walked = self.kernel.remap(body, signal, mapping.key)
        return self._compare(walked, lambda: remap_by_parsing(body, signal, mapping), body, signal)

    def select(self, body: bytes, signal: Signal, is_selected: Callable[[str], bool]) -> bool:
        walked = self.kernel.containers(body, signal)
        if is_sound(body, signal) and walked is not None:
            chosen = walked.map(lambda containers: select_from(body, containers, is_selected))
            parsed = select_by_parsing(body, signal, is_selected)
            assert meaning(chosen, signal) == meaning(parsed, signal)
        return walked is not None

    def select_traces(self, body: bytes, signal: Signal, choice: TraceChoice) -> bool:
        if signal == "metrics":
            return True
        walked = self.kernel.select_traces(body, signal, choice)
        if walked is not None and is_sound(body, signal):
            parsed = select_traces_by_parsing(body, signal, choice)
            assert counts_of(walked.unwrap()) == counts_of(parsed.unwrap())
            assert (walked.unwrap().request is body) == (parsed.unwrap().request is body)
            assert meaning(walked.map(_request_of), signal) == meaning(
                parsed.map(_request_of), signal
            )
        return walked is not None

    def span_links(self, body: bytes, signal: Signal) -> bool:
        if signal != "traces":
            return True
        walked = self.kernel.span_links(body)
        if walked is not None and is_sound(body, signal):
            assert walked.map(_as_links) == span_links_by_parsing(body)
        return walked is not None

    def redact(self, body: bytes, signal: Signal, policy: RedactionPolicy) -> bool:
        walked = self.kernel.redact(body, signal, policy)
        if walked is not None and is_sound(body, signal):
            parsed = redact_by_parsing(body, signal, policy)
            assert walked.unwrap().counts == parsed.unwrap().counts
            assert (walked.unwrap().request is body) == (parsed.unwrap().request is body)
            assert meaning(walked.map(_request_of), signal) == meaning(
                parsed.map(_request_of), signal
            )
        return walked is not None

    def all(self, body: bytes, signal: Signal) -> bool:
        """Compare every operation; say whether the walk did each of them."""
        done = [
            self.scan(body, signal),
            self.shift(body, signal, 1),
            self.shift(body, signal, -1),
            self.remap(body, signal),
            self.select(body, signal, lambda service: len(service) % 2 == 0),
            self.select_traces(body, signal, TraceChoice(high=HALF)),
            self.select_traces(body, signal, TraceChoice(low=HALF, keeps_untraced=False)),
            self.span_links(body, signal),
        ]
        return all(done)

    @staticmethod
    def _compare(walked: Any, parse: Callable[[], Any], body: bytes, signal: Signal) -> bool:
        if isinstance(walked, Success):
            assert len(walked.unwrap()) == len(body)
        if walked is not None and is_sound(body, signal):
            assert meaning(walked, signal) == meaning(parse(), signal)
        return walked is not None


def _request_of(edited: Redacted | ChosenRecords) -> bytes:
    return edited.request


def _as_links(numbers: bytes) -> SpanLinks:
    both = array("Q", numbers)
    return SpanLinks(both[0::2], both[1::2])


def counts_of(chosen: ChosenRecords) -> tuple[int, int]:
    return chosen.kept, chosen.left_out


def is_sound(body: bytes, signal: Signal) -> bool:
    """Whether a scan passes *body*, whatever its size and depth."""
    limits = Limits(max_elements=1 << 30, max_any_value_depth=100, max_bytes=1 << 30)
    return isinstance(scan_by_parsing(body, signal, limits), Success)
