"""Phoenix shows the traces that are replayed into it, over HTTP and over gRPC."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

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
        expected = sorted(recorded_spans(shell))

        assert len(expected) == 16
        assert shown_spans(phoenix, len(expected)) == expected


def shown_spans(phoenix: Phoenix, count: int) -> list[tuple[Any, ...]]:
    """Return what Phoenix shows of each span, once it shows so many: it takes them in later."""
    deadline = time.monotonic() + HANGS_AFTER_S
    while len(spans := phoenix.spans()) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return sorted(
        (
            span["context"]["trace_id"],
            span["context"]["span_id"],
            span["parent_id"] or "",
            span["name"],
            microseconds(span["start_time"]),
            microseconds(span["end_time"]),
        )
        for span in spans
    )


def recorded_spans(shell: Shell) -> Iterator[tuple[Any, ...]]:
    """Say the same of what was recorded: Phoenix keeps times to the microsecond."""
    for signal, request in requests_of(shell, ORIGINAL):
        if signal != "traces":
            continue
        for resource in parse(request, signal).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    yield (
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.name,
                        span.start_time_unix_nano // 1000,
                        span.end_time_unix_nano // 1000,
                    )


def microseconds(text: str) -> int:
    return unix_nano(datetime.fromisoformat(text)) // 1000
