"""The command `replay` as a user meets it: its options, its ends, its keys, its signals."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import Shell, put_session

NOWHERE = "--to http://127.0.0.1:9"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Run commands where there are two sessions of three requests, a second apart."""
    shell = Shell(tmp_path_factory.mktemp("replays"))
    put_session(shell, "here")
    put_session(shell, "seed-1")
    return shell


@pytest.fixture(scope="module")
def target(shell: Shell) -> Iterator[str]:
    """Listen, and record what comes."""
    with shell.serving("--session", "arrived") as serving:
        yield serving.url


def test_what_does_not_go_together_is_told_by_the_names_of_options(shell: Shell) -> None:
    cases = {
        f"replay here {NOWHERE} --strategy largest": "ID",
        f"replay auto here {NOWHERE}": "ID",
        f"replay here here {NOWHERE}": "ID",
        f"replay here {NOWHERE} --share 2": "--share",
        f"replay here {NOWHERE} --loop 0": "--loop",
        f"replay here {NOWHERE} --copies 100000": "--copies",
        f"replay here {NOWHERE} --concurrency 0": "--concurrency",
        f"replay here {NOWHERE} --resume": "--resume",
        f"replay here {NOWHERE} --resume-unknown send": "--resume-unknown",
        f"replay here {NOWHERE} --certificate x.pem": "--certificate",
        f"replay here {NOWHERE} --header nameless": "--header",
        f"replay here {NOWHERE} --bearer-token-file absent": "--bearer-token-file",
        f"replay here {NOWHERE} --from 5m --until 1m": "--until",
        f"replay here {NOWHERE} --verify-into copy": "--to",
        f"replay auto {NOWHERE} --min-size 2MB --max-size 1MB": "--max-size",
    }

    for run, field in zip(
        shell.run_all(*(f"{case} --json" for case in cases)), cases.values(), strict=True
    ):
        assert (run.code, run.stdout) == (2, "")
        assert (run.error["error"], run.error["field"]) == ("InvalidConfig", field)


def test_a_target_beyond_this_machine_is_refused(shell: Shell) -> None:
    run = shell.run("replay", "here", "--to", "http://192.0.2.1:4318", "--json")

    assert (run.code, run.error["error"]) == (2, "TargetNotAllowed")


def test_a_plan_is_shown_and_nothing_is_sent(shell: Shell) -> None:
    people, machines = shell.run_all("replay here --dry-run", "replay here --dry-run --json")

    assert (people.code, machines.code) == (0, 0)
    assert "It would send 3 requests" in people.stdout
    assert "┤" in people.stdout
    assert machines.result["sessionIds"] == ["here"]


def test_it_ends_with_one_object_and_a_certificate_beside_the_session(
    shell: Shell, target: str
) -> None:
    run = shell.run("replay", "here", "--to", target, "--speed", "max", "--loop", "2", "--json")
    listed = shell.run("replays", "here", "--json")

    assert (run.code, listed.code) == (0, 0)
    assert sorted(run.result) == ["certificate", "gateMisses", "status"]
    assert run.result["status"]["delivery"]["delivered"] == 6
    assert run.result["certificate"] in listed.result["replays"]
    replay_id = run.result["status"]["replayId"]
    shown = shell.run("replays", "here", replay_id)
    assert shown.code == 0
    assert "6 planned: 6 delivered" in shown.stdout


def test_a_replay_that_goes_on_until_all_is_delivered_ends_well(
    shell: Shell, target: str, tmp_path: Path
) -> None:
    kept = ("--to", target, "--json", "--ledger", str(tmp_path / "ledger"))
    first = shell.run("replay", "here", *kept, "--speed", "0.01", "--max-duration", "1ms")
    second = shell.run("replay", "here", *kept, "--speed", "max", "--resume")
    third = shell.run("replay", "here", *kept, "--speed", "max", "--resume")

    assert (first.code, second.code, third.code) == (1, 0, 0)
    assert third.result["status"]["notSentReasons"] == {"DeliveredBefore": 3}


def test_a_session_is_chosen_and_named(shell: Shell, target: str) -> None:
    run = shell.run("replay", "auto", "--type", "seed", "--to", target, "--speed", "max")
    none = shell.run("replay", "auto", "--type", "training", "--to", target, "--json")

    assert run.code == 0
    assert "The session is seed-1." in run.stderr
    assert (none.code, none.error["error"]) == (2, "NoSessionMatches")


def test_a_limit_that_is_missed_is_a_finding(shell: Shell, target: str) -> None:
    run = shell.run("replay", "here", "--to", target, "--speed", "100", "--max-p99-lateness", "0")

    assert run.code == 1
    assert "The gate is missed" in run.stderr


def test_what_arrives_is_compared_in_one_go(shell: Shell) -> None:
    run = shell.run("replay", "here", "--verify-into", "copy", "--speed", "max", "--json")

    assert run.code == 0
    assert run.result["comparison"]["equal"] is True
