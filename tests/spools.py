"""Spools for tests: frames to put there, and system calls that are watched or fail."""

import errno
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from otlp_capture import otlp
from otlp_capture.clock import Clock
from otlp_capture.otlp import Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import Arrival, Frame, NewFrame, SegmentIndex, encode_frame
from otlp_capture.spool import (
    FileSegment,
    Publisher,
    SpoolBudget,
    SpoolClaim,
    SpoolFolder,
    SpoolWriter,
)
from otlp_capture.storage import S3Storage
from tests.clocks import START
from tests.small_requests import small_request


def new_frame(number: int = 0, signal: Signal = "logs", *, unix_nano: int = START) -> NewFrame:
    """Make a frame whose request is known by its number."""
    request = small_request(signal, text=str(number))
    facts = or_raise(otlp.scan(request, signal))
    arrival = Arrival(unix_nano, number)
    member = encode_frame(request, facts, arrival)
    return NewFrame(signal, member, len(request), facts, arrival)


@attrs.define
class Writing:
    """A writer at work, and what it told."""

    writer: SpoolWriter
    claim: SpoolClaim
    budget: SpoolBudget
    kept: list[Frame]
    published: list[SegmentIndex]

    @property
    def files(self) -> dict[str, bytes]:
        """What lies in the session's folder."""
        return {name: (self.claim.folder / name).read_bytes() for name in self.claim.names()}


@asynccontextmanager
async def writing(
    storage: S3Storage, folder: Path, clock: Clock, *, limit_bytes: int = 1 << 30, **settings: Any
) -> AsyncGenerator[Writing]:
    """Write into a spool for the time of an `async with`; the writer is cut off at its end."""
    claim = or_raise(SpoolFolder(folder).claim("s"))
    assert claim is not None
    budget, kept, published = SpoolBudget(limit_bytes), list[Frame](), list[SegmentIndex]()
    async with anyio.create_task_group() as tasks:
        writer = SpoolWriter(
            Publisher(storage, tasks, clock, budget, published.append),
            lambda first: FileSegment(claim, first),
            tasks,
            clock,
            budget,
            lambda _, frame: kept.append(frame),
            **settings,
        )
        yield Writing(writer, claim, budget, kept, published)
        tasks.cancel_scope.cancel()
    claim.release()


class SystemCalls:
    """Functions of `os` that are watched, and fail when a test says so.

    Attributes:
        made: their names, in the order of the calls.
        failures: by name, the error numbers of the next calls; None lets one pass.
    """

    def __init__(self, patch: pytest.MonkeyPatch, *names: str) -> None:
        self.made: list[str] = []
        self.failures: dict[str, list[int | None]] = {}
        self.before: dict[str, Callable[[], object]] = {}
        for name in names:
            patch.setattr(os, name, self._watched(name, getattr(os, name)))

    def fail(self, name: str, *numbers: int | None) -> None:
        """Let the next calls of a function fail with these error numbers."""
        self.failures[name] = list(numbers)

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            self.made.append(name)
            if (act := self.before.get(name)) is not None:
                act()
            due = self.failures.get(name)
            number = due.pop(0) if due else None
            if number is not None:
                raise OSError(number, os.strerror(number))
            return call(*arguments, **named)

        return watched


FULL, BROKEN = errno.ENOSPC, errno.EIO
