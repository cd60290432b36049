"""Which of a request's headers are kept with it, and which never are."""

import re
from collections.abc import Iterable
from typing import Final

from otlp_capture.capture import InvalidConfig
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import Headers

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""A token. Source: RFC 9110, 5.6.2."""

_CREDENTIALS: Final = re.compile(
    r"authoriz|authentic|cookie|token|secret|passw|credential|signature|bearer|jwt"
    r"|(^|[-_.])(auth|dsn|pwd)([-_.]|$)"
    r"|(api|access|auth|licen[cs]e|ingest|ingestion|subscription|write|private)[-_.]?key"
    r"|^key$|^x-honeycomb-team$"
)


def check_kept_headers(names: Iterable[str]) -> Outcome[tuple[str, ...], InvalidConfig]:
    """Return *names* in lower case, each once, if they may be kept.

    Fails with:
        InvalidConfig: one is no header's name, or the name of one that carries credentials.
    """
    kept = dict[str, None]()
    for name in names:
        if not _NAME.fullmatch(name):
            return Failure(InvalidConfig("keep_headers", name, "it is the name of a header"))
        if _CREDENTIALS.search(name.lower()):
            allowed = (
                "a header that carries credentials is never stored; name one that only tells "
                "where a request belongs, such as x-tenant"
            )
            return Failure(InvalidConfig("keep_headers", name, allowed))
        kept[name.lower()] = None
    return Success(tuple(kept))


def kept_headers(came: Iterable[tuple[str, str]], names: frozenset[str]) -> Headers:
    """Return what is to be kept of the headers that *came*, in their order.

    Args:
        came: names, in any case, and values.
        names: which are kept, in lower case.
    """
    if not names:
        return ()
    return tuple((name.lower(), value) for name, value in came if name.lower() in names)
