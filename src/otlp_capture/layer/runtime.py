"""Acquires what a plan says, hands the services out, and releases them."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar, overload

from otlp_capture.layer.composition import Layer, Tag
from otlp_capture.layer.planning import Plan, plan
from otlp_capture.layer.problems import Miswired
from otlp_capture.layer.scope import Lifetime, Scope
from otlp_capture.result import Failure, Outcome, Success

S1 = TypeVar("S1")
S2 = TypeVar("S2")
S3 = TypeVar("S3")
S4 = TypeVar("S4")
S5 = TypeVar("S5")
E = TypeVar("E")


@overload
def open_runtime(
    layer: Layer[E], tag1: Tag[S1], /
) -> AbstractAsyncContextManager[Outcome[tuple[S1], E | Miswired]]: ...
@overload
def open_runtime(
    layer: Layer[E], tag1: Tag[S1], tag2: Tag[S2], /
) -> AbstractAsyncContextManager[Outcome[tuple[S1, S2], E | Miswired]]: ...
@overload
def open_runtime(
    layer: Layer[E], tag1: Tag[S1], tag2: Tag[S2], tag3: Tag[S3], /
) -> AbstractAsyncContextManager[Outcome[tuple[S1, S2, S3], E | Miswired]]: ...
@overload
def open_runtime(
    layer: Layer[E], tag1: Tag[S1], tag2: Tag[S2], tag3: Tag[S3], tag4: Tag[S4], /
) -> AbstractAsyncContextManager[Outcome[tuple[S1, S2, S3, S4], E | Miswired]]: ...
@overload
def open_runtime(
    layer: Layer[E], tag1: Tag[S1], tag2: Tag[S2], tag3: Tag[S3], tag4: Tag[S4], tag5: Tag[S5], /
) -> AbstractAsyncContextManager[Outcome[tuple[S1, S2, S3, S4, S5], E | Miswired]]: ...
@overload
def open_runtime(
    layer: Layer[E], /, *tags: Tag[Any]
) -> AbstractAsyncContextManager[Outcome[tuple[Any, ...], E | Miswired]]: ...
def open_runtime(
    layer: Layer[Any], /, *tags: Tag[Any]
) -> AbstractAsyncContextManager[Outcome[tuple[Any, ...], Any]]:
    """Acquire the services of *tags* and all they need, and release them at the end.

    Yields `Success` of the services in the order of *tags*. Acquires one after the other, in the
    task that enters; releases in the exact reverse. A `Failure` is handed out only after all that
    was acquired before it has been released. Two runtimes of one layer share nothing.

    Fails with:
        Miswired: nothing was acquired, see `plan`.
        E: whatever an acquire function failed with, unchanged.

    Raises:
        RuntimeError: acquiring ended in an exception or a cancellation that a context manager on
            the scope suppressed: there are no services, and it is no `Failure` either.
    """
    return _runtime(layer, tags)


@asynccontextmanager
async def _runtime(
    layer: Layer[Any], tags: tuple[Tag[Any], ...]
) -> AsyncGenerator[Outcome[tuple[Any, ...], Any], None]:
    planned = plan(layer, *tags)
    if isinstance(planned, Failure):
        yield planned
        return
    opened: Outcome[tuple[Any, ...], Any] | None = None
    lifetime = Lifetime()
    try:
        async with lifetime as scope:
            opened = await _acquire(planned.unwrap(), scope)
            if isinstance(opened, Success):
                yield opened
    except BaseException as error:
        if isinstance(opened, Failure):
            error.add_note(f"Raised by the release that followed {opened}.")
        raise
    if opened is None:
        msg = (
            "A context manager on the scope suppressed what ended the acquisition, so there are "
            "no services. Let it pass, or handle it inside the acquire function."
        )
        raise RuntimeError(msg) from lifetime.suppressed
    if isinstance(opened, Failure):
        yield opened


async def _acquire(planned: Plan, scope: Scope) -> Outcome[tuple[Any, ...], Any]:
    services: list[Any] = []
    for step in planned.acquisitions:
        acquired: Outcome[Any, Any] | None = await step.leaf.acquire(
            scope, *(services[index] for index in step.dependencies)
        )
        match acquired:
            case Success(service):
                services.append(service)
            case Failure():
                return acquired
            case _:
                msg = f"{step.leaf!r} returned {acquired!r}, neither Success(...) nor Failure(...)."
                raise TypeError(msg)
    return Success(tuple(services[index] for index in planned.services))
