"""A capture service that tells of its operations; of single requests the receiver tells."""

from otlp_capture.capture.errors import CaptureError
from otlp_capture.capture.model import CaptureConfig, SpoolStatus
from otlp_capture.capture.protocol import OtlpCaptureService
from otlp_capture.capture.ring import RingConfig, RingStatus
from otlp_capture.result import Outcome
from otlp_capture.sessions import CaptureSessionMetadata, SessionNotFound
from otlp_capture.spool import Recovered
from otlp_capture.telemetry import SILENT, Attributes, Telemetry


def told(service: OtlpCaptureService, telemetry: Telemetry) -> OtlpCaptureService:
    """Return a service that makes a span of each operation; the same where nobody listens."""
    return service if telemetry is SILENT else _Told(service, telemetry)


class _Told:
    def __init__(self, service: OtlpCaptureService, telemetry: Telemetry) -> None:
        self._service, self._telemetry = service, telemetry
        # What is called for each request goes straight to the service.
        self.capture_otlp_data = service.capture_otlp_data

    async def start_capture(
        self, config: CaptureConfig
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        about = {"session.id": config.session_id}
        with self._telemetry.operation("start_capture", about) as concluded:
            return concluded(await self._service.start_capture(config))

    async def resume_capture(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        about = {"session.id": session_id}
        with self._telemetry.operation("resume_capture", about) as concluded:
            return concluded(await self._service.resume_capture(session_id))

    async def stop_capture(self, session_id: str) -> Outcome[CaptureSessionMetadata, CaptureError]:
        about = {"session.id": session_id}
        with self._telemetry.operation("stop_capture", about) as concluded:
            return concluded(await self._service.stop_capture(session_id))

    async def recover_capture(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        about = {"session.id": session_id}
        with self._telemetry.operation("recover_capture", about) as concluded:
            return concluded(await self._service.recover_capture(session_id))

    async def recover_leftovers(self) -> tuple[Outcome[Recovered, CaptureError], ...]:
        return await self._service.recover_leftovers()

    async def start_ring(self, config: RingConfig) -> Outcome[RingStatus, CaptureError]:
        about: Attributes = {"ring.name": config.session.session_id, "ring.keep": config.keep_s}
        with self._telemetry.operation("start_ring", about) as concluded:
            return concluded(await self._service.start_ring(config))

    async def publish_ring(
        self, name: str, session_id: str | None = None
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        with self._telemetry.operation("publish_ring", {"ring.name": name}) as concluded:
            return concluded(await self._service.publish_ring(name, session_id))

    def get_ring_status(self, name: str) -> Outcome[RingStatus, SessionNotFound]:
        return self._service.get_ring_status(name)

    def get_live_sessions(self) -> tuple[CaptureSessionMetadata, ...]:
        return self._service.get_live_sessions()

    def get_spool_status(self) -> SpoolStatus:
        return self._service.get_spool_status()

    async def get_capture_status(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        return await self._service.get_capture_status(session_id)

    async def list_capture_sessions(
        self,
    ) -> Outcome[tuple[CaptureSessionMetadata, ...], CaptureError]:
        return await self._service.list_capture_sessions()
