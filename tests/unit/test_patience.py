"""When a target is given up."""

from otlp_capture.sending import Accepted, Delivery, NoAnswer, Refused
from otlp_replay.patience import Patience

SILENCE = NoAnswer("nobody there", may_have_arrived=False)
BUSY = Refused("503", "busy", is_retryable=True)
GIVEN_UP = Delivery(outcome="failed", attempts=5, is_given_up=True)
DELIVERED = Delivery(outcome="delivered", attempts=1)


def after(patience: Patience, *answers: Accepted | Refused | NoAnswer) -> None:
    for answer in answers:
        patience.hear(answer)


class TestPatience:
    def test_a_target_that_was_silent_all_the_while_is_lost(self) -> None:
        patience = Patience(max_in_flight=64)
        after(patience, Accepted(), *[SILENCE] * 5)

        assert patience.is_lost(GIVEN_UP, answers_before=1)

    def test_a_target_that_answered_another_request_meanwhile_is_not(self) -> None:
        patience = Patience(max_in_flight=64)
        after(patience, Accepted(), *[SILENCE] * 5)

        assert not patience.is_lost(GIVEN_UP, answers_before=0)

    def test_a_few_lost_connections_are_not_a_lost_target(self) -> None:
        patience = Patience(max_in_flight=64)
        after(patience, *[SILENCE] * 4)

        assert not patience.is_lost(GIVEN_UP, answers_before=0)

    def test_what_was_not_given_up_says_nothing_against_a_target(self) -> None:
        patience = Patience(max_in_flight=64)
        after(patience, *[SILENCE] * 9)

        assert not patience.is_lost(DELIVERED, answers_before=0)

    def test_a_target_that_answers_and_takes_nothing_is_lost_after_sixteen_rounds(self) -> None:
        patience = Patience(max_in_flight=4)
        verdicts = []
        for _ in range(64):
            before = patience.answers
            after(patience, BUSY)
            verdicts.append(patience.is_lost(GIVEN_UP, answers_before=before))

        assert verdicts == [False] * 63 + [True]

    def test_one_request_that_is_taken_renews_it(self) -> None:
        patience = Patience(max_in_flight=1)
        verdicts = []
        for number in range(100):
            after(patience, BUSY)
            settled = DELIVERED if number % 15 == 0 else GIVEN_UP
            verdicts.append(patience.is_lost(settled, answers_before=0))

        assert not any(verdicts)
