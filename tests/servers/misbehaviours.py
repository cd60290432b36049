"""What targets do that they should not, each by a name, over HTTP and over gRPC.

`once` are over by themselves; `endless` go on until the client has enough.
"""

import gzip
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, Final

from otlp_capture import otlp
from tests.raw_http2 import (
    CONTINUATION,
    DATA,
    HEADERS,
    PING,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    header_block,
    message,
)
from tests.servers.raw_grpc_target import (
    GRPC,
    Dead,
    Frames,
    Mute,
    bodied,
    data,
    going_away,
    headers,
    refusing,
    resetting,
    taking,
    trailers,
)
from tests.servers.raw_grpc_target import Reset as Reset
from tests.servers.target import Endless, HangUp, Raw, Reply, Silence, partly, refusal

Misbehaviours = Mapping[str, Any]

_OK: Final = b"HTTP/1.1 200 OK\r\n"
_JSON: Final = {"Content-Type": "application/json"}
_NEGATIVE: Final = b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01"
_BOMB_BYTES: Final = 256 << 20


@cache
def bomb() -> bytes:
    """Spell a gzip member of many zeros."""
    return gzip.compress(bytes(_BOMB_BYTES), 9)


def _retry_after(value: str) -> Raw:
    head = f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    return Raw(head.encode())


