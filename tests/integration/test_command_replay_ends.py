"""How a replay is steered by keys, ends by a key or a signal, and goes on after a crash."""

import signal
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from otlp_capture.otlp import SIGNALS
from tests.clocks import HANGS_AFTER_S
from tests.command_line import Run, Shell, wait_until
from tests.servers.target import OK, Action, Received, Silence, always
from tests.sessions import arriving
from tests.terminals import Terminal, at_terminal
from tests.watched_targets import keep, numbers, request, watched

SLOW = ("--speed", "0.01")
"""A request each hundred seconds: the next one comes when it is let."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Run commands where there is a session of twelve requests, a second apart."""
    shell = Shell(tmp_path_factory.mktemp("ends"))
    keep(shell, "twelve", arriving((SIGNALS[n % 3], request(SIGNALS[n % 3], n)) for n in range(12)))
    return shell


def total(run: Run) -> int:
    """Return the sum over what became of the requests."""
    return sum(run.result["status"]["delivery"].values())


class TestAfterACrash:
    def test_what_was_not_delivered_is_sent_and_nothing_twice(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        def three_are_taken(received: Received) -> Action:
            return OK if received.number < 3 else Silence()

        options = ("replay", "twelve", "--speed", "max", "--json", "--concurrency", "2")
        ledger = ("--ledger", str(tmp_path / "ledger"))
        with watched(three_are_taken) as target:
            process = shell.start(*options, *ledger, "--to", target.url)
            wait_until(lambda: len(target.received) == 5)
            process.kill()
            process.communicate(timeout=HANGS_AFTER_S)
            target.script = always(OK)
            left = shell.run(*options, *ledger, "--to", target.url, "--resume")
            came = numbers(target.received)
            sent = shell.run(
                *(*options, *ledger, "--to", target.url, "--resume", "--resume-unknown", "send")
            )
            other = shell.run(*(*options, *ledger, "--to", target.url, "--resume", "--limit", "3"))

            # What was on its way when it was killed may have arrived, and is left as it was.
            assert Counter(came) == dict.fromkeys(range(12), 1)
            assert sorted(numbers(target.received)[12:]) == sorted(came[3:5])
        assert (left.code, total(left)) == (1, 12)
        assert left.result["status"]["delivery"]["delivered"] == 7
        assert left.result["status"]["notSentReasons"] == {
            "DeliveredBefore": 3,
            "SettledBefore": 2,
        }
        assert left.result["deliveredBefore"] == 3
        # All of it has arrived now, with the earlier runs.
        assert (sent.code, total(sent), sent.result["deliveredBefore"]) == (0, 12, 10)
        assert sent.result["status"]["delivery"]["delivered"] == 2
        assert (other.code, other.stdout) == (2, "")
        assert "limit" in other.error["message"]


class TestSignals:
    def test_the_first_lets_what_is_on_its_way_arrive(self, shell: Shell) -> None:
        with watched() as target:
            process = shell.start("replay", "twelve", "--to", target.url, *SLOW, "--json")
            wait_until(lambda: target.received)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=HANGS_AFTER_S)
        ended = Run(process.returncode, stdout, stderr)

        assert (ended.code, total(ended)) == (130, 12)
        assert ended.result["status"]["delivery"]["delivered"] == 1
        assert ended.result["status"]["status"] == "failed"
        listed = shell.run("replays", "twelve", "--json").result["replays"]
        assert ended.result["certificate"] in listed

    def test_the_second_ends_it_at_once_and_leaves_the_terminal_as_it_was(
        self, shell: Shell
    ) -> None:
        with watched(always(Silence())) as target, replaying(shell, target.url) as terminal:
            wait_until(lambda: target.received)
            assert terminal.settings != terminal.before
            terminal.press("\x03")
            terminal.shows("Once more ends it at once")
            terminal.press("\x03")

            assert terminal.end() == (130, "")
            assert terminal.settings == terminal.before

    def test_it_can_be_stopped_for_a_while(self, shell: Shell) -> None:
        with watched() as target, replaying(shell, target.url) as terminal:
            wait_until(lambda: target.received)
            terminal.press("\x1a")
            wait_until(lambda: state(terminal) == "T")
            assert terminal.settings == terminal.before
            terminal.process.send_signal(signal.SIGCONT)
            wait_until(lambda: terminal.settings != terminal.before)
            terminal.press("s")
            wait_until(lambda: len(target.received) == 2)
            terminal.press("\x03")

            assert terminal.end()[0] == 130
            assert terminal.settings == terminal.before


def state(terminal: Terminal) -> str:
    """Return how the kernel sees its process: T is stopped."""
    return Path(f"/proc/{terminal.process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def replaying(shell: Shell, url: str) -> AbstractContextManager[Terminal]:
    """Replay slowly, at a terminal."""
    return at_terminal(shell, "replay", "twelve", "--to", url, *SLOW)


class TestKeys:
    def test_each_key_does_what_it_is_said_to_do(self, shell: Shell) -> None:
        with watched() as target, replaying(shell, target.url) as terminal:
            terminal.shows("q stops")
            wait_until(lambda: len(target.received) == 1)
            terminal.press(" ")
            terminal.shows("paused")
            terminal.press(" ")
            terminal.shows("at 0.01x")
            terminal.press("+")
            terminal.shows("at 0.02x")
            terminal.press("+")
            terminal.shows("at 0.04x")
            terminal.press("-")
            terminal.shows("at 0.02x")
            terminal.press("s")
            terminal.shows("paused")
            wait_until(lambda: len(target.received) == 2)
            terminal.press("s")
            wait_until(lambda: len(target.received) == 3)
            terminal.press("q")
            code, stdout = terminal.end()

            assert terminal.settings == terminal.before
            assert numbers(target.received) == [0, 1, 2]
        assert code == 1
        assert "12 planned: 3 delivered" in stdout
