"""A session's life in any order of events, against a model that only counts."""

import asyncio
from collections import Counter
from typing import Any

import anyio
import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from returns.result import Failure, Success

from otlp_capture.capture import (
    CaptureConfig,
    OtlpCaptureService,
    SessionAlreadyActive,
    SessionEnded,
    SignalNotEnabled,
    StorageFailure,
)
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import InvalidRequest, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    SessionAlreadyExists,
    counted,
    load_session,
    uncounted,
)
from otlp_capture.storage import S3StorageTag, memory_storage
from tests.captures import crashing_capture, held, indexed
from tests.clocks import HANGS_AFTER_S, VirtualClock, settled
from tests.faulty_storage import FaultyStorage
from tests.small_requests import small_request

CONFIG = CaptureConfig(session_id="s", capture_metrics=False, created_by="tests")
ORPHANED_S = 60.0

signals = st.sampled_from(["traces", "logs"])


@attrs.define
class Model:
    """What is known without looking into the store.

    Attributes:
        acknowledged: requests whose answer was a success.
        uncertain: requests that the store kept, and said that it did not.
        is_recorded: whether a service records the session.
        has_ended: whether the end of the session is written.
        is_ending: whether its end was asked for, and the answer was a failure.
        is_end_written: whether that end stands in the store all the same.
    """

    acknowledged: Counter[tuple[Signal, bytes]] = attrs.Factory(Counter)
    uncertain: Counter[tuple[Signal, bytes]] = attrs.Factory(Counter)
    is_recorded: bool = True
    has_ended: bool = False
    is_ending: bool = False
    is_end_written: bool = False

    def end(self) -> None:
        self.has_ended, self.is_ending = True, False


