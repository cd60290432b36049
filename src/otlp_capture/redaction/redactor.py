"""Redaction of requests by one set of rules, and the count of what it did."""

from collections import Counter
from collections.abc import Mapping
from threading import Lock
from typing import Final

from otlp_capture import otlp
from otlp_capture.otlp import InvalidRequest, Redacted, RequestTooLarge, Signal
from otlp_capture.redaction.errors import InvalidRule, InvalidRuleSetting, RedactionFailed
from otlp_capture.redaction.policy import RulePolicy
from otlp_capture.redaction.rules import RuleSet, check_rules
from otlp_capture.result import Failure, Outcome, Success


class Redactor:
    """Redacts requests. Threads may share one; `redactor_of` makes it, and checks its rules.

    Args:
        rules: what it goes by; `check_rules` has passed them.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.rules: Final = rules
        self._policy: Final = RulePolicy(rules)
        self._counts: Final = Counter[tuple[str, str]]()
        self._lock: Final = Lock()

    def redact(self, request: bytes, signal: Signal) -> Outcome[Redacted, RedactionFailed]:
        """Take out of a request what the rules say, and count it.

        Args:
            request: protobuf bytes that `otlp.scan` has passed.
            signal: what they carry.

        Returns:
            The request, the same object where nothing was to be changed, and what was done to it.

        Fails with:
            RedactionFailed: the request cannot be read, or grows too large. It must not be kept.
        """
        redacted = otlp.redact(request, signal, self._policy)
        if isinstance(redacted, Failure):
            return Failure(RedactionFailed(_reason(redacted.failure())))
        done = redacted.unwrap()
        if done.counts:
            with self._lock:
                self._counts.update(done.counts)
        return Success(done)

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """How often what was done so far, by the name of the rule and what it did.

        Besides the rules there are `default`, `unknown_fields` and `repeated_fields`; besides the
        actions there is `too_long`: a value that was left out because it could not be searched.
        """
        with self._lock:
            return dict(self._counts)


def _reason(error: InvalidRequest | RequestTooLarge) -> str:
    if isinstance(error, RequestTooLarge):
        return f"masks would make more than {error.limit:,} bytes of it"
    return f"it is not well-formed at {error.where}"


def redactor_of(rules: RuleSet) -> Outcome[Redactor, InvalidRule | InvalidRuleSetting]:
    """Make a redactor of rules.

    Fails with:
        InvalidRule: a rule lacks what its action needs, or has what it cannot have.
        InvalidRuleSetting: the limit is none, or the key is too short or too long.
    """
    checked = check_rules(rules)
    return checked if isinstance(checked, Failure) else Success(Redactor(rules))


def redaction_report(redactor: Redactor) -> dict[str, dict[str, int]]:
    """Return what a redactor did, as JSON has it: counts by action, by name of the rule."""
    report: dict[str, dict[str, int]] = {}
    for (name, action), count in sorted(redactor.counts.items()):
        report.setdefault(name, {})[action] = count
    return report
