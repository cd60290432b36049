"""A certificate is kept when its replay ends; the replay has ended also where that fails."""

import logging
from typing import ClassVar, Final

import anyio
import attrs

from otlp_capture.result import Failure
from otlp_capture.storage import S3Storage
from otlp_replay.fidelity.certificate import FidelityCertificate
from otlp_replay.fidelity.storing import store_certificate

_log = logging.getLogger(__name__)
_PATIENCE_S: Final = 5.0


@attrs.frozen
class CertificateNotKept:
    """The certificate of *replay_id* does not lie beside session *session_id*."""

    session_id: str
    replay_id: str
    reason: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What is missing, why, and what may be done."""
        return (
            f"The certificate of replay {self.replay_id!r} was not stored beside session "
            f"{self.session_id!r}: {self.reason.rstrip('.')}. The status of the replay still has "
            f"it; store it from there."
        )


async def keep_certificate(
    storage: S3Storage, certificate: FidelityCertificate
) -> CertificateNotKept | None:
    """Store a certificate, within 5 s and also where all else is cancelled.

    Returns:
        Why it is not stored; None: it is.
    """
    reason = f"the store took longer than {_PATIENCE_S:g} s"
    with anyio.move_on_after(_PATIENCE_S, shield=True):
        stored = await store_certificate(storage, certificate)
        reason = stored.failure().message if isinstance(stored, Failure) else ""
    if not reason:
        return None
    problem = CertificateNotKept(certificate.session_ids[0], certificate.replay_id, reason)
    _log.warning("%s", problem.message)
    return problem
