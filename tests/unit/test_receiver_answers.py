"""What clients are told, and what an SDK is told to be a client."""

from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.capture import (
    CompressionFailure,
    SessionAlreadyActive,
    SignalNotEnabled,
    StorageFailure,
    UnsupportedContentEncoding,
)
from otlp_capture.forward import ForwardRefusal, TargetBusy, TargetDown, TargetRefused
from otlp_capture.otlp import InvalidRequest, RequestTooLarge
from otlp_capture.receiver import exporter_environment
from otlp_capture.receiver.access import (
    ClientNotListed,
    CredentialMissing,
    CredentialUnknown,
    SessionsDisagree,
)
from otlp_capture.receiver.answers import (
    BodyIncomplete,
    BodyTooSlow,
    HeadersTooLarge,
    HeaderTooSlow,
    InternalError,
    MalformedHttp,
    MethodNotAllowed,
    NotOneMessage,
    Overloaded,
    Refusal,
    TooManyConnections,
    TooManyReads,
    UnknownMethod,
    UnknownPath,
    UnsupportedContentType,
    answer_to,
    asks_to_return,
    returns_after_s,
)
from otlp_capture.redaction import RedactionFailed
from otlp_capture.sessions import SessionNotFound

URL, GRPC_URL = "http://127.0.0.1:4318", "http://127.0.0.1:4317"
TOLD = {"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
OWN = set(get_args(Refusal)) - set(get_args(ForwardRefusal))
LOOPBACK = "127.0.0.1,localhost,::1"


def of_type(refusal: type) -> Any:
    """Make a refusal of a type, whatever it holds."""
    return refusal(*(None for _ in attrs.fields(refusal)))


def test_every_refusal_has_its_status_and_code() -> None:
    answers = {refusal: answer_to(of_type(refusal)) for refusal in OWN}

    no_more = dict.fromkeys(OWN, (403, 9))
    assert answers == no_more | {
        MalformedHttp: (400, 3),
        InvalidRequest: (400, 3),
        CompressionFailure: (400, 3),
        BodyIncomplete: (400, 3),
        NotOneMessage: (400, 3),
        UnknownPath: (404, 5),
        SignalNotEnabled: (404, 12),
        UnknownMethod: (404, 12),
        MethodNotAllowed: (405, 12),
        CredentialMissing: (401, 16),
        CredentialUnknown: (401, 16),
        ClientNotListed: (403, 7),
        SessionsDisagree: (403, 7),
        BodyTooSlow: (408, 4),
        HeaderTooSlow: (408, 4),
        RequestTooLarge: (413, 8),
        UnsupportedContentType: (415, 3),
        UnsupportedContentEncoding: (415, 3),
        HeadersTooLarge: (431, 8),
        InternalError: (500, 13),
        RedactionFailed: (500, 13),
        TooManyConnections: (503, 14),
        Overloaded: (503, 14),
        TooManyReads: (503, 14),
        StorageFailure: (503, 14),
        SessionNotFound: (503, 14),
        SessionAlreadyActive: (503, 14),
    }


def test_only_who_is_unavailable_asks_to_return() -> None:
    asking = {refusal.__name__ for refusal in OWN if asks_to_return(answer_to(of_type(refusal))[1])}

    assert asking == {
        "Overloaded",
        "SessionAlreadyActive",
        "SessionNotFound",
        "StorageFailure",
        "TooManyConnections",
        "TooManyReads",
    }


@pytest.mark.parametrize(
    ("refusal", "after_s"),
    [
        (Overloaded(1), 9),
        (InternalError(), None),
        (TargetDown(), 9),
        (TargetBusy("503", "busy"), None),
        (TargetBusy("503", "busy", 0.5), 1),
        (TargetBusy("RESOURCE_EXHAUSTED", "busy", 7.0), 7),
        (TargetRefused("400", "no"), None),
    ],
)
def test_a_targets_answer_has_the_targets_time(refusal: Refusal, after_s: int | None) -> None:
    assert returns_after_s(refusal, usual_s=9) == after_s


class TestExporterEnvironment:
    def test_what_was_said_about_other_endpoints_is_left_out(self) -> None:
        inherited = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://elsewhere",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
            "OTEL_EXPORTER_OTLP_INSECURE": "true",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": "key.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "client.pem",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://elsewhere/v1/traces",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "a=b",
            "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "deflate",
            "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "1",
        }

        environment = exporter_environment(inherited, URL)

        assert environment == {**TOLD, "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK}

    def test_what_an_application_exports_stays_its_own_choice(self) -> None:
        inherited = {
            "PATH": "/bin",
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "explicit",
        }

        environment = exporter_environment(inherited, URL)

        assert environment == {
            **inherited,
            **TOLD,
            "NO_PROXY": LOOPBACK,
            "no_proxy": LOOPBACK,
        }

    def test_hosts_without_a_proxy_stay_without_one(self) -> None:
        environment = exporter_environment({"NO_PROXY": "a.example, b"}, URL)

        assert environment["NO_PROXY"] == environment["no_proxy"] == f"a.example,b,{LOOPBACK}"

    def test_each_spelling_keeps_its_own_hosts(self) -> None:
        environment = exporter_environment({"NO_PROXY": "*", "no_proxy": "localhost"}, URL)

        assert environment["NO_PROXY"] == "*"
        assert environment["no_proxy"] == "localhost,127.0.0.1,::1"

    @given(st.dictionaries(st.sampled_from([*TOLD, "NO_PROXY", "no_proxy", "X"]), st.text()))
    def test_doing_it_again_changes_nothing(self, inherited: dict[str, str]) -> None:
        once = exporter_environment(inherited, URL)

        assert exporter_environment(once, URL) == once

    @pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
    def test_the_protocol_stays_and_has_its_endpoint(self, protocol: str) -> None:
        inherited = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}

        environment = exporter_environment(inherited, URL, GRPC_URL)

        assert environment == {
            "OTEL_EXPORTER_OTLP_ENDPOINT": GRPC_URL if protocol == "grpc" else URL,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "NO_PROXY": LOOPBACK,
            "no_proxy": LOOPBACK,
        }

    @pytest.mark.parametrize("protocol", ["", "thrift", "http"])
    def test_a_protocol_that_is_not_spoken_is_replaced(self, protocol: str) -> None:
        inherited = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}

        environment = exporter_environment(inherited, URL, GRPC_URL)

        assert environment == {**TOLD, "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK}

    def test_single_signals_have_their_own_protocol(self) -> None:
        inherited = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere:4317",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json",
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "nothing known",
        }

        environment = exporter_environment(inherited, URL, GRPC_URL)

        assert environment == {
            "OTEL_EXPORTER_OTLP_ENDPOINT": GRPC_URL,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{URL}/v1/metrics",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json",
            "NO_PROXY": LOOPBACK,
            "no_proxy": LOOPBACK,
        }

    def test_one_signal_over_grpc_alone(self) -> None:
        inherited = {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"}

        assert exporter_environment(inherited, URL, GRPC_URL) == {
            **TOLD,
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": GRPC_URL,
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc",
            "NO_PROXY": LOOPBACK,
            "no_proxy": LOOPBACK,
        }

    @given(
        st.dictionaries(
            st.sampled_from([*TOLD, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"]),
            st.sampled_from(["grpc", "http/json", "http/protobuf", "other"]),
        )
    )
    def test_doing_it_again_changes_no_protocol(self, inherited: dict[str, str]) -> None:
        once = exporter_environment(inherited, URL, GRPC_URL)

        assert exporter_environment(once, URL, GRPC_URL) == once
