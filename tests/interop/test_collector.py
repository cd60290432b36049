"""The OpenTelemetry Collector exports a recording into another session, and nothing differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from otlp_capture.capture import CaptureConfig
from otlp_capture.receiver import GrpcReceiverSettings, HttpReceiverSettings
from otlp_capture.result import or_raise
from tests.command_line import Shell
from tests.interop.collector import Collector
from tests.interop.recording import ORIGINAL, assert_equal, replay, requests_of
from tests.plain_records import plain_records
from tests.receiving import SESSION, receiving, until
from tests.servers.processes import free_port

pytestmark = pytest.mark.interop

WAYS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "http-defaults": ("otlp_http", {}),
    "http-protobuf": ("otlp_http", {"encoding": "proto", "compression": "none"}),
    "http-protobuf-gzip": ("otlp_http", {"encoding": "proto", "compression": "gzip"}),
    "http-json": ("otlp_http", {"encoding": "json", "compression": "none"}),
    "http-json-gzip": ("otlp_http", {"encoding": "json", "compression": "gzip"}),
    "grpc-defaults": ("otlp_grpc", {}),
    "grpc": ("otlp_grpc", {"compression": "none"}),
    "grpc-gzip": ("otlp_grpc", {"compression": "gzip"}),
}
IMPATIENT = {"initial_interval": "50ms", "max_interval": "200ms", "max_elapsed_time": "0s"}
"""It tries again soon, and for ever."""


@pytest.mark.parametrize("way", WAYS)
def test_what_it_exports_is_what_it_was_sent(
    collector: Collector, shell: Shell, tmp_path: Path, way: str
) -> None:
    with shell.serving("--session", way) as serving:
        exporter = exporter_to(serving.url, serving.grpc_url, way)
        with collector.exporting(tmp_path, exporter) as url:
            replay(shell, url)
        served = serving.end()

    assert (served.code, served.result["refused"]) == (0, {})
    assert_equal(shell, way)


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
def test_a_compression_that_otlp_does_not_have_is_refused_and_counted(
    collector: Collector, shell: Shell, tmp_path: Path, compression: str
) -> None:
    with shell.serving("--session", compression) as serving:
        exporter = {"endpoint": serving.url, "compression": compression}
        with collector.exporting(tmp_path, {"otlp_http": exporter}) as url:
            replay(shell, url)
        served = serving.end()

    requests = len(requests_of(shell, ORIGINAL))
    assert served.result["refused"] == {"UnsupportedContentEncoding": requests}


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["http-protobuf-gzip", "http-json", "grpc-gzip", "grpc"])
async def test_it_comes_again_until_the_server_has_room(
    collector: Collector, shell: Shell, tmp_path: Path, way: str
) -> None:
    original = requests_of(shell, ORIGINAL)
    async with receiving(config=None, grpc=GrpcReceiverSettings(port=0)) as opened:
        assert opened.grpc is not None
        exporter = exporter_to(
            opened.receiver.url, opened.grpc.url, way, retry_on_failure=IMPATIENT
        )
        with collector.exporting(tmp_path, exporter) as url:
            await anyio.to_thread.run_sync(replay, shell, url)
            await until(lambda: opened.tally.refused["SessionNotFound"] >= len(original))
            or_raise(await opened.capture.start_capture(CaptureConfig(session_id=SESSION)))
            await until(lambda: opened.tally.accepted.total() >= len(original))
        kept = await opened.kept()

    assert set(opened.tally.refused) == {"SessionNotFound"}
    assert plain_records([*kept.elements()]) == plain_records(original)


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["http-defaults", "grpc-defaults"])
async def test_it_comes_again_until_there_is_a_server(
    collector: Collector, shell: Shell, tmp_path: Path, way: str
) -> None:
    original = requests_of(shell, ORIGINAL)
    http, grpc = free_port(), free_port()
    settings = HttpReceiverSettings(port=http), GrpcReceiverSettings(port=grpc)
    exporter = exporter_to(
        f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}", way, retry_on_failure=IMPATIENT
    )
    with collector.exporting(tmp_path, exporter) as url:
        await anyio.to_thread.run_sync(replay, shell, url)
        await until(lambda: "Will retry the request" in (tmp_path / "log").read_text())
        async with receiving(settings=settings[0], grpc=settings[1]) as opened:
            await until(lambda: opened.tally.accepted.total() >= len(original))
            kept = await opened.kept()

    assert opened.tally.refused.total() == 0
    assert plain_records([*kept.elements()]) == plain_records(original)


def exporter_to(http: str, grpc: str, way: str, **settings: Any) -> dict[str, dict[str, Any]]:
    """Configure the one exporter of a way."""
    name, chosen = WAYS[way]
    endpoint = http if name == "otlp_http" else grpc
    plain = {"tls": {"insecure": True}}
    return {name: {"endpoint": endpoint, **plain, **chosen, **settings}}
