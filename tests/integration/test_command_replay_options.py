"""Each option of `replay` acts: what arrives, and when it was planned to."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest

from otlp_capture.otlp import SIGNALS, Signal
from tests.command_line import Run, Shell
from tests.servers.target import Reply, Target, always
from tests.sessions import SECOND, START, arriving
from tests.watched_targets import keep, numbers, request, spans_in, watched

TRACES = 48


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Run commands where there are sessions.

    `mixed` has twelve requests a second apart, of each signal in turn and of two services in turn;
    `later` has two in between; `traced` has traces of a root and a child in another request.
    """
    shell = Shell(tmp_path_factory.mktemp("options"))
    mixed: list[tuple[Signal, bytes]] = [
        (SIGNALS[number % 3], request(SIGNALS[number % 3], number, service=service))
        for number, service in enumerate(["cart", "shop"] * 6)
    ]
    keep(shell, "mixed", arriving(mixed))
    later: list[tuple[Signal, bytes]] = [("logs", request("logs", number)) for number in (100, 101)]
    keep(shell, "later", arriving(later, start=START + SECOND // 2))
    roots = [
        request("traces", 0, spans=[(trace, 1, 0) for trace in range(1, TRACES + 1)]),
        request("traces", 1, spans=[(trace, 2, 1) for trace in range(1, TRACES + 1)]),
    ]
    keep(shell, "traced", arriving(("traces", each) for each in roots))
    return shell


def replay(shell: Shell, target: Target, *arguments: str, **variables: str) -> Run:
    """Replay into a target and forget what came there before."""
    target.received.clear()
    run = shell.run("replay", *arguments, "--to", target.url, "--json", **variables)
    assert run.stdout, run.stderr
    return run


def in_turn(shell: Shell, target: Target, *arguments: str) -> list[int]:
    """Replay `mixed` one request after the other, and return which came."""
    run = replay(shell, target, "mixed", "--speed", "max", "--concurrency", "1", *arguments)
    status = run.result["status"]
    assert (run.code, status["status"]) == (0, "completed"), run.stderr
    return numbers(target.received)


def test_windows_services_and_signals_choose_what_arrives(shell: Shell) -> None:
    with watched() as target:
        cases: dict[str, Iterable[int]] = {
            "--from 3s --until 6s": range(3, 6),
            "--from 2025-11-23T01:23:29Z": range(9, 12),
            "--until 2025-11-23T01:23:22.000000001Z": range(3),
            "--from -2s": range(9, 12),
            "--until -2s": range(9),
            "--from 1763861010000000000": range(10, 12),
            "--signal traces --signal logs --limit 3": [0, 2, 3],
            "--service c*t --signal traces": [0, 6],
            "--service shop --from 5s": [5, 7, 9, 11],
            "--limit 2 --loop 2": [0, 1, 0, 1],
            "--limit 2 --copies 2 --no-remap-ids": [0, 0, 1, 1],
        }
        for options, expected in cases.items():
            assert in_turn(shell, target, *options.split()) == [*expected], options


def test_shards_divide_and_shares_choose_whole_traces(shell: Shell) -> None:
    whole = [(trace, trace * 1000 + span) for span in (1, 2) for trace in range(1, TRACES + 1)]
    with watched() as target:

        def spans(*options: str) -> list[tuple[int, int]]:
            run = replay(shell, target, "traced", "--speed", "max", *options)
            assert run.code == 0
            came = spans_in(target.received)
            assert {trace for trace, span in came if span % 1000 == 1} == {
                trace for trace, span in came if span % 1000 == 2
            }
            return came

        shards = [spans("--shard", f"{index}/3") for index in (1, 2, 3)]
        share, part = spans("--share", "0.5"), spans("--share", "50%")

    assert sorted(chain.from_iterable(shards)) == sorted(whole)
    assert all(0 < len(shard) < len(whole) for shard in shards)
    assert share == part
    assert 0 < len(share) < len(whole)


def test_spans_without_their_parents_are_told_where_traces_are_cut(shell: Shell) -> None:
    with watched() as target:
        whole = replay(shell, target, "traced", "--speed", "max")
        cut = replay(shell, target, "traced", "--speed", "max", "--from", "1s", "--loop", "2")
        told = shell.run("replay", "traced", "--speed", "max", "--from", "1s", "--to", target.url)

    assert "orphans" not in whole.result["status"]
    assert cut.result["status"]["orphans"] == {"leftOut": 0, "unseen": TRACES}
    assert f"{TRACES} spans without the parent" in told.stderr


def test_loops_and_copies_have_ids_of_their_own_by_the_seed(shell: Shell) -> None:
    options = ("traced", "--limit", "1", "--loop", "2", "--copies", "2", "--speed", "max")
    with watched() as target:
        came = {
            more: (replay(shell, target, *options, *more.split()), spans_in(target.received))[1]
            for more in ("--seed 7", "--seed 7 --remap-ids", "--seed 8", "--no-remap-ids")
        }

    assert {len(spans) for spans in came.values()} == {4 * TRACES}
    assert len(set(came["--seed 7"])) == 4 * TRACES
    assert sorted(came["--seed 7"]) == sorted(came["--seed 7 --remap-ids"])
    assert not set(came["--seed 7"]) & set(came["--seed 8"])
    assert len(set(came["--no-remap-ids"])) == TRACES


def test_sessions_are_merged_by_arrival(shell: Shell) -> None:
    with watched() as target:
        run = replay(shell, target, "mixed", "later", "--speed", "max", "--concurrency", "1")

        assert numbers(target.received) == [0, 100, 1, 101, *range(2, 12)]
    assert run.result["certificate"]["sessionIds"] == ["mixed", "later"]
    assert run.result["certificate"] in shell.run("replays", "mixed", "--json").result["replays"]


def planned_ns(run: Run) -> Any:
    """Return how long a replay was to take."""
    assert run.code == 0, run.stderr
    return run.result["certificate"]["plannedDurationNs"]


def test_gaps_rates_and_speeds_make_the_plan(shell: Shell) -> None:
    with watched() as target:
        cases = {
            "--max-gap 10ms --precision high": 110_000_000,
            "--speed 100": 110_000_000,
            "--speed 50x --from 2s --until 7s": 80_000_000,
        }
        for options, expected in cases.items():
            run = replay(shell, target, "mixed", *options.split())
            assert planned_ns(run) == expected, options
            assert len(target.received) == run.result["status"]["totalRecords"]

        for rate in ("100/s", "6000/min", "100 records/s"):
            run = replay(shell, target, "mixed", "--speed", "max", "--max-rate", rate)
            # It may be more: who could not keep the rate does not make up for it.
            assert planned_ns(run) >= 110_000_000, rate


def test_a_replay_ends_after_its_longest_duration(shell: Shell) -> None:
    with watched() as target:
        run = replay(shell, target, "mixed", "--speed", "0.01", "--max-duration", "200ms")

        assert numbers(target.received) == [0]
    assert run.result["status"]["delivery"]["delivered"] == 1


class TestLate:
    """A target that takes its time, one request after the other, at a speed it cannot keep."""

    OPTIONS = ("mixed", "--speed", "1000", "--concurrency", "1")

    def test_what_is_late_is_sent_as_soon_as_it_can_be_or_moves_what_follows(
        self, shell: Shell
    ) -> None:
        with watched(always(Reply(delay_s=0.03))) as target:
            caught = replay(shell, target, *self.OPTIONS, "--late-policy", "catch_up")
            stretched = replay(
                shell, target, *self.OPTIONS, "--late-policy", "stretch", "--max-lateness", "1ms"
            )

        assert planned_ns(caught) == 11_000_000
        assert planned_ns(stretched) > 200_000_000

    def test_what_is_late_is_left_out_or_ends_it(self, shell: Shell) -> None:
        with watched(always(Reply(delay_s=0.03))) as target:
            skipped = replay(
                shell, target, *self.OPTIONS, "--late-policy", "skip", "--max-lateness", "0"
            )
            came = len(target.received)
            failed = replay(
                shell, target, *self.OPTIONS, "--late-policy", "fail", "--max-lateness", "0"
            )

        assert (skipped.code, failed.code) == (1, 1)
        delivery = skipped.result["status"]["delivery"]
        assert (delivery["delivered"], delivery["notSent"]) == (came, 12 - came)
        assert skipped.result["status"]["notSentReasons"]
        assert skipped.result["status"]["status"] == "completed"
        assert failed.result["status"]["status"] == "failed"
        assert "late" in failed.result["status"]["error"]


def test_auto_takes_the_session_that_is_asked_for(shell: Shell) -> None:
    size = {
        session: shell.run("sessions", "show", session, "--json").result["totalSizeBytes"]
        for session in ("mixed", "later", "traced")
    }
    by_size = sorted(size, key=lambda session: size[session])
    cases = {
        "--strategy largest": by_size[2],
        "--strategy smallest": by_size[0],
        f"--strategy smallest --min-size {size[by_size[0]] + 1}": by_size[1],
        f"--strategy largest --max-size {size[by_size[2]] - 1}": by_size[1],
        "--strategy latest": "later",
        "--type capture --after 2025-11-23 --before 2025-11-24 --strategy latest": "later",
    }
    runs = shell.run_all(*(f"replay auto {options} --dry-run --json" for options in cases))

    assert [run.result["sessionIds"] for run in runs] == [[each] for each in cases.values()]
    seeded = shell.run_all(*["replay auto --strategy random --seed 5 --dry-run --json"] * 2)
    assert seeded[0].result["sessionIds"] == seeded[1].result["sessionIds"]
    (none,) = shell.run_all("replay auto --before 2020-01-01 --dry-run --json")
    assert (none.code, none.error["error"]) == (2, "NoSessionMatches")
