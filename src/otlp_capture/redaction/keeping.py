"""A request as a session may keep it."""

from otlp_capture import otlp
from otlp_capture.otlp import RequestFacts, Signal
from otlp_capture.redaction.errors import RedactionFailed
from otlp_capture.redaction.redactor import Redactor
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import STORED_LIMITS


def redact_to_keep(
    request: bytes, signal: Signal, facts: RequestFacts, redactor: Redactor
) -> Outcome[tuple[bytes, RequestFacts], RedactionFailed]:
    """Return a request as it may be kept, with what is then to be found in it.

    Args:
        request: protobuf bytes that `otlp.scan` has passed.
        signal: what they carry.
        facts: what is found in them.
        redactor: what takes out of them what must not be kept.

    Returns:
        The request, the same object where nothing was to be changed.

    Fails with:
        RedactionFailed: it must not be kept: it could not be redacted, or is too large then.
    """
    redacted = redactor.redact(request, signal)
    if isinstance(redacted, Failure):
        return redacted
    kept = redacted.unwrap().request
    if kept is request:
        return Success((request, facts))
    scanned = otlp.scan(kept, signal, limits=STORED_LIMITS)
    if isinstance(scanned, Failure):
        return Failure(RedactionFailed("what was left of it is more than a session keeps"))
    return Success((kept, scanned.unwrap()))
