"""How a session begins."""

import math
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture.capture import (
    CaptureConfig,
    CaptureSettings,
    InvalidConfig,
    OtlpCaptureService,
    OtlpCaptureServiceTag,
    StorageFailure,
    capture_service,
)
from otlp_capture.clock import SystemClock, moment
from otlp_capture.layer import open_runtime, wire
from otlp_capture.otlp import Limits
from otlp_capture.result import Fault, or_raise
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    CaptureSwitches,
    InvalidSessionId,
    SessionAlreadyExists,
)
from otlp_capture.storage import (
    memory_storage,
)
from tests.captures import CONFIG, keep, opened_capture, stored
from tests.clocks import START, VirtualClock
from tests.faulty_storage import FaultyStorage

pytestmark = pytest.mark.anyio


class TestStart:
    async def test_the_metadata_say_what_was_asked_for(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        started = await capture.start_capture(
            CaptureConfig(
                session_id="s",
                diagnostic_session_id="d",
                description="größer",
                enabled_flags=["paymentFailure"],
                capture_metrics=False,
                compression_enabled=False,
                max_size_mb=2,
                max_duration_minutes=0.5,
                created_by="tests",
                labels={"team": "a"},
            )
        )

        assert started == Success(
            CaptureSessionMetadata(
                session_id="s",
                diagnostic_session_id="d",
                description="größer",
                start_time=moment(START),
                status="active",
                enabled_flags=("paymentFailure",),
                s3_prefix="sessions/s",
                created_by="tests",
                last_checkpoint_time=moment(START),
                labels={"team": "a"},
                capture=CaptureSwitches(
                    metrics=False,
                    compression_enabled=False,
                    max_size_mb=2,
                    max_duration_minutes=0.5,
                ),
            )
        )
        assert await stored(storage) == started.unwrap()

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"session_id": "../s"}, InvalidSessionId("../s")),
            *(
                (
                    {field: value},
                    InvalidConfig(field, value, "it is a positive number, or None"),
                )
                for field in ("max_size_mb", "max_duration_minutes")
                for value in (0, -1.5, math.inf, True, "1")
            ),
            (
                {"capture_traces": False, "capture_metrics": False, "capture_logs": False},
                InvalidConfig(
                    "the choice of signals",
                    "none",
                    "record traces, metrics or logs, or several of them",
                ),
            ),
            *(
                (changes, InvalidConfig(field, value, "it is text that UTF-8 can carry"))
                for changes, field, value in [
                    ({"labels": {"a": 1}}, "labels['a']", 1),
                    ({"labels": {1: "a"}}, "labels", 1),
                    ({"labels": {"a": "\ud800"}}, "labels['a']", "\ud800"),
                    ({"enabled_flags": (None,)}, "enabled_flags", None),
                    ({"description": 7}, "description", 7),
                    ({"created_by": None}, "created_by", None),
                    ({"diagnostic_session_id": b"x"}, "diagnostic_session_id", b"x"),
                ]
            ),
        ],
    )
    async def test_a_configuration_that_cannot_be_is_refused(
        self,
        storage: FaultyStorage,
        capture: OtlpCaptureService,
        changes: dict[str, Any],
        error: Fault,
    ) -> None:
        refused = await capture.start_capture(attrs.evolve(CONFIG, **changes))

        assert refused == Failure(error)
        assert storage.written == []

    async def test_a_limit_that_is_not_a_number_is_refused(
        self, capture: OtlpCaptureService
    ) -> None:
        refused = await capture.start_capture(attrs.evolve(CONFIG, max_size_mb=math.nan))

        assert refused.failure().message == (
            "max_size_mb cannot be nan: it is a positive number, or None."
        )

    async def test_an_id_is_taken_once_whatever_became_of_the_session(
        self, capture: OtlpCaptureService
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        again = await capture.start_capture(CONFIG)
        or_raise(await capture.stop_capture("s"))
        afterwards = await capture.start_capture(CONFIG)

        assert again == Failure(SessionAlreadyExists("s", "active"))
        assert afterwards == Failure(SessionAlreadyExists("s", "completed"))

    @pytest.mark.parametrize("is_exact", [True, False])
    async def test_of_many_at_once_one_begins(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        is_exact: bool,  # noqa: FBT001 - a parameter of the test
    ) -> None:
        storage.is_exact = is_exact
        outcomes: list[Any] = []

        async def start(capture: OtlpCaptureService) -> None:
            outcomes.append(await capture.start_capture(CONFIG))

        async with opened_capture(storage, clock) as capture:
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(start, capture)
            assert sum(isinstance(each, Success) for each in outcomes) == 1
            await keep(capture)

    async def test_a_store_that_fails_is_told(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        storage.fail("store_raw_data")

        refused = await capture.start_capture(CONFIG)

        assert refused == Failure(StorageFailure("s", storage.error))
        assert refused.failure().message == f"Session 's': {storage.error.message}"
        assert isinstance(await capture.start_capture(CONFIG), Success)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"linger_s": -0.1}, "linger_s"),
            ({"linger_s": math.nan}, "linger_s"),
            ({"segment_bytes": 0}, "segment_bytes"),
            ({"checkpoint_interval_s": 0.0}, "checkpoint_interval_s"),
            ({"idle_checkpoint_interval_s": math.inf}, "idle_checkpoint_interval_s"),
            ({"limits": Limits(max_bytes=0)}, "limits.max_bytes"),
            ({"limits": Limits(max_bytes=(1 << 28) + 1)}, "limits.max_bytes"),
            ({"limits": Limits(max_elements=(1 << 23) + 1)}, "limits.max_elements"),
        ],
    )
    async def test_a_service_with_settings_that_cannot_be_does_not_open(
        self, changes: dict[str, Any], field: str
    ) -> None:
        layer = wire(capture_service(CaptureSettings(**changes)), memory_storage(), SystemClock)

        async with open_runtime(layer, OtlpCaptureServiceTag) as opened:
            error = opened.failure()

        assert isinstance(error, InvalidConfig)
        assert error.field == field
