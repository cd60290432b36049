"""Which keys a session has."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.sessions import InvalidSessionId, check_session_id
from otlp_capture.sessions.keys import (
    SegmentName,
    manifest_key,
    manifest_prefix,
    metadata_key,
    new_segment_key,
    parse_segment_key,
    raw_prefix,
    session_prefix,
)
from otlp_capture.storage import key_fault


class TestSessionIds:
    @pytest.mark.parametrize("name", ["a", "0", "A-b_c.d", "checkout-2025.11.23", "x" * 128, "a."])
    def test_these_name_a_session(self, name: str) -> None:
        assert check_session_id(name) == Success(name)

    @pytest.mark.parametrize(
        "name",
        [
            *("", ".", "-a", "_a", "a..b", "..", "../a", "a/b", "a\\b", "a b", "a\n", "ä"),
            *("a\0", "%2e", "~", "a*", "x" * 129),
        ],
    )
    def test_these_do_not(self, name: str) -> None:
        assert check_session_id(name) == Failure(InvalidSessionId(name))

    def test_the_message_shows_the_id_and_says_what_is_allowed(self) -> None:
        assert InvalidSessionId("../etc").message == (
            "'../etc' is no session id. Use 1 to 128 letters, digits, '.', '_' and '-', "
            "a letter or a digit first, and no '..'."
        )
        assert len(InvalidSessionId("x" * 1_000_000).message) < 400

    @given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True))
    def test_every_key_of_a_session_is_a_key_to_the_store(self, name: str) -> None:
        if isinstance(check_session_id(name), Failure):
            assert ".." in name
            return

        keys = [metadata_key(name), manifest_key(name, "2025-11-23/01")]
        keys += [new_segment_key(name, signal, 2**64 - 1) for signal in SIGNALS]

        assert [key_fault(key) for key in keys] == [None] * 5


class TestLayout:
    def test_it_is_as_documented(self) -> None:
        assert session_prefix("s") == "sessions/s"
        assert metadata_key("s") == "sessions/s/metadata.json"
        assert raw_prefix("s") == "sessions/s/raw/"
        assert manifest_prefix("s") == "sessions/s/manifest/"
        assert manifest_key("s", "2025-11-23/01") == "sessions/s/manifest/2025-11-23-01.json.gz"

    @given(st.sampled_from(SIGNALS), st.integers(0, 2**64 - 1))
    def test_a_segment_lies_in_the_hour_of_its_first_arrival(
        self, signal: Signal, received_unix_nano: int
    ) -> None:
        arrival = datetime.fromtimestamp(received_unix_nano // 10**9, UTC)

        key = new_segment_key("s", signal, received_unix_nano)

        assert key.startswith(
            f"sessions/s/raw/{arrival:%Y-%m-%d}/{arrival:%H}/{signal}-"
            f"{received_unix_nano // 1_000_000}-"
        )
        name = parse_segment_key(key)
        assert name is not None
        assert (name.signal, name.hour) == (signal, f"{arrival:%Y-%m-%d/%H}")

    def test_no_two_segments_share_a_key(self) -> None:
        assert len({new_segment_key("s", "logs", 0) for _ in range(100)}) == 100


class TestKeysOfOthers:
    UUID = "12345678-1234-4123-8123-123456789012"

    @pytest.mark.parametrize(
        ("name", "timestamp_ms"),
        [
            (f"traces-1763861000123-{UUID}", 1_763_861_000_123),
            ("traces-1763861000123", 1_763_861_000_123),
            (f"traces-{UUID}", None),
            ("traces-9999999999999-x", 9_999_999_999_999),
            ("traces-17638610001230-x", None),
            ("traces-1763861000123456789-x", None),
            ("traces-2025-11-23T01-02-03Z-x", None),
            ("traces-", None),
        ],
    )
    def test_the_time_in_the_name_is_milliseconds_or_there_is_none(
        self, name: str, timestamp_ms: int | None
    ) -> None:
        key = f"sessions/s/raw/2025-11-23/01/{name}.otlp.gz"

        assert parse_segment_key(key) == SegmentName("traces", "2025-11-23/01", timestamp_ms)

    @pytest.mark.parametrize(
        "key",
        [
            "sessions/s/metadata.json",
            "sessions/s/raw/traces-1-x.otlp.gz",
            "sessions/s/raw/2025-11-23/traces-1-x.otlp.gz",
            "sessions/s/raw/2025-11-23/01/profiles-1-x.otlp.gz",
            "sessions/s/raw/2025-11-23/01/traces.otlp.gz",
            "sessions/s/raw/2025-11-23/01/traces-1-x.otlp.gz.part",
            "sessions/s/raw/2025-11-23/01/traces-1-x/y.otlp.gz",
            "sessions/s/raw/2025-11-23/01/.DS_Store",
            "sessions/s/raw/٢٠٢٥-11-23/01/traces-1-x.otlp.gz",
            "raw/2025-11-23/01/traces-1-x.otlp.gz",
        ],
    )
    def test_other_objects_are_no_segments(self, key: str) -> None:
        assert parse_segment_key(key) is None

    def test_a_continuous_capture_has_the_same_layout(self) -> None:
        key = "continuous/raw/2025-11-23/01/logs-1763861000123-x.otlp.gz"

        assert parse_segment_key(key) == SegmentName("logs", "2025-11-23/01", 1_763_861_000_123)
