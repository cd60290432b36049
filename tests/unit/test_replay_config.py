"""What a replay is asked for."""

import math
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from otlp_capture.capture import InvalidConfig
from otlp_capture.result import Failure, Success
from otlp_capture.sending import RetryPolicy, base_url
from otlp_replay import After, At, Rate, ReplayConfig, Shard
from otlp_replay.config import check_config

USUAL = ReplayConfig(session_id="checkout")


class TestConfig:
    @pytest.mark.parametrize(
        "change",
        [
            {},
            {"speed_multiplier": "max"},
            {"speed_multiplier": 0.01},
            {"speed_multiplier": 1000},
            {"timestamp_adjustment": "relative", "base_time_offset": -(10**18)},
            {"timestamp_adjustment": "current"},
            {"replay_traces": False, "replay_logs": False},
            {"target_endpoint": "https://collector.example:4318/otlp/"},
            {"target_endpoint": "http://[::1]:4318/v1/traces"},
            {"target_endpoint": "https://localhost:4317", "protocol": "grpc"},
            {"target_endpoint": "grpcs://[::1]", "protocol": "grpc"},
            {"merged_session_ids": ("other", "third")},
            {"filter_services": ("checkout", "cart-*")},
            {"replay_from": At(5), "replay_until": At(6)},
            {"replay_from": After(-5), "replay_until": After(-1)},
            {"replay_from": After(5), "replay_until": After(-5)},
            {"trace_share": 0.1, "limit": 10, "shard": Shard(3, 4)},
            {"loops": 3, "copies": 1000, "remap_ids": False, "seed": -1},
            {"late_policy": "fail", "max_lateness_s": 0, "max_gap_s": 0},
            {"max_rate": Rate(0.5, "bytes"), "precision": "high", "max_duration_s": 0.5},
            {"allowed_targets": ("collector", "collector:4318", "10.0.0.0/8", "::1/128")},
            {"headers": (("x-team", "checkout"),), "bearer_token": "secret"},
            {"tls_certificate": Path("a.pem"), "tls_key": Path("a.key"), "tls_ca": Path("ca.pem")},
            {"ledger": Path("ledger"), "resume": True, "resume_unknown": "send"},
            {"replay_id": "nightly-1"},
            {"max_in_flight": 1, "request_timeout_s": 0.001},
            {"retry": RetryPolicy(max_attempts=1, max_elapsed_s=0, initial_backoff_s=0)},
        ],
    )
    def test_a_good_one_comes_back(self, change: dict[str, Any]) -> None:
        config = attrs.evolve(USUAL, **change)

        assert check_config(config) == Success(config)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *[
                ("speed_multiplier", value)
                for value in (0, -1, 0.001, 1001, math.nan, math.inf, "fast", None, True, 10**400)
            ],
            ("timestamp_adjustment", "now"),
            ("base_time_offset", 5),
            ("protocol", "udp"),
            ("merged_session_ids", ["other"]),
            ("merged_session_ids", ("checkout",)),
            ("merged_session_ids", ("other", "other")),
            ("merged_session_ids", ("no/id",)),
            ("compression", "zstd"),
            ("tls_certificate", Path("only.pem")),
            ("filter_services", ("",)),
            ("filter_services", "checkout"),
            ("replay_from", 5),
            ("replay_from", At(-1)),
            ("replay_until", After(1 << 63)),
            *[("trace_share", value) for value in (0, -0.1, 1.1, math.nan, True)],
            *[("limit", value) for value in (0, 1.0, True)],
            ("shard", (0, 1)),
            *[("loops", value) for value in (0, 1.0, True, 1 << 32)],
            *[("copies", value) for value in (0, 1001)],
            ("remap_ids", "yes"),
            ("seed", 1.0),
            ("late_policy", "give_up"),
            *[("max_lateness_s", value) for value in (-1, math.inf, None)],
            *[("max_gap_s", value) for value in (-1, math.nan)],
            ("max_rate", 100),
            ("precision", "highest"),
            *[("max_duration_s", value) for value in (0, math.inf)],
            ("resume", True),
            ("resume_unknown", "ask"),
            *[("replay_id", value) for value in ("", "a/b", 7)],
            *[
                ("target_endpoint", value)
                for value in (
                    "",
                    "localhost:4318",
                    "ftp://localhost",
                    "http://",
                    "http://:4318",
                    "http://user:password@localhost:4318",
                    "http://localhost:4318/?a=1",
                    "http://localhost:4318/#a",
                    "http://localhost:0",
                    "http://localhost:65536",
                    "http://localhost:port",
                    "http://[::1",
                    "http://local host:4318",
                    "http://localhost:4318\n",
                    f"http://{'a' * 64}:4318",
                    "http://a..b:4318",
                )
            ],
            *[("max_in_flight", value) for value in (0, -1, 1.5, True, None)],
            *[("request_timeout_s", value) for value in (0, -1, math.nan, math.inf, "10", 1e9)],
            ("target_endpoint", "grpc://localhost:4317"),
            ("max_request_bytes", 0),
            ("max_response_bytes", -1),
        ],
    )
    def test_a_bad_setting_is_named(self, field: str, value: Any) -> None:
        problem = check_config(attrs.evolve(USUAL, **{field: value})).failure()

        assert problem.field == field
        assert problem.value is value
        assert problem.message.startswith(f"{field} cannot be {value!r}: ")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("max_attempts", 0),
            ("max_attempts", 2.0),
            ("max_elapsed_s", -1),
            ("initial_backoff_s", math.nan),
            ("max_backoff_s", math.inf),
        ],
    )
    def test_a_bad_setting_of_the_retries_is_named(self, field: str, value: Any) -> None:
        retry = attrs.evolve(RetryPolicy(), **{field: value})

        problem = check_config(attrs.evolve(USUAL, retry=retry)).failure()

        assert problem.message.startswith(f"retry.{field} cannot be {value!r}: ")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"max_rate": Rate(0)},
                "max_rate.per_second cannot be 0: it is more than 0 and at most 1000000000000.",
            ),
            (
                {"max_rate": Rate(1, cast("Any", "spans"))},
                "max_rate.unit cannot be 'spans': it is requests, records or bytes.",
            ),
            ({"shard": Shard(4, 4)}, "shard.index cannot be 4: it is 0 to 3."),
            (
                {"shard": Shard(0, 0)},
                "shard.count cannot be 0: it is a whole number from 1 to 2147483648.",
            ),
            (
                {"replay_from": At(6), "replay_until": At(6)},
                "replay_until cannot be At(unix_nano=6): it is after replay_from.",
            ),
            (
                {"target_endpoint": "grpc://localhost/otlp", "protocol": "grpc"},
                "target_endpoint cannot be 'grpc://localhost/otlp': OTLP/gRPC has no path.",
            ),
            (
                {"replay_from": After(-1), "replay_until": After(-2)},
                "replay_until cannot be After(ns=-2): it is after replay_from.",
            ),
            (
                {"allowed_targets": ("ok", "http://no")},
                (
                    "allowed_targets cannot be 'http://no': it is a host or an address, with or "
                    "without :PORT, *.SUFFIX for all names below one, or a network such as "
                    "10.1.0.0/16."
                ),
            ),
        ],
    )
    def test_a_bad_part_of_a_setting_is_named(self, change: dict[str, Any], message: str) -> None:
        assert check_config(attrs.evolve(USUAL, **change)).failure().message == message

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"headers": (("authorization", "secret\n"),)}, "headers"),
            ({"headers": (("content-length", "secret"),)}, "headers"),
            ({"bearer_token": "Bearer secret"}, "bearer_token"),
            ({"bearer_token": "sec\nret"}, "bearer_token"),
        ],
    )
    def test_a_secret_is_in_no_message(self, change: dict[str, Any], field: str) -> None:
        config = attrs.evolve(USUAL, **change)
        problem = check_config(config).failure()

        assert problem.field == field
        assert "sec" not in problem.message
        assert "sec" not in repr(config)

    @pytest.mark.parametrize("change", [{"loops": 2}, {"copies": 2}, {"remap_ids": True}])
    def test_ids_are_remapped_where_they_would_come_again(self, change: dict[str, Any]) -> None:
        assert attrs.evolve(USUAL, **change).is_remapping

    @pytest.mark.parametrize("change", [{}, {"loops": 2, "remap_ids": False}])
    def test_ids_stay_elsewhere(self, change: dict[str, Any]) -> None:
        assert not attrs.evolve(USUAL, **change).is_remapping

    def test_an_offset_is_a_whole_number(self) -> None:
        offset: Any = 1.5
        config = attrs.evolve(USUAL, timestamp_adjustment="relative", base_time_offset=offset)

        allowed = "it is a whole number of nanoseconds"
        assert check_config(config) == Failure(InvalidConfig("base_time_offset", 1.5, allowed))

    def test_a_replay_of_nothing_is_no_replay(self) -> None:
        config = attrs.evolve(USUAL, replay_traces=False, replay_metrics=False, replay_logs=False)

        problem = check_config(config).failure()

        assert problem.message == (
            "the choice of signals cannot be 'none': replay traces, metrics or logs."
        )


@pytest.mark.parametrize(
    ("endpoint", "base"),
    [
        ("http://localhost:4318", "http://localhost:4318"),
        ("http://localhost:4318/", "http://localhost:4318"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318"),
        ("http://localhost:4318/v1/metrics/", "http://localhost:4318"),
        ("http://localhost:4318/otlp/v1/logs", "http://localhost:4318/otlp"),
        ("http://localhost:4318/v1/logs/v1/traces", "http://localhost:4318/v1/logs"),
    ],
)
def test_the_path_of_a_signal_is_taken_off_an_endpoint(endpoint: str, base: str) -> None:
    assert base_url(endpoint) == base
