"""What the capture service tells of its own work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from otlp_capture.capture import CaptureConfig, CaptureSettings, RingConfig
from otlp_capture.result import Failure, or_raise
from otlp_capture.telemetry import SILENT
from tests.captures import opened_capture
from tests.clocks import VirtualClock
from tests.faulty_storage import FaultyStorage
from tests.own_telemetry import Heard, listening
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

SESSION = CaptureConfig(session_id="s")


@pytest.fixture
def heard() -> Heard:
    return listening()


@pytest.fixture
def told(heard: Heard, tmp_path: Path) -> CaptureSettings:
    return CaptureSettings(
        spool_directory=tmp_path, spool_budget_bytes=10_000, telemetry=heard.telemetry
    )


class TestOperations:
    async def test_each_is_a_span_with_its_session_and_its_error(
        self, storage: FaultyStorage, clock: VirtualClock, told: CaptureSettings, heard: Heard
    ) -> None:
        async with opened_capture(storage, clock, told) as capture:
            or_raise(await capture.start_capture(SESSION))
            await capture.start_capture(SESSION)
            await capture.resume_capture("absent")
            or_raise(await capture.stop_capture("s"))
            await capture.recover_capture("../s")
            await capture.publish_ring("no ring")

        assert heard.names == [
            ("otlp_capture.start_capture", None),
            ("otlp_capture.start_capture", "SessionAlreadyExists"),
            ("otlp_capture.resume_capture", "SessionNotFound"),
            ("otlp_capture.stop_capture", None),
            ("otlp_capture.recover_capture", "InvalidSessionId"),
            ("otlp_capture.publish_ring", "SessionNotFound"),
        ]
        first, second, *_ = heard.spans
        assert first.attributes == {"otlp_capture.session.id": "s"}
        assert first.status.is_unset
        assert "'s'" in (second.status.description or "")
        scope = first.instrumentation_scope
        assert scope is not None
        assert (scope.name, scope.schema_url) == (
            "otlp_capture",
            "https://opentelemetry.io/schemas/1.40.0",
        )

    async def test_publishing_in_the_background_is_a_trace_of_its_own(
        self, storage: FaultyStorage, clock: VirtualClock, told: CaptureSettings, heard: Heard
    ) -> None:
        async with opened_capture(storage, clock, told) as capture:
            or_raise(await capture.start_capture(SESSION))
            kept = or_raise(await capture.capture_otlp_data("s", small_request("logs"), "logs"))
            storage.fail("publish_file")
            await clock.advance(31)

        started, *_, failed, published = heard.spans
        assert [failed.name, published.name] == ["otlp_capture.publish_segment"] * 2
        assert failed.attributes == {
            "otlp_capture.segment.key": kept.key,
            "otlp_capture.segment.size": kept.size_bytes,
            "otlp_capture.attempt": 1,
            "error.type": "StorageUnreachable",
        }
        assert published.attributes == {
            "otlp_capture.segment.key": kept.key,
            "otlp_capture.segment.size": kept.size_bytes,
            "otlp_capture.attempt": 2,
        }
        assert published.parent is None
        assert [link.context for link in published.links] == [started.context]

    async def test_a_ring_that_becomes_a_session_has_its_parts_as_children(
        self, storage: FaultyStorage, clock: VirtualClock, told: CaptureSettings, heard: Heard
    ) -> None:
        async with opened_capture(storage, clock, told) as capture:
            or_raise(await capture.start_ring(RingConfig(session=SESSION, keep_s=60.0)))
            or_raise(await capture.capture_otlp_data("s", small_request("logs"), "logs"))
            or_raise(await capture.publish_ring("s", "r"))

        start, segment, ring = heard.spans
        assert [start.name, ring.name] == ["otlp_capture.start_ring", "otlp_capture.publish_ring"]
        assert start.attributes == {"otlp_capture.ring.name": "s", "otlp_capture.ring.keep": 60.0}
        assert segment.name == "otlp_capture.publish_segment"
        assert segment.parent is not None
        assert ring.context is not None
        assert segment.parent.span_id == ring.context.span_id


class TestMetrics:
    async def test_a_scripted_run_is_measured_exactly(
        self, storage: FaultyStorage, clock: VirtualClock, told: CaptureSettings, heard: Heard
    ) -> None:
        async with opened_capture(storage, clock, told) as capture:
            or_raise(await capture.start_capture(SESSION))
            first = or_raise(await capture.capture_otlp_data("s", small_request("logs"), "logs"))
            second = or_raise(await capture.capture_otlp_data("s", small_request("logs"), "logs"))
            size = first.size_bytes + second.size_bytes
            before = heard.metrics()
            storage.fail("publish_file")
            await clock.advance(30)
            failing = capture.get_spool_status()
            await clock.advance(1)
            after, status = heard.metrics(), capture.get_spool_status()

        part = (("otlp_capture.spool.part", "sessions"),)
        assert before == {
            "otlp_capture.spool.sync.duration": ("s", {(): (2, 0.0)}),
            "otlp_capture.spool.sync.requests": ("{request}", {(): (2, 2)}),
            "otlp_capture.spool.appended": ("By", {(): size}),
            "otlp_capture.spool.usage": ("By", {part: size}),
            "otlp_capture.spool.limit": ("By", {part: 10_000}),
        }
        error = (("error.type", "StorageUnreachable"),)
        assert after == {
            **before,
            "otlp_capture.spool.publish.duration": ("s", {error: (1, 0.0), (): (1, 0.0)}),
            "otlp_capture.spool.published": ("By", {(): size}),
            "otlp_capture.spool.usage": ("By", {part: 0}),
        }
        assert (failing.failing_segments, failing.failing_s, failing.used_bytes) == (1, 0.0, size)
        assert failing.last_error is not None
        assert (status.failing_segments, status.failing_s, status.used_bytes) == (0, None, 0)

    async def test_a_commit_that_fails_tells_its_error(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        told: CaptureSettings,
        heard: Heard,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        async with opened_capture(storage, clock, told) as capture:
            or_raise(await capture.start_capture(SESSION))

            def refuse(*_: object) -> None:
                raise OSError(5, "it is broken")

            monkeypatch.setattr("os.fdatasync", refuse)
            refused = await capture.capture_otlp_data("s", small_request("logs"), "logs")
            monkeypatch.undo()
            metrics = heard.metrics()

        assert isinstance(refused, Failure)
        error = (("error.type", "StorageFault"),)
        assert metrics["otlp_capture.spool.sync.duration"] == ("s", {error: (1, 0.0)})
        assert metrics["otlp_capture.spool.sync.requests"] == ("{request}", {error: (1, 0)})
        assert metrics["otlp_capture.spool.appended"] == ("By", {(): 0})

    async def test_a_service_that_has_ended_is_not_looked_at_any_more(
        self, storage: FaultyStorage, clock: VirtualClock, told: CaptureSettings, heard: Heard
    ) -> None:
        async with opened_capture(storage, clock, told) as capture:
            or_raise(await capture.start_ring(RingConfig(session=SESSION, keep_s=60.0)))
            usage = heard.metrics()["otlp_capture.spool.limit"]

        assert usage == (
            "By",
            {
                (("otlp_capture.spool.part", "sessions"),): 10_000,
                (("otlp_capture.spool.part", "ring"),): 10_000,
            },
        )
        assert "otlp_capture.spool.limit" not in heard.metrics()


def noted(calls: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(_: object, *given: Any) -> Any:
        calls.append(name)
        return real(*given)

    return call


class TestSilence:
    async def test_a_request_is_the_same_call_where_nobody_listens(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        told: CaptureSettings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        calls = list[str]()
        for name in ("operation", "received", "synced", "published"):
            monkeypatch.setattr(type(SILENT), name, noted(calls, name, getattr(SILENT, name)))
        silent = attrs.evolve(told, telemetry=SILENT)
        async with opened_capture(storage, clock, silent) as capture:
            or_raise(await capture.start_capture(SESSION))
            for _ in range(20):
                or_raise(await capture.capture_otlp_data("s", small_request("logs"), "logs"))
            assert calls == []
            or_raise(await capture.stop_capture("s"))

        assert calls == ["operation", "published"]

    async def test_listening_adds_no_call_for_a_request_but_its_commit(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        told: CaptureSettings,
        heard: Heard,
    ) -> None:
        async with opened_capture(storage, clock, told) as capture:
            or_raise(await capture.start_capture(SESSION))
            for _ in range(20):
                or_raise(await capture.capture_otlp_data("s", small_request("logs"), "logs"))

            assert heard.metrics()["otlp_capture.spool.sync.duration"] == ("s", {(): (20, 0.0)})
