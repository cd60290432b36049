"""When a target is not worth waiting for any longer."""

from typing import Final

from otlp_capture.sending import Answer, Delivery, NoAnswer

_SILENT_ATTEMPTS: Final = 5
_ROUNDS: Final = 16


class Patience:
    """Ends a replay that nobody listens to, so that a dead target costs minutes and not hours.

    A target is lost when a request has used up its retries and nothing at all was heard meanwhile,
    five attempts in a row; or when it does answer, but sixteen rounds of requests one after the
    other have used up their retries.

    Args:
        max_in_flight: how many requests make a round.
    """

    def __init__(self, max_in_flight: int) -> None:
        self._round = max_in_flight
        self._untaken = 0
        self._unanswered = 0
        self.answers = 0
        """How many answers have been heard."""

    def hear(self, answer: Answer) -> None:
        """Take note of what came of an attempt."""
        if isinstance(answer, NoAnswer):
            self._unanswered += 1
            return
        self.answers += 1
        self._unanswered = 0

    def is_lost(self, delivery: Delivery, answers_before: int) -> bool:
        """Take note of what became of a request, and tell whether to break off.

        Args:
            delivery: what became of it.
            answers_before: how many answers had been heard before its first attempt.
        """
        if not delivery.is_given_up:
            self._untaken = 0
            return False
        self._untaken += 1
        is_silent = self.answers == answers_before and self._unanswered >= _SILENT_ATTEMPTS
        return is_silent or self._untaken >= _ROUNDS * self._round
