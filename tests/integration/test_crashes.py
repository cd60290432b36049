"""Serving processes that are killed at any moment lose nothing that they acknowledged."""

import random
from collections.abc import Generator
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, Final

import pytest

from tests.lives import Journal, Lives, check_session, clients, lives, pause

KILLS: Final = 200

OFTEN: Final = {
    "publish_bytes": 300_000,
    "publish_after_s": 0.04,
    "checkpoint_interval_s": 0.03,
    "idle_checkpoint_interval_s": 0.05,
}
"""Everything that happens now and then happens all the time."""


@pytest.fixture(scope="module")
def forks() -> Generator[Lives]:
    with lives() as running:
        yield running


def leftovers(store: Path) -> list[Path]:
    """Return all that the spool still has of sessions."""
    return [*(store / ".spool/segments").glob("*/*"), *(store / ".spool").glob("quarantine/*/*")]


class TestKilled:
    @pytest.mark.parametrize("seed", range(4))
    def test_what_was_acknowledged_is_held_however_often_its_recorder_was_killed(
        self, forks: Lives, tmp_path: Path, seed: int
    ) -> None:
        chosen = random.Random(seed)
        number, kills, acknowledged = 0, 0, 0
        journal = Journal()
        while kills < KILLS // 4:
            life = {"store": f"file://{tmp_path}", "session": f"s{number}", "settings": OFTEN}
            kills += 1
            forks.begin(life)
            ended = self.live(forks, chosen, journal, f"seed {seed}, kill {kills}", kills)
            if "ended" in ended:
                check_session(tmp_path, f"s{number}", journal)
                acknowledged += journal.acknowledged.total()
                number, journal = number + 1, Journal()
        forks.begin({**life, "session": f"s{number}", "stops": True})
        told = forks.over()
        assert told["exit"] == 0
        if "ended" in told:
            check_session(tmp_path, f"s{number}", journal)
        else:  # it was killed before the session began
            assert not journal.acknowledged, told
        assert acknowledged + journal.acknowledged.total() > kills
        assert leftovers(tmp_path) == []

    def live(
        self, forks: Lives, chosen: random.Random, journal: Journal, moment: str, kill: int
    ) -> dict[str, Any]:
        """Begin, and be killed while serving, while ending, or before that."""
        how = chosen.choices(["serving", "stopping", "opening"], [6, 2, 3])[0]
        if how == "opening":
            pause(chosen.uniform(0, 0.035))
            forks.signal(SIGKILL)
            told = forks.over()
            assert "failed" not in told, (moment, told)
            return told
        told = forks.told()
        if "port" not in told:
            told |= forks.over()
            assert "ended" in told, (moment, told)
            return told
        with clients(told["port"], journal, kill):
            pause(chosen.uniform(0, 0.15))
            if how == "stopping":
                forks.signal(SIGTERM)
                pause(chosen.uniform(0, 0.04))
            forks.signal(SIGKILL)
            return forks.over()
