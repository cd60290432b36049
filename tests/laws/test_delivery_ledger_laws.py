"""A ledger of deliveries says nothing that is not so, wherever it is cut or damaged."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.result import Success
from otlp_capture.sending import DeliveryOutcome
from otlp_replay.deliveries import (
    LedgerDamaged,
    PriorDeliveries,
    PriorOutcome,
    open_ledger,
    read_entries,
    read_ledger,
    replay_identity,
)
from otlp_replay.deliveries.layout import INTENDED, RECORD_BYTES, RUN, state_of
from otlp_replay.events import Settled
from tests.observed import event, settled

IDENTITY = replay_identity({"sessions": ("checkout",), "loops": 1})
Step = tuple[DeliveryOutcome | None, int]
"""What becomes of an event (None: nothing, the process dies), and of how many records refused."""
outcomes = st.sampled_from(["delivered", "rejected", "failed", "unknown", "not_sent"])
runs: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.none() | outcomes, st.integers(0, 2)), max_size=12
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledgers")


def written(
    path: Path, steps: Sequence[Step], *, resume: bool = False, unknown: Any = "leave"
) -> list[Settled]:
    """Run through all events that are to be sent, and return what was settled."""
    opened = open_ledger(
        path, replay_id="r", identity=IDENTITY, resume=resume, resume_unknown=unknown
    )
    ledger = opened.unwrap()
    told = list[Settled]()
    for number, (outcome, refused) in enumerate(steps):
        if not ledger.prior.should_send(number):
            ledger.settle(settled(number, 0, None, outcome="not_sent", attempts=0))
            continue
        ledger.intend(event(number))
        if outcome is None:
            continue
        late = None if outcome == "not_sent" else number
        each = settled(
            number,
            100 * number,
            late,
            outcome=outcome,
            record_count=2,
            rejected_records=refused if outcome == "rejected" else 0,
            attempts=number,
        )
        ledger.settle(each)
        told.append(each)
    assert ledger.problem is None
    ledger.close()
    return told


def states_after(steps: Sequence[Step]) -> bytes:
    return bytes(
        INTENDED if outcome is None else state_of(outcome, refused, 2) for outcome, refused in steps
    )


@given(runs)
def test_a_ledger_is_read_as_it_was_written(folder: Path, steps: list[Step]) -> None:
    path = folder / "read"
    path.unlink(missing_ok=True)
    told = written(path, steps)

    prior = read_ledger(path).unwrap()
    assert prior == PriorDeliveries(replay_id="r", states=states_after(steps), runs=1)
    results = [each for each in read_entries(path) if each.state not in {RUN, INTENDED}]
    assert [
        (each.number, each.attempts, each.rejected_records, each.record_count, each.stamps)
        for each in results
    ] == [
        (one.event.number, one.attempts, one.rejected_records, one.record_count, one.stamps)
        for one in told
    ]


def test_a_ledger_that_is_cut_at_any_byte_keeps_all_whole_records(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nothing is read from the disk here
    path, cut = folder / "whole", folder / "cut"
    steps: list[Step] = [("delivered", 0), (None, 0), ("rejected", 1), ("failed", 0), (None, 0)]
    written(path, steps)
    content = path.read_bytes()
    entries = list(read_entries(path))
    start = len(content) - len(entries) * RECORD_BYTES

    for length in range(len(content) + 1):
        cut.write_bytes(content[:length])
        kept = entries[: max(length - start, 0) // RECORD_BYTES]
        expected = bytearray(len(steps))
        for entry in kept:
            if entry.state != RUN:
                expected[entry.number] = entry.state
        prior = read_ledger(cut).unwrap()
        assert prior.states == bytes(expected).rstrip(b"\0"), length
        assert prior.damaged_records == 0

        resumed = open_ledger(cut, replay_id="r", identity=IDENTITY, resume=True).unwrap()
        resumed.intend(event(7))
        resumed.close()
        again = read_ledger(cut).unwrap()
        assert again.states.rstrip(b"\0")[:7].rstrip(b"\0") == prior.states, length
        assert (again.outcome(7), again.torn_bytes) == ("unknown", 0)


@given(runs, st.data())
def test_a_flipped_bit_never_turns_one_outcome_into_another(
    folder: Path, steps: list[Step], data: st.DataObject
) -> None:
    path = folder / "flipped"
    path.unlink(missing_ok=True)
    written(path, steps)
    truth = states_after(steps)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) * 8 - 1))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)

    read = read_ledger(path)
    if not isinstance(read, Success):
        assert isinstance(read.failure(), LedgerDamaged)
        return
    prior = read.unwrap()
    assert prior.damaged_records == 1
    for number, state in enumerate(truth):
        assert prior.state(number) in {state, INTENDED}
        if prior.should_send(number):
            assert state_is_to_be_sent(state)


def state_is_to_be_sent(state: int) -> bool:
    return PriorDeliveries(states=bytes([state])).should_send(0)


@given(runs, runs, st.sampled_from(["send", "leave"]))
def test_two_runs_account_for_each_event_once(
    folder: Path, first: list[Step], second: list[Step], unknown: str
) -> None:
    path = folder / "two"
    path.unlink(missing_ok=True)
    written(path, first)
    prior = read_ledger(path).unwrap()
    told = written(path, second, resume=True, unknown=unknown)
    after = read_ledger(path).unwrap()

    sent_again = {one.event.number for one in told}
    for number in range(max(len(first), len(second))):
        before, now = prior.outcome(number), after.outcome(number)
        if before in {"delivered", "rejected_in_part"} or number >= len(second):
            assert now == before
        elif before == "unknown" and unknown == "leave":
            assert now == before
            assert number not in sent_again
        elif second[number][0] == "not_sent":
            assert now == (before if before != "untouched" else "not_sent")
        elif second[number][0] is None:
            assert now == "unknown"
        else:
            assert now == state_name(second[number])
    names: tuple[PriorOutcome, ...] = (
        "delivered",
        "rejected",
        "rejected_in_part",
        "failed",
        "unknown",
        "not_sent",
    )
    assert sum(map(after.count, names)) == len(after.states)
    assert after.runs == 2


def state_name(step: Step) -> str:
    outcome, refused = step
    assert outcome is not None
    return "rejected_in_part" if outcome == "rejected" and refused < 2 else outcome


@given(st.binary(max_size=200))
def test_whatever_is_read_as_a_ledger_gives_a_value(folder: Path, content: bytes) -> None:
    path = folder / "any"
    path.write_bytes(content)

    read = read_ledger(path)

    assert isinstance(read, Success) == (not content)
