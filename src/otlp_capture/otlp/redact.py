"""Taking out of a request what must not be stored."""

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.measures import MOST_ADDED, REPEATED_FIELDS, Policy, Redacted
from otlp_capture.otlp.messages import parse_request, request_table, to_bytes
from otlp_capture.otlp.redact_values import Editing
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.wire import hides_values
from otlp_capture.result import Failure, Outcome, Success


def redact(
    request: bytes, signal: Signal, policy: Policy
) -> Outcome[Redacted, InvalidRequest | RequestTooLarge]:
    """Apply the measures of *policy* to a request.

    A measure that drops or hashes takes a value with all that is nested in it; any other leaves the
    values inside to the measures of their own keys, as far as these come before it. Records are
    neither added nor removed. What no measure changes stays as it is.

    Args:
        request: protobuf bytes that `scan` has passed; they are not checked here again.
        signal: what they carry.
        policy: which measures are taken where; what it says of a key is remembered.

    Fails with:
        InvalidRequest: the bytes are malformed.
        RequestTooLarge: masks would make it far larger than it was. That is not built.
    """
    redacted = KERNEL.redact(request, signal, policy) if KERNEL else None
    return redact_by_parsing(request, signal, policy) if redacted is None else redacted


def redact_by_parsing(
    request: bytes, signal: Signal, policy: Policy
) -> Outcome[Redacted, InvalidRequest | RequestTooLarge]:
    """Do what `redact` does, through messages."""
    parsed = parse_request(request, signal)
    if isinstance(parsed, Failure):
        return parsed
    message, table = parsed.unwrap(), request_table(signal)
    editing = Editing(policy)
    # What the parser overwrote no rule has seen: it must not be stored either.
    if to_bytes(message) != request and hides_values(request, table):
        editing.count(REPEATED_FIELDS)
    editing.edit_message(message, table)
    if editing.is_overgrown:
        return Failure(RequestTooLarge("bytes", len(request) + MOST_ADDED))
    if not editing.counts:
        return Success(Redacted(request, {}))
    return Success(Redacted(to_bytes(message), dict(editing.counts)))
