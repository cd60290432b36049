"""Requests to begin with: drawn from the descriptors, and real ones where there are some."""

import os
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

from hypothesis import HealthCheck, Phase, given, seed, settings

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, Signal
from tests.strategies import any_times, otlp_requests

Case: TypeAlias = tuple[Signal, bytes]

_DRAWN: Final = 200
_MAX_BYTES: Final = 4_096
_BESIDE: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
_CAPTURES: Final = Path(os.environ.get("OTLP_CAPTURE_SHARED_DATA", _BESIDE)) / "otlp"
_TEXTS: Final = frozenset({".json", ".jsonl"})
_BINARIES: Final = frozenset({".pb", ".binpb", ".bin"})


@cache
def drawn_requests() -> tuple[Case, ...]:
    """Draw requests of each signal: the same ones each time."""
    cases: list[Case] = []

    @seed(0)
    @settings(
        max_examples=_DRAWN,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(otlp_requests(times=any_times))
    def draw(case: Case) -> None:
        cases.append(case)

    draw()
    return tuple(cases)


@cache
def captured_texts() -> tuple[bytes, ...]:
    """Read real OTLP/JSON documents, whole files or lines; none where there are no captures."""
    files = sorted(path for path in _CAPTURES.rglob("*") if path.suffix in _TEXTS)
    texts = [text for path in files for text in _documents(path)]
    return tuple(text for text in dict.fromkeys(texts) if len(text) <= _MAX_BYTES)


def _documents(path: Path) -> list[bytes]:
    text = path.read_bytes()
    return text.splitlines() if path.suffix == ".jsonl" else [text]


@cache
def captured_requests() -> tuple[Case, ...]:
    """Read real requests; none where there are no captures."""
    lines = [otlp.decode_export_line(text).value_or(()) for text in captured_texts()]
    cases = [case for line in lines for case in line]
    for path in sorted(path for path in _CAPTURES.rglob("*") if path.suffix in _BINARIES):
        request = path.read_bytes()
        cases += [(signal, request) for signal in SIGNALS]
    return tuple(case for case in dict.fromkeys(cases) if len(case[1]) <= _MAX_BYTES)
