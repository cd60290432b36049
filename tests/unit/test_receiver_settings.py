"""What a receiver can be told, and what it cannot; what a client's headers say."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.capture import InvalidConfig
from otlp_capture.receiver import GrpcReceiverSettings, HttpReceiverSettings
from otlp_capture.receiver.accept_encoding import wants_gzip
from otlp_capture.receiver.headers import check_kept_headers, kept_headers
from otlp_capture.receiver.settings import check_receiver_settings
from otlp_capture.result import Failure, Success


class TestSettings:
    @pytest.mark.parametrize("settings", [HttpReceiverSettings(), GrpcReceiverSettings()])
    def test_the_defaults_can_be(self, settings: Any) -> None:
        assert check_receiver_settings(settings) == Success(None)

    @pytest.mark.parametrize("kind", [HttpReceiverSettings, GrpcReceiverSettings])
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("max_body_bytes", 0),
            ("max_body_bytes", True),
            ("max_body_bytes", 1 << 31),
            ("max_in_flight_bytes", 1.5),
            ("max_in_flight_bytes", (20 << 20) - 1),
            ("retry_after_s", 0),
            ("retry_after_s", 1.5),
            ("body_timeout_s", 0.0),
            ("body_timeout_s", math.inf),
            ("body_timeout_s", math.nan),
            ("body_timeout_s", 86_401),
            ("shutdown_timeout_s", -1),
        ],
    )
    def test_what_cannot_be_is_named(self, kind: Any, field: str, value: Any) -> None:
        error = check_receiver_settings(kind(**{field: value})).failure()

        assert (error.field, repr(error.value)) == (field, repr(value))
        assert error.message.startswith(f"{field} cannot be {value!r}: ")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("max_connections", 0),
            ("max_header_bytes", 0),
            ("max_headers", "many"),
            ("header_timeout_s", 0),
            ("idle_timeout_s", math.inf),
            ("answer_timeout_s", -1.0),
            ("lingering_s", -1),
            ("body_grace_s", 86_401),
            ("min_body_rate_bytes_per_s", -1),
            ("min_body_rate_bytes_per_s", 0.5),
        ],
    )
    def test_so_it_is_with_http(self, field: str, value: Any) -> None:
        settings: dict[str, Any] = {field: value}

        error = check_receiver_settings(HttpReceiverSettings(**settings)).failure()

        assert (error.field, error.value) == (field, value)

    def test_clients_may_be_given_no_time_to_linger_and_any_to_send(self) -> None:
        settings = HttpReceiverSettings(lingering_s=0, body_grace_s=0, min_body_rate_bytes_per_s=0)

        assert check_receiver_settings(settings) == Success(None)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("max_connections", 0),
            ("max_streams", "many"),
            ("max_metadata_bytes", -1),
            ("max_reads", 0),
            ("read_patience_s", 0),
        ],
    )
    def test_so_it_is_with_grpc(self, field: str, value: Any) -> None:
        settings: dict[str, Any] = {field: value}

        error = check_receiver_settings(GrpcReceiverSettings(**settings)).failure()

        assert (error.field, error.value) == (field, value)

    @pytest.mark.parametrize(
        ("paths", "field"),
        [
            ({}, "paths"),
            ({"v1/traces": "traces"}, "paths"),
            ({"/v1/profiles": "profiles"}, "paths['/v1/profiles']"),
        ],
    )
    def test_so_it_is_with_paths(self, paths: Any, field: str) -> None:
        error = check_receiver_settings(HttpReceiverSettings(paths=paths)).failure()

        assert error.field == field

    def test_a_shutdown_can_be_at_once(self) -> None:
        settings = HttpReceiverSettings(shutdown_timeout_s=0)

        assert check_receiver_settings(settings) == Success(None)


class TestKeptHeaders:
    @pytest.mark.parametrize(
        "name",
        [
            "Authorization",
            "Proxy-Authorization",
            "cookie",
            "Set-Cookie",
            "X-API-Key",
            "apikey",
            "dd-api-key",
            "x-license-key",
            "X-Auth",
            "x-auth-token",
            "X-Amz-Security-Token",
            "signoz-access-token",
            "uptrace-dsn",
            "x-honeycomb-team",
            "x-secret",
            "x-password",
            "x-amz-credential",
            "key",
        ],
    )
    def test_credentials_are_never_kept(self, name: str) -> None:
        error = check_kept_headers(["x-tenant", name]).failure()

        assert (error.field, error.value) == ("keep_headers", name)
        assert "credentials" in error.message
        settings = HttpReceiverSettings(keep_headers=("x-tenant", name))
        assert check_receiver_settings(settings) == Failure(error)

    @pytest.mark.parametrize("name", ["", "two words", "x:", "x-ü", "x\r\ny", "x" * 101])
    def test_what_is_no_name_is_told(self, name: str) -> None:
        error = check_kept_headers([name]).failure()

        assert error == InvalidConfig("keep_headers", name, "it is the name of a header")

    def test_others_are_kept_in_any_case_each_once(self) -> None:
        names = ["X-Scope-OrgID", "x-tenant", "X-Tenant", "User-Agent", "x-author", "traceparent"]

        checked = check_kept_headers(names)

        assert checked == Success(
            ("x-scope-orgid", "x-tenant", "user-agent", "x-author", "traceparent")
        )

    def test_only_what_was_chosen_is_taken_in_its_order(self) -> None:
        came = [("X-Tenant", "b"), ("Other", "x"), ("x-tenant", "a"), ("User-Agent", "u")]

        kept = kept_headers(came, frozenset(["x-tenant", "user-agent"]))

        assert kept == (("x-tenant", "b"), ("x-tenant", "a"), ("user-agent", "u"))
        assert kept_headers(came, frozenset()) == ()


class TestAcceptEncoding:
    @pytest.mark.parametrize(
        ("accept_encoding", "wanted"),
        [
            ("", False),
            ("gzip", True),
            ("GZIP", True),
            ("x-gzip", True),
            ("gzip, deflate, br", True),
            ("deflate, br", False),
            ("identity", False),
            ("gzip;q=0", False),
            ("gzip; q=0.000, *", False),
            ("gzip ; q=0.001", True),
            ("gzip;q=0.5, identity;q=0.5", True),
            ("gzip;q=0.5, identity", False),
            ("gzip;q=0.5, identity;q=0", True),
            ("*", True),
            ("*;q=0", False),
            ("br, *;q=0.1", True),
            ("*, identity", True),
            ("gzip;q=many", False),
            ("gzip;q=nan", False),
            ("gzip;q=2", False),
            ("gzip;level=1", False),
            (" , gzip , ", True),
        ],
    )
    def test_weights_are_honoured(self, accept_encoding: str, wanted: bool) -> None:  # noqa: FBT001 - pytest's
        assert wants_gzip(accept_encoding) is wanted

    @given(st.text())
    def test_any_text_is_an_answer(self, accept_encoding: str) -> None:
        assert wants_gzip(accept_encoding) in {True, False}
