"""What becomes of a client's bytes before they are stored, in each form that clients send."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from benchmarks.harness import Case, Way
from benchmarks.requests import Sample
from otlp_capture import otlp
from otlp_capture.capture.intake import ClientRequest, prepare
from otlp_capture.otlp import DEFAULT_LIMITS
from otlp_capture.otlp.scan import scan_by_parsing
from otlp_capture.result import or_raise
from otlp_capture.sessions import Arrival

_ARRIVAL: Final = Arrival(received_unix_nano=1_763_861_000_000_000_000, sequence=7)
_FAST, _CLIENT_LEVEL = 1, 6


def taking_in(samples: Iterable[Sample]) -> Iterator[Case]:
    """Yield a case for each form of each sample; speeds count its protobuf bytes."""
    for each in samples:
        request, signal = each.request, each.signal
        text = or_raise(otlp.encode(request, signal, "json"))
        packed = gzip.compress(request, _CLIENT_LEVEL, mtime=0)
        forms = (
            ("protobuf", ClientRequest(request, signal, "protobuf", "identity"), _by_zlib),
            ("protobuf, gzip", ClientRequest(packed, signal, "protobuf", "gzip"), _by_gzip),
            ("JSON", ClientRequest(text, signal, "json", "identity"), _by_json),
        )
        for form, came, by_reference in forms:
            yield Case(
                "intake",
                f"{each.name}, {form}",
                len(request),
                [
                    Way(_NAMES[by_reference], partial(by_reference, came)),
                    Way("intake.prepare", partial(_prepared, came)),
                ],
            )


def _prepared(came: ClientRequest) -> bytes:
    return or_raise(prepare(came, _ARRIVAL, DEFAULT_LIMITS, None, is_compressed=True)).member


def _by_zlib(came: ClientRequest) -> bytes:
    or_raise(scan_by_parsing(came.body, came.signal, DEFAULT_LIMITS))
    return gzip.compress(came.body, _FAST, mtime=0)


def _by_gzip(came: ClientRequest) -> bytes:
    or_raise(scan_by_parsing(gzip.decompress(came.body), came.signal, DEFAULT_LIMITS))
    return came.body


def _by_json(came: ClientRequest) -> object:
    return json.loads(came.body)


_NAMES: Final[dict[Callable[[ClientRequest], object], str]] = {
    _by_zlib: "messages and zlib level 1",
    _by_gzip: "messages and zlib's inflate",
    _by_json: "json.loads alone",
}