def http_once() -> Misbehaviours:
    """Return what is over by itself, over HTTP."""
    return {
        "429": refusal(429, "busy"),
        "503 with Retry-After": refusal(503, "busy", Retry_After="0"),
        "503 with a date": refusal(503, Retry_After="Sun, 06 Nov 1994 08:49:37 GMT"),
        "503 in the year 9999": _retry_after("Fri, 31 Dec 9999 23:59:59 GMT"),
        **{
            f"503 with Retry-After {value[:9]}": _retry_after(value)
            for value in ("-1", "1e9", "nan", "inf", "1.5", "0x10", "\u0661", "9" * 400, "soon")
        },
        "400": refusal(400, "no"),
        "404 in HTML": Reply(status=404, headers={"Content-Type": "text/html"}, body=b"<h1>no"),
        "a redirect": refusal(307, Location="http://203.0.113.7/v1/logs"),
        "reset": HangUp(),
        "nothing": Raw(b""),
        "half a head": Raw(_OK + b"Content-Le"),
        "half a body": Raw(_OK + b"Content-Length: 9\r\n\r\n1234"),
        "half a chunk": Raw(_OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        "a chunk that is none": Raw(_OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc"),
        "two lengths": Raw(_OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
        "a negative length": Raw(_OK + b"Content-Length: -5\r\n\r\n"),
        "an endless length": Raw(_OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n"),
        "status 999": Raw(b"HTTP/1.1 999 Hm\r\nContent-Length: 0\r\n\r\n"),
        "status 0": Raw(b"HTTP/1.1 000 Hm\r\nContent-Length: 0\r\n\r\n"),
        "no status": Raw(b"HTTP/1.1 abc Hm\r\n\r\n"),
        "HTTP/3.7": Raw(b"HTTP/3.7 200 OK\r\n\r\n"),
        "SMTP": Raw(b"220 mail.example ESMTP\r\n"),
        "HTTP/2": Raw(frame(SETTINGS, 0, 0)),
        "another protocol": Raw(b"HTTP/1.1 101 Hm\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        "some 1xx before it": Raw(
            b"HTTP/1.1 103 Hm\r\n\r\n" * 9 + _OK + b"Content-Length: 0\r\n\r\n"
        ),
        "headers that are no text": Raw(
            _OK + b"Content-Type: \xff\xfe;;=\r\nX: \xff\r\nContent-Length: 1\r\n\r\na"
        ),
        "an encoding that is no text": Raw(
            _OK + b"Content-Encoding: \xff\xfe\r\nContent-Length: 1\r\n\r\na"
        ),
        "a cookie": Raw(_OK + b'Set-Cookie: \xff="\x01;;\r\nContent-Length: 0\r\n\r\n'),
        "long headers": Raw(_OK + b"X: " + b"y" * 99_999 + b"\r\n\r\n"),
        "many headers": Raw(_OK + b"X: y\r\n" * 9_999 + b"\r\n"),
        "HTML": Reply(headers={"Content-Type": "text/html"}, body=b"<h1>It works!</h1>"),
        "JSON for protobuf": Reply(body=b'{"partialSuccess":{}}'),
        "protobuf for JSON": Reply(headers=_JSON, body=partly("logs", 1).body),
        "deep JSON": Reply(headers=_JSON, body=b"[" * 99_999),
        "half a message": Reply(body=partly("logs", 1).body[:-1]),
        "a long body": Reply(body=bytes(5 << 20)),
        "a bomb": Reply(headers={"Content-Encoding": "gzip"}, body=bomb()),
        "half a bomb": Reply(headers={"Content-Encoding": "gzip"}, body=bomb()[:999]),
        "a partial success": partly("logs", 1),
        "more rejected than sent": partly("logs", 1 << 60),
        "less than nothing rejected": Reply(body=_NEGATIVE),
        "a warning": partly("logs", 0, "soon too old"),
    }


def http_endless() -> Misbehaviours:
    """Return what goes on until the client has enough, over HTTP."""
    chunked = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
    return {
        "silence": Silence(),
        "1xx": Endless(b"", b"HTTP/1.1 103 Hm\r\nX: y\r\n\r\n" * 99),
        "a status": Endless(b"HTTP/1.1 200 ", b"y" * 999),
        "headers": Endless(_OK, b"X: y\r\n" * 99),
        "a header": Endless(_OK + b"X: ", b"y" * 999),
        "a body": Endless(_OK + b"\r\n", b"y" * 9_999),
        "chunks": Endless(chunked, b"1\r\ny\r\n" * 99),
        "an extension of a chunk": Endless(chunked + b"1;", b"y" * 999),
        "trailers": Endless(chunked + b"0\r\n", b"a: y\r\n" * 99),
        "a body, byte by byte": Endless(_OK + b"\r\n", b"y"),
    }


def _say(*parts: Any) -> Frames:
    return Frames(lambda stream: b"".join(part(stream) for part in parts))


def _head(stream: int) -> bytes:
    return headers(stream, GRPC)


def _compressed(stream: int) -> bytes:
    return headers(stream, (*GRPC, ("grpc-encoding", "gzip")))


def _said(content: bytes, *, is_compressed: bool = False, is_last: bool = False) -> Any:
    whole = message(content, is_compressed=is_compressed)
    pieces = [whole[at : at + 16_384] for at in range(0, len(whole), 16_384)]
    return lambda stream: b"".join(
        data(stream, piece, is_last=is_last and piece is pieces[-1]) for piece in pieces
    )


def _done(stream: int) -> bytes:
    return trailers(stream, ("grpc-status", "0"))


def _part(rejected: int) -> bytes:
    return partly("logs", rejected).body


def grpc_once() -> Misbehaviours:
    """Return what is over by itself, over gRPC."""
    return {
        **{f"status {code}": refusing(("grpc-status", code)) for code in _STATUSES},
        "a message that is no text": refusing(
            ("grpc-status", "14"), ("grpc-message", "%ff%fe%zz\udcff")
        ),
        "a long message": refusing(("grpc-status", "14"), ("grpc-message", "y" * 9_999)),
        "details that are none": refusing(
            ("grpc-status", "14"), ("grpc-status-details-bin", "!!!")
        ),
        "details of nothing": refusing(("grpc-status", "14"), ("grpc-status-details-bin", "AAAA")),
        "a trailer that is no text": refusing(("grpc-status", "14"), ("x-a", "\udcff\udcfe")),
        "trailers with OK alone": refusing(("grpc-status", "0")),
        "no message": _say(_head, _done),
        "no status": _say(_head, _said(b""), lambda s: trailers(s, ("x", "y"))),
        "no trailers": _say(_head, _said(b"", is_last=True)),
        "half a message": _say(_head, lambda s: data(s, b"\0\0\0\0\x09abc"), _done),
        "a wrong message": taking(b"{}"),
        "HTML": taking(b"<h1>It works!</h1>"),
        "an answer of HTTP": bodied(
            (":status", "200"), ("content-type", "text/html"), body=b"<h1>"
        ),
        **{
            f"HTTP {status}": bodied((":status", status), ("retry-after", "1"), body=b"no")
            for status in ("103", "307", "404", "429", "500", "503")
        },
        **{
            f"RST_STREAM {code}": Frames(partial(resetting, error=code))
            for code in (0, 1, 2, 3, 5, 7, 8, 11, 13, 99)
        },
        "GOAWAY before it": Frames(lambda _: going_away(0, 0), then_hang_up=True),
        "GOAWAY after it": Frames(lambda stream: going_away(0, stream), then_hang_up=True),
        "GOAWAY, calm down": Frames(lambda stream: going_away(11, stream), then_hang_up=True),
        "GOAWAY, and an answer": _say(
            lambda stream: going_away(0, stream), _head, _said(b""), _done
        ),
        "reset": Reset(),
        "half a frame": Frames(lambda s: _head(s)[:-3], then_hang_up=True),
        "nonsense": Frames(lambda _: b"\xff" * 99),
        "HTTP/1.1": Frames(lambda _: _OK + b"\r\n", then_hang_up=True),
        "bad header compression": Frames(lambda s: frame(HEADERS, 4, s, b"\xff" * 9)),
        "bad settings": Frames(lambda _: frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff")),
        "long headers": _say(
            lambda s: headers(s, (*GRPC, ("x", "y" * 199_999))), _said(b""), _done
        ),
        "long trailers": Frames(
            lambda s: trailers(s, *GRPC, ("grpc-status", "14"), ("grpc-message", "y" * 199_999))
        ),
        "compressed by nothing": _say(_head, _said(b"abc", is_compressed=True), _done),
        "compressed badly": _say(_compressed, _said(b"abc", is_compressed=True), _done),
        "compressed unknown": _say(
            lambda s: headers(s, (*GRPC, ("grpc-encoding", "zstd"))),
            _said(b"abc", is_compressed=True),
            _done,
        ),
        "a long message's answer": _say(_head, _said(bytes(5 << 20)), _done),
        "a bomb": _say(_compressed, _said(bomb(), is_compressed=True), _done),
        "a partial success": taking(_part(1)),
        "more rejected than sent": taking(_part(1 << 60)),
        "less than nothing rejected": taking(_NEGATIVE),
        "a warning": taking(otlp.encode_response("logs", "protobuf", otlp.PartialSuccess(0, "hm"))),
    }


_STATUSES: Final = (*map(str, range(1, 18)), "99", "-1", "abc", "9" * 40)


def grpc_endless() -> Misbehaviours:
    """Return what goes on until the client has enough, over gRPC."""
    return {
        "silence": Mute(),
        "silence, and nothing is read": Dead(),
        "half a head": Frames(lambda s: frame(HEADERS, 0, s, header_block(GRPC))),
        "two messages": _say(_head, _said(b""), _said(b""), _done),
        "data without a head": Frames(lambda s: frame(DATA, 0, s, bytes(99_999))),
        "a promise": Frames(lambda s: frame(5, 4, s, b"\0\0\0\2" + header_block(GRPC))),
        "a window that is too large": Frames(
            lambda _: frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 3
        ),
        "1xx": Frames(lambda s: headers(s, ((":status", "103"),)) * 99, times=0),
        "pings": Frames(lambda _: frame(PING, 0, 0, bytes(8)) * 99, times=0),
        "settings": Frames(lambda _: frame(SETTINGS, 0, 0) * 99, times=0),
        "empty data": Frames(lambda s: data(s, b"") * 99, times=0),
        "continuations": Frames(
            lambda s: frame(CONTINUATION, 0, s, header_block((("a", "b"),)) * 99), times=0
        ),
        "a message": Frames(lambda s: _head(s) + data(s, b"\0\0\x30\0\0") + data(s, bytes(9_999))),
    }
