"""OTLP/JSON in and out, beside the standard library's `json` on the same text."""

import json
from collections.abc import Iterable, Iterator
from functools import partial

from benchmarks.harness import Case, Way
from benchmarks.requests import Sample
from otlp_capture import otlp
from otlp_capture.otlp import DEFAULT_LIMITS
from otlp_capture.otlp.json_decode import decode_by_parsing
from otlp_capture.otlp.json_encode import encode_by_parsing
from otlp_capture.result import or_raise


def decoding(samples: Iterable[Sample]) -> Iterator[Case]:
    """Yield a case for each sample: text to protobuf. Speeds count the text."""
    for each in samples:
        signal, text = each.signal, or_raise(otlp.encode(each.request, each.signal, "json"))
        yield Case(
            "decode JSON",
            each.name,
            len(text),
            [
                Way("json.loads alone", partial(json.loads, text)),
                Way("otlp.decode", partial(otlp.decode, text, signal, "json")),
                Way(
                    "messages (upb)",
                    partial(decode_by_parsing, text, signal, "otlp", DEFAULT_LIMITS),
                ),
            ],
        )


def encoding(samples: Iterable[Sample]) -> Iterator[Case]:
    """Yield a case for each sample: protobuf to text. Speeds count the text."""
    for each in samples:
        signal, request = each.signal, each.request
        text = or_raise(otlp.encode(request, signal, "json"))
        document, depth = json.loads(text), DEFAULT_LIMITS.max_any_value_depth
        yield Case(
            "encode JSON",
            each.name,
            len(text),
            [
                Way("json.dumps alone", partial(json.dumps, document)),
                Way("otlp.encode", partial(otlp.encode, request, signal, "json")),
                Way("messages (upb)", partial(encode_by_parsing, request, signal, depth)),
            ],
        )
