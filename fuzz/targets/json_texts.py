"""OTLP/JSON in both dialects, lines of exporters, and answers: read or refused.

What the compiled reader and writer say is what the road through messages says.
"""

from typing import Any, Final, get_args

from fuzz.mutations import mutate_bytes
from fuzz.seeds import captured_texts, drawn_requests
from fuzz.target import Target
from otlp_capture import otlp
from otlp_capture.otlp import DEFAULT_LIMITS, SIGNALS, Limits
from otlp_capture.otlp.json_decode import decode_by_parsing
from otlp_capture.otlp.json_encode import encode_by_parsing
from otlp_capture.otlp.signals import Dialect
from otlp_capture.result import Failure, Outcome, Success

_FEW: Final = Limits(max_elements=20, max_any_value_depth=3, max_bytes=1_000)
_DEPTH: Final = DEFAULT_LIMITS.max_any_value_depth
_ANSWERS: Final = (
    b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}',
    b'{"code":3,"message":"no","details":[{"@type":"x"}]}',
    b"\n\x07\x08\x03\x12\x03old",
    b"\x08\x03\x12\x02no",
)


def _seeds() -> list[bytes]:
    drawn = [otlp.encode(request, signal, "json") for signal, request in drawn_requests()]
    return [*_ANSWERS, *captured_texts(), *(each.value_or(b"{}") for each in drawn)]


def _check(text: bytes) -> None:
    for signal in SIGNALS:
        for dialect in get_args(Dialect):
            few = otlp.decode(text, signal, "json", dialect=dialect, limits=_FEW)
            assert few == decode_by_parsing(text, signal, dialect, _FEW), "small limits differ"
            decoded = otlp.decode(text, signal, "json", dialect=dialect)
            assert decoded == decode_by_parsing(text, signal, dialect, DEFAULT_LIMITS), "it differs"
            if _refused(decoded):
                continue
            request = decoded.unwrap()
            assert isinstance(otlp.scan(request, signal), Success), "it is no request"
            written = otlp.encode(request, signal, "json").unwrap()
            assert encode_by_parsing(request, signal, _DEPTH).unwrap() == written, "text differs"
            assert otlp.decode(written, signal, "json") == decoded, "it is read back otherwise"
        _refused(otlp.decode_response(text, signal, "json"))
        _refused(otlp.decode_response(text, signal, "protobuf"))
    _refused(otlp.decode_status(text, "json"))
    _refused(otlp.decode_status(text, "protobuf"))
    _refused(otlp.decode_export_line(text))


def _refused(outcome: Outcome[Any, Any]) -> bool:
    """Say whether it was; a refusal says why, in text that can be sent."""
    if isinstance(outcome, Failure):
        assert outcome.failure().message.encode()
    return isinstance(outcome, Failure)


TARGET: Final = Target(_seeds, mutate_bytes, _check)