class Session(RuleBasedStateMachine):
    """One session, in one store; services come and crash."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = VirtualClock()
        self.model = Model()
        self.number = 0

    @initialize()
    def begin(self) -> None:
        self.opened = open_runtime(memory_storage(), S3StorageTag)
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
        """Let a new process begin. It lives in a task of its own, so that it can be killed."""
        ready: asyncio.Future[OtlpCaptureService] = self.runner.get_loop().create_future()
        self.killed = asyncio.Event()

        async def live() -> None:
            async with crashing_capture(self.storage, self.clock) as service:
                ready.set_result(service)
                await self.killed.wait()

        self.process = self.runner.get_loop().create_task(live())
        self.service: OtlpCaptureService = self.run(ready)

    def request(self, signal: Signal) -> bytes:
        self.number += 1
        return small_request(signal, text=str(self.number))

    def send(self, request: bytes, signal: Signal) -> Any:
        return self.run(self.service.capture_otlp_data("s", request, signal))

    @property
    def refusal(self) -> type | None:
        """Why requests are refused now, if they are."""
        if self.model.has_ended or (self.model.is_recorded and self.model.is_ending):
            return SessionEnded
        return None if self.model.is_recorded else SessionAlreadyActive

    @rule(signal=signals)
    def a_request_comes(self, signal: Signal) -> None:
        request = self.request(signal)

        outcome = self.send(request, signal)

        if self.refusal is None:
            assert or_raise(outcome).signal_type == signal
            self.model.acknowledged[signal, request] += 1
        else:
            assert isinstance(outcome.failure(), self.refusal)

    @rule(count=st.integers(2, 6))
    def requests_come_at_once(self, count: int) -> None:
        requests = [self.request("logs") for _ in range(count)]

        async def all_of_them() -> list[Any]:
            calls = [self.service.capture_otlp_data("s", each, "logs") for each in requests]
            return list(await asyncio.gather(*calls))

        outcomes = self.run(all_of_them())

        assert {isinstance(each, Success) for each in outcomes} == {self.refusal is None}
        if self.refusal is None:
            self.model.acknowledged.update(("logs", request) for request in requests)

    @rule()
    def something_broken_comes(self) -> None:
        assert isinstance(self.send(b"\xff" * 11, "logs").failure(), self.refusal or InvalidRequest)

    @rule()
    def another_signal_comes(self) -> None:
        outcome = self.send(self.request("metrics"), "metrics")

        assert isinstance(outcome.failure(), self.refusal or SignalNotEnabled)

    @precondition(lambda self: self.refusal is None)
    @rule(when=st.sampled_from(["before", "after"]))
    def a_request_cannot_be_stored(self, when: Any) -> None:
        request = self.request("logs")
        self.storage.fail("store_raw_data", within="/raw/", when=when)

        assert isinstance(self.send(request, "logs").failure(), StorageFailure)
        if when == "after":
            self.model.uncertain["logs", request] += 1

    @rule(seconds=st.sampled_from([1.0, 10.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(self.clock.advance(seconds))
        if self.model.is_recorded and self.model.is_ending and seconds >= 10.0:
            self.model.end()

    @rule()
    def somebody_starts_it_again(self) -> None:
        again = self.run(self.service.start_capture(CONFIG))

        has_ended = self.model.has_ended or self.model.is_end_written
        status: Any = "completed" if has_ended else "active"
        assert again == Failure(SessionAlreadyExists("s", status))

    @rule()
    def the_process_is_killed_and_another_begins(self) -> None:
        self.killed.set()
        self.run(self.process)
        self.open_service()
        self.model.is_recorded = self.model.is_ending = False
        if self.model.is_end_written:
            self.model.end()

    @rule()
    def it_is_taken_up(self) -> None:
        is_orphan = self.idle_s() >= ORPHANED_S

        outcome = self.run(self.service.resume_capture("s"))

        if self.model.has_ended:
            assert isinstance(outcome.failure(), SessionEnded)
        elif self.model.is_recorded or not is_orphan:
            assert isinstance(outcome.failure(), SessionAlreadyActive)
        else:
            self.check(or_raise(outcome), "active")
            self.model.is_recorded = True

    @rule()
    def it_is_stopped(self) -> None:
        is_orphan = self.idle_s() >= ORPHANED_S

        outcome = self.run(self.service.stop_capture("s"))

        if not (self.model.has_ended or self.model.is_recorded or is_orphan):
            assert isinstance(outcome.failure(), SessionAlreadyActive)
            return
        self.model.end()
        self.check(or_raise(outcome), "completed")

    @precondition(lambda self: self.model.is_recorded and not self.model.has_ended)
    @rule(
        within=st.sampled_from(["/manifest/", "metadata.json"]),
        when=st.sampled_from(["before", "after"]),
    )
    def it_cannot_be_stopped(self, within: str, when: Any) -> None:
        if within == "/manifest/" and not (self.model.acknowledged or self.model.uncertain):
            return
        self.storage.fail("store_raw_data", within=within, when=when)

        outcome = self.run(self.service.stop_capture("s"))

        assert isinstance(outcome.failure(), StorageFailure)
        self.model.is_ending = True
        self.model.is_end_written |= (within, when) == ("metadata.json", "after")

    @precondition(lambda self: self.refusal is None)
    @rule(when=st.sampled_from(["before", "after"]))
    def a_checkpoint_fails(self, when: Any) -> None:
        self.storage.fail("store_raw_data", within="metadata.json", when=when)
        self.run(self.clock.advance(30))
        self.storage.mend()

    def idle_s(self) -> float:
        metadata = self.stored()
        said = metadata.last_checkpoint_time or metadata.start_time
        return self.clock.time_ns() / 1e9 - said.timestamp()

    def stored(self) -> CaptureSessionMetadata:
        return or_raise(self.run(load_session(self.storage, "s"))).metadata  # type: ignore[no-any-return]  # run takes any coroutine

    def check(self, metadata: CaptureSessionMetadata, status: str) -> None:
        """Hold counters that were made at leisure against the segments and the model."""
        index = self.run(indexed(self.storage))
        assert metadata == counted(uncounted(metadata), index.segments)
        certain, uncertain = self.model.acknowledged, self.model.uncertain
        assert metadata.captured_requests == certain.total() + uncertain.total()
        assert metadata.status == status

    @invariant()
    def what_was_acknowledged_is_held_and_nothing_that_was_refused(self) -> None:
        kept = self.run(held(self.storage))
        assert Counter((each.signal, each.request) for each in kept) == (
            self.model.acknowledged + self.model.uncertain
        )
        sequences = [each.sequence for each in kept]
        assert len(set(sequences)) == len(sequences)

    @invariant()
    def an_end_that_was_reported_is_written(self) -> None:
        if self.model.has_ended:
            self.check(self.stored(), "completed")

    def teardown(self) -> None:
        if hasattr(self, "killed"):
            self.killed.set()
            self.run(self.process)
            self.run(self.opened.__aexit__(None, None, None))
        self.runner.close()


TestSession = Session.TestCase
TestSession.settings = settings(max_examples=40, stateful_step_count=30)
