"""Every real OTLP file beside the checkout, against oracles that share no code with the library."""

import base64
import contextlib
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]  # it ships no types
from returns.result import Failure

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from tests.redactions import mixed_policies
from tests.roads import Roads, compiled_walk
from tests.strategies import REQUEST_TYPES
from tests.walks import messages_in, parse

pytestmark = pytest.mark.shared_data

KEYS: dict[str, Signal] = {
    "resourceSpans": "traces",
    "resourceMetrics": "metrics",
    "resourceLogs": "logs",
}
ID_KEYS = {"traceId", "spanId", "parentSpanId"}
TEXT_KEYS = {"unit"}


def otlp_files(shared_data: Path, *suffixes: str) -> list[Path]:
    """The OTLP files with these suffixes, without those that must be refused."""
    return sorted(
        path
        for path in (shared_data / "otlp").rglob("*")
        if path.suffix in suffixes
        and path.parent.name != "invalid"
        and not path.name.endswith("-report.json")
    )


def documents(path: Path) -> list[bytes]:
    """The JSON documents of a file: the whole of it, or its lines."""
    whole = path.read_bytes()
    with contextlib.suppress(json.JSONDecodeError):
        json.loads(whole)
        return [whole]
    return whole.splitlines()


def requests_in(path: Path) -> list[tuple[Signal, bytes]]:
    return [pair for each in documents(path) for pair in or_raise(otlp.decode_export_line(each))]


