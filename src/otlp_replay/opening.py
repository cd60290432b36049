"""What a replay needs before it begins: the order of its requests, and how they are chosen."""

from collections.abc import Iterator

import anyio.to_thread
import attrs

from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import FrameRef, SessionIndex, index_session, load_session
from otlp_capture.storage import S3Storage
from otlp_replay.config import ReplayConfig
from otlp_replay.course import Course
from otlp_replay.dispatching import Choice
from otlp_replay.errors import ReplayError, as_replay_error
from otlp_replay.frames import frames_in_order
from otlp_replay.sequence import Sequence, lay_out

_NS = 1_000_000_000


@attrs.frozen
class Opened:
    """What a replay sends.

    Attributes:
        course: in which order.
        choice: what of each request.
    """

    course: Course
    choice: Choice


async def open_course(storage: S3Storage, config: ReplayConfig) -> Outcome[Opened, ReplayError]:
    """Look up what a replay sends, without reading any request.

    Fails with:
        InvalidSessionId, SessionNotFound: there is no such session.
        DataCorrupted, DecompressionFailure: a segment that is to be sent is damaged.
        StorageFailure: the store did not answer well.
    """
    indexes: dict[str, SessionIndex] = {}
    for session_id in config.session_ids:
        found = await open_index(storage, session_id, config.signals)
        if isinstance(found, Failure):
            return found
        indexes[session_id] = found.unwrap()
    sequence = await anyio.to_thread.run_sync(_laid_out, indexes, config)
    return Success(Opened(Course(sequence, config.loops, config.copies), Choice()))


async def open_index(
    storage: S3Storage, session_id: str, signals: tuple[Signal, ...]
) -> Outcome[SessionIndex, ReplayError]:
    """Return what a session holds of *signals*.

    Fails with:
        InvalidSessionId, SessionNotFound: there is no such session.
        DataCorrupted, DecompressionFailure: a segment of these signals is damaged.
        StorageFailure: the store did not answer well.
    """
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure):
        return Failure(as_replay_error(session_id, loaded.failure()))
    indexed = await index_session(storage, session_id)
    if isinstance(indexed, Failure):
        return Failure(as_replay_error(session_id, indexed.failure()))
    index = indexed.unwrap()
    chosen = tuple(segment for segment in index.segments if segment.signal in signals)
    keys = {segment.key for segment in chosen}
    damage = next((each for each in index.damages if each.key in keys), None)
    if damage is not None:
        return Failure(as_replay_error(session_id, damage))
    return Success(SessionIndex(chosen))


def _laid_out(indexes: dict[str, SessionIndex], config: ReplayConfig) -> Sequence:
    def frames_of(index: SessionIndex) -> Iterator[FrameRef]:
        return frames_in_order(index, config.signals)

    return lay_out(
        indexes,
        frames_of,
        window=(config.replay_from, config.replay_until),
        limit=config.limit,
        max_gap_ns=None if config.max_gap_s is None else round(config.max_gap_s * _NS),
    )
