"""Writes down that a request is about to leave, and what became of it, as it happens."""

import fcntl
import os
import stat
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.deliveries.errors import (
    LedgerError,
    LedgerExists,
    LedgerInUse,
    LedgerNotFound,
    LedgerOfAnother,
    LedgerUnusable,
)
from otlp_replay.deliveries.identity import ReplayIdentity
from otlp_replay.deliveries.layout import (
    INTENDED,
    NOT_SENT,
    RUN,
    UNKNOWN,
    UNTOUCHED,
    Entry,
    Header,
    entry_bytes,
    header_bytes,
    intent_bytes,
    state_of,
)
from otlp_replay.deliveries.prior import PriorDeliveries, ResumeUnknown
from otlp_replay.deliveries.reading import LedgerContent, read_content
from otlp_replay.events import Event, Settled, Stamps

_SYNCED_EVERY_S: Final = 1.0


class DeliveryLedger:
    """A ledger that this process writes. An `otlp_replay.events.Observer`.

    Both calls have handed a record to the operating system when they return, so a kill at any
    moment loses none of it; a loss of power may take what was not synced.

    Attributes:
        replay_id: the replay that the ledger was begun for.
        prior: what earlier runs did.
        problem: why nothing is written any more; None: all was written. A replay whose ledger has
            one is not to dispatch: it could not be resumed truly.
    """

    def __init__(
        self, descriptor: int, path: str, end: int, replay_id: str, prior: PriorDeliveries
    ) -> None:
        self.replay_id, self.prior = replay_id, prior
        self.problem: LedgerUnusable | None = None
        self._descriptor, self._path, self._end = descriptor, path, end
        self._under_way = set[int]()
        self._is_closed = False

    def intend(self, event: Event) -> None:
        """Write down that *event* is about to leave."""
        self._under_way.add(event.number)
        self._write(intent_bytes(event.number))

    def settle(self, settled: Settled) -> None:
        """Write down what became of an event.

        Nothing is written of one that was not dispatched in this run: what the ledger says of it
        already stays true.
        """
        number = settled.event.number
        if number not in self._under_way:
            return
        self._under_way.discard(number)
        state = state_of(settled.outcome, settled.rejected_records, settled.record_count)
        if state == NOT_SENT:
            state = self._as_before(number)
        self._write(
            entry_bytes(
                Entry(
                    state=state,
                    number=number,
                    attempts=settled.attempts,
                    rejected_records=settled.rejected_records,
                    record_count=settled.record_count,
                    stamps=settled.stamps,
                )
            )
        )

    def _as_before(self, number: int) -> int:
        """Return the state of an event that did not leave after all."""
        before = self.prior.state(number)
        if before == UNTOUCHED:
            return NOT_SENT
        return UNKNOWN if before == INTENDED else before

    def _write(self, record: bytes) -> None:
        if self.problem is not None or self._is_closed:
            return
        try:
            written = os.write(self._descriptor, record)
            if written < len(record):
                # The disk is full. What is written next is to begin on the grid.
                os.ftruncate(self._descriptor, self._end)
                self.problem = LedgerUnusable(self._path, "there is no room for a whole record")
                return
        except OSError as error:
            self.problem = _unusable(self._path, error)
            return
        self._end += written

    async def keep_synced(self) -> None:
        """Put what was written on the disk each second, until this is cancelled.

        It belongs in a task group of the replay. A disk that refuses becomes `problem`.
        """
        while self.problem is None and not self._is_closed:
            await anyio.sleep(_SYNCED_EVERY_S)
            await anyio.to_thread.run_sync(self.sync)

    def sync(self) -> None:
        """Put what was written on the disk. It blocks."""
        if self._is_closed:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.problem = self.problem or _unusable(self._path, error)

    def close(self) -> None:
        """Put all on the disk, and leave the file to others. It blocks; twice does nothing more."""
        if self._is_closed:
            return
        self.sync()
        self._is_closed = True
        os.close(self._descriptor)


def open_ledger(
    path: Path,
    *,
    replay_id: str,
    identity: ReplayIdentity,
    resume: bool = False,
    resume_unknown: ResumeUnknown = "leave",
) -> Outcome[DeliveryLedger, LedgerError]:
    """Begin a ledger, or go on with one; `DeliveryLedger.prior` says what is done. It blocks.

    The file is locked until the ledger is closed, or its process has ended.

    Args:
        path: the file, on a disk of this machine.
        replay_id: of a replay that begins; one that goes on keeps the name it began with.
        identity: what determines the events' numbers.
        resume: whether to go on with the replay whose ledger *path* is.
        resume_unknown: whether `PriorDeliveries.should_send` sends what may have arrived.

    Fails with:
        LedgerNotFound: there is none to go on with.
        LedgerExists: there is one where another is to begin.
        LedgerOfAnother: the replay of the one that is there has other events.
        LedgerInUse: another process writes it.
        LedgerDamaged: it is none, or its beginning is damaged.
        LedgerUnusable: the file system refused.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (0 if resume else os.O_CREAT)
    name = str(path)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        is_missing = resume and isinstance(error, FileNotFoundError)
        return Failure(LedgerNotFound(name) if is_missing else _unusable(name, error))
    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        try:
            opened = _take(
                descriptor, path, Header(replay_id, identity), resume_unknown, resume=resume
            )
        except OSError as error:
            return Failure(_unusable(name, error))
        if isinstance(opened, Success):
            undo.pop_all()
        return opened


def _take(
    descriptor: int, path: Path, header: Header, resume_unknown: ResumeUnknown, *, resume: bool
) -> Outcome[DeliveryLedger, LedgerError]:
    name = str(path)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return Failure(LedgerUnusable(name, "it is no regular file"))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Failure(LedgerInUse(name))
    read = read_content(descriptor, name)
    if isinstance(read, Failure):
        return read
    content = read.unwrap()
    if content.header is not None:
        refusal = _refusal(name, content.header, header.identity, resume=resume)
        if refusal is not None:
            return Failure(refusal)
    prior = attrs.evolve(content.prior, resume_unknown=resume_unknown)
    end = _begin_run(descriptor, content, header)
    _sync_name(path)
    replay_id = (content.header or header).replay_id
    return Success(DeliveryLedger(descriptor, name, end, replay_id, prior))


def _refusal(
    path: str, found: Header, identity: ReplayIdentity, *, resume: bool
) -> LedgerExists | LedgerOfAnother | None:
    if not resume:
        return LedgerExists(path, found.replay_id)
    differing = identity.differences(found.identity)
    return LedgerOfAnother(path, found.replay_id, differing) if differing else None


def _begin_run(descriptor: int, content: LedgerContent, header: Header) -> int:
    """Cut what is torn, and write that a run begins; return where the file ends then."""
    os.ftruncate(descriptor, content.end)
    began = Entry(state=RUN, number=time.time_ns(), stamps=Stamps(time.monotonic_ns()))
    opening = (header_bytes(header) if content.header is None else b"") + entry_bytes(began)
    written = os.write(descriptor, opening)
    if written < len(opening):
        os.ftruncate(descriptor, content.end)
        message = "there is no room"
        raise OSError(message)
    os.fsync(descriptor)
    return content.end + written


def _sync_name(path: Path) -> None:
    """See to it that the file's name is on the disk, too."""
    folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unusable(path: str, error: OSError) -> LedgerUnusable:
    return LedgerUnusable(path, error.strerror or str(error))
