"""How the capture service works: which sessions it has, and what becomes of each call."""

import logging
from typing import Final

import anyio
import attrs
from anyio.abc import TaskGroup

from otlp_capture.capture.errors import (
    CaptureError,
    InvalidConfig,
    SessionAlreadyActive,
    SessionEnded,
    StorageFailure,
    capture_error,
)
from otlp_capture.capture.intake import ClientRequest, Witness
from otlp_capture.capture.leftovers import Leftovers
from otlp_capture.capture.model import (
    DEFAULT_SETTINGS,
    CaptureConfig,
    CapturedDataReference,
    CaptureSettings,
    SpoolStatus,
    check_config,
    check_settings,
)
from otlp_capture.capture.opening import Openings
from otlp_capture.capture.protocol import OtlpCaptureService, OtlpCaptureServiceTag
from otlp_capture.capture.recording import Recording
from otlp_capture.capture.recordings import Recordings
from otlp_capture.capture.ring import RingConfig, RingStatus
from otlp_capture.capture.rings import Rings
from otlp_capture.capture.spooling import (
    Spooling,
)
from otlp_capture.capture.telling import told
from otlp_capture.clock import Clock, ClockTag, moment
from otlp_capture.layer import Layer, Scope, scoped
from otlp_capture.otlp import Encoding, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    Headers,
    SessionNotFound,
    check_session_id,
    list_sessions,
    load_session,
    session_prefix,
)
from otlp_capture.spool import Recovered
from otlp_capture.storage import S3Storage, S3StorageTag

_log = logging.getLogger(__name__)

_CLOSES_WITHIN_S: Final = 60.0
_WORKERS: Final = 4
"""Each may hold a request of the largest size several times over."""


