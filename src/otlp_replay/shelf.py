"""Which replays there are, and how those ended that are over."""

from collections import OrderedDict
from itertools import islice
from typing import Final

import attrs

from otlp_replay.replay import Replay
from otlp_replay.status import ReplayStatus

_MOST_ENDED: Final = 256
_MOST_CERTIFICATES: Final = 16


class Shelf:
    """Keeps replays by their ids, and by those of their sessions: the latest of each.

    Of one that has ended its status is kept, until 256 others have ended after it, and the
    certificate in it until 16 have.
    """

    def __init__(self) -> None:
        self._running: dict[str, Replay] = {}
        self._ended: OrderedDict[str, ReplayStatus] = OrderedDict()
        self._latest: dict[str, str] = {}

    def __contains__(self, replay_id: object) -> bool:
        return replay_id in self._running or replay_id in self._ended

    def put(self, replay: Replay) -> None:
        """Add one that is to run."""
        self._running[replay.replay_id] = replay
        self._latest[replay.status.session_id] = replay.replay_id

    def retire(self, replay: Replay) -> None:
        """Keep of one that has ended how it did."""
        del self._running[replay.replay_id]
        self._ended[replay.replay_id] = replay.status
        for other in islice(reversed(self._ended), _MOST_CERTIFICATES, _MOST_CERTIFICATES + 1):
            self._ended[other] = attrs.evolve(self._ended[other], certificate=None)
        while len(self._ended) > _MOST_ENDED:
            oldest, status = self._ended.popitem(last=False)
            if self._latest.get(status.session_id) == oldest:
                del self._latest[status.session_id]

    def forget(self, replay_id: str) -> None:
        """Let go of one that has ended and is gone on with."""
        self._ended.pop(replay_id, None)

    def is_running(self, replay_id: str) -> bool:
        """Whether the replay of that id has not ended."""
        return replay_id in self._running

    def running(self, name: str) -> Replay | None:
        """Return the replay of that id, or the latest of that session, if it runs."""
        return self._running.get(name) or self._running.get(self._latest.get(name, ""))

    def status(self, name: str) -> ReplayStatus | None:
        """Return how the replay of that id stands, or the latest of that session."""
        for replay_id in (name, self._latest.get(name, "")):
            if replay_id in self._running:
                return self._running[replay_id].status
            if replay_id in self._ended:
                return self._ended[replay_id]
        return None

    def all_running(self) -> list[Replay]:
        """Return those that have not ended."""
        return list(self._running.values())
