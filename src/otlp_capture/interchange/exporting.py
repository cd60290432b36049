"""From a session to files that the collector's file exporter could have written."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import ClassVar, Final, Literal, TypeAlias

import anyio.to_thread
import attrs

from otlp_capture import otlp
from otlp_capture.interchange.arrival_order import by_arrival
from otlp_capture.interchange.deflating import ENDINGS, Compression
from otlp_capture.interchange.output import STDOUT, Output, OutputError, unwritable
from otlp_capture.interchange.outputs import (
    ExportedFile,
    Files,
    OneStream,
    Outputs,
    check_paths,
)
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    LoadError,
    RequestReader,
    SegmentCorrupted,
    SessionIndex,
    StoredRequest,
    index_session,
    load_session,
)
from otlp_capture.storage import S3Storage

Format: TypeAlias = Literal["jsonl", "binpb"]
"""JSON Lines, signals mixed; or protobuf behind 4-byte lengths, which cannot be mixed."""

_CACHE_BYTES: Final = 32 << 20
_BATCH_BYTES: Final = 4 << 20
_BATCH_REQUESTS: Final = 64
_LENGTH_BYTES: Final = 4


@attrs.frozen
class InvalidExport:
    """What is asked for cannot be written so."""

    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and what to do."""
        return f"This cannot be exported: {self.reason}."


