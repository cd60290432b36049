"""The commands that look after a store: what they print, what they keep, how they exit."""

import os
import pty
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clocks import HANGS_AFTER_S
from tests.command_line import COMMAND, Run, Shell, put_session


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run commands in an empty folder."""
    return Shell(tmp_path)


def files(shell: Shell, folder: str = "otlp-data") -> list[Path]:
    """List what a store holds; what it keeps for itself is left out."""
    found = (path for path in (shell.folder / folder).rglob("*") if path.is_file())
    return sorted(path for path in found if ".spool" not in path.parts)


def size(shell: Shell) -> int:
    return sum(path.stat().st_size for path in files(shell))


@contextmanager
def asked(shell: Shell, *arguments: str) -> Generator[tuple[subprocess.Popen[str], int, str]]:
    """Run a command at a terminal until it asks; give its process, its terminal, what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *arguments],
        cwd=shell.folder,
        env=shell.environment(TERM="dumb"),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 1_024)
    yield process, ours, shown.decode()
    process.wait(timeout=HANGS_AFTER_S)
    os.close(ours)


def at_a_terminal(shell: Shell, answer: str, *arguments: str) -> Run:
    """Run a command whose terminal gives *answer* when it is asked."""
    with asked(shell, *arguments) as (process, terminal, shown):
        os.write(terminal, answer.encode())
        stdout, _ = process.communicate(timeout=HANGS_AFTER_S)
    return Run(process.returncode, stdout, shown)


class TestVerify:
    def test_a_sound_session_ends_with_0(self, shell: Shell) -> None:
        put_session(shell, "s")
        text, machine = shell.run_all("sessions verify s", "sessions verify s --json")

        assert (text.code, machine.code, text.stderr) == (0, 0, "")
        assert text.stdout.startswith("s: 3 segments with 3 frames, ")
        assert text.stdout.endswith("Nothing is damaged, and all counts agree.\n")
        assert (machine.result["isSound"], machine.result["findings"]) == (True, [])

    def test_damage_ends_with_1_and_is_told(self, shell: Shell) -> None:
        folder = put_session(shell, "s")
        segment = next(folder.rglob("logs-*"))
        segment.write_bytes(segment.read_bytes()[:-1])

        text, machine = shell.run_all("sessions verify s", "sessions verify s --json")

        assert (text.code, machine.code) == (1, 1)
        assert "damage: tornTail: sessions/s/raw/" in text.stdout
        assert "is cut short; nothing can be read from here on" in text.stdout
        assert machine.result["findingCounts"] == {
            "tornTail": 1,
            "manifestDisagrees": 1,
            "countsDisagree": 4,
        }

    def test_what_is_not_there_ends_with_2(self, shell: Shell) -> None:
        missing = shell.run("sessions", "verify", "s", "--json")

        assert (missing.code, missing.error["error"]) == (2, "SessionNotFound")


class TestReindex:
    def test_it_tells_what_it_changed(self, shell: Shell) -> None:
        folder = put_session(shell, "s")
        (part,) = (folder / "manifest").iterdir()
        part.unlink()

        first, second = (shell.run("sessions", "reindex", "s") for _ in range(2))

        assert (first.code, second.code) == (0, 0)
        assert f"written: sessions/s/manifest/{part.name}" in first.stdout
        assert "Nothing had to be changed." in second.stdout
        assert part.exists()
        assert shell.run("sessions", "reindex", "s", "--json").result["hasChanged"] is False


class TestDelete:
    def test_it_says_exactly_what_it_freed(self, shell: Shell) -> None:
        put_session(shell, "s")
        before = len(files(shell)), size(shell)

        deleted = shell.run("sessions", "delete", "s", "--yes", "--json")

        assert deleted.code == 0
        assert deleted.result == {
            "sessionId": "s",
            "deletedObjects": before[0],
            "freedSpaceBytes": before[1],
        }
        assert files(shell) == []

    def test_it_does_not_without_being_told_to(self, shell: Shell) -> None:
        put_session(shell, "s")
        put_session(shell, "active", status="active")
        shell.run("sessions", "hold", "s", "--reason", "audit")

        unasked, held, active, shown = shell.run_all(
            "sessions delete s --json",
            "sessions delete s --yes --force --json",
            "sessions delete active --yes --json",
            "sessions show s --json",
        )

        assert (unasked.code, unasked.error["error"]) == (2, "ConfirmationNeeded")
        assert (held.code, held.error["error"]) == (2, "SessionHeld")
        assert (active.code, active.error["error"]) == (2, "SessionActive")
        assert shown.result["hold"]["reason"] == "audit"
        assert "hold" not in shell.run("sessions", "release", "s", "--json").result
        for gone in shell.run_all("sessions delete s --yes", "sessions delete active -y --force"):
            assert gone.code == 0
        assert files(shell) == []

    @pytest.mark.parametrize(("answer", "code"), [("\n", 1), ("yes\n", 0)])
    def test_at_a_terminal_it_asks(self, shell: Shell, answer: str, code: int) -> None:
        put_session(shell, "s")

        ended = at_a_terminal(shell, answer, "sessions", "delete", "s")

        assert ended.code == code
        assert "s: 3 requests with 1 span" in ended.stderr
        assert "Delete it? [y/N]" in ended.stderr
        assert (files(shell) == []) is (code == 0)

    def test_a_question_can_be_interrupted(self, shell: Shell) -> None:
        put_session(shell, "s")

        with asked(shell, "sessions", "delete", "s") as (process, _, _):
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=HANGS_AFTER_S)

        assert process.returncode == 130
        assert len(files(shell)) == 5


