"""Properties: what goes out comes back, and what goes in is stored or told."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otlp_capture import otlp
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.interchange import (
    Choice,
    EntryBroken,
    ExportConfig,
    LeftOut,
    Watcher,
    export_session,
    import_file,
    import_folder,
)
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.storage import S3Storage
from otlp_replay.verify import verify
from tests.captures import held
from tests.exporter_trees import COMPRESSED, ExporterTree
from tests.sessions import START, Recorded, opened_memory, write_session
from tests.strategies import otlp_requests, rarely_unknown
from tests.walks import parse, with_usual_nans

compressions = st.sampled_from([None, "gzip", "zstd"])
arrivals = st.integers(START, START + 10**10)
no_unknown = st.just(b"")


@contextmanager
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    try:
        yield made
    finally:
        shutil.rmtree(made)


def recorded(requests: Sequence[tuple[Signal, bytes]], times: Sequence[int]) -> list[Recorded]:
    return [
        Recorded(signal, request, time)
        for (signal, request), time in zip(requests, times, strict=True)
    ]


def usual(signal: Signal, request: bytes) -> bytes:
    """Make of a request what JSON can carry, which has one NaN only."""
    return cast("bytes", with_usual_nans(parse(request, signal)).SerializeToString())


@st.composite
def recordings(draw: st.DrawFn, unknown: st.SearchStrategy[bytes]) -> list[Recorded]:
    requests = draw(st.lists(otlp_requests(unknown=unknown), min_size=1, max_size=6))
    times = draw(st.lists(arrivals, min_size=len(requests), max_size=len(requests)))
    return recorded(requests, times)


async def requests_of(storage: S3Storage, session_id: str) -> list[tuple[Signal, bytes]]:
    return [(each.signal, each.request) for each in await held(storage, session_id)]


@settings(max_examples=40)
@given(recording=recordings(rarely_unknown), compression=compressions, data=st.data())
def test_protobuf_comes_back_byte_for_byte(
    recording: list[Recorded], compression: Any, data: st.DataObject
) -> None:
    signals = tuple(data.draw(st.lists(st.sampled_from(SIGNALS), min_size=1, unique=True)))
    there = [each for each in recording if each.signal in signals]

    async def check(out: Path) -> None:
        async with opened_memory() as storage:
            await write_session(storage, "s", recording)
            config = ExportConfig(format="binpb", compression=compression, signals=signals)
            report = or_raise(await export_session(storage, "s", out / "x", config))
            assert report.requests == len(there)
            if not there:
                return
            choice = Choice(None if config.has_folder else signals[0])
            take = import_folder if config.has_folder else import_file
            or_raise(await take(storage, SYSTEM_CLOCK, out / "x", "back", choice=choice))

            for signal in signals:
                expected = [
                    each.request
                    for each in sorted(there, key=lambda each: each.received_unix_nano)
                    if each.signal == signal
                ]
                back = [r for s, r in await requests_of(storage, "back") if s == signal]
                assert sorted(back) == sorted(expected)

    with folder() as out:
        anyio.run(check, out)


@settings(max_examples=40)
@given(recording=recordings(no_unknown), compression=compressions, is_split=st.booleans())
def test_json_comes_back_equal(
    recording: list[Recorded], compression: Any, *, is_split: bool
) -> None:
    carried = [attrs.evolve(each, request=usual(each.signal, each.request)) for each in recording]

    async def check(out: Path) -> None:
        async with opened_memory() as storage:
            await write_session(storage, "s", carried)
            config = ExportConfig(compression=compression, is_split=is_split)
            report = or_raise(await export_session(storage, "s", out / "x", config))
            take = import_folder if is_split else import_file
            or_raise(await take(storage, SYSTEM_CLOCK, out / "x", "back"))

            assert (report.requests, report.unknown_fields) == (len(recording), 0)
            assert len(await held(storage, "back")) == len(recording)
            assert or_raise(await verify(storage, "s", "back", shift="none")).equal

    with folder() as out:
        anyio.run(check, out)


@given(request=otlp_requests())
def test_json_loses_fields_where_the_canonical_records_differ(
    request: tuple[Signal, bytes],
) -> None:
    signal, body = request[0], usual(*request)
    text = or_raise(otlp.encode(body, signal, "json"))
    back = or_raise(otlp.decode(text, signal, "json"))

    is_lossy = otlp.loses_fields_in_json(body, signal, text)
    differs = canonical(signal, body) != canonical(signal, back)

    assert is_lossy >= differs


def canonical(signal: Signal, body: bytes) -> list[bytes]:
    records = or_raise(otlp.canonical_records(body, signal)).records
    return sorted(each.fingerprint for each in records)


entries = st.one_of(
    otlp_requests(),
    st.sampled_from([b"nonsense", b"{}", b'{"resourceSpans": 7}', b"\xff\xfe"]),
)


@settings(max_examples=40)
@given(
    files=st.lists(st.lists(entries, max_size=5), min_size=1, max_size=4),
    ending=st.sampled_from(list(COMPRESSED)),
    selected=st.sampled_from([None, *SIGNALS]),
)
def test_what_went_in_is_stored_or_told(
    files: list[list[Any]], ending: str, selected: Signal | None
) -> None:
    told: list[LeftOut] = []

    async def check(root: Path) -> None:
        for number, content in enumerate(files):
            lines = b"".join(line_of(entry) + b"\n" for entry in content)
            (root / f"{number}.jsonl{ending}").write_bytes(COMPRESSED[ending](lines))
        async with opened_memory() as storage:
            imported = await import_folder(
                storage,
                SYSTEM_CLOCK,
                root,
                "s",
                choice=Choice(selected),
                skip_invalid=True,
                watcher=Watcher(left_out=told.append),
            )
            total = sum(map(len, files))
            skipped = sum(isinstance(each, EntryBroken) for each in told)
            sound = [each for content in files for each in content if isinstance(each, tuple)]
            assert total == len(sound) + skipped
            wanted = [each for each in sound if selected in {None, each[0]}]
            if not (wanted or skipped):
                assert type(imported.failure()).__name__ == "FileUnreadable"
                return
            report = or_raise(imported)
            assert report.skipped == skipped
            assert report.metadata.captured_requests == len(wanted)
            assert report.unselected == len(sound) - len(wanted)
            assert sorted(s for s, _ in await requests_of(storage, "s")) == sorted(
                s for s, _ in wanted
            )

    with folder() as root:
        anyio.run(check, root)


def line_of(entry: Any) -> bytes:
    if isinstance(entry, bytes):
        return entry
    signal, request = entry
    text = or_raise(otlp.encode(request, signal, "json"))
    # Of an empty request nothing says which signal it is.
    empty = {"traces": "Spans", "metrics": "Metrics", "logs": "Logs"}[signal]
    return b'{"resource%s":[]}' % empty.encode() if text == b"{}" else text


@pytest.mark.parametrize("marshaler", ["otlp_json", "otlp_proto"])
@settings(max_examples=40)
@given(
    requests=st.lists(st.tuples(otlp_requests(unknown=no_unknown), arrivals), max_size=6),
    ending=st.sampled_from(list(COMPRESSED)),
    prefix=st.sampled_from(["", "prod", "a/logs/b"]),
    is_uuid=st.booleans(),
)
def test_a_tree_of_the_exporter_comes_in_whole(
    marshaler: str, requests: Any, ending: str, prefix: str, *, is_uuid: bool
) -> None:
    uploads = [
        (signal, request if marshaler == "otlp_proto" else usual(signal, request), time)
        for (signal, request), time in requests
        if request
    ]
    tree = ExporterTree(prefix, marshaler=marshaler, ending=ending, is_uuid=is_uuid)

    async def check(root: Path) -> None:
        for key, content in tree.objects(uploads).items():
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(content)
        async with opened_memory() as storage:
            report = or_raise(await import_folder(storage, SYSTEM_CLOCK, root, "s"))
            assert report.files == len(uploads)
            await write_session(
                storage, "t", recorded([u[:2] for u in uploads], [u[2] for u in uploads])
            )
            assert or_raise(await verify(storage, "s", "t", shift="none")).equal

    with folder() as root:
        if uploads:
            anyio.run(check, root)
