"""Answers to export requests, both ways, and google.rpc.Status."""

import pytest
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # it ships no types
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it ships no types
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, Encoding, InvalidResponse, PartialSuccess, RpcStatus, Signal

signals = st.sampled_from(SIGNALS)
encodings: st.SearchStrategy[Encoding] = st.sampled_from(["protobuf", "json"])


class TestResponses:
    @given(signals, encodings, st.integers(0, 2**63 - 1), st.text(max_size=20))
    def test_a_partial_success_is_read_as_it_was_written(
        self, signal: Signal, encoding: Encoding, rejected: int, text: str
    ) -> None:
        part = PartialSuccess(rejected, text)

        body = otlp.encode_response(signal, encoding, part)

        expected = None if part == PartialSuccess(0, "") else part
        assert otlp.decode_response(body, signal, encoding) == Success(expected)

    @pytest.mark.parametrize("signal", SIGNALS)
    def test_full_success_is_an_empty_message(self, signal: Signal) -> None:
        assert otlp.encode_response(signal, "protobuf") == b""
        assert otlp.encode_response(signal, "json") == b"{}"
        assert otlp.decode_response(b"", signal, "protobuf") == Success(None)
        assert otlp.decode_response(b"{}", signal, "json") == Success(None)

    @pytest.mark.parametrize(
        "body", [b'{"partialSuccess":{}}', b'{"partialSuccess":null}', b'{"new":[1]}']
    )
    def test_a_partial_success_that_says_nothing_is_full_success(self, body: bytes) -> None:
        assert otlp.decode_response(body, "traces", "json") == Success(None)

    @pytest.mark.parametrize(
        ("signal", "field"),
        [
            ("traces", "rejectedSpans"),
            ("metrics", "rejectedDataPoints"),
            ("logs", "rejectedLogRecords"),
        ],
    )
    def test_each_signal_counts_in_its_own_field(self, signal: Signal, field: str) -> None:
        body = f'{{"partialSuccess":{{"{field}":5}}}}'.encode()

        assert otlp.decode_response(body, signal, "json") == Success(PartialSuccess(5, ""))
        written = otlp.encode_response(signal, "json", PartialSuccess(5, ""))
        assert written == f'{{"partialSuccess":{{"{field}":"5"}}}}'.encode()

    @pytest.mark.parametrize(
        ("body", "encoding"),
        [
            (b"<html>", "json"),
            (b"", "json"),
            (b"[]", "json"),
            (b'{"partialSuccess":{"rejectedSpans":"many"}}', "json"),
            (b'{"partialSuccess":{"rejectedSpans":-1}}', "json"),
            (b"<html>", "protobuf"),
            (b" " * (4 * 1024 * 1024 + 1), "json"),
            (b"\0" * (4 * 1024 * 1024 + 1), "protobuf"),
        ],
    )
    def test_anything_else_is_no_answer(self, body: bytes, encoding: Encoding) -> None:
        error = otlp.decode_response(body, "traces", encoding).failure()

        assert isinstance(error, InvalidResponse)
        assert error.message.startswith("The answer is not valid OTLP: ")
        assert error.message.endswith("Check that the URL is that of an OTLP endpoint.")

    def test_a_negative_count_is_named(self) -> None:
        response = ExportLogsServiceResponse()
        response.partial_success.rejected_log_records = -2

        outcome = otlp.decode_response(response.SerializeToString(), "logs", "protobuf")

        assert outcome == Failure(InvalidResponse("it rejects -2 records"))


class TestStatus:
    @given(encodings, st.integers(-(2**31), 2**31 - 1), st.text(max_size=20))
    def test_it_is_read_as_it_was_written(self, encoding: Encoding, code: int, text: str) -> None:
        body = otlp.encode_status(code, text, encoding)

        assert otlp.decode_status(body, encoding) == Success(RpcStatus(code, text))

    def test_its_protobuf_is_google_rpc_status(self) -> None:
        body = otlp.encode_status(3, "bad", "protobuf")

        assert Status.FromString(body) == Status(code=3, message="bad")

    def test_what_utf8_cannot_hold_is_escaped(self) -> None:
        assert otlp.encode_status(3, "a\ud800", "json") == b'{"code":3,"message":"a\\\\ud800"}'

    def test_details_are_passed_over(self) -> None:
        body = b'{"code":14,"details":[{"@type":"x/google.rpc.RetryInfo","value":"1s"}]}'

        assert otlp.decode_status(body, "json") == Success(RpcStatus(14, ""))

    def test_its_details_say_when_to_come_again(self) -> None:
        body = otlp.encode_retry_status(14, "full\ud800", 7)

        status, retry = Status.FromString(body), RetryInfo()
        assert (status.code, status.message) == (14, "full\\ud800")
        (detail,) = status.details
        assert detail.Unpack(retry)
        assert retry.retry_delay.ToSeconds() == 7

    @pytest.mark.parametrize("encoding", ["protobuf", "json"])
    def test_a_page_of_a_proxy_is_none(self, encoding: Encoding) -> None:
        outcome = otlp.decode_status(b"<html>502</html>", encoding)

        assert isinstance(outcome.failure(), InvalidResponse)
