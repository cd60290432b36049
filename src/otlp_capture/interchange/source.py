"""A file of export requests, and how its entries are told apart.

Source: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/.
"""

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, TypeAlias

import attrs

from otlp_capture import otlp
from otlp_capture.otlp import RequestFacts, Signal
from otlp_capture.result import Failure, Outcome, Success

_MAX_BYTES: Final = otlp.DEFAULT_LIMITS.max_bytes
_DECODED: Final = attrs.evolve(otlp.DEFAULT_LIMITS, max_bytes=4 * _MAX_BYTES)
"""OTLP/JSON may be shorter than the protobuf that it says, but not by more."""

_HEAD_BYTES: Final = 4_096
_COMPRESSED: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_JSON: Final = re.compile(rb'(?:\xef\xbb\xbf)?[ \t\r\n]*\{[ \t\r\n]*(?:\}|"[ -~])')
_NOT_TEXT: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_OPENING: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\{[ \t\r\n]*")
_FIRST_FIELD: Final = b"\x0a"
"""How a request begins; a frame that began so would be too long."""


@attrs.frozen
class FileUnreadable:
    """The file to import cannot be read."""

    path: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which file, and why not."""
        return f"{self.path} cannot be imported: {self.reason}."


@attrs.frozen
class SignalMissing:
    """The file is protobuf, which does not say of which signal."""

    path: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing, and what to do."""
        return (
            f"{self.path} is no JSON, and protobuf does not tell its signal. "
            f"Say --signal traces, metrics or logs."
        )


@attrs.frozen
class EntryBroken:
    """One entry of the file is no export request.

    Attributes:
        path: the file.
        place: `line 3`, or `frame 3`, counted from 1, or `the whole`.
        reason: what is wrong with it.
    """

    path: str
    place: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where, what, and what became of the rest."""
        return (
            f"{self.path}, {self.place}: {self.reason} "
            f"Nothing was imported; --skip-invalid leaves such entries out and keeps the rest."
        )


@attrs.frozen
class FoundRequest:
    """A request of the file, checked, and its facts."""

    signal: Signal
    request: bytes
    facts: RequestFacts


SourceError: TypeAlias = EntryBroken | FileUnreadable | SignalMissing
Entry: TypeAlias = Outcome[tuple[FoundRequest, ...], SourceError]


class Source:
    """A file to import. Its methods block.

    Args:
        path: where it is.
        signal: what its requests are; protobuf needs it, of JSON it selects.

    Attributes:
        position: how many of its bytes have been read.
    """

    def __init__(self, path: Path, signal: Signal | None) -> None:
        self.position = 0
        self._path = path
        self._signal: Signal | None = signal

    def first_time_unix_nano(self) -> Outcome[int, FileUnreadable | SignalMissing]:
        """Return the time of the first request that has one; 0 where none has.

        Fails with:
            FileUnreadable: it cannot be read, or holds no request.
            SignalMissing: it is protobuf, and nobody said of which signal.
        """
        is_empty = True
        for entry in self.entries():
            if isinstance(entry, Success):
                is_empty &= not entry.unwrap()
                times = [found.facts.max_time_unix_nano for found in entry.unwrap()]
                if any(times):
                    return Success(next(filter(None, times)))
                continue
            error = entry.failure()
            if not isinstance(error, EntryBroken):
                return Failure(error)
            is_empty = False
        if is_empty:
            return Failure(FileUnreadable(str(self._path), "it holds no export request"))
        return Success(0)

    def entries(self) -> Generator[Entry]:
        """Yield what the file holds, in its order; only a broken entry is not the last item."""
        try:
            with self._path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
                file.seek(0)
                yield from self._entries_of(file, head)
        except OSError as error:
            yield Failure(FileUnreadable(str(self._path), error.strerror or str(error)))

    def _entries_of(self, file: BinaryIO, head: bytes) -> Iterator[Entry]:
        for magic, name in _COMPRESSED.items():
            if head.startswith(magic):
                reason = f"it is compressed with {name}: decompress it first"
                return iter([Failure(FileUnreadable(str(self._path), reason))])
        if _JSON.match(head) or not _NOT_TEXT.search(head):
            return self._json_entries(file)
        if self._signal is None:
            return iter([Failure(SignalMissing(str(self._path)))])
        if head.startswith(_FIRST_FIELD):
            return iter([self._protobuf("the whole", self._signal, self._all_of(file))])
        return self._framed_entries(file, self._signal)

    def _json_entries(self, file: BinaryIO) -> Iterator[Entry]:
        is_first = True
        for number, line in enumerate(self._lines(file), 1):
            if not line.strip():
                continue
            entry = self._json(f"line {number}", line)
            if is_first and isinstance(entry, Failure):
                # It may be one document, laid out over many lines.
                position = file.tell()
                whole = self._json("the whole", self._all_of(file))
                if isinstance(whole, Success) or _OPENING.fullmatch(line):
                    yield whole
                    return
                file.seek(position)
            is_first = False
            yield entry

    def _lines(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the lines; of one that is too long, enough to see that."""
        while line := file.readline(_MAX_BYTES + 1):
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(_MAX_BYTES)
            self.position = file.tell()
            yield line.rstrip(b"\r\n")

    def _framed_entries(self, file: BinaryIO, signal: Signal) -> Iterator[Entry]:
        for number, framed in enumerate(otlp.read_framed(file), 1):
            self.position = file.tell()
            if isinstance(framed, Failure):
                yield self._broken(f"frame {number}", framed.failure().message)
                return
            yield self._protobuf(f"frame {number}", signal, framed.unwrap())

    def _all_of(self, file: BinaryIO) -> bytes:
        """Return the whole file; of one that is too long, enough to see that."""
        file.seek(0)
        content = file.read(_MAX_BYTES + 1)
        self.position = file.tell()
        return content

    def _json(self, place: str, text: bytes) -> Entry:
        decoded = otlp.decode_export_line(text)
        if isinstance(decoded, Failure):
            return self._broken(place, decoded.failure().message)
        found: list[FoundRequest] = []
        for signal, request in decoded.unwrap():
            scanned = otlp.scan(request, signal, limits=_DECODED)
            if isinstance(scanned, Failure):
                return self._broken(place, scanned.failure().message)
            if self._signal in {None, signal}:
                found.append(FoundRequest(signal, request, scanned.unwrap()))
        return Success(tuple(found))

    def _protobuf(self, place: str, signal: Signal, request: bytes) -> Entry:
        scanned = otlp.scan(request, signal)
        if isinstance(scanned, Failure):
            return self._broken(place, scanned.failure().message)
        return Success((FoundRequest(signal, request, scanned.unwrap()),))

    def _broken(self, place: str, reason: str) -> Failure[EntryBroken]:
        return Failure(EntryBroken(str(self._path), place, reason))
