"""What a client is told in its own protocol."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.forward import (
    ForwardingLoop,
    ForwardQueueFull,
    ForwardRefusal,
    TargetBusy,
    TargetDown,
    TargetRefused,
    answer_to_refusal,
)

RETRIED_OVER_HTTP = {429, 502, 503, 504}
RETRIED_OVER_GRPC = {1, 4, 10, 11, 14, 15}
RESOURCE_EXHAUSTED = 8
GRPC_STATUSES = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
FOR_GOOD = sorted(
    set(GRPC_STATUSES)
    - {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)


class TestAnswerToRefusal:
    @pytest.mark.parametrize(
        ("refusal", "http", "code"),
        [
            (TargetRefused("400", "no"), 400, 3),
            (TargetRefused("401", "no"), 401, 16),
            (TargetRefused("403", "no"), 403, 7),
            (TargetRefused("404", "no"), 404, 12),
            (TargetRefused("413", "no"), 413, 8),
            (TargetRefused("500", "no"), 500, 13),
            (TargetRefused("301", ""), 500, 13),
            (TargetRefused("503", "too long an answer"), 500, 13),
            (TargetRefused("499", ""), 400, 3),
            (TargetRefused("INVALID_ARGUMENT", "no"), 400, 3),
            (TargetRefused("UNAUTHENTICATED", "no"), 401, 16),
            (TargetRefused("RESOURCE_EXHAUSTED", "no"), 413, 8),
            (TargetRefused("INTERNAL", "no"), 500, 13),
            (TargetBusy("429", "later"), 429, 14),
            (TargetBusy("503", "later"), 503, 14),
            (TargetBusy("UNAVAILABLE", "later"), 503, 14),
            (TargetBusy("RESOURCE_EXHAUSTED", "later", 1.0), 429, 8),
            (TargetDown(), 503, 14),
            (ForwardQueueFull(), 503, 14),
            (ForwardingLoop(2), 508, 9),
        ],
    )
    def test_these_are_said_so(self, refusal: ForwardRefusal, http: int, code: int) -> None:
        assert answer_to_refusal(refusal) == (HTTPStatus(http), code)
        assert refusal.message

    @given(
        st.one_of(
            st.integers(300, 999).map(str),
            st.sampled_from(FOR_GOOD),
        )
    )
    def test_what_is_refused_for_good_is_not_retried_over_either(self, status: str) -> None:
        http, code = answer_to_refusal(TargetRefused(status, ""))

        assert http >= 400
        assert http not in RETRIED_OVER_HTTP
        assert code not in RETRIED_OVER_GRPC | {0}

    @given(st.sampled_from([*map(str, RETRIED_OVER_HTTP), *(set(GRPC_STATUSES) - set(FOR_GOOD))]))
    def test_what_is_refused_for_now_is_retried_over_both(self, status: str) -> None:
        http, code = answer_to_refusal(TargetBusy(status, ""))

        assert http in RETRIED_OVER_HTTP
        assert code in RETRIED_OVER_GRPC
