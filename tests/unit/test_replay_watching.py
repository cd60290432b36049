"""What the command `replay` tells of single requests."""

from otlp_replay.commands.watching import Reasons
from tests.observed import settled


def test_the_first_reason_of_each_outcome_is_told_and_doubts_of_what_was_delivered_too() -> None:
    reasons = Reasons()
    for each in (
        settled(0),
        settled(1, reason="it answers 200 with text/html, which is not OTLP"),
        settled(2, outcome="failed", reason="503: busy"),
        settled(3, outcome="failed", reason="503: still busy"),
        settled(4, outcome="not_sent", reason="FilteredOut"),
    ):
        reasons.settle(each)

    assert reasons.first == {
        "delivered": "it answers 200 with text/html, which is not OTLP",
        "failed": "503: busy",
    }
