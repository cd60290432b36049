"""Redaction of requests: the road of this process against messages."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from benchmarks.harness import Case, Way
from benchmarks.requests import Sample
from otlp_capture import otlp
from otlp_capture.otlp.redact import redact_by_parsing
from otlp_capture.redaction.policy import RulePolicy
from otlp_capture.redaction.rules import Rule, RuleSet

_KEYS: Final = ("enduser.id", "server.address", "container.id")
"""Keys of which each record of a sample has one, or two."""

_RECORDS: Final = ("span", "log", "point")
_POLICIES: Final = {
    "nothing matches": RulePolicy(
        RuleSet(rules=(Rule(name="n", on=_RECORDS, keys=("no*",), action="drop"),))
    ),
    "values dropped": RulePolicy(
        RuleSet(rules=(Rule(name="d", on=_RECORDS, keys=_KEYS, action="drop"),))
    ),
    "values hashed": RulePolicy(
        RuleSet(
            rules=(Rule(name="h", on=_RECORDS, keys=_KEYS, action="hash"),),
            hash_key=bytes(32),
        )
    ),
}
_RATIO_FLOORS: Final = {"nothing matches": 30, "values dropped": 20, "values hashed": 3}


def redacting(samples: Iterable[Sample]) -> Iterator[Case]:
    """Yield a case for each policy and sample; only some have floors."""
    for each in samples:
        for name, policy in _POLICIES.items():
            yield Case(
                "redact",
                f"{each.name}, {name}",
                len(each.request),
                [
                    Way(
                        "messages (upb)",
                        partial(redact_by_parsing, each.request, each.signal, policy),
                    ),
                    Way(
                        "otlp.redact",
                        partial(otlp.redact, each.request, each.signal, policy),
                        _RATIO_FLOORS[name] if each.has_floors else None,
                    ),
                ],
            )
