"""What the command line says of destinations."""

from typing import Any

import pytest

from otlp_capture.capture import InvalidConfig
from otlp_capture.cli.forwarding import ForwardOptions, ForwardPlan, plan_forwarding
from otlp_capture.forward import ForwardSettings, InvalidDestination, parse_destination
from otlp_capture.result import Failure, or_raise
from otlp_capture.sending import RetryPolicy


class TestPlan:
    def test_nothing_is_forwarded_unless_it_is_said(self) -> None:
        assert or_raise(plan_forwarding(ForwardOptions())).destinations == ()

    def test_headers_go_to_all_or_to_the_one_that_is_named(self) -> None:
        options = ForwardOptions(
            urls=("http://a", "grpc://b"),
            headers=("X-Stage=a%20b=c", "2:api-key=secret"),
            answer="target",
            is_required=True,
            is_raw=True,
            is_gzip=True,
            queue_mb=2,
            timeout_s=3.0,
            retry_s=7_200.0,
        )

        first = parse_destination(
            "http://a", headers=[("x-stage", "a b=c")], request_timeout_s=3.0, compression="gzip"
        )
        second = parse_destination(
            "grpc://b",
            headers=[("x-stage", "a b=c"), ("api-key", "secret")],
            request_timeout_s=3.0,
            compression="gzip",
        )
        assert or_raise(plan_forwarding(options, [("127.0.0.1", 4318)])) == ForwardPlan(
            (or_raise(first), or_raise(second)),
            ForwardSettings(
                answer="target",
                is_required=True,
                is_raw=True,
                queue_bytes=2_000_000,
                retry=RetryPolicy(max_attempts=1_000_000_000, max_elapsed_s=7_200.0),
                shutdown_timeout_s=3.0,
            ),
        )

    @pytest.mark.parametrize(
        ("options", "error", "told"),
        [
            ({"urls": ["tcp://a"]}, InvalidDestination, "it is http://HOST:PORT or "),
            ({"urls": ["http://me:secret@a"]}, InvalidDestination, "without credentials"),
            ({"urls": ["http://a"], "headers": ["secret"]}, InvalidConfig, "it is NAME=VALUE"),
            (
                {"urls": ["http://a"], "headers": ["2:api-key=secret"]},
                InvalidConfig,
                "'2:api-key=…': what stands before the colon is 1 to 1",
            ),
            (
                {"urls": ["http://a"], "headers": ["host=secret"]},
                InvalidDestination,
                "its header 'host' belongs to the transport",
            ),
            (
                {"urls": ["http://localhost:4318"]},
                InvalidDestination,
                "listens there",
            ),
            ({"urls": ["grpc://127.0.0.1"]}, InvalidDestination, "listens there"),
            ({"urls": ("http://a:4318",), "queue_mb": 0}, InvalidConfig, "queue_bytes"),
        ],
    )
    def test_what_cannot_be_is_named_and_secrets_are_not(
        self, options: dict[str, Any], error: type, told: str
    ) -> None:
        planned = plan_forwarding(
            ForwardOptions(**options), [("0.0.0.0", 4318), ("127.0.0.1", 4317)]
        )

        assert isinstance(planned, Failure)
        assert isinstance(planned.failure(), error)
        assert told in planned.failure().message
        assert "secret" not in planned.failure().message
