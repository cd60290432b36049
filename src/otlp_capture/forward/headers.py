"""Which headers go to a destination, and the mark that shows a loop."""

import re
from collections.abc import Iterable
from typing import Final

from otlp_capture.sessions import Headers

FORWARDED_HEADER: Final = "x-otlp-capture-forwarded"
"""Names the receivers that forwarded a request, the first one first, with commas between them."""

MOST_HOPS: Final = 8
"""A request that was forwarded more often goes no further."""

_NAME: Final = re.compile(r"[0-9a-z!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_MARK: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""A receiver's name. Anybody may send the header: what is none is passed on to nobody."""

_OF_THE_TRANSPORT: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        FORWARDED_HEADER,
    }
)


def check_header(name: str, value: str) -> str | None:
    """Return what keeps a header from being sent; None: nothing does.

    >>> check_header("api-key", "secret")
    >>> check_header("content-length", "7")
    'belongs to the transport'
    """
    if not _NAME.fullmatch(name) or name.startswith("grpc-") or name.endswith("-bin"):
        return "has a name that cannot be sent over both HTTP and gRPC"
    if name in _OF_THE_TRANSPORT:
        return "belongs to the transport"
    if not _VALUE.fullmatch(value):
        return "has a value that is not printable ASCII"
    return None


def forwarded_by(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the names of the receivers that forwarded a request; what is no name is left out.

    >>> forwarded_by((("x-otlp-capture-forwarded", "a1, b2"),))
    ('a1', 'b2')
    """
    values = (value for name, value in headers if name.lower() == FORWARDED_HEADER)
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(name for name in names if _MARK.fullmatch(name))


def passed_on(kept: Headers, hops: Iterable[str]) -> Headers:
    """Return what a forwarded request says: what was kept of the client's headers, and the mark.

    Args:
        kept: those of the client's headers that may be kept. What a transport says by itself, and
            what cannot be sent, is left out.
        hops: the receivers on its way, this one included.
    """
    named = ((name.lower(), value) for name, value in kept)
    passed = tuple(header for header in named if check_header(*header) is None)
    return (*passed, (FORWARDED_HEADER, ",".join(hops)))