def for_json_format(value: Any, key: str = "") -> Any:
    """Rewrite OTLP/JSON so that json_format reads it: ids in base64, numbers for text as text."""
    if isinstance(value, dict):
        return {name: for_json_format(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [for_json_format(each) for each in value]
    if key in ID_KEYS:
        with contextlib.suppress(ValueError):
            return base64.b64encode(bytes.fromhex(value)).decode()
    if key in TEXT_KEYS:
        return str(value)
    return value


def read_by_json_format(document: bytes) -> Iterator[tuple[Signal, Any]]:
    parsed = json.loads(document)
    for key in parsed:
        if key in KEYS:
            message = REQUEST_TYPES[KEYS[key]]()
            only = for_json_format({key: parsed[key]})
            yield KEYS[key], json_format.ParseDict(only, message, ignore_unknown_fields=True)


def signal_of(path: Path) -> Signal:
    names: dict[str, Signal] = {"log": "logs", "trace": "traces"}
    return next((names[each] for each in names if path.name.startswith(each)), "metrics")


def frames_in(path: Path) -> list[bytes]:
    """The requests of a binary file: framed in one of them, one a file in all others."""
    if path.name != "filereceiver-metrics.pb":
        return [path.read_bytes()]
    with path.open("rb") as file:
        return [or_raise(each) for each in otlp.read_framed(file)]


def count_records(message: Any) -> int:
    names = Counter(each.DESCRIPTOR.name for each in messages_in(message))
    return sum(
        count for name, count in names.items() if name.endswith(("Span", "DataPoint", "LogRecord"))
    )


def check_everything(signal: Signal, request: bytes) -> None:
    """Hold all operations of the wire against a plain parse of *request*."""
    message = parse(request, signal)
    facts = or_raise(otlp.scan(request, signal))
    assert facts.record_count == count_records(message)

    assert or_raise(otlp.decode(request, signal, "protobuf")) is request
    there = or_raise(otlp.shift_timestamps(request, signal, 10**9))
    back = or_raise(otlp.shift_timestamps(there, signal, -(10**9)))
    assert parse(back, signal) == message

    records = or_raise(otlp.canonical_records(request, signal)).records
    moved = or_raise(otlp.canonical_records(there, signal)).records
    assert sum(not each.is_container for each in records) == facts.record_count
    assert [(each.identity, each.fingerprint) for each in moved] == [
        (each.identity, each.fingerprint) for each in records
    ]
    assert {one.base_time - other.base_time for one, other in zip(moved, records, strict=True)} <= {
        0,
        10**9,
    }

    text = or_raise(otlp.encode(request, signal, "json"))
    message.DiscardUnknownFields()
    assert parse(or_raise(otlp.decode(text, signal, "json")), signal) == message
    read = json_format.ParseDict(for_json_format(json.loads(text)), REQUEST_TYPES[signal]())
    assert read == message


def test_every_json_file_is_read_as_json_format_reads_it(shared_data: Path) -> None:
    files = otlp_files(shared_data, ".json", ".jsonl")

    for path in files:
        expected = [pair for each in documents(path) for pair in read_by_json_format(each)]
        found = [(signal, parse(request, signal)) for signal, request in requests_in(path)]
        assert found == expected, path

    assert len(files) == 74


def every_request(shared_data: Path) -> Iterator[tuple[Signal, bytes]]:
    for path in otlp_files(shared_data, ".json", ".jsonl"):
        yield from requests_in(path)
    for path in otlp_files(shared_data, ".pb", ".bin", ".binpb"):
        for request in frames_in(path):
            yield signal_of(path), request


def test_everything_works_on_every_request_of_every_file(shared_data: Path) -> None:
    for signal, request in every_request(shared_data):
        check_everything(signal, request)


def test_both_roads_agree_on_every_request_of_every_file(shared_data: Path) -> None:
    roads = Roads(compiled_walk())

    done = [roads.all(request, signal) for signal, request in every_request(shared_data)]

    assert all(done)
    assert len(done) > 200


def test_both_roads_agree_on_mutations_of_every_request(shared_data: Path) -> None:
    roads = Roads(compiled_walk())
    chance = random.Random(0)
    pieces = [request for _, request in every_request(shared_data)]

    for signal, request in every_request(shared_data):
        for _ in range(5):
            roads.all(mutated(request, chance, chance.choice(pieces)), signal)


def test_both_roads_redact_every_request_of_every_file_alike(shared_data: Path) -> None:
    roads, chance = Roads(compiled_walk()), random.Random(0)
    requests = list(every_request(shared_data))

    for policy in mixed_policies():
        assert all(roads.redact(request, signal, policy) for signal, request in requests)
        for signal, request in requests:
            _, other = chance.choice(requests)
            roads.redact(mutated(request, chance, other), signal, policy)


def mutated(body: bytes, chance: random.Random, other: bytes) -> bytes:
    """Flip bits of *body*, cut it, and put a piece of *other* into it."""
    out = bytearray(body)
    for _ in range(chance.randint(0, 4)):
        if out:
            out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    if chance.random() < 0.5:
        at = chance.randint(0, len(out))
        del out[at : at + chance.randint(0, 3)]
    if chance.random() < 0.3:
        at, start = chance.randint(0, len(out)), chance.randint(0, len(other))
        out[at:at] = other[start : start + chance.randint(1, 50)]
    return bytes(out)


def test_files_of_the_specification_are_read_alike_in_both_dialects(shared_data: Path) -> None:
    folder = shared_data / "otlp"
    files = [
        folder / "otel-tui" / "test_data.json",
        *sorted((folder / "otel-proto").glob("*.json")),
    ]

    lines = [document for path in files for document in documents(path)]

    for line in lines:
        for signal, request in or_raise(otlp.decode_export_line(line)):
            assert or_raise(otlp.decode(line, signal, "json")) == request
    assert len(lines) == 97 + 4


@pytest.mark.parametrize(
    "name", ["gauge", "sum", "histogram", "exponential_histogram", "summary", "mixed"]
)
def test_protobuf_and_json_twins_hold_the_same_requests(shared_data: Path, name: str) -> None:
    folder = shared_data / "otlp" / "otlp2parquet"
    binary = (folder / f"metrics_{name}.pb").read_bytes()

    for suffix in ("json", "jsonl"):
        twins = requests_in(folder / f"metrics_{name}.{suffix}")
        together = b"".join(request for _, request in twins)
        assert fingerprints(together) == fingerprints(binary)


def test_the_framed_capture_holds_what_its_json_twin_holds(shared_data: Path) -> None:
    folder = shared_data / "otlp" / "otel-arrow"
    frames = frames_in(folder / "filereceiver-metrics.pb")

    twins = requests_in(folder / "filereceiver-metrics.json")

    assert len(frames) == 10
    names = [
        Counter(each.name for each in messages_in(parse(frame, "metrics")) if is_metric(each))
        for frame in frames
    ]
    assert sum(map(Counter.total, names)) == 260
    assert [fingerprints(frame) for frame in frames] == [
        fingerprints(request) for _, request in twins
    ]


def fingerprints(request: bytes) -> Counter[tuple[bytes, int]]:
    records = or_raise(otlp.canonical_records(request, "metrics")).records
    return Counter((each.fingerprint, each.base_time) for each in records)


def is_metric(message: Any) -> bool:
    return bool(message.DESCRIPTOR.name == "Metric")


def test_the_real_capture_holds_what_its_sources_say(shared_data: Path) -> None:
    requests = requests_in(shared_data / "otlp" / "otel-tui" / "test_data.json")
    totals = Counter[str]()
    services: set[str] = set()
    inside = Counter[str]()
    for signal, request in requests:
        facts = or_raise(otlp.scan(request, signal))
        totals[signal] += facts.record_count
        services.update(facts.services if signal == "traces" else ())
        inside.update(each.DESCRIPTOR.name for each in messages_in(parse(request, signal)))

    assert len(requests) == 97
    assert totals == {"traces": 547, "metrics": 4551, "logs": 23}
    assert len(services) == 8
    expected = {"Event": 139, "Link": 53, "Exemplar": 11, "Metric": 2650}
    assert {name: inside[name] for name in expected} == expected


def test_metrics_of_otlp_0_7_are_never_masked(shared_data: Path) -> None:
    for path in sorted((shared_data / "otlp" / "husky-otlp07").glob("*.binpb")):
        request = path.read_bytes()
        known = parse(request, "metrics")
        known.DiscardUnknownFields()
        stripped = known.SerializeToString()

        before = or_raise(otlp.canonical_records(request, "metrics")).records
        after = or_raise(otlp.canonical_records(stripped, "metrics")).records

        assert {each.fingerprint for each in before}.isdisjoint(
            each.fingerprint for each in after
        ) or path.name.startswith("mixed")
        assert {each.fingerprint for each in before} != {each.fingerprint for each in after}


def test_all_invalid_files_are_refused(shared_data: Path) -> None:
    files = sorted((shared_data / "otlp" / "otlp2parquet" / "invalid").glob("*.json"))

    for path in files:
        body = path.read_bytes()
        outcomes = [
            otlp.decode_export_line(body),
            otlp.decode(body, signal_of(path), "json", dialect="import"),
        ]
        if path.name == "malformed.json":
            outcomes += [otlp.decode(body, signal, "json") for signal in SIGNALS]
        assert all(isinstance(outcome, Failure) for outcome in outcomes), path

    assert len(files) == 6
