"""What a capture service has in the spool: claimed by session, and recovered where others died."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import attrs

from otlp_capture.capture.errors import InvalidConfig
from otlp_capture.capture.model import CaptureSettings, Durability, SpoolStatus
from otlp_capture.clock import Clock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    LoadError,
    SessionNotFound,
    SessionTakenOver,
    StoredSession,
    counted,
    index_session,
    load_session,
    recount_session,
    uncounted,
)
from otlp_capture.spool import (
    Recovered,
    Shelved,
    SpoolBudget,
    SpoolClaim,
    SpoolFolder,
    SpoolHealth,
    open_spool,
    publish_leftovers,
    quarantine,
    ring_leftovers,
)
from otlp_capture.storage import S3Storage, StorageError, local_error

_LOOKS_AGAIN_NS: Final = 1_000_000_000

_log = logging.getLogger(__name__)

NO_SPOOL: Final = InvalidConfig(
    "durability", "spool", "a store in memory has no spool; it is object or memory"
)


@attrs.frozen(eq=False)
class SpoolPlace:
    """What a session has in the spool.

    Attributes:
        spool: the spool.
        claim: the session's folder there, held by this process.
        budget: what all sessions of the spool share.
        health: how publishing fares for them.
    """

    spool: SpoolFolder
    claim: SpoolClaim
    budget: SpoolBudget
    health: SpoolHealth

    async def announce(self, recorder_id: str | None) -> Outcome[None, StorageError]:
        """Write down that this process is about to record the session after *recorder_id*.

        Fails with:
            StorageError: the file system refused.
        """
        return await self._write(partial(self.claim.announce, recorder_id))

    async def sign(self) -> Outcome[None, StorageError]:
        """Write down that this process records the session.

        Fails with:
            StorageError: the file system refused.
        """
        return await self._write(self.claim.sign)

    async def _write(self, work: Callable[[], None]) -> Outcome[None, StorageError]:
        try:
            await anyio.to_thread.run_sync(work)
        except OSError as error:
            return Failure(local_error(error, self.spool.name, self.claim.session_id))
        return Success(None)

    async def leave(self) -> None:
        """Leave the folder to another process."""
        await anyio.to_thread.run_sync(self.claim.release)

    async def remove(self) -> None:
        """Leave the folder, and remove it where it is empty."""
        await anyio.to_thread.run_sync(self.claim.remove)


@attrs.define
class PlaceEnding:
    """What becomes of a place in the spool at the end of a block."""

    removes: bool
    keeps: bool = False

    def keep(self) -> None:
        """Let it stay claimed."""
        self.keeps = True


@asynccontextmanager
async def given_up(place: SpoolPlace | None) -> AsyncGenerator[PlaceEnding]:
    """Give a place in the spool up at the end of the block, unless it is to be kept.

    The folder stays where somebody left something in it, for the session to be taken up by.
    """
    ending = PlaceEnding(removes=place is not None and not place.claim.is_inherited)
    try:
        yield ending
    finally:
        if place is not None and not ending.keeps:
            with anyio.CancelScope(shield=True):
                await (place.remove() if ending.removes else place.leave())


@attrs.frozen
class HeldElsewhere:
    """Another process of this machine has the session's folder."""


def durability(settings: CaptureSettings, place: SpoolPlace | None) -> Durability:
    """Return how requests are kept: in the spool, if it is not said and there is one."""
    if settings.durability is not None:
        return settings.durability
    return "object" if place is None else "spool"


