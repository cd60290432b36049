"""Phoenix shows the traces that are replayed into it, over HTTP and over gRPC."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import attrs
import pytest

from otlp_capture.clock import unix_nano
from tests.clocks import HANGS_AFTER_S
from tests.command_line import Shell
from tests.interop.phoenix import Phoenix, running_phoenix
from tests.interop.recording import ORIGINAL, requests_of
from tests.walks import parse

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("compression", ["identity", "gzip"])
def test_the_replayed_traces_are_shown(
    phoenix_python: Path, shell: Shell, tmp_path: Path, protocol: str, compression: str
) -> None:
    with running_phoenix(phoenix_python, tmp_path) as phoenix:
        sent = shell.run(
            *("replay", ORIGINAL, "--signal", "traces", "--speed", "max", "--json"),
            *("--to", phoenix.grpc if protocol == "grpc" else phoenix.http),
            *("--protocol", protocol, "--compression", compression),
        )
        assert sent.code == 0, sent.stderr
        recorded = dict(recorded_spans(shell))
        shown = shown_spans(phoenix, len(recorded))

    assert len(recorded) == 16
    assert {span: times.who for span, times in shown.items()} == {
        span: times.who for span, times in recorded.items()
    }
    for span, times in recorded.items():
        # Phoenix reckons times as floating-point seconds.
        assert shown[span].start == pytest.approx(times.start, abs=1, rel=0)
        assert shown[span].end == pytest.approx(times.end, abs=1, rel=0)


@attrs.frozen
class Shown:
    """What is compared of a span: its name and its parent, and its times in microseconds."""

    who: tuple[str, str]
    start: int
    end: int


def shown_spans(phoenix: Phoenix, count: int) -> dict[tuple[str, str], Shown]:
    """Return what Phoenix shows by trace and span, once it shows so many: it takes its time."""
    deadline = time.monotonic() + HANGS_AFTER_S
    while len(spans := phoenix.spans()) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(spans) == count
    return {
        (span["context"]["trace_id"], span["context"]["span_id"]): Shown(
            (span["name"], span["parent_id"] or ""),
            microseconds(span["start_time"]),
            microseconds(span["end_time"]),
        )
        for span in spans
    }


def recorded_spans(shell: Shell) -> Iterator[tuple[tuple[str, str], Shown]]:
    for signal, request in requests_of(shell, ORIGINAL):
        if signal != "traces":
            continue
        for resource in parse(request, signal).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    yield (
                        (span.trace_id.hex(), span.span_id.hex()),
                        Shown(
                            (span.name, span.parent_span_id.hex()),
                            span.start_time_unix_nano // 1000,
                            span.end_time_unix_nano // 1000,
                        ),
                    )


def microseconds(text: str) -> int:
    return unix_nano(datetime.fromisoformat(text)) // 1000
