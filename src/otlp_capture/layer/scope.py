"""What a runtime must release, and how it is released."""

import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Final, TypeVar

import anyio

_logger = logging.getLogger(__name__)

T = TypeVar("T")

DEFERRED_DEADLINE_S: Final = 10.0
"""How long an asynchronous callback given to `Scope.defer` may take, in seconds."""


class Scope:
    """Where an acquire function registers what must be released.

    What was registered last is released first, on success, `Failure`, exception and cancellation
    alike, and what one release raises keeps no other from running.

    - A context manager takes part as an `async with` around the rest of the runtime would: it
      sees the exception in flight, and may replace or suppress it.
    - A deferred callback cannot. What it raises is logged and added as a note to the exception in
      flight, a cancellation included, which goes on; with none in flight, all that callbacks
      raise leaves together as one `ExceptionGroup`.

    A task group must be entered by the task that opens the runtime, that is, while acquiring.
    """

    def __init__(self) -> None:
        self._stack: AsyncExitStack[bool | None] = AsyncExitStack()
        self._is_closed = False
        self._failures: list[Exception] = []
        self._raised: ExceptionGroup[Exception] | None = None

    async def enter(
        self, manager: AbstractAsyncContextManager[T, Any] | AbstractContextManager[T, Any]
    ) -> T:
        """Enter *manager*, leave it when the runtime closes, and return what it yields.

        It is left without a shield, because a shield around the exit of a task group breaks it:
        a manager whose cleanup must finish under cancellation shields it inside. A manager that
        is both asynchronous and synchronous is entered asynchronously.

        Raises:
            RuntimeError: the scope is closed. A manager that was being entered while the scope
                closed has been left again.
        """
        self._refuse_if_closed()
        if not isinstance(manager, AbstractAsyncContextManager):
            return self._stack.enter_context(manager)
        value = await manager.__aenter__()
        if self._is_closed:
            await manager.__aexit__(None, None, None)
        self._refuse_if_closed()
        self._stack.push_async_exit(manager)
        return value

    def defer(
        self, callback: Callable[[], object], *, deadline_s: float = DEFERRED_DEADLINE_S
    ) -> None:
        """Call *callback* when the runtime closes, and await what it returns where it can be.

        An asynchronous callback is shielded from cancellation for *deadline_s* seconds, counted
        for each callback by itself. One that takes longer is cancelled, and has then failed with
        a `TimeoutError`.

        Raises:
            RuntimeError: the scope is closed.
        """
        self._refuse_if_closed()

        async def release(
            _kind: type[BaseException] | None,
            in_flight: BaseException | None,
            _traceback: TracebackType | None,
        ) -> None:
            try:
                await _call(callback, deadline_s)
            except Exception as error:  # noqa: BLE001 - it is raised in a group, or noted and logged
                self._raise_or_note(error, in_flight)

        self._stack.push_async_exit(release)

    def _raise_or_note(self, error: Exception, in_flight: BaseException | None) -> None:
        if in_flight is None:
            self._failures.clear()
        elif in_flight is not self._raised:
            in_flight.add_note(f"A deferred callback failed too: {error!r}")
            _logger.error("a deferred callback failed under another exception", exc_info=error)
            return
        self._failures.append(error)
        self._raised = ExceptionGroup("deferred callbacks failed", self._failures)
        raise self._raised from None

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            msg = (
                "The scope is closed: its runtime has ended, or is ending. Register what must be "
                "released while the runtime is open, best inside the acquire function."
            )
            raise RuntimeError(msg)


async def _call(callback: Callable[[], object], deadline_s: float) -> None:
    result = callback()
    if not inspect.isawaitable(result):
        return
    with anyio.move_on_after(deadline_s, shield=True) as shield:
        await result
    if shield.cancelled_caught:
        msg = (
            f"The deferred callback {getattr(callback, '__qualname__', callback)!r} did not finish "
            f"within {deadline_s} s. Bound what it waits for, or give it longer: "
            "scope.defer(callback, deadline_s=...)."
        )
        raise TimeoutError(msg)


class Lifetime(Scope):
    """A scope together with its end, which the runtime keeps to itself.

    Attributes:
        suppressed: the exception that ended the block and that a context manager suppressed.
    """

    suppressed: BaseException | None = None

    async def __aenter__(self) -> Scope:
        """Hand out the scope."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Close the scope and release everything that was registered."""
        self._is_closed = True
        is_suppressed = bool(await self._stack.__aexit__(kind, error, traceback))
        self.suppressed = error if is_suppressed else None
        return is_suppressed
