"""The OpenTelemetry Collector exports a recording into another session, and nothing differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from otlp_capture.capture import CaptureConfig
from otlp_capture.result import or_raise
from tests.command_line import Shell
from tests.interop.collector import Collector
from tests.interop.recording import ORIGINAL, assert_equal, replay, requests_of
from tests.plain_records import plain_records
from tests.receiving import SESSION, receiving, until

pytestmark = pytest.mark.interop

WAYS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "protobuf": {"encoding": "proto", "compression": "none"},
    "protobuf-gzip": {"encoding": "proto", "compression": "gzip"},
    "json": {"encoding": "json", "compression": "none"},
    "json-gzip": {"encoding": "json", "compression": "gzip"},
}
IMPATIENT = {"initial_interval": "50ms", "max_interval": "200ms", "max_elapsed_time": "0s"}
"""It tries again soon, and for ever."""


@pytest.mark.parametrize("way", WAYS)
def test_what_it_exports_over_http_is_what_it_was_sent(
    collector: Collector, shell: Shell, tmp_path: Path, way: str
) -> None:
    with shell.serving("--session", f"http-{way}") as serving:
        exporter = {"endpoint": serving.url, **WAYS[way]}
        with collector.exporting(tmp_path, {"otlp_http": exporter}) as url:
            replay(shell, url)
        served = serving.end()

    assert (served.code, served.result["refused"]) == (0, {})
    assert_equal(shell, f"http-{way}")


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["protobuf-gzip", "json"])
async def test_over_http_it_comes_again_until_the_server_has_room(
    collector: Collector, shell: Shell, tmp_path: Path, way: str
) -> None:
    original = requests_of(shell, ORIGINAL)
    async with receiving(config=None) as opened:
        exporter = {
            "endpoint": opened.receiver.url,
            "retry_on_failure": IMPATIENT,
            **WAYS[way],
        }
        with collector.exporting(tmp_path, {"otlp_http": exporter}) as url:
            await anyio.to_thread.run_sync(replay, shell, url)
            await until(lambda: opened.receiver.refused["SessionNotFound"] >= len(original))
            or_raise(await opened.capture.start_capture(CaptureConfig(session_id=SESSION)))
            await until(lambda: opened.receiver.accepted.total() >= len(original))
        kept = await opened.kept()

    assert set(opened.receiver.refused) == {"SessionNotFound"}
    assert plain_records([*kept.elements()]) == plain_records(original)