class TestRetention:
    def test_usage_is_told(self, shell: Shell) -> None:
        put_session(shell, "s")

        text, machine = shell.run_all("retention usage", "retention usage --json")

        assert "1 completed" in text.stdout
        assert machine.result["totalSizeBytes"] == size(shell)

    def test_a_plan_changes_nothing_and_a_run_does_what_it_says(self, shell: Shell) -> None:
        put_session(shell, "s")
        put_session(shell, "active", status="active")
        before = files(shell), size(shell)

        plan, dry, unasked = shell.run_all(
            "retention plan --days 1 --json",
            "retention run --days 1 --dry-run --json",
            "retention run --days 1 --json",
        )
        unchanged = files(shell), size(shell)
        ran = shell.run("retention", "run", "--days", "1", "--yes", "--json")

        assert plan.result == dry.result
        (action,) = plan.result["actions"]
        assert (action["action"], action["path"]) == ("delete", "sessions/s/")
        assert (action["cause"], action["objects"]) == ("age", 5)
        assert plan.result["protected"] == [{"sessionId": "active", "why": "it is active"}]
        assert (unasked.code, unasked.error["error"]) == (2, "ConfirmationNeeded")
        assert unchanged == before
        assert ran.code == 0
        assert ran.result["freedSpaceBytes"] == plan.result["freedSpaceBytes"]
        assert ran.result["freedSpaceBytes"] == before[1] - size(shell)
        assert ran.result["processedPaths"] == ["sessions/s/"]

    def test_a_policy_file_archives(self, shell: Shell) -> None:
        folder = put_session(shell, "s")
        (shell.folder / "policy.toml").write_text(
            'archive_to = "file:./archive"\n[sessions]\narchive_after_days = 3\n'
        )
        before = [path.relative_to(folder) for path in files(shell)]

        ran = shell.run("retention", "run", "--policy", "policy.toml", "--yes")

        assert ran.code == 0
        assert "archived: sessions/s/" in ran.stdout
        copy = shell.folder / "archive" / "sessions" / "s"
        assert [path.relative_to(copy) for path in files(shell, "archive")] == before
        assert files(shell) == []
        listed = shell.run("sessions", "list", "--store", "file:./archive", "--json").result
        assert [each["sessionId"] for each in listed["sessions"]] == ["s"]

    def test_what_cannot_be_done_is_told(self, shell: Shell) -> None:
        put_session(shell, "s")
        put_session(shell, "s", status="failed", folder="archive")
        before = files(shell)
        archiving = ("retention", "run", "--yes", "--archive-after", "3", "--archive-to")

        conflict = shell.run(*archiving, "file:./archive", "--json")
        itself = shell.run(*archiving, "file:otlp-data/../otlp-data")

        assert (conflict.code, itself.code) == (2, 2)
        (error,) = conflict.result["errors"]
        assert (error["path"], error["error"]) == ("sessions/s/", "ArchiveConflict")
        assert "not done: sessions/s/: The archive is the very store" in itself.stderr
        assert files(shell) == before

    def test_a_policy_that_cannot_be_ends_with_2(self, shell: Shell) -> None:
        expected = {
            "plan --label keep": "InvalidPolicy",
            "plan --label keep=1:500": "InvalidPolicy",
            "plan --archive-after 3": "ArchiveMissing",
            "plan --archive-after 3 --archive-to nowhere": "InvalidStoreUrl",
            "plan --policy missing.toml": "PolicyUnreadable",
            "schedule --cron often": "InvalidPolicy",
        }
        refused = shell.run_all(*(f"retention {command} --json" for command in expected))

        for each, error in zip(refused, expected.values(), strict=True):
            assert (each.code, each.stdout, each.error["error"]) == (2, "", error)

    def test_options_are_all_heeded(self, shell: Shell) -> None:
        put_session(shell, "s")
        day = shell.folder / "otlp-data" / "continuous" / "2025-01-01" / "raw"
        day.mkdir(parents=True)
        (day / "x").write_bytes(b"123")

        both = ["continuous/2025-01-01/", "sessions/s/"]
        kept = "--continuous-days 30000 --days 9000 --max-days 9000"
        expected = {
            "": both,
            "--no-sessions": both[:1],
            "--no-continuous": both[1:],
            f"{kept} --max-total-mb 1": [],
            f"{kept} --max-total-mb 0.0005": both[1:],
        }
        plans = shell.run_all(*(f"retention plan --json {options}" for options in expected))

        for plan, paths in zip(plans, expected.values(), strict=True):
            assert [action["path"] for action in plan.result["actions"]] == paths

    def test_at_a_terminal_the_plan_is_shown_and_asked_for(self, shell: Shell) -> None:
        put_session(shell, "s")

        refused = at_a_terminal(shell, "n\n", "retention", "run")
        kept = files(shell)
        agreed = at_a_terminal(shell, "y\n", "retention", "run")

        assert (refused.code, len(kept)) == (1, 5)
        assert "delete  sessions/s/" in refused.stdout
        assert (agreed.code, files(shell)) == (0, [])

    def test_a_schedule_runs_until_it_is_interrupted(self, shell: Shell) -> None:
        process = shell.start("retention", "schedule", "--cron", "* * * * *", "--json")
        assert process.stderr is not None
        announced = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=HANGS_AFTER_S)

        assert announced.startswith('{"nextRun": "20')
        assert process.returncode == 130
