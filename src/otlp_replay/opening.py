"""What a replay needs before it begins: the order of its requests, and how they are chosen."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import anyio.to_thread
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import SessionIndex, index_session, load_session
from otlp_capture.storage import S3Storage
from otlp_replay.config import ReplayConfig
from otlp_replay.course import Course
from otlp_replay.errors import ReplayError, as_replay_error
from otlp_replay.selection import Selection, check_selection, selection_of
from otlp_replay.sequence import lay_out

_NS: Final = 1_000_000_000


@attrs.frozen
class Opened:
    """What a replay sends.

    Attributes:
        course: in which order.
        selection: what of each request.
    """

    course: Course
    selection: Selection


@attrs.frozen
class OpenSessions:
    """The sessions of a replay, and what it selects of them.

    Attributes:
        indexes: what the sessions hold, whole, by their ids.
        chosen: the same without the segments that are not selected; none of these is damaged.
        selection: what is selected, its window on the wall clock.
    """

    indexes: Mapping[str, SessionIndex]
    chosen: Mapping[str, SessionIndex]
    selection: Selection


async def open_course(storage: S3Storage, config: ReplayConfig) -> Outcome[Opened, ReplayError]:
    """Look up what a replay sends, without reading any request.

    Fails with:
        InvalidSessionId, SessionNotFound: there is no such session.
        NothingSelected: nothing that it holds is to be sent.
        DataCorrupted, DecompressionFailure: a segment that is to be sent is damaged.
        StorageFailure: the store did not answer well.
    """
    opened = await open_sessions(storage, config)
    if isinstance(opened, Failure):
        return opened
    chosen, selection = opened.unwrap().chosen, opened.unwrap().selection
    max_gap_ns = None if config.max_gap_s is None else round(config.max_gap_s * _NS)
    work = partial(lay_out, chosen, selection, limit=config.limit, max_gap_ns=max_gap_ns)
    sequence = await anyio.to_thread.run_sync(work)
    return Success(Opened(Course(sequence, config.loops, config.copies), selection))


async def open_sessions(
    storage: S3Storage, config: ReplayConfig
) -> Outcome[OpenSessions, ReplayError]:
    """Look up the sessions of a replay, and see that what it selects is there and whole.

    Fails with:
        InvalidSessionId, SessionNotFound: there is no such session.
        NothingSelected: nothing that they hold is to be sent.
        DataCorrupted, DecompressionFailure: a segment that is to be sent is damaged.
        StorageFailure: the store did not answer well.
    """
    indexes: dict[str, SessionIndex] = {}
    for session_id in config.session_ids:
        found = await _open_index(storage, session_id)
        if isinstance(found, Failure):
            return found
        indexes[session_id] = found.unwrap()
    checked = check_selection(selection_of(config), *indexes.values())
    if isinstance(checked, Failure):
        return checked
    selection = checked.unwrap()
    chosen = {name: selection.segments(index) for name, index in indexes.items()}
    for session_id, index in chosen.items():
        if index.damages:
            return Failure(as_replay_error(session_id, index.damages[0]))
    return Success(OpenSessions(indexes, chosen, selection))


async def open_index(
    storage: S3Storage, session_id: str, selection: Selection
) -> Outcome[SessionIndex, ReplayError]:
    """Return what a session holds of a selection.

    Fails with:
        InvalidSessionId, SessionNotFound: there is no such session.
        DataCorrupted, DecompressionFailure: a segment that is selected is damaged.
        StorageFailure: the store did not answer well.
    """
    found = await _open_index(storage, session_id)
    if isinstance(found, Failure):
        return found
    index = selection.segments(found.unwrap())
    if index.damages:
        return Failure(as_replay_error(session_id, index.damages[0]))
    return Success(index)


async def _open_index(storage: S3Storage, session_id: str) -> Outcome[SessionIndex, ReplayError]:
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure):
        return Failure(as_replay_error(session_id, loaded.failure()))
    indexed = await index_session(storage, session_id)
    if isinstance(indexed, Failure):
        return Failure(as_replay_error(session_id, indexed.failure()))
    return indexed
