"""The ledger of deliveries: who may write it, and what stands in it after a kill."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.from_thread
import attrs
import pytest

from otlp_replay.config import ReplayConfig
from otlp_replay.deliveries import (
    DeliveryLedger,
    LedgerDamaged,
    LedgerExists,
    LedgerInUse,
    LedgerNotFound,
    LedgerOfAnother,
    LedgerUnusable,
    PriorDeliveries,
    identity_of,
    open_ledger,
    read_ledger,
    replay_identity,
)
from otlp_replay.deliveries import ledger as ledger_module
from otlp_replay.selection import Shard
from tests.clocks import HANGS_AFTER_S
from tests.observed import event, settled

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = replay_identity({"sessions": ("checkout",), "loops": 2, "seed": 0})


def begun(path: Path) -> DeliveryLedger:
    return open_ledger(path, replay_id="nightly-7", identity=IDENTITY).unwrap()


@pytest.mark.parametrize("heard", [1, 2, 1001, 4000])
def test_a_killed_replay_loses_nothing_that_was_written(tmp_path: Path, heard: int) -> None:
    path = tmp_path / "ledger"
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.programs.write_ledger", str(path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    told = child.stdout.read(heard)
    child.send_signal(signal.SIGKILL)
    told += child.stdout.read()
    child.stdout.close()
    child.wait()

    prior = read_ledger(path).unwrap()
    results, intents = told.count(b"r"), told.count(b"i")
    assert len(told) >= heard
    # The record was written before its byte was, and the next one may have been.
    assert prior.count("delivered") in {results, results + 1}
    assert len(prior.states) in {intents, intents + 1}
    assert prior.count("delivered") + prior.count("unknown") == len(prior.states)
    assert prior.count("unknown") <= 1
    assert prior.torn_bytes == 0


def test_a_ledger_is_written_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    first = begun(path)
    again = open_ledger(path, replay_id="other", identity=IDENTITY, resume=True)
    assert again.failure() == LedgerInUse(str(path))
    first.close()

    resumed = open_ledger(path, replay_id="other", identity=IDENTITY, resume=True).unwrap()
    assert resumed.replay_id == "nightly-7"
    resumed.close()
    resumed.close()


def test_a_ledger_is_never_begun_over_another(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    begun(path).close()

    again = open_ledger(path, replay_id="other", identity=IDENTITY)

    assert again.failure() == LedgerExists(str(path), "nightly-7")
    assert "resume" in again.failure().message


def test_a_ledger_of_other_events_says_in_what_they_differ(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    begun(path).close()
    other = replay_identity({"sessions": ("checkout",), "loops": 3, "limit": 5, "seed": 0})

    refused = open_ledger(path, replay_id="other", identity=other, resume=True)

    assert refused.failure() == LedgerOfAnother(str(path), "nightly-7", ("limit", "loops"))
    assert "limit, loops" in refused.failure().message
    assert other.digest != IDENTITY.digest


def test_what_decides_the_order_of_events_is_part_of_the_identity() -> None:
    config = ReplayConfig(session_id="checkout", filter_services=("a*",), limit=5)
    mine = identity_of(config, 5)
    elsewhere = attrs.evolve(config, target_endpoint="http://127.0.0.1:9", speed_multiplier="max")
    others = {
        "loops": attrs.evolve(config, loops=2),
        "shard": attrs.evolve(config, shard=Shard(0, 2)),
        "filter_services": attrs.evolve(config, filter_services=("a" * 500,)),
        "session_id": attrs.evolve(config, session_id="other"),
    }

    assert identity_of(elsewhere, 5) == mine
    assert mine.differences(identity_of(config, 6)) == ("planned_requests",)
    for name, other in others.items():
        assert mine.differences(identity_of(other, 5)) == (name,)


def test_what_is_no_ledger_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("do not lose this")

    for resume in (True, False):
        refused = open_ledger(path, replay_id="r", identity=IDENTITY, resume=resume).failure()
        assert isinstance(refused, LedgerDamaged)
        assert str(path) in refused.message
    assert path.read_text() == "do not lose this"


def test_there_is_nothing_to_resume_without_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "missing"

    assert read_ledger(path).failure() == LedgerNotFound(str(path))
    resumed = open_ledger(path, replay_id="r", identity=IDENTITY, resume=True)
    assert resumed.failure() == LedgerNotFound(str(path))
    assert not path.exists()


@pytest.mark.parametrize("name", ["", "no folder/ledger"])
def test_a_path_that_takes_no_file_is_told(tmp_path: Path, name: str) -> None:
    refused = open_ledger(tmp_path / name, replay_id="r", identity=IDENTITY).failure()

    assert isinstance(refused, LedgerUnusable)
    assert isinstance(read_ledger(tmp_path).failure(), LedgerUnusable)


def test_a_device_is_no_ledger() -> None:
    refused = open_ledger(Path("/dev/null"), replay_id="r", identity=IDENTITY).failure()

    assert refused == LedgerUnusable("/dev/null", "it is no regular file")


def test_a_full_disk_becomes_a_problem_and_leaves_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = begun(path)
    ledger.intend(event(0))
    ledger.settle(settled(0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limits[1]))
        ledger.intend(event(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    problem = ledger.problem
    ledger.intend(event(2))
    ledger.close()

    assert problem == LedgerUnusable(str(path), "there is no room for a whole record")
    assert ledger.problem == problem
    prior = read_ledger(path).unwrap()
    assert (prior.count("delivered"), len(prior.states), prior.torn_bytes) == (1, 1, 0)


def test_unknown_events_are_sent_as_the_user_says() -> None:
    # Untouched, intended, delivered, rejected, in part, failed, unknown, not sent.
    states = bytes(range(8))
    left = PriorDeliveries(states=states)
    sent = PriorDeliveries(states=states, resume_unknown="send")

    assert [n for n in range(9) if left.should_send(n)] == [0, 3, 5, 7, 8]
    assert [n for n in range(9) if sent.should_send(n)] == [0, 1, 3, 5, 6, 7, 8]
    assert list(left.numbers("unknown")) == [1, 6]


def test_events_that_a_damaged_record_may_have_been_of_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = begun(path)
    for number in range(4):
        ledger.intend(event(number))
        ledger.settle(settled(number))
    ledger.close()
    content = bytearray(path.read_bytes())
    content[-4 * 56 : -2 * 56] = bytes(2 * 56)
    content[-56:] = bytes(56)
    path.write_bytes(content)

    prior = read_ledger(path).unwrap()

    assert prior.damaged_records == 3
    assert [prior.outcome(number) for number in range(4)] == [
        *["delivered"] * 2,
        *["unknown"] * 2,
    ]
    assert not prior.should_send(4)
    assert prior.should_send(5)


@pytest.mark.anyio
async def test_a_ledger_is_put_on_the_disk_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_SYNCED_EVERY_S", 0.0)
    synced = anyio.Event()
    ledger = begun(tmp_path / "ledger")
    real = os.fsync

    def refuse(descriptor: int) -> None:
        real(descriptor)
        anyio.from_thread.run_sync(synced.set)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with anyio.fail_after(HANGS_AFTER_S):
        await ledger.keep_synced()
        await synced.wait()
    monkeypatch.setattr(os, "fsync", real)
    ledger.close()

    assert ledger.problem == LedgerUnusable(str(tmp_path / "ledger"), "Input/output error")
