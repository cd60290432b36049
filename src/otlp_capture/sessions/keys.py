"""Which key of the store holds what. Source: docs/storage-format.md."""

import re
import uuid
from datetime import UTC, datetime
from typing import ClassVar, Final

import attrs

from otlp_capture.otlp import SIGNALS, Signal, is_signal
from otlp_capture.result import Failure, Outcome, Success

SESSIONS: Final = "sessions/"
_SESSION_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DAY_AND_HOUR: Final = r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})/(?P<hour>[0-9]{2})"
_SEGMENT: Final = re.compile(
    rf".+/raw/{_DAY_AND_HOUR}/(?P<signal>{'|'.join(SIGNALS)})-(?P<name>[^/]*)\.otlp\.gz"
)
_MILLISECONDS: Final = re.compile(r"([0-9]{9,13})(?:-|$)")
"""Longer than the first group of a UUID, and in nanoseconds still within 64 bits."""


@attrs.frozen
class InvalidSessionId:
    """*session_id* cannot name a session."""

    session_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was given, and what is allowed."""
        return (
            f"{self.session_id[:200]!r} is no session id. Use 1 to 128 letters, digits, '.', '_' "
            f"and '-', a letter or a digit first, and no '..'."
        )


@attrs.frozen
class SegmentName:
    """What a segment's key says: signal, hour folder, and its own time (None: it has none)."""

    signal: Signal
    hour: str
    timestamp_ms: int | None


def check_session_id(session_id: str) -> Outcome[str, InvalidSessionId]:
    """Return *session_id* if it can name a session.

    Fails with:
        InvalidSessionId: it cannot.

    >>> check_session_id("checkout-2026.11").unwrap()
    'checkout-2026.11'
    """
    if _SESSION_ID.fullmatch(session_id) and ".." not in session_id:
        return Success(session_id)
    return Failure(InvalidSessionId(session_id))


def session_prefix(session_id: str) -> str:
    """Return where a session lives, without the store's own prefix and without a final slash.

    >>> session_prefix("checkout")
    'sessions/checkout'
    """
    return f"{SESSIONS}{session_id}"


def metadata_key(session_id: str) -> str:
    """Return the key of a session's metadata document."""
    return f"{session_prefix(session_id)}/metadata.json"


def raw_prefix(session_id: str) -> str:
    """Return the prefix that all segments of a session share."""
    return f"{session_prefix(session_id)}/raw/"


def manifest_prefix(session_id: str) -> str:
    """Return the prefix that all parts of a session's manifest share."""
    return f"{session_prefix(session_id)}/manifest/"


def manifest_key(session_id: str, hour: str) -> str:
    """Return the key of the manifest's part for an hour folder, `YYYY-MM-DD/HH`.

    >>> manifest_key("checkout", "2026-11-23/01")
    'sessions/checkout/manifest/2026-11-23-01.json.gz'
    """
    return f"{manifest_prefix(session_id)}{hour.replace('/', '-')}.json.gz"


def replays_prefix(session_id: str) -> str:
    """Return the prefix that what is kept of a session's replays shares."""
    return f"{session_prefix(session_id)}/replays/"


def replay_key(session_id: str, replay_id: str) -> str:
    """Return the key of the fidelity certificate of a replay.

    >>> replay_key("checkout", "nightly-7")
    'sessions/checkout/replays/nightly-7.json'
    """
    return f"{replays_prefix(session_id)}{replay_id}.json"


def new_segment_key(session_id: str, signal: Signal, received_unix_nano: int) -> str:
    """Return a key for a new segment, dated by the arrival of its first frame."""
    arrival = datetime.fromtimestamp(received_unix_nano // 1_000_000_000, UTC)
    name = f"{signal}-{received_unix_nano // 1_000_000}-{uuid.uuid4()}.otlp.gz"
    return f"{raw_prefix(session_id)}{arrival:%Y-%m-%d/%H}/{name}"


def key_in_session(key: str, session_id: str) -> str:
    """Return the key that a segment has in another session.

    >>> key_in_session("sessions/a/raw/2026-11-23/01/traces-1763861000000-x.otlp.gz", "b")
    'sessions/b/raw/2026-11-23/01/traces-1763861000000-x.otlp.gz'
    """
    return raw_prefix(session_id) + "/".join(key.rsplit("/", 3)[1:])


def spool_name(key: str) -> str:
    """Return how a segment is called in a spool folder of its session, which is flat.

    >>> spool_name("sessions/a/raw/2026-11-23/01/traces-1763861000000-x.otlp.gz")
    '2026-11-23_01_traces-1763861000000-x.otlp.gz'
    """
    day, hour, name = key.rsplit("/", 3)[1:]
    return f"{day}_{hour}_{name}"


def key_of_spool_name(session_id: str, name: str) -> str | None:
    """Return the key that a file of a spool is to have; None where it is no segment.

    >>> key_of_spool_name("a", "2026-11-23_01_traces-1763861000000-x.otlp.gz")
    'sessions/a/raw/2026-11-23/01/traces-1763861000000-x.otlp.gz'
    """
    key = raw_prefix(session_id) + name.replace("_", "/", 2)
    return key if parse_segment_key(key) is not None else None


def parse_segment_key(key: str) -> SegmentName | None:
    """Read a segment's key, whoever wrote it; None where it is not the key of a segment.

    >>> parse_segment_key("sessions/a/raw/2026-11-23/01/traces-1763861000000-x.otlp.gz")
    SegmentName(signal='traces', hour='2026-11-23/01', timestamp_ms=1763861000000)
    """
    found = _SEGMENT.fullmatch(key)
    if found is None:
        return None
    signal = found["signal"]
    assert is_signal(signal), "the pattern has only these"
    stamp = _MILLISECONDS.match(found["name"])
    return SegmentName(signal, f"{found['day']}/{found['hour']}", int(stamp[1]) if stamp else None)
