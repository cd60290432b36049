"""A real program under `record` loses nothing: what it saw itself is what its session holds."""

import json
import os
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from otlp_capture.otlp import SIGNALS, Signal
from tests.clocks import HANGS_AFTER_S
from tests.plain_records import Case, records_in_context
from tests.receiving import members

COMMAND = str(Path(sysconfig.get_path("scripts")) / "otlp-capture")
PROGRAM = Path(__file__).parents[1] / "programs" / "observed_program.py"
NOWHERE = "http://127.0.0.1:9"
HOSTILE = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE,
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20secret",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/nowhere/client.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/nowhere/client.key",
    **{
        f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}": value
        for signal in SIGNALS
        for name, value in {
            "ENDPOINT": f"{NOWHERE}/v1/{signal}",
            "HEADERS": "x-tenant=other",
            "COMPRESSION": "deflate",
            "CLIENT_CERTIFICATE": "/nowhere/client.pem",
            "TIMEOUT": "0.001",
        }.items()
    },
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), NOWHERE),
    "NO_PROXY": "internal.example",
}


def record(folder: Path, environment: Mapping[str, str]) -> tuple[list[Case], list[Case]]:
    """Record the program, and return what it saw and what was stored."""
    seen = folder / "seen"
    seen.mkdir()
    run = subprocess.run(
        [
            *(COMMAND, "record", "--session", "s", "--store", f"file:{folder}", "--json"),
            *("--", sys.executable, str(PROGRAM), str(seen)),
        ],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_AFTER_S,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["refused"] == {}
    return (
        [(signal_of(path), path.read_bytes()) for path in sorted(seen.iterdir())],
        [
            (signal_of(path), request)
            for path in sorted((folder / "sessions" / "s" / "raw").rglob("*.otlp.gz"))
            for request in members(path.read_bytes())
        ],
    )


def signal_of(path: Path) -> Signal:
    return cast("Signal", path.name.partition("-")[0])


MIXED = {
    "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc",
}


@pytest.mark.parametrize(
    "told",
    [
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "none"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "deflate"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        MIXED,
        {**MIXED, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    ],
)
def test_all_that_a_program_exports_is_held_field_by_field(
    tmp_path: Path, told: dict[str, str]
) -> None:
    seen, stored = record(tmp_path, {**HOSTILE, **told})

    records = records_of(seen)
    assert records_of(stored) == records
    signals = Counter(signal for signal, *_ in records.elements())
    assert signals == Counter(traces=16, metrics=100, logs=28)
    assert kinds_of_metrics(stored) == {
        ("sum", True),
        ("sum", False),
        ("gauge", True),
        ("gauge", False),
        ("histogram", False),
        ("histogram", True),
        ("exponential_histogram", True),
        ("exponential_histogram", False),
    }


def test_what_a_program_exports_is_its_own_choice(tmp_path: Path) -> None:
    temporality = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    seen, stored = record(tmp_path, {**HOSTILE, temporality: "delta"})

    assert records_of(stored) == records_of(seen)
    temporalities = {
        metric.sum.aggregation_temporality
        for metric in metrics_in(stored)
        if metric.name == "counter"
    }
    # The reader in memory asks nobody, and is cumulative.
    assert temporalities == {
        AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA,
        AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
    }


def records_of(requests: list[Case]) -> Counter[tuple[str, ...]]:
    """Count records, each with its resource, its scope and its metric."""
    return Counter(
        (signal, *(level.SerializeToString(deterministic=True) for level in levels))
        for signal, request in requests
        for levels in records_in_context(request, signal)
    )


def metrics_in(requests: list[Case]) -> Iterator[Metric]:
    for signal, request in requests:
        if signal == "metrics":
            for resource in ExportMetricsServiceRequest.FromString(request).resource_metrics:
                for scope in resource.scope_metrics:
                    yield from scope.metrics


def kinds_of_metrics(requests: list[Case]) -> set[tuple[str, bool]]:
    """Tell the kinds of points, and whether they have exemplars."""
    return {
        (kind, bool(point.exemplars))
        for metric in metrics_in(requests)
        if (kind := metric.WhichOneof("data")) is not None
        for point in getattr(metric, kind).data_points
    }
