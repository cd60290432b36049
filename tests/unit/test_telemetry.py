"""Own telemetry: the names are those of the conventions, and those that are documented."""

import re
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import rpc_attributes
from opentelemetry.semconv._incubating.metrics import rpc_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes, url_attributes
from opentelemetry.semconv.metrics import http_metrics

from otlp_capture.result import Failure
from otlp_capture.storage import StorageFault
from otlp_capture.telemetry import SILENT, Telemetry
from tests.own_telemetry import Heard, listening

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
ROW = re.compile(r"^\| `([a-z._]+)` \| `([^`]+)` \| [a-z -]+ \| (.*?) ?\|$", re.MULTILINE)


@pytest.fixture
def heard() -> Heard:
    return listening()


def tell_all(telemetry: Telemetry) -> None:
    telemetry.answered_http("http", "POST", "/v1/logs", 503, "StorageFailure", 0.1)
    telemetry.answered_grpc("/a.B/C", "INTERNAL", "InternalError", 0.1)
    telemetry.received("logs", "http", 100, 3)
    telemetry.refused("grpc", "InvalidRequest")
    telemetry.synced(2, 80, "StorageFull", 0.1)
    telemetry.published(80, None, 0.1)
    telemetry.published(80, "StorageFault", 0.1)
    telemetry.watch_spool("sessions", lambda: 1, 2)


def test_the_documented_table_is_what_is_made(heard: Heard) -> None:
    tell_all(heard.telemetry)

    made = {
        name: (unit, {attribute for point in points for attribute, _ in point})
        for name, (unit, points) in heard.metrics().items()
    }
    documented = {
        name: (unit, {each.strip("` ") for each in attributes.split(",") if each.strip()})
        for name, unit, attributes in ROW.findall(PAGE.read_text("utf-8"))
    }
    assert made == documented


def test_names_are_those_of_the_semantic_conventions(heard: Heard) -> None:
    tell_all(heard.telemetry)

    metrics = heard.metrics()
    (http,) = metrics[http_metrics.HTTP_SERVER_REQUEST_DURATION][1]
    (rpc,) = metrics[rpc_metrics.RPC_SERVER_CALL_DURATION][1]
    assert dict(http) == {
        http_attributes.HTTP_REQUEST_METHOD: "POST",
        http_attributes.HTTP_ROUTE: "/v1/logs",
        http_attributes.HTTP_RESPONSE_STATUS_CODE: 503,
        url_attributes.URL_SCHEME: "http",
        error_attributes.ERROR_TYPE: "StorageFailure",
    }
    assert dict(rpc) == {
        rpc_attributes.RPC_SYSTEM_NAME: rpc_attributes.RpcSystemNameValues.GRPC.value,
        rpc_attributes.RPC_METHOD: "a.B/C",
        rpc_attributes.RPC_RESPONSE_STATUS_CODE: "INTERNAL",
        error_attributes.ERROR_TYPE: "InternalError",
    }


def test_what_is_watched_under_one_name_is_added_up_until_it_ends(heard: Heard) -> None:
    end_first = heard.telemetry.watch_spool("ring", lambda: 1, 10)
    heard.telemetry.watch_spool("ring", lambda: 2, 20)
    part = (("otlp_capture.spool.part", "ring"),)

    assert heard.metrics()["otlp_capture.spool.usage"] == ("By", {part: 3})
    end_first()
    assert heard.metrics()["otlp_capture.spool.limit"] == ("By", {part: 20})


def test_silence_takes_all_and_gives_outcomes_back() -> None:
    tell_all(SILENT)
    SILENT.watch_spool("ring", lambda: 1, 2)()
    failure = Failure(StorageFault("a store", "k", "Away", "for a test"))

    with SILENT.operation("work", {}) as concluded:
        assert concluded(failure) is failure
