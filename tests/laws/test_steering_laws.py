"""Laws of steering: where a replay is on its line, whatever it is told, and that accounts close."""

from fractions import Fraction
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from otlp_capture.result import Failure
from otlp_replay import After, OtlpReplayService
from otlp_replay.steering import Steering
from tests.clocks import VirtualClock, settled
from tests.replays import SESSION, assert_closed, numbered
from tests.sessions import SECOND, arriving, opened_memory, write_session
from tests.virtual_replays import virtual_replay

speeds = st.sampled_from([0.01, 0.3, 1, 2, 7.5, 1000])


class SteeringMachine(RuleBasedStateMachine):
    """Holds `Steering` against a model in exact fractions; each move may round by a nanosecond."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.steering = Steering(self.clock, 1)
        self.line, self.speed, self.is_paused = Fraction(0), Fraction(1), False
        self.moves = 0
        self.has_begun = False

    @precondition(lambda self: not self.has_begun)
    @rule()
    def begin(self) -> None:
        self.steering.begin(self.clock)
        self.has_begun = True

    @rule(nanoseconds=st.integers(0, 10**12))
    def let_time_pass(self, nanoseconds: int) -> None:
        self.clock.step(nanoseconds / 1e9)
        if self.has_begun and not self.is_paused:
            self.line += round(nanoseconds / 1e9 * 1e9) * self.speed

    @rule()
    def pause(self) -> None:
        self.steering.pause()
        self.moves += not self.is_paused
        self.is_paused = True

    @rule()
    def resume(self) -> None:
        self.steering.resume()
        self.is_paused = False

    @rule(speed=speeds)
    def set_speed(self, speed: float) -> None:
        self.steering.set_speed(speed)
        self.moves += 1
        self.speed = Fraction(str(speed))

    @rule(line_ns=st.integers(0, 10**15))
    def seek(self, line_ns: int) -> None:
        self.steering.seek(line_ns)
        self.line, self.moves = Fraction(line_ns), 0

    @precondition(lambda self: self.has_begun and not self.is_paused)
    @rule(delay_ns=st.integers(0, 10**10))
    def stretch(self, delay_ns: int) -> None:
        self.steering.stretch(delay_ns)
        self.line -= delay_ns * self.speed

    @invariant()
    def it_is_where_it_should_be(self) -> None:
        assert self.steering.is_paused == self.is_paused
        assert 0 <= self.line - self.steering.line_ns < self.moves + 1

    @invariant()
    def what_lies_ahead_is_due_when_it_is_reached(self) -> None:
        if not self.has_begun or self.is_paused:
            return
        ahead_ns = 5 * SECOND
        due_ns = self.steering.due_ns(self.steering.line_ns + ahead_ns, 0)
        exact = self.clock.monotonic_ns() + ahead_ns / self.speed
        assert abs(due_ns - exact) <= 2 + 2 / self.speed


TestSteering = SteeringMachine.TestCase
TestSteering.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


Command = tuple[str, Any]
commands = st.one_of(
    st.tuples(st.just("wait"), st.floats(0, 4)),
    st.tuples(st.just("pause"), st.none()),
    st.tuples(st.just("resume"), st.none()),
    st.tuples(st.just("step"), st.integers(1, 3)),
    st.tuples(st.just("seek"), st.integers(-15, 15).map(lambda s: After(s * SECOND))),
    st.tuples(st.just("set_speed"), st.sampled_from([0.5, 1, 3, "max"])),
)


async def tell(service: OtlpReplayService, command: str, value: Any) -> Any:
    arguments = () if value is None else (value,)
    return await getattr(service, command)(SESSION, *arguments)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(commands, max_size=12),
    st.integers(1, 2),
    st.integers(1, 3),
    st.sampled_from([None, 6.0]),
)
def test_whatever_it_is_told_its_ledgers_close(
    told: list[Command], loops: int, copies: int, max_duration_s: float | None
) -> None:
    async def carried_out() -> None:
        async with opened_memory() as storage:
            await write_session(storage, SESSION, arriving(numbered(10)))
            async with virtual_replay(
                storage,
                loops=loops,
                copies=copies,
                remap_ids=False,
                max_duration_s=max_duration_s,
            ) as replay:
                for command, value in told:
                    if command == "wait":
                        await replay.until(replay.clock.monotonic_ns() / 1e9 + value)
                    elif not isinstance(await tell(replay.service, command, value), Failure):
                        await settled()
                await replay.service.resume(SESSION)
                status = await replay.run_out()

        assert_closed(status, status.total_records, status.total_records)
        assert status.delivery.delivered == len(replay.transport.parcels)
        assert status.delivery.delivered == len(replay.noting.intended)
        assert status.total_records >= 10 * loops * copies
        planned = [planned_ns for _, planned_ns, _ in replay.noting.dispatched]
        achieved = [at_ns or 0 for _, _, at_ns in replay.noting.dispatched]
        assert achieved == sorted(achieved)
        assert all(one <= other for one, other in zip(planned, achieved, strict=True))

    anyio.run(carried_out)
