"""The entries of a document, told apart and checked.

Source: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/, and the collector's file
exporter, which puts a length before each request where it compresses, JSON included.
"""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from io import BufferedIOBase
from typing import BinaryIO, Final, TypeAlias, cast

import attrs

from otlp_capture import otlp
from otlp_capture.interchange.documents import WHOLE, Document, reason_of
from otlp_capture.interchange.errors import EntryBroken, FileUnreadable, SignalMissing
from otlp_capture.interchange.inflating import (
    StreamBroken,
    compression_of,
    inflate_zstd,
    opened,
)
from otlp_capture.interchange.stored_tree import StoreFailed, of_one_object
from otlp_capture.otlp import RequestFacts, Signal
from otlp_capture.redaction import RedactionFailed, Redactor, redact_to_keep
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage import StorageError

_LIMITS: Final = attrs.evolve(
    otlp.DEFAULT_LIMITS, max_bytes=4 * otlp.DEFAULT_LIMITS.max_bytes, max_elements=1 << 23
)
"""What we have taken in ourselves, under raised limits or as JSON, comes back from its export."""

_HEAD_BYTES: Final = 4_096
_PIECE_BYTES: Final = 1 << 20
_TOO_LONG: Final = f"it holds more than {_LIMITS.max_bytes:,} bytes."
_JSON: Final = re.compile(rb'(?:\xef\xbb\xbf)?[ \t\r\n]*\{[ \t\r\n]*(?:\}|"[ -~])')
_NOT_TEXT: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_OPENING: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\{[ \t\r\n]*")
_FIRST_FIELD: Final = b"\x0a"
"""How a request begins; a frame that began so would be too long."""

_OBJECT: Final = b"{"
"""How JSON begins, and no request in protobuf: it would be the beginning of a group."""

_MAX_EMPTY: Final = 1_000
_PADDING: Final = f"more than {_MAX_EMPTY:,} empty requests in a row are padding, not requests."
"""Zeros read as frames without content; a compressed file can hold any number of them."""


@attrs.frozen
class FoundRequest:
    """A request of a document, checked, and its facts; redacted, where it is to be."""

    signal: Signal
    request: bytes
    facts: RequestFacts
    is_redacted: bool = False


EntryError: TypeAlias = EntryBroken | FileUnreadable | SignalMissing | StorageError
Entry: TypeAlias = Outcome[tuple[FoundRequest, ...], EntryError]


class Entries:
    """The entries of a document. Its methods block.

    Args:
        document: which.
        redactor: takes out of its requests what must not be kept; None: nothing has to be.

    Attributes:
        position: how many of its bytes have been read.
        unselected: how many of its requests were of other signals than the selected one.
    """

    def __init__(self, document: Document, redactor: Redactor | None = None) -> None:
        self.position = 0
        self.unselected = 0
        self._document, self._redactor = document, redactor
        self._reached = WHOLE

    def read(self) -> Generator[Entry]:
        """Yield the entries, in their order; only an `EntryBroken` is not the last item."""
        try:
            with self._document.content.open() as file:
                head = _head(opened(file))
                file.seek(0)
                yield from self._entries_of(opened(file), file, head)
        except StreamBroken as error:
            yield self._broken(self._reached, f"{error.reason}; what comes before is sound.")
        except StoreFailed as error:
            yield of_one_object(self._document.path, error.error)
        except OSError as error:
            yield self._unreadable(reason_of(error))

    def _entries_of(
        self, content: BufferedIOBase, file: BufferedIOBase, head: bytes
    ) -> Iterator[Entry]:
        """Tell by the head what the content is; how far the file was read is the progress."""
        if compression_of(head) is not None:
            return iter([self._broken(WHOLE, "it is compressed twice: decompress it once.")])
        if _JSON.match(head) or not _NOT_TEXT.search(head):
            return self._json_entries(content, file)
        if head.startswith(_FIRST_FIELD):
            return self._single_entry(content, file)
        return self._framed_entries(content, file)

    def _json_entries(self, content: BufferedIOBase, file: BufferedIOBase) -> Iterator[Entry]:
        is_first = True
        for number, line in enumerate(self._lines(content, file), 1):
            place = f"line {number}"
            if line is None:
                yield self._broken(place, _TOO_LONG)
            elif line.strip():
                entry = self._json(place, line)
                if is_first and isinstance(entry, Failure):
                    # It may be one document, laid out over many lines.
                    whole = self._json(WHOLE, self._all())
                    if isinstance(whole, Success) or _OPENING.fullmatch(line):
                        self.position = self._size()
                        yield whole
                        return
                yield entry
            is_first &= line is not None and not line.strip()
            self._reached = f"after {place}"

    def _lines(self, content: BufferedIOBase, file: BufferedIOBase) -> Iterator[bytes | None]:
        """Yield the lines; None for one that is too long, of which nothing is kept."""
        while (line := _line(content)) != b"":
            self.position = file.tell()
            yield line

    def _single_entry(self, content: BufferedIOBase, file: BufferedIOBase) -> Iterator[Entry]:
        request = content.read(_LIMITS.max_bytes + 1)
        self.position = file.tell()
        yield self._protobuf(WHOLE, request)

    def _framed_entries(self, content: BufferedIOBase, file: BufferedIOBase) -> Iterator[Entry]:
        empty = 0
        frames = otlp.read_framed(cast("BinaryIO", content), _LIMITS.max_bytes)
        for number, framed in enumerate(frames, 1):
            self.position, place = file.tell(), f"frame {number}"
            if isinstance(framed, Failure):
                yield self._broken(place, framed.failure().message)
                return
            empty = 0 if framed.unwrap() else empty + 1
            if empty > _MAX_EMPTY:
                yield self._broken(place, _PADDING)
                return
            yield self._payload(place, framed.unwrap())
            self._reached = f"after {place}"

    def _payload(self, place: str, payload: bytes) -> Entry:
        if compression_of(payload) == "zstd":
            try:
                payload = inflate_zstd(payload, _LIMITS.max_bytes)
            except StreamBroken as error:
                return self._broken(place, f"{error.reason}.")
        if payload.startswith(_OBJECT):
            return self._json(place, payload)
        return self._protobuf(place, payload)

    def _all(self) -> bytes:
        """Return the whole content, read anew; of one that is too long, enough to see that."""
        with self._document.content.open() as file, suppress(StreamBroken):
            return opened(file).read(_LIMITS.max_bytes + 1)
        # It is damaged further on, which is told when it is met there.
        return b""

    def _size(self) -> int:
        with self._document.content.open() as file:
            return file.seek(0, os.SEEK_END)

    def _json(self, place: str, text: bytes) -> Entry:
        decoded = otlp.decode_export_line(text, _LIMITS)
        if isinstance(decoded, Failure):
            return self._broken(place, decoded.failure().message)
        found: list[FoundRequest] = []
        for signal, request in decoded.unwrap():
            scanned = otlp.scan(request, signal, limits=_LIMITS)
            if isinstance(scanned, Failure):
                return self._broken(place, scanned.failure().message)
            found.append(FoundRequest(signal, request, scanned.unwrap()))
        return self._selected(place, found)

    def _protobuf(self, place: str, request: bytes) -> Entry:
        signal = self._document.signal
        if signal is None:
            return self._signal_missing()
        scanned = otlp.scan(request, signal, limits=_LIMITS)
        if isinstance(scanned, Failure):
            return self._broken(place, scanned.failure().message)
        return self._selected(place, [FoundRequest(signal, request, scanned.unwrap())])

    def _selected(self, place: str, found: list[FoundRequest]) -> Entry:
        selected = self._document.selected
        taken = [each for each in found if selected in {None, each.signal}]
        self.unselected += len(found) - len(taken)
        if self._redactor is None:
            return Success(tuple(taken))
        redacted = [_redacted(each, self._redactor) for each in taken]
        for outcome in redacted:
            if isinstance(outcome, Failure):
                return self._broken(place, outcome.failure().message)
        return Success(tuple(outcome.unwrap() for outcome in redacted))

    def _unreadable(self, reason: str) -> Failure[EntryBroken | FileUnreadable]:
        if self._document.is_alone:
            return Failure(FileUnreadable(self._document.path, reason))
        return self._broken(WHOLE, f"it cannot be read: {reason}.")

    def _signal_missing(self) -> Failure[EntryBroken | SignalMissing]:
        if self._document.is_alone:
            return Failure(SignalMissing(self._document.path))
        reason = "it is protobuf, and neither its name nor --signal says of which signal."
        return self._broken(WHOLE, reason)

    def _broken(self, place: str, reason: str) -> Failure[EntryBroken]:
        return Failure(EntryBroken(self._document.path, place, reason))


def _redacted(found: FoundRequest, redactor: Redactor) -> Outcome[FoundRequest, RedactionFailed]:
    redacted = redact_to_keep(found.request, found.signal, found.facts, redactor)
    if isinstance(redacted, Failure):
        return redacted
    request, facts = redacted.unwrap()
    return Success(FoundRequest(found.signal, request, facts, request is not found.request))


def _line(content: BufferedIOBase) -> bytes | None:
    """Read a line with its end; None where it is too long, b"" where there is none."""
    pieces: list[bytes] = []
    size_bytes = 0
    while piece := content.readline(_PIECE_BYTES):
        size_bytes += len(piece)
        if size_bytes <= _LIMITS.max_bytes:
            pieces.append(piece)
        else:
            pieces.clear()
        if piece.endswith(b"\n"):
            break
    return b"".join(pieces) if size_bytes <= _LIMITS.max_bytes else None


def _head(content: BufferedIOBase) -> bytes:
    """Return how the content begins; what is sound of it, where it is damaged early."""
    head = b""
    with suppress(StreamBroken):
        while len(head) < _HEAD_BYTES and (piece := content.read1(_HEAD_BYTES)):
            head += piece
    return head


def first_time_unix_nano(document: Document) -> int:
    """Return the latest time in the first request that has one; the document's where none has."""
    with closing(Entries(document).read()) as entries:
        for entry in entries:
            found = entry.unwrap() if isinstance(entry, Success) else ()
            for each in found:
                if each.facts.max_time_unix_nano:
                    return each.facts.max_time_unix_nano
    return document.time_unix_nano
