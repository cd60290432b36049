"""Targets that live in a thread, so that a test can run commands against them and look on."""

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal

from otlp_capture.layer import open_runtime
from otlp_capture.otlp import Signal
from otlp_capture.result import or_raise
from otlp_capture.storage import S3StorageTag, local_storage
from tests.command_line import Shell
from tests.servers.grpc_target import GRPC_OK, GrpcScript, GrpcTarget, open_grpc_target
from tests.servers.target import OK, Script, Target, always, open_target
from tests.sessions import SECOND, START, Recorded, write_session
from tests.strategies import REQUEST_TYPES
from tests.walks import parse

_NUMBER = re.compile(rb"number (\d{4})")


@contextmanager
def watched(script: Script = always(OK)) -> Generator[Target]:  # noqa: B008 - it has no state
    """Listen for OTLP/HTTP in a thread."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_target(script)) as target,
    ):
        yield target


@contextmanager
def watched_grpc(script: GrpcScript = lambda _: GRPC_OK) -> Generator[GrpcTarget]:
    """Listen for OTLP/gRPC in a thread."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_grpc_target(script)) as target,
    ):
        yield target


def numbers(received: Iterable[Any]) -> list[int]:
    """Return the numbers of requests that came, in the order in which they came."""
    found = [_NUMBER.search(each.body) for each in received]
    return [int(each[1]) for each in found if each is not None]


def request(
    signal: Signal,
    number: int,
    *,
    service: str = "shop",
    spans: Iterable[tuple[int, int, int]] = (),
) -> bytes:
    """Spell a request that says its number.

    Args:
        signal: what it holds.
        number: what it says.
        service: whose it is.
        spans: of traces, the trace, the span and its parent of each.
    """
    message = REQUEST_TYPES[signal]()
    times = START + number * SECOND
    name = f"number {number:04}"
    match signal:
        case "traces":
            resource = message.resource_spans.add()
            scope = resource.scope_spans.add()
            for trace, span, parent in spans or [(number + 1, 1, 0)]:
                scope.spans.add(
                    name=name,
                    trace_id=trace.to_bytes(16, "big"),
                    span_id=(trace * 1000 + span).to_bytes(8, "big"),
                    parent_span_id=(trace * 1000 + parent).to_bytes(8, "big") if parent else b"",
                    start_time_unix_nano=times,
                    end_time_unix_nano=times + 1,
                )
        case "metrics":
            resource = message.resource_metrics.add()
            metric = resource.scope_metrics.add().metrics.add(name=name)
            metric.gauge.data_points.add(time_unix_nano=times, as_int=number)
        case "logs":
            resource = message.resource_logs.add()
            record = resource.scope_logs.add().log_records.add(time_unix_nano=times)
            record.body.string_value = name
    resource.resource.attributes.add(key="service.name").value.string_value = service
    return bytes(message.SerializeToString())


def spans_in(received: Iterable[Any]) -> list[tuple[int, int]]:
    """Return the trace and the span, as numbers, of all spans that came."""
    return [
        (int.from_bytes(span.trace_id, "big"), int.from_bytes(span.span_id, "big"))
        for each in received
        if each.signal == "traces"
        for resource in parse(each.body, "traces").resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def keep(shell: Shell, session_id: str, requests: list[Recorded]) -> None:
    """Write a session of *requests* into the store of a shell's folder."""

    async def write() -> None:
        opening = open_runtime(local_storage(str(shell.folder / "otlp-data")), S3StorageTag)
        async with opening as opened:
            (storage,) = or_raise(opened)
            await write_session(storage, session_id, requests)

    anyio.run(write)
