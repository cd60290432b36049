"""Refusals of strangers and of crowds, as the log tells them: now and then."""

import asyncio
import logging
from collections import Counter
from typing import Any, Final

_log = logging.getLogger(__name__)

QUIET_S: Final = 60.0
UNKNOWN_ADDRESS: Final = "an unknown address"


class EarlyRefusals:
    """Says in the log that strangers or too many come, however often they do.

    The first refusal is told at once, then all that follow in a minute are told together. Nothing
    that came over the wire is told: only what was refused for which reason, and to which address.
    """

    def __init__(self) -> None:
        self._untold = Counter[str]()
        self._address = ""
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, reason: str, address: str) -> None:
        """Tell of one now, or in a while."""
        self._untold[reason] += 1
        self._address = address
        if self._timer is None:
            self._tell()

    def end(self) -> None:
        """Tell what is left."""
        if self._timer is not None:
            self._timer.cancel()
        if self._untold:
            self._tell()
        self._timer = None

    def _tell(self) -> None:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self._untold.items()))
        _log.warning("Refused: %s; the last from %s", reasons, self._address)
        self._untold.clear()
        self._timer = asyncio.get_running_loop().call_later(QUIET_S, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        if self._untold:
            self._tell()


def address_of(peername: Any) -> str:
    """Return the address of what asyncio calls `peername`, without the port.

    >>> address_of(("192.0.2.7", 40312))
    '192.0.2.7'
    """
    match peername:
        case (str() as host, int(), *_):
            return host
        case _:
            return UNKNOWN_ADDRESS
