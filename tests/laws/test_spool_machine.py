"""A session on a local store with its spool: any order of events, against a small model."""

import asyncio
from collections import Counter
from contextlib import ExitStack
from typing import Any

import anyio
import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)
from returns.result import Failure, Success

from otlp_capture.capture import (
    CaptureConfig,
    CaptureSettings,
    OtlpCaptureService,
    SessionAlreadyActive,
    SessionEnded,
    StorageFailure,
)
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    SessionAlreadyExists,
    SessionNotFound,
    load_session,
)
from otlp_capture.storage import S3StorageTag, local_storage
from otlp_capture.upkeep import delete_session, reindex_session
from tests.captures import crashing_capture, held, recounted
from tests.clocks import HANGS_AFTER_S, VirtualClock, settled
from tests.disks import never_synced, scratch
from tests.faulty_storage import FaultyStorage, When
from tests.small_requests import small_request

CONFIG = CaptureConfig(session_id="s", created_by="tests")
SOON = CaptureSettings(publish_bytes=1_000, publish_after_s=5.0)

signals = st.sampled_from(SIGNALS)


@attrs.define
class Model:
    """What is known without looking: the requests, and who has the session.

    Attributes:
        acknowledged: requests whose answer was a success.
        is_there: whether the session exists.
        is_recorded: whether the service of now records it.
        has_ended: whether its end was written.
        is_ending: whether its end was asked for, and could not be written.
    """

    acknowledged: Counter[tuple[Signal, bytes]] = attrs.Factory(Counter)
    is_there: bool = True
    is_recorded: bool = True
    has_ended: bool = False
    is_ending: bool = False


class SpooledSession(RuleBasedStateMachine):
    """One session on one disk; processes come and are killed."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = VirtualClock()
        self.model = Model()
        self.number = 0
        self.stack = ExitStack()

    @initialize()
    def begin(self) -> None:
        self.stack.enter_context(never_synced())
        self.folder = self.stack.enter_context(scratch())
        self.opened = open_runtime(local_storage(self.folder), S3StorageTag)
        (inner,) = or_raise(self.run(self.opened.__aenter__()))
        self.storage = FaultyStorage(inner)
        self.open_service()
        or_raise(self.run(self.service.start_capture(CONFIG)))

    def run(self, work: Any) -> Any:
        async def bounded() -> Any:
            with anyio.fail_after(HANGS_AFTER_S):
                done = await work
                await settled()
                return done

        return self.runner.run(bounded())

    def open_service(self) -> None:
        ready: asyncio.Future[OtlpCaptureService] = self.runner.get_loop().create_future()
        self.killed = asyncio.Event()

        async def live() -> None:
            async with crashing_capture(self.storage, self.clock, SOON) as service:
                ready.set_result(service)
                await self.killed.wait()

        self.process = self.runner.get_loop().create_task(live())
        self.service: OtlpCaptureService = self.run(ready)

    @property
    def refusal(self) -> type | None:
        """Why requests are refused now, if they are."""
        if not self.model.is_there:
            return SessionNotFound
        if self.model.has_ended or (self.model.is_recorded and self.model.is_ending):
            return SessionEnded
        return None if self.model.is_recorded else SessionAlreadyActive

    @rule(signal=signals, count=st.integers(1, 5), size=st.sampled_from([0, 30, 900]))
    def requests_come_at_once(self, signal: Signal, count: int, size: int) -> None:
        requests = []
        for _ in range(count):
            self.number += 1
            requests.append(small_request(signal, text=f"{self.number} {'x' * size}"))

        async def all_of_them() -> list[Any]:
            calls = [self.service.capture_otlp_data("s", each, signal) for each in requests]
            return list(await asyncio.gather(*calls))

        outcomes = self.run(all_of_them())

        if self.refusal is None:
            assert all(isinstance(each, Success) for each in outcomes), outcomes
            self.model.acknowledged.update((signal, request) for request in requests)
        else:
            assert all(isinstance(each.failure(), self.refusal) for each in outcomes), outcomes

    @rule(times=st.integers(1, 4), when=st.sampled_from(["before", "after"]))
    def segments_cannot_be_published(self, times: int, when: When) -> None:
        self.storage.fail("publish_file", times=times, when=when)

    @rule()
    def the_store_is_well_again(self) -> None:
        self.storage.mend()

    @precondition(lambda self: not self.model.is_ending)
    @rule(seconds=st.sampled_from([1.0, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(self.clock.advance(seconds))

    @rule()
    def the_process_is_killed_and_another_begins(self) -> None:
        self.killed.set()
        self.run(self.process)
        self.open_service()
        self.model.is_recorded = self.model.is_ending = False

    @rule()
    def somebody_starts_it_again(self) -> None:
        again = self.run(self.service.start_capture(CONFIG))

        if self.model.is_there:
            status: Any = "completed" if self.model.has_ended else "active"
            assert again == Failure(SessionAlreadyExists("s", status))
        else:
            or_raise(again)
            self.model = Model()

    @precondition(lambda self: self.model.is_there)
    @rule()
    def it_is_taken_up_at_once(self) -> None:
        self.storage.mend()

        outcome = self.run(self.service.resume_capture("s"))

        if self.model.has_ended:
            assert isinstance(outcome.failure(), SessionEnded)
        elif self.model.is_recorded:
            assert isinstance(outcome.failure(), SessionAlreadyActive)
        else:
            assert or_raise(outcome).captured_requests == self.model.acknowledged.total()
            self.model.is_recorded = True

    @precondition(lambda self: self.model.is_there)
    @rule()
    def it_is_stopped(self) -> None:
        outcome = self.run(self.service.stop_capture("s"))

        if isinstance(outcome, Failure):
            assert isinstance(outcome.failure(), StorageFailure), outcome
            self.model.is_ending = self.model.is_recorded
            self.storage.mend()
            outcome = self.run(self.service.stop_capture("s"))
        or_raise(outcome)
        self.model.has_ended, self.model.is_ending = True, False
        self.check()

    @precondition(lambda self: self.model.has_ended and self.model.is_there)
    @rule()
    def it_is_indexed_anew(self) -> None:
        stored = or_raise(self.run(load_session(self.storage, "s")))

        report = or_raise(self.run(reindex_session(self.storage, self.clock, "s")))

        assert (report.counters, report.damaged_segments) == ({}, 0)
        assert report.metadata == stored.metadata
        self.check()

    @precondition(lambda self: self.model.is_there and not self.model.is_recorded)
    @rule()
    def it_is_deleted(self) -> None:
        or_raise(self.run(delete_session(self.storage, self.clock, "s", force=True)))
        self.model = Model(is_there=False, is_recorded=False)

    def check(self) -> None:
        """Hold what an ended session has against the model, and its counters against it."""
        kept = self.run(held(self.storage))
        assert Counter((each.signal, each.request) for each in kept) == self.model.acknowledged
        assert len({each.sequence for each in kept}) == len(kept)
        metadata = or_raise(self.run(load_session(self.storage, "s"))).metadata
        assert metadata == self.run(recounted(self.storage, metadata))
        assert metadata.status == "completed"
        assert not list((self.folder / ".spool/segments/s").glob("*.gz"))

    def teardown(self) -> None:
        with self.stack:
            if hasattr(self, "killed"):
                self.killed.set()
                self.run(self.process)
                self.run(self.opened.__aexit__(None, None, None))
            self.runner.close()


TestSpooledSession = SpooledSession.TestCase
TestSpooledSession.settings = settings(max_examples=80, stateful_step_count=25)