@attrs.frozen
class RequestUnwritable:
    """A stored request has no form in the format."""

    key: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which, why not, and what to do."""
        return f"A request in {self.key} cannot be written as JSON: {self.reason} Use binpb."


ExportFailure: TypeAlias = (
    InvalidExport | RequestUnwritable | OutputError | SegmentCorrupted | LoadError
)


@attrs.frozen
class ExportConfig:
    """How a session is written.

    Attributes:
        format: of the requests.
        compression: of each file, as a whole.
        signals: which are written.
        is_split: JSON Lines go into a file for each signal. Protobuf always does.
        is_over: files that are there are overwritten.
    """

    format: Format = "jsonl"
    compression: Compression | None = None
    signals: tuple[Signal, ...] = SIGNALS
    is_split: bool = False
    is_over: bool = False

    @property
    def has_folder(self) -> bool:
        """Whether there are several files, so that the target is a folder."""
        return self.is_split or (self.format == "binpb" and len(self.signals) > 1)

    def paths(self, to: Path) -> dict[Signal, Path]:
        """Return where the requests of each signal go."""
        if not self.has_folder:
            return dict.fromkeys(self.signals, to)
        ending = f".{self.format}{ENDINGS[self.compression]}"
        return {signal: to / f"{signal}{ending}" for signal in self.signals}


@attrs.frozen
class ExportReport:
    """What was written, and what the files cannot say.

    Attributes:
        session_id: the session.
        files: what was written; a signal without requests has no file of its own.
        records: spans, data points and log records in them.
        unknown_fields: requests with fields that JSON has no form for; they are left out.
        arrivals: requests that arrived at another moment than their latest time, from which an
            import would take it.
        headers: requests of which headers were kept, which the files do not hold.
    """

    session_id: str
    files: tuple[ExportedFile, ...]
    records: int
    unknown_fields: int
    arrivals: int
    headers: int

    @property
    def requests(self) -> int:
        """How many requests were written."""
        return sum(each.requests for each in self.files)


async def export_session(
    storage: S3Storage,
    session_id: str,
    to: Path | int,
    config: ExportConfig,
    *,
    advanced: Callable[[int, int], object] = lambda _done, _total: None,
) -> Outcome[ExportReport, ExportFailure]:
    """Write the requests of a session, in the order of their arrival.

    Files get their names when all of them are whole; on a `Failure` or cancelled there are none.
    What a descriptor has been given stays with whoever reads it.

    Args:
        storage: where the session is.
        session_id: which one.
        to: a file; the folder of files, where there is one for each signal; or an open descriptor.
        config: how it is written.
        advanced: told how many requests are written, and how many there are.

    Fails with:
        InvalidExport: several files cannot go to one descriptor, or no signal was chosen.
        OutputExists, OutputUnwritable: something is in the way, or cannot be written.
        InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
        SegmentCorrupted: a part of it is damaged.
        RequestUnwritable: a request cannot be written as JSON.
        StorageError: the store did not answer well.
    """
    opened = _outputs(to, config)
    if isinstance(opened, Failure):
        return opened
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure):
        return loaded
    indexed = await index_session(storage, session_id)
    if isinstance(indexed, Failure):
        return indexed
    index, outputs = indexed.unwrap(), opened.unwrap()
    damage = next((each for each in index.damages if _is_of(index, each, config.signals)), None)
    if damage is not None:
        return Failure(damage)
    try:
        writing = _Writing(outputs, config.format)
        written = await _write_all(storage, index, config.signals, writing, advanced)
        if isinstance(written, Failure):
            return written
        published = await anyio.to_thread.run_sync(outputs.publish)
        if isinstance(published, Failure):
            return published
        return Success(writing.report(session_id, published.unwrap()))
    except OSError as error:
        return Failure(unwritable(STDOUT if isinstance(to, int) else to, error))
    finally:
        outputs.close()


def _outputs(to: Path | int, config: ExportConfig) -> Outcome[Outputs, InvalidExport | OutputError]:
    if not config.signals:
        return Failure(InvalidExport("no signal was chosen"))
    if isinstance(to, int):
        if not config.has_folder:
            return Success(OneStream(to, config.compression))
        reason = "one stream holds one file; choose one signal, or JSON Lines without --split"
        return Failure(InvalidExport(reason))
    paths = config.paths(to)
    checked = check_paths(paths.values(), is_over=config.is_over)
    if isinstance(checked, Failure):
        return checked
    return Success(Files(paths, config.compression, is_over=config.is_over))


def _is_of(index: SessionIndex, damage: SegmentCorrupted, signals: Collection[Signal]) -> bool:
    return any(each.key == damage.key and each.signal in signals for each in index.segments)


async def _write_all(
    storage: S3Storage,
    index: SessionIndex,
    signals: Collection[Signal],
    writing: "_Writing",
    advanced: Callable[[int, int], object],
) -> Outcome[None, ExportFailure]:
    total = sum(len(each.frames) for each in index.segments if each.signal in signals)
    reader = RequestReader(storage, cache_bytes=_CACHE_BYTES)
    batch: list[StoredRequest] = []
    size_bytes = done = 0
    advanced(0, total)
    for ref in by_arrival(index, signals):
        read = await reader.read(ref)
        if isinstance(read, Failure):
            return read
        batch.append(read.unwrap())
        size_bytes += len(read.unwrap().request)
        done += 1
        if size_bytes < _BATCH_BYTES and len(batch) < _BATCH_REQUESTS and done < total:
            continue
        written = await anyio.to_thread.run_sync(writing.write, batch)
        if isinstance(written, Failure):
            return written
        batch, size_bytes = [], 0
        advanced(done, total)
    return Success(None)


class _Writing:
    """Requests on their way into outputs, and what is lost on it."""

    def __init__(self, outputs: Outputs, format_: Format) -> None:
        self._outputs = outputs
        self._put = {"jsonl": self._put_line, "binpb": self._put_framed}[format_]
        self._records, self._unknown_fields, self._arrivals, self._headers = 0, 0, 0, 0

    def write(self, batch: list[StoredRequest]) -> Outcome[None, RequestUnwritable]:
        """Write some requests. Blocks.

        Raises:
            OSError: they cannot be written.
        """
        for stored in batch:
            output = self._outputs.of(stored.signal)
            put = self._put(output, stored)
            if isinstance(put, Failure):
                return put
            output.requests += 1
            frame = stored.frame
            self._records += frame.record_count
            self._arrivals += frame.received_unix_nano != frame.max_time_unix_nano
            self._headers += bool(stored.headers)
        return Success(None)

    def _put_line(self, output: Output, stored: StoredRequest) -> Outcome[None, RequestUnwritable]:
        text = otlp.encode(stored.request, stored.signal, "json")
        if isinstance(text, Failure):
            return Failure(RequestUnwritable(stored.key, text.failure().message))
        line = text.unwrap()
        self._unknown_fields += otlp.loses_fields_in_json(stored.request, stored.signal, line)
        # Nothing can be said in an empty object, not even its signal.
        output.write((_EMPTY[stored.signal] if line == b"{}" else line) + b"\n")
        return Success(None)

    def _put_framed(
        self, output: Output, stored: StoredRequest
    ) -> Outcome[None, RequestUnwritable]:
        output.write(len(stored.request).to_bytes(_LENGTH_BYTES, "big") + stored.request)
        return Success(None)

    def report(self, session_id: str, files: tuple[ExportedFile, ...]) -> ExportReport:
        """Say what was written."""
        return ExportReport(
            session_id=session_id,
            files=files,
            records=self._records,
            unknown_fields=self._unknown_fields,
            arrivals=self._arrivals,
            headers=self._headers,
        )


_EMPTY: Final[dict[Signal, bytes]] = {
    "traces": b'{"resourceSpans":[]}',
    "metrics": b'{"resourceMetrics":[]}',
    "logs": b'{"resourceLogs":[]}',
}
