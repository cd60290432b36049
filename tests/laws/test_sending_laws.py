"""Laws of deliveries to targets that misbehave, by a script that is drawn, over both transports."""

from typing import Any

import anyio
import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.result import or_raise
from otlp_replay import ReplayStatus, RetryPolicy
from tests.clocks import HANGS_AFTER_S
from tests.replays import SESSION, assert_closed, at_once, numbered, opened_service, over
from tests.senders import GRPC, HTTP, Action, Side
from tests.servers.misbehaviours import Misbehaviours, grpc_once, http_once
from tests.sessions import arriving, opened_memory, write_session

POLICY = RetryPolicy(max_attempts=3, max_elapsed_s=600, initial_backoff_s=0, max_backoff_s=0)
TAKES = ("a partial success", "more rejected than sent", "a warning", "taken")
_SLOW = ("bomb", "long")


def _quick(misbehaviours: Misbehaviours, side: Side) -> Misbehaviours:
    quick = {
        name: action
        for name, action in misbehaviours.items()
        if not any(word in name for word in _SLOW)
    }
    return {"taken": side.taking, **quick}


CATALOGUES: dict[str, tuple[Side, Misbehaviours]] = {
    HTTP.protocol: (HTTP, _quick(http_once(), HTTP)),
    GRPC.protocol: (GRPC, _quick(grpc_once(), GRPC)),
}


@attrs.frozen
class Case:
    """A target, and what it does with each attempt of each request; then it takes it."""

    protocol: str
    scripts: list[list[str]]
    max_in_flight: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    protocol = draw(st.sampled_from(sorted(CATALOGUES)))
    names = st.sampled_from(sorted(CATALOGUES[protocol][1]))
    scripts = st.lists(st.lists(names, max_size=4), min_size=1, max_size=8)
    return Case(protocol, draw(scripts), draw(st.sampled_from([1, 3, 64])))


@attrs.define
class Truth:
    """What the target knows of one request."""

    attempts: int = 0
    took_it: bool = False


async def carry_out(case: Case) -> tuple[ReplayStatus, dict[bytes, Truth]]:
    side, catalogue = CATALOGUES[case.protocol]
    requests = numbered(len(case.scripts))
    script_of = dict(zip((body for _, body in requests), case.scripts, strict=True))
    truths = {body: Truth() for body in script_of}

    def act(came: Any) -> Action:
        script, truth = script_of[came.body], truths[came.body]
        name = script[truth.attempts] if truth.attempts < len(script) else "taken"
        truth.attempts += 1
        truth.took_it |= name in TAKES or name in _READ_AS_TAKEN
        return catalogue[name]

    async with opened_memory() as storage:
        await write_session(storage, SESSION, arriving(requests, every=0))
        async with side.target(act) as target, opened_service(storage, SYSTEM_CLOCK) as service:
            config = at_once(
                target.url,
                protocol=side.protocol,
                max_in_flight=case.max_in_flight,
                retry=POLICY,
            )
            or_raise(await service.start_replay(config))
            with anyio.fail_after(HANGS_AFTER_S):
                return await over(service), truths


_READ_AS_TAKEN = (
    "HTML",
    "a cookie",
    "headers that are no text",
    "some 1xx before it",
    "GOAWAY, and an answer",
)
"""What is odd, and counts as taken all the same."""


@settings(max_examples=60)
@given(case=cases())
def test_the_sums_close_and_nothing_is_delivered_that_was_not_taken(case: Case) -> None:
    status, truths = anyio.run(carry_out, case)

    planned = len(case.scripts)
    assert_closed(status, planned, planned)
    taken = sum(truth.took_it for truth in truths.values())
    seen = sum(bool(truth.attempts) for truth in truths.values())
    assert status.delivery.delivered <= taken
    assert status.delivery.delivered + status.delivery.rejected <= seen
    assert status.retries >= sum(max(truth.attempts - 1, 0) for truth in truths.values())
    assert status.error is None or status.delivery.delivered < planned
