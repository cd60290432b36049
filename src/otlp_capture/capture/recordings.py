"""The recordings that a service has: those that go on, and the latest that have ended."""

from collections.abc import Iterator
from typing import Final
from weakref import WeakValueDictionary

import anyio

from otlp_capture.capture.recording import Recording

_MOST_ENDED: Final = 256
"""How many sessions that have ended are remembered; of the others the store is asked."""


class Recordings:
    """The recordings of a service, by session, until it is closed; each is opened one at a time."""

    def __init__(self) -> None:
        self._recordings: dict[str, Recording] = {}
        self._locks = WeakValueDictionary[str, anyio.Lock]()
        self._is_closed = False

    def has_closed(self) -> bool:
        """No recording is to be added any more."""
        return self._is_closed

    def close(self) -> None:
        """Have no more recordings than there are."""
        self._is_closed = True

    def opening(self, session_id: str) -> anyio.Lock:
        """Return what keeps two openings of one session apart."""
        return self._locks.setdefault(session_id, anyio.Lock())

    def get(self, session_id: str) -> Recording | None:
        """Return the recording of a session, also one that has ended."""
        return self._recordings.get(session_id)

    def live(self, session_id: str) -> Recording | None:
        """Return the recording of a session that goes on."""
        recording = self._recordings.get(session_id)
        return recording if recording is not None and recording.is_live else None

    def is_live(self, session_id: str) -> bool:
        """Tell whether a session is recorded here."""
        return self.live(session_id) is not None

    def enlist(self, recording: Recording) -> None:
        """Have a recording from now on, and forget the oldest of many that have ended."""
        session_id = recording.metadata.session_id
        self._recordings.pop(session_id, None)
        self._recordings[session_id] = recording
        ended = [name for name, each in self._recordings.items() if each.has_ended]
        for name in ended[:-_MOST_ENDED]:
            del self._recordings[name]

    def __iter__(self) -> Iterator[Recording]:
        return iter(self._recordings.values())
