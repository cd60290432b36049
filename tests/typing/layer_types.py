"""What mypy must see in `otlp_capture.layer`; running this module proves nothing."""

from typing import Any, Never, Protocol, assert_never, assert_type

from otlp_capture.layer import (
    Layer,
    Miswired,
    Plan,
    Scope,
    Tag,
    merge,
    open_runtime,
    plan,
    provide,
    scoped,
    stub,
    succeed,
    wire,
)
from otlp_capture.result import Failure, Outcome, Success


class Clock(Protocol):
    def now(self) -> int: ...


class Store(Protocol):
    def get(self, key: str) -> bytes: ...


class Wall:
    def now(self) -> int:
        return 0


class Disk:
    def get(self, key: str) -> bytes:
        return key.encode()


class NoDisk: ...


class NoTime: ...


class Full: ...


ClockTag = Tag[Clock]("Clock")
StoreTag = Tag[Store]("Store")
TextTag = Tag[str]("Text")


async def open_clock(_: Scope) -> Outcome[Clock, NoTime]:
    return Success(Wall())


async def open_disk(_: Scope, clock: Clock) -> Outcome[Disk, NoDisk | Full]:
    return Success(Disk()) if clock.now() else Failure(NoDisk())


async def write(_: Scope, store: Store, clock: Clock) -> Success[str]:
    return Success(f"{store.get('')!r} {clock.now()}")


async def six(
    _: Scope, a: Clock, b: Store, c: str, d: Clock, e: Store, f: str
) -> Outcome[str, Full]:
    return Success(f"{a}{b}{c}{d}{e}{f}")


wall = succeed(ClockTag, Wall())
clock = scoped(ClockTag, open_clock)
disk = scoped(StoreTag, open_disk, ClockTag)
text = scoped(TextTag, write, StoreTag, ClockTag)

assert_type(wall, Layer[Never])
assert_type(clock, Layer[NoTime])
assert_type(disk, Layer[NoDisk | Full])
assert_type(text, Layer[Never])
assert_type(
    scoped(TextTag, six, ClockTag, StoreTag, TextTag, ClockTag, StoreTag, TextTag), Layer[Full]
)

assert_type(merge(), Layer[Never])
assert_type(merge(wall, text), Layer[Never])
assert_type(merge(clock, disk), Layer[NoTime | NoDisk | Full])
assert_type(merge(wall, clock), Layer[NoTime])
assert_type(wire(wall, text), Layer[Never])
assert_type(wire(text, disk, clock), Layer[NoDisk | Full | NoTime])
assert_type(
    wire(clock, wall, wall, wall, wall, wall, text, disk),
    Layer[NoTime | NoDisk | Full],
)
assert_type(provide(disk, clock), Layer[NoDisk | Full | NoTime])
assert_type(provide(text, wall), Layer[Never])

wider: Layer[NoTime | Full] = clock
many: Layer[NoTime] = wire(*[clock, clock])

assert_type(plan(disk, StoreTag), Success[Plan] | Failure[Miswired])


async def main() -> str:
    async with open_runtime(wall, ClockTag) as one:
        assert_type(one, Success[tuple[Clock]] | Failure[Miswired])
    async with open_runtime(disk, StoreTag, ClockTag) as two:
        assert_type(two, Success[tuple[Store, Clock]] | Failure[NoDisk | Full | Miswired])
    async with open_runtime(clock, TextTag, StoreTag, ClockTag, TextTag, TextTag) as five:
        assert_type(five, Success[tuple[str, Store, Clock, str, str]] | Failure[NoTime | Miswired])
    async with open_runtime(clock, TextTag, TextTag, TextTag, TextTag, TextTag, TextTag) as six:
        assert_type(six, Success[tuple[Any, ...]] | Failure[NoTime | Miswired])
    async with open_runtime(disk, StoreTag) as opened:
        match opened:
            case Success((store,)):
                assert_type(store, Store)
                return str(store.get("key"))
            case Failure(error):
                assert_type(error, NoDisk | Full | Miswired)
                return error.message if isinstance(error, Miswired) else "no disk"
            case _:
                assert_never(opened)


async def on_the_scope(scope: Scope) -> None:
    from contextlib import nullcontext  # noqa: PLC0415 - part of the case

    assert_type(await scope.enter(nullcontext(3)), int)
    scope.defer(print)


assert_type(stub(Clock), Clock)
assert_type(stub(ClockTag, now=lambda: 1), Clock)
