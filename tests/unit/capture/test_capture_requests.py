"""What becomes of a request."""

import gzip
import zlib
from typing import Any, cast

import anyio
import anyio.lowlevel
import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.capture import (
    CaptureConfig,
    CapturedDataReference,
    CaptureSettings,
    CompressionFailure,
    OtlpCaptureService,
    SessionAlreadyActive,
    SessionEnded,
    SignalNotEnabled,
    StorageFailure,
    UnsupportedContentEncoding,
)
from otlp_capture.clock import moment
from otlp_capture.otlp import Encoding, InvalidRequest, Limits, RequestTooLarge
from otlp_capture.result import Fault, or_raise
from otlp_capture.sessions import (
    InvalidSessionId,
    MetadataCorrupted,
    SessionNotFound,
)
from otlp_capture.storage import S3Storage
from tests.captures import (
    CONFIG,
    LOGS,
    PATIENT,
    TRACES,
    Background,
    Held,
    held,
    indexed,
    keep,
    opened_capture,
)
from tests.clocks import HANGS_AFTER_S, START, VirtualClock, settled
from tests.faulty_storage import FaultyStorage
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio


class TestCapture:
    @pytest.fixture(autouse=True)
    async def started(self, capture: OtlpCaptureService) -> None:
        or_raise(await capture.start_capture(CONFIG))

    async def test_the_reference_says_where_the_request_lies(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        reference = await keep(capture)

        (segment,) = (await indexed(storage)).segments
        frame = segment.frames[0]
        assert reference == CapturedDataReference(
            key=segment.key,
            offset=frame.offset,
            signal_type="logs",
            timestamp=moment(START),
            size_bytes=frame.size_bytes,
            record_count=1,
            compressed=True,
        )
        content = or_raise(await storage.retrieve_raw_data(reference.key))
        member = content[reference.offset : reference.offset + reference.size_bytes]
        assert gzip.decompress(member) == LOGS

    async def test_it_is_in_the_store_when_it_is_acknowledged(
        self, storage: FaultyStorage, capture: OtlpCaptureService, background: Background
    ) -> None:
        gate = storage.hold("/raw/")

        outcomes = background.start(lambda: capture.capture_otlp_data("s", LOGS, "logs"))
        await settled()
        before = list(outcomes), or_raise(await capture.get_capture_status("s")).captured_logs
        gate.set()
        await settled()

        assert before == ([], 0)
        assert isinstance(outcomes[0], Success)
        assert or_raise(await capture.get_capture_status("s")).captured_logs == 1

    async def test_json_is_kept_as_protobuf_and_marked(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        text = or_raise(otlp.encode(TRACES, "traces", "json"))

        reference = or_raise(await capture.capture_otlp_data("s", text, "traces", encoding="json"))

        assert await held(storage) == [Held("traces", TRACES, 0)]
        assert or_raise(await storage.retrieve_raw_data(reference.key))[17] == 1

    @pytest.mark.parametrize("name", ["gzip", "GZIP", " gzip "])
    async def test_a_clients_own_gzip_is_kept_as_it_is(
        self, storage: FaultyStorage, capture: OtlpCaptureService, name: str
    ) -> None:
        body = gzip.compress(LOGS, 9)

        reference = or_raise(
            await capture.capture_otlp_data("s", body, "logs", content_encoding=name)
        )

        content = or_raise(await storage.retrieve_raw_data(reference.key))
        assert content[66:] == body[10:]
        assert await held(storage) == [Held("logs", LOGS, 0)]

    @pytest.mark.parametrize("encoding", ["protobuf", "json"])
    async def test_other_gzip_is_compressed_anew(
        self, storage: FaultyStorage, capture: OtlpCaptureService, encoding: Any
    ) -> None:
        text = or_raise(otlp.encode(LOGS, "logs", encoding))
        body = gzip.compress(text[:9]) + gzip.compress(text[9:])

        reference = or_raise(
            await capture.capture_otlp_data(
                "s", body, "logs", encoding=encoding, content_encoding="gzip"
            )
        )

        content = or_raise(await storage.retrieve_raw_data(reference.key))
        assert content[17] & 4 == 0
        assert await held(storage) == [Held("logs", LOGS, 0)]

    async def test_an_empty_request_is_kept_like_any_other(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        await keep(capture, b"")

        assert await held(storage) == [Held("logs", b"", 0)]

    async def test_a_large_request_is_kept_too(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        large = small_request("logs", text="x" * 100_000)

        await keep(capture, large)

        assert await held(storage) == [Held("logs", large, 0)]

    @pytest.mark.parametrize(
        ("body", "options", "kind", "text"),
        [
            (b"broken", {}, InvalidRequest, "Invalid OTLP request"),
            (b"{", {"encoding": "json"}, InvalidRequest, "Invalid OTLP request"),
            (
                LOGS,
                {"content_encoding": "gzip"},
                CompressionFailure,
                "The body cannot be decompressed: the gzip member at byte 0 is damaged: not gzip.",
            ),
            (
                gzip.compress(LOGS)[:-1],
                {"content_encoding": "gzip"},
                CompressionFailure,
                "The body cannot be decompressed: the gzip member at byte 0 is cut short.",
            ),
            (
                LOGS,
                {"content_encoding": "br"},
                UnsupportedContentEncoding,
                "Content-Encoding 'br' is not accepted. Send 'gzip' once, or 'identity'.",
            ),
            (
                gzip.compress(gzip.compress(LOGS)),
                {"content_encoding": "gzip, gzip"},
                UnsupportedContentEncoding,
                "'gzip, gzip' is not accepted",
            ),
            (bytes((20 << 20) + 1), {}, RequestTooLarge, "more than 20,971,520 bytes"),
            (
                zlib.compress(bytes((20 << 20) + 1), 1, wbits=31),
                {"content_encoding": "gzip"},
                RequestTooLarge,
                "more than 20,971,520 bytes",
            ),
        ],
    )
    async def test_what_cannot_be_kept_is_refused_and_not_counted(
        self,
        storage: FaultyStorage,
        capture: OtlpCaptureService,
        body: bytes,
        options: dict[str, Any],
        kind: type[Fault],
        text: str,
    ) -> None:
        refused = await capture.capture_otlp_data("s", body, "logs", **options)

        assert isinstance(refused.failure(), kind)
        assert text in refused.failure().message
        assert or_raise(await capture.get_capture_status("s")).captured_requests == 0
        assert await held(storage) == []

    async def test_the_elements_of_a_request_are_limited(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        few = CaptureSettings(linger_s=0.0, limits=Limits(max_elements=2))
        async with opened_capture(storage, clock, few) as capture:
            or_raise(await capture.start_capture(attrs.evolve(CONFIG, session_id="few")))

            refused = await capture.capture_otlp_data("few", LOGS, "logs")

        assert refused == Failure(RequestTooLarge("elements", 2))

    async def test_a_signal_that_is_not_recorded_is_refused(
        self, capture: OtlpCaptureService
    ) -> None:
        only_logs = CaptureConfig(session_id="t", capture_traces=False, capture_metrics=False)
        or_raise(await capture.start_capture(only_logs))

        assert await capture.capture_otlp_data("t", TRACES, "traces") == Failure(
            SignalNotEnabled("t", "traces")
        )
        refused = await capture.capture_otlp_data("s", b"", "profiles")  # type: ignore[arg-type]  # an untyped caller
        assert refused.failure().message == "Session 's' does not record profiles."
        assert isinstance(await capture.capture_otlp_data("t", LOGS, "logs"), Success)

    async def test_uncompressed_frames_hold_the_request_as_it_is(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        plain = CaptureConfig(session_id="t", compression_enabled=False)
        or_raise(await capture.start_capture(plain))

        reference = or_raise(
            await capture.capture_otlp_data(
                "t", gzip.compress(LOGS), "logs", content_encoding="gzip"
            )
        )

        content = or_raise(await storage.retrieve_raw_data(reference.key))
        assert not reference.compressed
        assert LOGS in content
        assert gzip.decompress(content) == LOGS

    async def test_arrivals_are_those_of_the_clock(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        first = await keep(capture)
        await clock.advance(2.5)
        second = await keep(capture)

        assert (second.timestamp - first.timestamp).total_seconds() == 2.5
        frames = [
            frame for segment in (await indexed(storage)).segments for frame in segment.frames
        ]
        assert sorted(frame.received_unix_nano - START for frame in frames) == [0, 2_500_000_000]

    async def test_a_session_of_another_process_is_told_apart_from_none(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await storage.store_raw_data(b"?", "sessions/odd/metadata.json"))
        async with opened_capture(storage, clock) as other:
            or_raise(await other.start_capture(attrs.evolve(CONFIG, session_id="t")))
            await clock.advance(5)

            outcomes = {
                name: await capture.capture_otlp_data(name, LOGS, "logs")
                for name in ("t", "none", "../x")
            }
            odd = await capture.capture_otlp_data("odd", LOGS, "logs")
            or_raise(await other.stop_capture("t"))
            ended = await capture.capture_otlp_data("t", LOGS, "logs")
        storage.fail("head")
        failed = await capture.capture_otlp_data("t", LOGS, "logs")

        assert outcomes == {
            "t": Failure(SessionAlreadyActive("t", 5.0)),
            "none": Failure(SessionNotFound("none")),
            "../x": Failure(InvalidSessionId("../x")),
        }
        assert isinstance(odd.failure(), MetadataCorrupted)
        assert ended == Failure(SessionEnded("t", "stopped"))
        assert failed == Failure(StorageFailure("t", storage.error))


class TestCompany:
    async def test_requests_that_linger_share_an_object_of_their_signal(
        self, storage: FaultyStorage, clock: VirtualClock, background: Background
    ) -> None:
        async with opened_capture(storage, clock, PATIENT) as capture:
            or_raise(await capture.start_capture(CONFIG))
            calls = [
                background.start(
                    lambda signal=signal: capture.capture_otlp_data(  # type: ignore[misc]  # bound early
                        "s", small_request(signal), signal
                    )
                )
                for signal in ("logs", "traces", "logs", "logs")
            ]
            await settled()
            assert calls == [[], [], [], []]

            stopped = or_raise(await capture.stop_capture("s"))
            await settled()

        references = [or_raise(call[0]) for call in calls]
        assert len({reference.key for reference in references}) == 2
        offsets = [each.offset for each in references if each.signal_type == "logs"]
        assert offsets == sorted(set(offsets))
        assert (stopped.captured_logs, stopped.captured_traces) == (3, 1)

    async def test_the_linger_ends_the_wait(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        async with opened_capture(storage, clock, CaptureSettings(linger_s=0.001)) as capture:
            or_raise(await capture.start_capture(CONFIG))
            with anyio.fail_after(HANGS_AFTER_S):
                await keep(capture)

    async def test_a_size_ends_the_wait_too(
        self, storage: FaultyStorage, clock: VirtualClock, background: Background
    ) -> None:
        settings = attrs.evolve(PATIENT, segment_bytes=2 * 100)
        async with opened_capture(storage, clock, settings) as capture:
            or_raise(await capture.start_capture(CONFIG))
            calls = [
                background.start(lambda: capture.capture_otlp_data("s", LOGS, "logs"))
                for _ in range(3)
            ]
            await settled()

            assert [len(call) for call in calls] == [1, 1, 0]

    async def test_objects_are_put_in_parallel_and_those_that_wait_grow(
        self, storage: FaultyStorage, clock: VirtualClock, background: Background
    ) -> None:
        gate = storage.hold("/raw/")
        async with opened_capture(storage, clock) as capture:
            or_raise(await capture.start_capture(CONFIG))
            calls = []
            for _ in range(10):
                calls.append(background.start(lambda: capture.capture_otlp_data("s", LOGS, "logs")))
                await settled()
            gate.set()
            await settled()

        keys = [or_raise(call[0]).key for call in calls]
        assert [keys.count(key) for key in dict.fromkeys(keys)] == [1, 1, 1, 1, 6]


class TestWitness:
    async def test_it_sees_the_request_as_it_is_stored_and_as_it_came(
        self, memory: S3Storage
    ) -> None:
        seen: list[tuple[bytes, bytes]] = []
        text = or_raise(otlp.encode(LOGS, "logs", "json"))
        async with opened_capture(memory, VirtualClock()) as capture:
            or_raise(await capture.start_capture(CONFIG))
            for encoding, content_encoding, body in (
                ("protobuf", "identity", LOGS),
                ("json", "gzip", gzip.compress(text)),
            ):
                or_raise(
                    await capture.capture_otlp_data(
                        "s",
                        body,
                        "logs",
                        encoding=cast("Encoding", encoding),
                        content_encoding=content_encoding,
                        witness=lambda stored, came: seen.append((stored, came)),
                    )
                )

        stored = [request.request for request in await held(memory)]
        assert seen == [(stored[0], LOGS), (stored[1], text)]
