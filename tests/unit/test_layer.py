"""Single behaviours of `otlp_capture.layer`; its laws are in tests/laws."""

import functools
import logging
import math
from collections.abc import AsyncGenerator, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, Generic, Protocol, Self, TypeVar

import anyio
import anyio.lowlevel
import pytest
from attrs.exceptions import FrozenAttributeError

import otlp_capture.layer
from otlp_capture.layer import (
    DEFERRED_DEADLINE_S,
    Acquisition,
    Cycle,
    Duplicate,
    Layer,
    Missing,
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

A = Tag[str]("test.A")
B = Tag[str]("test.B")
C = Tag[str]("test.C")

CLOSED = (
    "The scope is closed: its runtime has ended, or is ending. Register what must be released "
    "while the runtime is open, best inside the acquire function."
)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def join(_: Scope, *parts: str) -> Outcome[str, OSError]:
    return Success("+".join(parts))


class TestTag:
    def test_is_equal_by_its_key_alone_and_hashable(self) -> None:
        number, text, other = Tag[Any]("x"), Tag[Any]("x"), Tag[int]("y")
        assert number == text
        assert number != other
        assert {number, text, other} == {text, other}

    def test_shows_its_key(self) -> None:
        assert repr(A) == "Tag(key='test.A')"

    def test_is_frozen(self) -> None:
        with pytest.raises(FrozenAttributeError):
            A.key = "test.B"


class TestLayer:
    def test_shows_how_it_was_made(self) -> None:
        partial = scoped(C, functools.partial(join))
        leaf = scoped(A, join, B)
        assert repr(leaf) == "scoped('test.A', join)"
        assert repr(partial).startswith("scoped('test.C', functools.partial(<function join")
        assert repr(succeed(B, "b")) == "succeed('test.B', str)"
        assert (
            repr(wire(provide(leaf, succeed(B, "b")), succeed(C, "c"), leaf))
            == "wire(merge(provide(scoped('test.A', join), succeed('test.B', str)), "
            "scoped('test.A', join), succeed('test.C', str)))"
        )

    def test_must_be_a_layer(self) -> None:
        not_a_layer: Any = A
        with pytest.raises(TypeError, match=r"Tag\(key='test.A'\) is not a layer: make one with"):
            plan(wire(not_a_layer), A)


class TestPlan:
    def test_lists_what_is_acquired_in_the_order_of_need(self) -> None:
        a: Any = scoped(A, join, C, B)
        b: Any = scoped(B, join)
        c: Any = succeed(C, "c")
        steps = (Acquisition(c, ()), Acquisition(b, ()), Acquisition(a, (0, 1)))
        assert plan(wire(a, b, c), A, C, A) == Success(Plan(steps, (2, 0, 2)))

    def test_of_nothing_is_empty(self) -> None:
        assert plan(merge()) == Success(Plan((), ()))

    def test_merge_feeds_no_layer_from_another(self) -> None:
        assert plan(merge(scoped(A, join, B), succeed(B, "b")), A, B) == Failure(
            Miswired((Missing(B, (A,)),))
        )

    def test_neither_checks_nor_acquires_what_is_not_reached(self) -> None:
        unreached = scoped(A, join, Tag[str]("test.Nowhere"))
        assert len(plan(wire(unreached, succeed(B, "b")), B).unwrap().acquisitions) == 1

    def test_handles_long_chains(self) -> None:
        size = 3000
        tags = [Tag[str](f"test.{number}") for number in range(size)]
        links: list[Layer[OSError]] = [
            scoped(tags[number], join, tags[number + 1]) for number in range(size - 1)
        ]
        planned = plan(wire(*links, succeed(tags[-1], "end")), tags[0])
        assert planned.unwrap().services == (size - 1,)

    def test_shares_layers_that_are_used_again_and_again(self) -> None:
        layer: Layer[Any] = succeed(A, "a")
        for _ in range(60):
            layer = merge(provide(scoped(A, join, A), layer), provide(scoped(B, join, A), layer))
        assert len(plan(layer, A, B).unwrap().acquisitions) == 62

    def test_says_all_that_is_missing_doubled_and_circular_and_how_to_mend_it(self) -> None:
        x, y = Tag[str]("test.X"), Tag[str]("test.Y")
        layer = wire(
            scoped(A, join, C),
            scoped(B, join, C),
            scoped(x, join, y),
            scoped(y, join, x),
            scoped(y, join),
        )
        failure = plan(layer, A, B, x, Tag("test.Z")).failure()
        assert failure == Miswired(
            (
                Duplicate(y, ("scoped('test.Y', join)",) * 2),
                Cycle(((x, y), (y, x))),
                Missing(C, (A, B)),
                Missing(Tag("test.Z"), ()),
            )
        )
        assert not failure.retryable
        assert failure.message == (
            "The layer is miswired.\n"
            "- 'test.Y' is provided 2 times, by scoped('test.Y', join), scoped('test.Y', join): "
            "keep one, or feed each to its own layer with provide(layer, dependencies_layer).\n"
            "- A circle of dependencies: 'test.X' needs 'test.Y', 'test.Y' needs 'test.X'. Move "
            "what they share into a service of its own, or feed one of them from outside with "
            "provide(layer, dependencies_layer).\n"
            "- Nothing provides 'test.C', needed by 'test.A', 'test.B': add a layer of it to "
            "wire(...), or provide(layer, dependencies_layer) with it. merge(...) feeds no layer "
            "from another.\n"
            "- Nothing provides 'test.Z', which was asked for: add a layer of it to wire(...), or "
            "provide(layer, dependencies_layer) with it. merge(...) feeds no layer from another."
        )

    def test_one_leaf_fed_in_two_ways_is_a_duplicate_where_both_are_seen(self) -> None:
        leaf = scoped(A, join, B)
        both = merge(provide(leaf, succeed(B, "one")), provide(leaf, succeed(B, "two")))
        assert plan(both, A) == Failure(Miswired((Duplicate(A, ("scoped('test.A', join)",) * 2),)))


@pytest.mark.anyio
class TestOpenRuntime:
    async def test_hands_out_the_services_in_the_order_of_the_tags(self) -> None:
        layer = wire(scoped(A, join, B, C), succeed(B, "b"), succeed(C, "c"))
        async with open_runtime(layer, C, A) as opened:
            assert opened == Success(("c", "b+c"))

    async def test_a_layer_may_wrap_a_service_of_its_own_tag(self) -> None:
        layer = provide(scoped(A, join, A, A), succeed(A, "a"))
        async with open_runtime(layer, A) as opened:
            assert opened == Success(("a+a",))

    async def test_a_miswired_layer_is_a_failure(self) -> None:
        async with open_runtime(merge(), A) as opened:
            assert opened == Failure(Miswired((Missing(A, ()),)))

    async def test_an_acquire_function_must_return_an_outcome(self) -> None:
        async def forgets(_: Scope) -> Any:
            await anyio.lowlevel.checkpoint()

        with pytest.raises(TypeError, match=r"forgets.* returned None, neither Success"):
            async with open_runtime(scoped(A, forgets), A):
                pytest.fail("there is no service")

    async def test_a_release_that_raises_after_a_failure_names_the_failure(self) -> None:
        async def acquire(scope: Scope) -> Failure[str]:
            scope.defer(breaking("release"))
            return Failure("no luck")

        with pytest.raises(ExceptionGroup) as caught:
            async with open_runtime(scoped(A, acquire), A):
                pytest.fail("there is no service")
        assert caught.value.__notes__ == ["Raised by the release that followed <Failure: no luck>."]


def breaking(what: str) -> Any:
    def callback() -> None:
        raise ValueError(what)

    return callback


def throw(error: Exception) -> None:
    raise error


def holding(*managers: Any, callbacks: tuple[Any, ...] = ()) -> Layer[Any]:
    """A layer that enters *managers*, then defers *callbacks*."""

    async def acquire(scope: Scope) -> Success[str]:
        for manager in managers:
            await scope.enter(manager)
        for callback in callbacks:
            scope.defer(callback)
        return Success("held")

    return scoped(A, acquire)


@pytest.mark.anyio
class TestDefer:
    def test_gives_ten_seconds(self) -> None:
        assert DEFERRED_DEADLINE_S == 10.0

    async def test_awaits_any_awaitable_and_calls_the_rest(self) -> None:
        called: list[str] = []

        class Awaitable:
            def __await__(self) -> Generator[Any, Any, None]:
                yield from anyio.lowlevel.checkpoint().__await__()
                called.append("awaited")

        callbacks = (Awaitable, lambda: called.append("called"))
        async with open_runtime(holding(callbacks=callbacks), A):
            assert called == []
        assert called == ["called", "awaited"]

    async def test_a_callback_past_its_deadline_is_cancelled_and_the_others_run(self) -> None:
        called: list[str] = []

        async def hangs() -> None:
            await anyio.sleep(math.inf)

        async def acquire(scope: Scope) -> Success[str]:
            scope.defer(lambda: called.append("first"))
            scope.defer(hangs, deadline_s=0.01)
            return Success("held")

        with pytest.raises(ExceptionGroup) as caught:
            async with open_runtime(scoped(A, acquire), A):
                pass
        (error,) = caught.value.exceptions
        assert isinstance(error, TimeoutError)
        assert str(error) == (
            f"The deferred callback {hangs.__qualname__!r} did not finish within 0.01 s. Bound "
            "what it waits for, or give it longer: scope.defer(callback, deadline_s=...)."
        )
        assert called == ["first"]

    async def test_the_exception_of_the_body_passes_with_the_others_noted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        error = KeyError("body")
        with pytest.raises(KeyError) as caught, caplog.at_level(logging.ERROR):
            async with open_runtime(holding(callbacks=(breaking("one"), breaking("two"))), A):
                raise error
        assert caught.value is error
        assert error.__notes__ == [
            "A deferred callback failed too: ValueError('two')",
            "A deferred callback failed too: ValueError('one')",
        ]
        assert [record.message for record in caplog.records] == [
            "a deferred callback failed under another exception"
        ] * 2

    async def test_a_cancellation_passes_with_the_failure_of_a_callback_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with anyio.CancelScope() as cancelling:
            async with open_runtime(holding(callbacks=(breaking("one"),)), A):
                cancelling.cancel()
                await anyio.sleep(math.inf)
        assert cancelling.cancelled_caught
        assert len(caplog.records) == 1

    async def test_failures_of_an_inner_runtime_are_an_exception_of_the_body(self) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with (
                open_runtime(holding(callbacks=(breaking("outer"),)), A),
                open_runtime(holding(callbacks=(breaking("inner"),)), A),
            ):
                pass
        assert [str(error) for error in caught.value.exceptions] == ["inner"]
        assert caught.value.__notes__ == ["A deferred callback failed too: ValueError('outer')"]

    async def test_a_callback_that_exits_the_interpreter_is_not_held_back(self) -> None:
        def leaves() -> None:
            raise SystemExit(3)

        called: list[str] = []
        layer = holding(callbacks=(lambda: called.append("first"), leaves))
        with pytest.raises(SystemExit):
            async with open_runtime(layer, A):
                raise KeyError
        assert called == ["first"]


class Recorder(AbstractAsyncContextManager["Recorder"]):
    """Notes what it sees on exit; then raises, suppresses or passes."""

    def __init__(self, *, raises: Exception | None = None, suppresses: bool = False) -> None:
        self.saw: list[BaseException | None] = []
        self._raises = raises
        self._suppresses = suppresses

    async def __aexit__(self, _kind: object, error: BaseException | None, _tb: object) -> bool:
        self.saw.append(error)
        if self._raises:
            raise self._raises
        return self._suppresses


@pytest.mark.anyio
class TestEnter:
    async def test_returns_what_the_manager_yields(self) -> None:
        @contextmanager
        def synchronous() -> Generator[int, None, None]:
            yield 1

        @asynccontextmanager
        async def asynchronous() -> AsyncGenerator[int, None]:
            yield 2

        async def acquire(scope: Scope) -> Success[str]:
            return Success(f"{await scope.enter(synchronous())}{await scope.enter(asynchronous())}")

        async with open_runtime(scoped(A, acquire), A) as opened:
            assert opened == Success(("12",))

    async def test_prefers_the_asynchronous_side(self) -> None:
        class Both(Recorder, AbstractContextManager["Both"]):
            def __enter__(self) -> Self:
                raise TypeError

            def __exit__(self, *_: object) -> None:
                raise TypeError

        both = Both()
        async with open_runtime(holding(both), A):
            pass
        assert both.saw == [None]

    async def test_refuses_what_is_no_context_manager(self) -> None:
        with pytest.raises(TypeError, match="context manager protocol"):
            async with open_runtime(holding(3), A):
                pytest.fail("there is no service")

    async def test_managers_see_replace_and_chain_exceptions_as_nested_blocks_do(self) -> None:
        body, first, second = KeyError("body"), ValueError("first"), ValueError("second")
        outer, middle, inner = Recorder(), Recorder(raises=second), Recorder(raises=first)
        with pytest.raises(ValueError, match="second") as caught:
            async with open_runtime(holding(outer, middle, inner), A):
                raise body
        assert (inner.saw, middle.saw, outer.saw) == ([body], [first], [second])
        assert caught.value is second
        assert second.__context__ is first
        assert first.__context__ is body

    async def test_managers_see_what_callbacks_raise(self) -> None:
        recorder = Recorder()
        with pytest.raises(ExceptionGroup) as caught:
            async with open_runtime(holding(recorder, callbacks=(breaking("x"),)), A):
                pass
        assert recorder.saw == [caught.value]

    async def test_a_suppressed_failure_of_a_callback_is_not_raised_with_a_later_one(self) -> None:
        async def acquire(scope: Scope) -> Success[str]:
            scope.defer(breaking("later"))
            await scope.enter(Recorder(suppresses=True))
            scope.defer(breaking("suppressed"))
            return Success("held")

        with pytest.raises(ExceptionGroup) as caught:
            async with open_runtime(scoped(A, acquire), A):
                pass
        assert [str(error) for error in caught.value.exceptions] == ["later"]

    async def test_a_manager_may_suppress_the_exception_of_the_body(self) -> None:
        outer, inner, error = Recorder(), Recorder(suppresses=True), KeyError("body")
        async with open_runtime(holding(outer, inner), A):
            throw(error)
        assert (inner.saw, outer.saw) == ([error], [None])

    async def test_an_acquisition_that_a_manager_suppressed_is_an_error_with_its_cause(
        self,
    ) -> None:
        broken = KeyError("acquire")

        async def breaks(_: Scope, __: str) -> Success[str]:
            raise broken

        outer = Recorder()
        layer = wire(holding(outer, Recorder(suppresses=True)), scoped(B, breaks, A))
        with pytest.raises(RuntimeError, match="suppressed what ended the acquisition") as caught:
            async with open_runtime(layer, B):
                pytest.fail("there is no service")
        assert caught.value.__cause__ is broken
        assert outer.saw == [None]

    async def test_a_service_that_cancels_its_own_task_group_while_acquiring_gives_no_services(
        self,
    ) -> None:
        async def acquire(scope: Scope) -> Success[str]:
            tasks = await scope.enter(anyio.create_task_group())
            tasks.cancel_scope.cancel()
            await anyio.sleep(math.inf)
            return Success("never")

        with pytest.raises(RuntimeError, match="suppressed what ended the acquisition"):
            async with open_runtime(scoped(A, acquire), A):
                pytest.fail("there is no service")

    async def test_a_task_that_fails_ends_the_body_and_is_raised(self) -> None:
        async def fails() -> None:
            raise KeyError("background")

        async def acquire(scope: Scope) -> Success[Any]:
            return Success(await scope.enter(anyio.create_task_group()))

        tasks = Tag[anyio.abc.TaskGroup]("test.Tasks")

        async def body() -> None:
            async with open_runtime(scoped(tasks, acquire), tasks) as opened:
                opened.unwrap()[0].start_soon(fails)
                await anyio.sleep(math.inf)

        with pytest.raises(ExceptionGroup) as caught:
            await body()
        assert [repr(error) for error in caught.value.exceptions] == ["KeyError('background')"]

    async def test_a_manager_that_was_being_entered_while_the_scope_closed_is_left_again(
        self,
    ) -> None:
        entering, may_enter = anyio.Event(), anyio.Event()
        recorder = Recorder()

        class Slow(Recorder):
            async def __aenter__(self) -> Self:
                entering.set()
                await may_enter.wait()
                return self

            async def __aexit__(
                self, kind: object, error: BaseException | None, tb: object
            ) -> bool:
                return await recorder.__aexit__(kind, error, tb)

        async def acquire(scope: Scope) -> Success[Scope]:
            return Success(scope)

        refused: list[RuntimeError] = []

        async def register_late(scope: Scope) -> None:
            try:
                await scope.enter(Slow())
            except RuntimeError as error:
                refused.append(error)

        own = Tag[Scope]("test.Scope")
        async with anyio.create_task_group() as tasks:
            async with open_runtime(scoped(own, acquire), own) as opened:
                tasks.start_soon(register_late, opened.unwrap()[0])
                await entering.wait()
            may_enter.set()
        assert recorder.saw == [None]
        assert list(map(str, refused)) == [CLOSED]


T_co = TypeVar("T_co", covariant=True)


class Greeter(Protocol):
    name: str

    def greet(self) -> str: ...
    def __len__(self) -> int: ...


class Source(Protocol, Generic[T_co]):
    def read(self) -> T_co: ...


class TestStub:
    def test_has_the_members_that_were_given(self) -> None:
        greeter = stub(Greeter, name="Ada", greet=lambda: "hello", __len__=lambda: 3)
        assert (greeter.name, greeter.greet(), len(greeter)) == ("Ada", "hello", 3)

    def test_can_be_made_from_a_tag_that_names_its_protocol(self) -> None:
        assert stub(Tag[Greeter]("test.Greeter"), name="Ada").name == "Ada"
        assert stub(Tag[Source[int]]("test.Source"), read=lambda: 7).read() == 7

    def test_names_the_member_that_is_missing_when_it_is_accessed(self) -> None:
        greeter = stub(Greeter, name="Ada")
        with pytest.raises(
            AttributeError,
            match=r"This stub of Greeter lacks 'greet': stub\(..., greet=...\) gives it.",
        ):
            greeter.greet()

    def test_refuses_a_member_that_the_protocol_does_not_have(self) -> None:
        with pytest.raises(
            TypeError,
            match="Greeter has no 'bow', 'wave': its members are '__len__', 'greet', 'name'",
        ):
            stub(Greeter, wave=1, bow=2, name="Ada")

    @pytest.mark.parametrize("of", [A, Tag("test.Bare"), Tag["Greeter"]("test.Late"), int, 3])
    def test_refuses_what_names_no_protocol(self, of: Any) -> None:
        with pytest.raises(TypeError, match="names no Protocol: give the Protocol, or a tag made"):
            stub(of)


def test_the_surface_is_the_documented_one() -> None:
    assert sorted(otlp_capture.layer.__all__) == sorted(
        name
        for name, value in vars(otlp_capture.layer).items()
        if not name.startswith("_") and not hasattr(value, "__spec__")
    )