class _CaptureService:
    def __init__(
        self, storage: S3Storage, clock: Clock, tasks: TaskGroup, settings: CaptureSettings
    ) -> None:
        self._storage, self._clock = storage, clock
        self._tasks, self._settings = tasks, settings
        self._recordings = Recordings()
        self._spooling = Spooling(
            storage, settings.spool_directory, settings.spool_budget_bytes, clock
        )
        self._leftovers = Leftovers(
            self._spooling,
            self._recordings.opening,
            self._recordings.is_live,
            settings.telemetry,
        )
        budget = self._spooling.budget
        self._unwatch = settings.telemetry.watch_spool(
            "sessions", lambda: budget.used_bytes, budget.limit_bytes
        )
        workers = anyio.Semaphore(_WORKERS)
        self._openings = Openings(
            storage,
            clock,
            tasks,
            workers,
            settings,
            self._spooling,
            self._recordings,
            self._recover_leftovers,
        )
        self._rings = Rings(clock, tasks, workers, settings, self._spooling, self._begin_from_ring)

    async def start_capture(
        self, config: CaptureConfig
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        checked = check_config(config)
        if isinstance(checked, Failure):
            return checked
        session_id = config.session_id
        async with self._recordings.opening(session_id):
            if self._rings.get(session_id) is not None:
                return Failure(SessionAlreadyActive(session_id, 0.0, is_held_here=True))
            metadata = self._described(config, self._clock.time_ns())
            begun = await self._openings.begin(metadata, self._settings)
        return begun if isinstance(begun, Failure) else Success(begun.unwrap().metadata)

    def _described(self, config: CaptureConfig, start_ns: int) -> CaptureSessionMetadata:
        return CaptureSessionMetadata(
            session_id=config.session_id,
            diagnostic_session_id=config.diagnostic_session_id,
            start_time=moment(start_ns),
            status="active",
            enabled_flags=config.enabled_flags,
            s3_prefix=session_prefix(config.session_id),
            created_by=config.created_by,
            description=config.description,
            last_checkpoint_time=moment(self._clock.time_ns()),
            labels=config.labels,
            capture=config.switches,
        )

    async def _begin_from_ring(
        self, config: CaptureConfig, start_ns: int
    ) -> Outcome[Recording, CaptureError]:
        """Begin a session for what a ring has, which lies in the spool whatever is usual here."""
        checked = check_config(config)
        if isinstance(checked, Failure):
            return checked
        settings = attrs.evolve(self._settings, durability="spool")
        async with self._recordings.opening(config.session_id):
            return await self._openings.begin(self._described(config, start_ns), settings)

    async def resume_capture(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        if self._recordings.live(session_id) is not None:
            return Failure(SessionAlreadyActive(session_id, 0.0))
        async with self._recordings.opening(session_id):
            if self._rings.get(session_id) is not None:
                return Failure(SessionAlreadyActive(session_id, 0.0, is_held_here=True))
            taken = await self._openings.take_up(session_id)
        return taken if isinstance(taken, Failure) else Success(taken.unwrap().metadata)

    async def stop_capture(self, session_id: str) -> Outcome[CaptureSessionMetadata, CaptureError]:
        recording = await self._hold(session_id)
        if isinstance(recording, Success):
            return await recording.unwrap().finish("stopped")
        is_over = isinstance(recording.failure(), SessionEnded)
        return await self.get_capture_status(session_id) if is_over else recording

    async def recover_capture(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        checked = check_session_id(session_id)
        if isinstance(checked, Failure):
            return checked
        recovered = await self._leftovers.recover(session_id)
        if isinstance(recovered, Failure):
            return recovered
        return await self.stop_capture(session_id)

    async def recover_leftovers(self) -> tuple[Outcome[Recovered, CaptureError], ...]:
        return tuple(await self._leftovers.recover_each())

    async def capture_otlp_data(
        self,
        session_id: str,
        data: bytes,
        signal_type: Signal,
        *,
        encoding: Encoding = "protobuf",
        content_encoding: str = "identity",
        headers: Headers = (),
        witness: Witness | None = None,
    ) -> Outcome[CapturedDataReference, CaptureError]:
        # The ring first: a session of its name has ended then, and would only say so.
        keeper = self._rings.get(session_id) or self._recordings.get(session_id)
        if keeper is None:
            return Failure(await self._openings.why_not_recorded(session_id))
        return await keeper.keep(
            ClientRequest(data, signal_type, encoding, content_encoding, headers, witness)
        )

    async def start_ring(self, config: RingConfig) -> Outcome[RingStatus, CaptureError]:
        name = config.session.session_id
        async with self._recordings.opening(name):
            if self._recordings.live(name) is not None:
                return Failure(SessionAlreadyActive(name, 0.0, is_held_here=True))
            started = await self._rings.start(config)
        self._recover_leftovers()
        return started

    async def publish_ring(
        self, name: str, session_id: str | None = None
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        return await self._rings.publish(name, session_id)

    def get_ring_status(self, name: str) -> Outcome[RingStatus, SessionNotFound]:
        ring = self._rings.get(name)
        return Failure(SessionNotFound(name)) if ring is None else Success(ring.status)

    def get_live_sessions(self) -> tuple[CaptureSessionMetadata, ...]:
        return tuple(held.metadata for held in self._recordings if held.is_live)

    def get_spool_status(self) -> SpoolStatus:
        return self._spooling.status(self._clock.monotonic_ns())

    async def get_capture_status(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        recording = self._recordings.live(session_id)
        if recording is not None:
            return Success(recording.metadata)
        loaded = await load_session(self._storage, session_id)
        if isinstance(loaded, Failure):
            return Failure(capture_error(session_id, loaded.failure()))
        return Success(loaded.unwrap().metadata)

    async def list_capture_sessions(
        self,
    ) -> Outcome[tuple[CaptureSessionMetadata, ...], CaptureError]:
        listed = await list_sessions(self._storage)
        if isinstance(listed, Failure):
            return Failure(StorageFailure(None, listed.failure()))
        live = {metadata.session_id: metadata for metadata in self.get_live_sessions()}
        return Success(
            tuple(live.get(metadata.session_id, metadata) for metadata in listed.unwrap())
        )

    async def close(self) -> None:
        """Settle what came; active sessions stay active, for another process to take up."""
        self._unwatch()
        try:
            # They may be making sessions, which can be released then.
            with anyio.move_on_after(_CLOSES_WITHIN_S / 2):
                await self._rings.close()
            self._recordings.close()
            async with anyio.create_task_group() as releasing:
                for recording in self._recordings:
                    releasing.start_soon(recording.release)
        finally:
            self._tasks.cancel_scope.cancel()

    def _recover_leftovers(self) -> None:
        """See to what others left in the spool, beside what goes on; not while this closes."""
        if not self._recordings.has_closed():
            self._tasks.start_soon(self._leftovers.recover_once)

    async def _hold(self, session_id: str) -> Outcome[Recording, CaptureError]:
        """Return the recording of a session, which is taken up where nobody has it."""
        async with self._recordings.opening(session_id):
            recording = self._recordings.live(session_id)
            if recording is not None:
                return Success(recording)
            return await self._openings.take_up(session_id)


def capture_service(settings: CaptureSettings = DEFAULT_SETTINGS) -> Layer[InvalidConfig]:
    """Return the layer of a capture service that works by *settings*.

    Opening it fails with `InvalidConfig` where a setting is not in its range.
    """

    async def open_capture(
        scope: Scope, storage: S3Storage, clock: Clock
    ) -> Outcome[OtlpCaptureService, InvalidConfig]:
        checked = check_settings(settings)
        if isinstance(checked, Failure):
            return checked
        tasks = await scope.enter(anyio.create_task_group())
        service = _CaptureService(storage, clock, tasks, settings)
        scope.defer(service.close, deadline_s=_CLOSES_WITHIN_S)
        return Success(told(service, settings.telemetry))

    return scoped(OtlpCaptureServiceTag, open_capture, S3StorageTag, ClockTag)


OtlpCaptureServiceLive: Final = capture_service()
"""The capture service with the default settings."""