class Spooling:
    """The spool of a service: opened when it is first needed.

    Args:
        storage: whose spool it is.
        directory: where it is, for stores that say nothing of it.
        budget_bytes: how much it may hold.
        clock: tells when to look again what others still hold of it.
    """

    def __init__(
        self, storage: S3Storage, directory: Path | None, budget_bytes: int, clock: Clock
    ) -> None:
        self._storage, self._directory, self._clock = storage, directory, clock
        self.budget, self.health = SpoolBudget(budget_bytes, self._look_again), SpoolHealth()
        self._of_others: dict[str, int] = {}
        self._looked_at_ns = clock.monotonic_ns()
        self._opening = anyio.Lock()
        self._opened: Outcome[SpoolFolder | None, StorageError] | None = None

    async def folder(self) -> Outcome[SpoolFolder | None, StorageError]:
        """Return the spool; None where there can be none.

        Fails with:
            StorageError: its folder cannot be made or read.
        """
        async with self._opening:
            if not isinstance(self._opened, Success):
                self._opened = await anyio.to_thread.run_sync(self._open)
            return self._opened

    def _open(self) -> Outcome[SpoolFolder | None, StorageError]:
        opened = open_spool(self._storage, self._directory)
        spool = opened.value_or(None)
        if spool is not None:
            self._of_others = {name: spool.size_bytes(name) for name in spool.session_ids()}
            self.budget.used_bytes += sum(self._of_others.values())
        return opened

    def _look_again(self) -> None:
        """Give back what others have published of what they held, from time to time."""
        spool = None if self._opened is None else self._opened.value_or(None)
        now_ns = self._clock.monotonic_ns()
        if spool is None or now_ns - self._looked_at_ns < _LOOKS_AGAIN_NS:
            return
        self._looked_at_ns = now_ns
        for name in tuple(self._of_others):
            self._look_at(spool, name)

    def _look_at(self, spool: SpoolFolder, name: str) -> None:
        """Give back what is no more in a folder; what came there since is not ours to count."""
        counted = self._of_others.pop(name)
        left = min(counted, spool.size_bytes(name))
        self.budget.give_back(counted - left)
        if left:
            self._of_others[name] = left

    def status(self, now_ns: int) -> SpoolStatus:
        """Return how the spool stands at a monotonic time, in nanoseconds."""
        longest = self.health.longest
        if longest is None:
            return SpoolStatus(self.budget.used_bytes, self.budget.limit_bytes)
        since_ns, error = longest
        return SpoolStatus(
            self.budget.used_bytes,
            self.budget.limit_bytes,
            self.health.waiting,
            (now_ns - since_ns) / 1e9,
            error.message,
        )

    async def place(
        self, session_id: str
    ) -> Outcome[SpoolPlace | None, StorageError | HeldElsewhere]:
        """Take a session's folder in the spool; None where there is no spool.

        Fails with:
            HeldElsewhere: another process has it.
            StorageError: the file system refused.
        """
        placed = await self._place(session_id, SpoolFolder.claim)
        if isinstance(placed, Success) and (place := placed.unwrap()) is not None:
            self._take_over(place.spool, session_id)
        return placed

    def _take_over(self, spool: SpoolFolder, session_id: str) -> None:
        """Keep account from now on of what is in a folder that is ours now."""
        if session_id in self._of_others:
            self._look_at(spool, session_id)
            self._of_others.pop(session_id, None)

    async def place_of_ring(
        self, name: str
    ) -> Outcome[SpoolPlace | None, StorageError | HeldElsewhere]:
        """Take a ring's folder in the spool, as `place` takes that of a session."""
        return await self._place(name, SpoolFolder.claim_ring)

    async def _place(
        self,
        name: str,
        take: Callable[[SpoolFolder, str], Outcome[SpoolClaim | None, StorageError]],
    ) -> Outcome[SpoolPlace | None, StorageError | HeldElsewhere]:
        opened = await self.folder()
        if isinstance(opened, Failure):
            return opened
        spool = opened.unwrap()
        if spool is None:
            return Success(None)
        claimed = await anyio.to_thread.run_sync(take, spool, name)
        if isinstance(claimed, Failure):
            return claimed
        claim = claimed.unwrap()
        if claim is None:
            return Failure(HeldElsewhere())
        return Success(SpoolPlace(spool, claim, self.budget, self.health))

    async def publish(self, place: SpoolPlace) -> Outcome[Recovered, StorageError]:
        """Publish what somebody who died left in a session's folder.

        Fails with:
            StorageError: the store or the spool did not answer well.
        """
        published = await publish_leftovers(
            self._storage, place.spool, place.claim, left=self.budget.give_back
        )
        if isinstance(published, Success):
            found = published.unwrap()
            if found.segments or found.dropped_bytes:
                _log.warning("%s", describe(found))
        return published

    async def recover(self, place: SpoolPlace) -> Outcome[Recovered, LoadError | SessionTakenOver]:
        """See to what is left of a session that this process does not record.

        Of an active session it is published, and the session waits to be taken up; of one that has
        ended it is published, and the session is indexed and counted anew; of one that is gone it
        is kept aside.

        Fails with:
            LoadError, SessionTakenOver: the store did not answer well, or the session's metadata
                cannot be read; what is left stays where it is.
        """
        session_id = place.claim.session_id
        loaded = await load_session(self._storage, session_id)
        if isinstance(loaded, Failure):
            if isinstance(loaded.failure(), SessionNotFound):
                return await self.set_aside(place)
            return loaded
        published = await self.publish(place)
        if isinstance(published, Failure) or loaded.unwrap().metadata.status == "active":
            return published
        recounted = await self._recounted(loaded.unwrap(), published.unwrap())
        if isinstance(recounted, Failure):
            return recounted
        return Success(attrs.evolve(published.unwrap(), is_over=True))

    async def found_in_ring(self, place: SpoolPlace) -> Outcome[list[Shelved], StorageError]:
        """Return what the last process that had a ring left of it.

        Fails with:
            StorageError: the file system refused.
        """
        try:
            found = await anyio.to_thread.run_sync(ring_leftovers, place.spool, place.claim)
        except OSError as error:
            return Failure(local_error(error, place.spool.name, place.claim.session_id))
        return Success(found)

    async def _recounted(
        self, stored: StoredSession, published: Recovered
    ) -> Outcome[None, SessionTakenOver | StorageError]:
        """Count an ended session anew, where its counters do not say what its segments hold.

        Another process may have published what was left, and died before it counted that.
        """
        if not published.segments:
            indexed = await index_session(self._storage, published.session_id)
            if isinstance(indexed, Failure):
                return indexed
            segments = indexed.unwrap().segments
            if counted(uncounted(stored.metadata), segments) == stored.metadata:
                return Success(None)
        recounted = await recount_session(self._storage, stored)
        return recounted if isinstance(recounted, Failure) else Success(None)

    async def set_aside(self, place: SpoolPlace) -> Outcome[Recovered, StorageError]:
        """Keep what is left of a session that is gone where it is in nobody's way.

        Fails with:
            StorageError: the file system refused.
        """
        moved = await anyio.to_thread.run_sync(quarantine, place.spool, place.claim)
        if isinstance(moved, Failure):
            return moved
        aside = moved.unwrap()
        self.budget.give_back(await anyio.to_thread.run_sync(_size_bytes, aside))
        return Success(Recovered(place.claim.session_id, quarantined=aside, is_over=True))


def _size_bytes(paths: Iterable[Path]) -> int:
    return sum(path.lstat().st_size for path in paths)


def describe(found: Recovered) -> str:
    """Say in a sentence what was recovered."""
    text = (
        f"Session {found.session_id}: requests came from the spool of a process that did not end "
        f"well ({found.requests:,}, segments: {found.segments:,})"
    )
    if found.dropped_bytes:
        text += f"; {found.dropped_bytes:,} bytes behind the last whole request are cut off"
    return f"{text}."
