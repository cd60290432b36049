"""Real captures, where there are some: all that a folder holds of a signal as one request."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.requests import Sample
from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Success

VARIABLE: Final = "OTLP_CAPTURE_SHARED_DATA"
_BESIDE: Final = Path(__file__).resolve().parents[2] / "shared" / "data"


def default_folder() -> Path | None:
    """Return the folder of captures that the variable names, or the one beside the checkout."""
    folder = Path(os.environ.get(VARIABLE, _BESIDE))
    return folder if folder.is_dir() else None


def captured_samples(folder: Path) -> list[Sample]:
    """Read the OTLP/JSON files below *folder*; what cannot be read is passed over.

    Requests laid end to end are one request, so those of a signal make one sample.
    """
    requests: dict[Signal, list[bytes]] = {signal: [] for signal in SIGNALS}
    for text in _texts(folder):
        for signal, request in otlp.decode_export_line(text).value_or(()):
            requests[signal].append(request)
    found: list[Sample] = []
    for signal, pieces in requests.items():
        whole = b"".join(pieces)
        if whole and isinstance(otlp.scan(whole, signal), Success):
            found.append(Sample(f"real {signal}", signal, whole))
    return found


def _texts(folder: Path) -> Iterator[bytes]:
    for file in sorted(folder.rglob("*.json*")):
        whole = file.read_bytes()
        if isinstance(otlp.decode_export_line(whole), Success):
            yield whole
        else:
            yield from whole.splitlines()
