"""A gRPC server that is begun again where a client has ended it.

gRPC reads the name of a method as UTF-8 before it looks for who serves it, and a name that is none
ends its server, whoever sends it. Source: grpcio, src/python/grpcio/grpc/_cython/_cygrpc/aio.
"""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Callable
from typing import Any, Final

_log = logging.getLogger(__name__)

_LOOKS_AFTER_S: Final = 0.1
_PATIENCE_S: Final = 5.0
_LOGGERS: Final = ("grpc._cython.cygrpc", "asyncio")
_SAYS_WHAT_CAME: Final = "Invalid encoding"
_OF_GRPC: Final = "_cygrpc"

PATH_UNREADABLE: Final = "PathUnreadable"
"""Under which a call is counted whose method has a name that is no UTF-8."""


class Tended:
    """A server that runs, whatever clients send.

    Args:
        server: one that has started.
        open_again: opens another at the same address, which starts when that is free.
        ended: told of each time that a client has ended the server.
    """

    def __init__(
        self, server: Any, open_again: Callable[[], Any], ended: Callable[[], object]
    ) -> None:
        self._server, self._open_again, self._ended = server, open_again, ended
        self._tending = asyncio.create_task(self._tend())
        self._has_told = False

    async def leave(self) -> Any:
        """Let the server be, and return it."""
        self._tending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._tending
        return self._server

    async def _tend(self) -> None:
        while True:
            try:
                await self._server.wait_for_termination(_LOOKS_AFTER_S)
            except Exception as error:  # noqa: BLE001 - whatever ended gRPC's loop
                self._ended()
                await self._begin_again(type(error).__name__)

    async def _begin_again(self, reason: str) -> None:
        if not self._has_told:
            _log.error("gRPC ended its server over a request (%s); it is begun again", reason)
            self._has_told = True
        await self._server.stop(0)
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                self._server = self._open_again()
            except RuntimeError:
                if asyncio.get_running_loop().time() > deadline:
                    _log.exception("The address of the gRPC server is not to be had any more")
                    deadline += _PATIENCE_S
                await asyncio.sleep(_LOOKS_AFTER_S)
            else:
                await self._server.start()
                return


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(_SAYS_WHAT_CAME):
            return False
        # That a path could not be read gRPC says itself, and asyncio of gRPC's task.
        error = record.exc_info[1] if record.exc_info else None
        is_unread = isinstance(record.msg, UnicodeDecodeError)
        return not is_unread and not (isinstance(error, UnicodeDecodeError) and _is_of_grpc(error))


def _is_of_grpc(error: BaseException) -> bool:
    """Tell whether an error was raised in gRPC's own code."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and _OF_GRPC in frames[-1].f_code.co_filename


def keep_quiet_about_what_clients_send() -> None:
    """Keep metadata and paths that gRPC cannot read out of the log: they may be credentials."""
    for logger in map(logging.getLogger, _LOGGERS):
        if not any(isinstance(each, _Quiet) for each in logger.filters):
            logger.addFilter(_Quiet())
