"""The laws of `otlp_capture.layer`, over random graphs, on asyncio and on trio.

Random wirings are drawn as plain data (`Leaf`, `Feed`, `Side`, `Bag`), built into layers that log
what they do, and judged by an interpreter of that data that shares no idea with the planner.
Ten laws on one vocabulary make the module long.
"""

import math
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from itertools import chain
from typing import Any, Protocol

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskStatus
from attrs import evolve, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.layer import (
    Cycle,
    Duplicate,
    Layer,
    Missing,
    Miswired,
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

on_each_backend = pytest.mark.parametrize("backend", ["asyncio", "trio"])

Log = list[tuple[str, Any]]


def tag(key: str) -> Tag[Any]:
    return Tag[Any](key)


# ---------------------------------------------------------------- wirings as data, and as layers


@frozen
class Leaf:
    name: str
    key: str
    needs: tuple[str, ...] = ()


@frozen
class Side:
    """merge(*parts)"""

    parts: tuple[Any, ...]


@frozen
class Feed:
    """provide(fed, feeder)"""

    fed: Any
    feeder: Any


@frozen
class Bag:
    """wire(*parts)"""

    parts: tuple[Any, ...]


@asynccontextmanager
async def logging_manager(log: Log, service: object) -> AsyncGenerator[None, None]:
    log.append(("enter", service))
    try:
        yield
    finally:
        log.append(("exit", service))


@frozen
class Bench:
    """Builds layers whose leaves log what they do, each leaf once.

    A service is the nested tuple (name, *services it was given): two services are equal exactly
    when they were built by the same leaf in the same resolved environment.
    """

    log: Log = field(factory=list)
    ends: dict[str, Callable[[], Any]] = field(factory=dict)
    made: dict[Leaf, Layer[Any]] = field(factory=dict)
    manage: Callable[[Log, Any], AbstractAsyncContextManager[None]] = logging_manager

    def build(self, wiring: Any) -> Layer[Any]:
        match wiring:
            case Leaf():
                return self.made.setdefault(wiring, self.leaf(wiring))
            case Side(parts):
                return merge(*map(self.build, parts))
            case Feed(fed, feeder):
                return provide(self.build(fed), self.build(feeder))
            case _:
                return wire(*map(self.build, wiring.parts))

    def leaf(self, leaf: Leaf) -> Layer[Any]:
        async def acquire(scope: Scope, *dependencies: Any) -> Any:
            await anyio.lowlevel.checkpoint()
            service = (leaf.name, *dependencies)
            self.log.append(("acquire", service))
            await scope.enter(self.manage(self.log, service))
            scope.defer(lambda: self.log.append(("release", service)))
            if leaf.name in self.ends:
                outcome = self.ends[leaf.name]()
                return await outcome if hasattr(outcome, "__await__") else outcome
            return Success(service)

        make: Callable[..., Layer[Any]] = scoped
        return make(tag(leaf.key), acquire, *map(tag, leaf.needs))

    def logged(self, event: str) -> list[Any]:
        return [what for kind, what in self.log if kind == event]


# ---------------------------------------------------------------- what a wiring means


class Unsound(Exception):  # noqa: N818 - it says what the wiring is
    """The wiring has no meaning for what was asked."""


Seek = Callable[[str], Any]
Offers = dict[str, list[Callable[[], Any]]]


def nothing(key: str) -> Any:
    raise Unsound(key)


def looking(offers: Offers, otherwise: Seek) -> Seek:
    def seek(key: str) -> Any:
        if key not in offers:
            return otherwise(key)
        values = {make() for make in offers[key]}
        if len(values) > 1:
            raise Unsound(key)
        return values.pop()

    return seek


def meaning(wiring: Any, seek: Seek) -> Offers:
    """What *wiring* offers where dependencies are found by *seek*, as calls that make it."""
    match wiring:
        case Leaf(name, key, needs):
            return {key: [lambda: (name, *map(seek, needs))]}
        case Side(parts):
            return joined(meaning(part, seek) for part in parts)
        case Feed(fed, feeder):
            return meaning(fed, looking(meaning(feeder, seek), seek))
        case _:
            inside: Offers = {}
            offers = joined(meaning(part, looking(inside, seek)) for part in wiring.parts)
            inside.update(offers)
            return offers


def joined(offered: Iterator[Offers]) -> Offers:
    offers: Offers = {}
    for key, makers in chain.from_iterable(one.items() for one in offered):
        offers.setdefault(key, []).extend(makers)
    return offers


def services_within(service: tuple[Any, ...]) -> Iterator[Any]:
    yield service
    for part in service[1:]:
        yield from services_within(part)


# ---------------------------------------------------------------- strategies

KEYS = "abcd"
keys = st.sampled_from(KEYS)


@st.composite
def leaves(draw: st.DrawFn) -> Leaf:
    """Leaves of few keys and few names, so that the same leaf turns up in several places.

    Each needs later keys, and a few need any, so that circles are there but do not drown the rest.
    """
    key = draw(keys)
    later = KEYS[KEYS.index(key) + 1 :]
    needs = tuple(draw(st.lists(st.sampled_from(later), max_size=2, unique=True))) if later else ()
    if draw(st.sampled_from(range(8))) == 7:
        needs = (draw(keys),)
    return Leaf(f"{key}{''.join(needs)}", key, needs)


def combined(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(parts, min_size=2, max_size=5).map(tuple)
    return several.map(Side) | several.map(Bag) | st.builds(Feed, parts, parts)


FLOORS = tuple(Side(tuple(Leaf(f"{key}{floor}", key) for key in KEYS)) for floor in "01")
leaf_or_fed = leaves() | st.builds(Feed, leaves(), st.sampled_from(FLOORS))
nested = st.recursive(leaf_or_fed, combined, max_leaves=6)
open_wirings = nested | combined(nested) | combined(combined(leaf_or_fed))
wirings = open_wirings | st.builds(Feed, open_wirings, st.sampled_from(FLOORS))
asked = st.lists(keys, max_size=2).map(tuple)


@st.composite
def wirings_and_asked(draw: st.DrawFn) -> tuple[Any, tuple[str, ...]]:
    """A wiring, and mostly keys that it offers."""
    wiring = draw(wirings)
    if draw(st.sampled_from(range(8))) == 7:
        return wiring, draw(asked)
    offered = sorted(meaning(wiring, nothing))
    return wiring, tuple(draw(st.lists(st.sampled_from(offered), min_size=1, max_size=3)))


@st.composite
def towers(draw: st.DrawFn, storeys: int) -> Any:
    """Two leaves a storey, each on a tower of its own choice: much to share, much to split."""
    if not storeys:
        return Side(tuple(Leaf(f"{key}{draw(st.sampled_from('01'))}", key) for key in "xy"))
    return Side(
        tuple(
            Feed(Leaf(f"{key}{storeys}", key, ("x", "y")), draw(towers(storeys - 1)))
            for key in "xy"
        )
    )


@st.composite
def sound_graphs(draw: st.DrawFn, least: int = 1) -> tuple[Leaf, ...]:
    """Leaves of different keys, each needing only earlier ones, in any order."""
    size = draw(st.integers(least, 7))
    graph = [
        Leaf(f"n{i}", f"n{i}", tuple(f"n{j}" for j in draw(st.sets(st.integers(0, i - 1)))))
        if i
        else Leaf("n0", "n0")
        for i in range(size)
    ]
    return tuple(draw(st.permutations(graph)))


@st.composite
def any_graphs(draw: st.DrawFn) -> tuple[Leaf, ...]:
    """Flat leaves with whatever is missing, doubled or circular among them."""
    return tuple(
        Leaf(f"leaf{i}", draw(keys), tuple(draw(st.lists(keys, max_size=2, unique=True))))
        for i in range(draw(st.integers(0, 6)))
    )


def keys_of(graph: tuple[Leaf, ...]) -> tuple[str, ...]:
    return tuple(sorted(leaf.key for leaf in graph))


def run(backend: str, body: Callable[[], Any]) -> Any:
    return anyio.run(body, backend=backend)


async def opened_once(layer: Layer[Any], *asked_keys: str) -> Outcome[tuple[Any, ...], Any]:
    async with open_runtime(layer, *map(tag, asked_keys)) as opened:
        return opened
    raise AssertionError


# ---------------------------------------------------------------- 1


@on_each_backend
@given(case=wirings_and_asked() | st.tuples(st.integers(0, 3).flatmap(towers), st.just(("x", "y"))))
def test_1_each_leaf_is_acquired_once_per_distinct_resolved_environment(
    backend: str, case: tuple[Any, tuple[str, ...]]
) -> None:
    wiring, asked = case
    bench = Bench()
    opened = run(backend, lambda: opened_once(bench.build(wiring), *asked))
    try:
        seek = looking(meaning(wiring, nothing), nothing)
        expected = tuple(map(seek, asked))
    except (Unsound, RecursionError):
        assert isinstance(opened.failure(), Miswired)
        assert bench.log == []
        return
    assert opened == Success(expected)
    acquired = bench.logged("acquire")
    assert len(acquired) == len(set(acquired))
    assert set(acquired) == set(chain.from_iterable(map(services_within, expected)))


@on_each_backend
@given(width=st.integers(1, 6))
def test_1_a_diamond_shares_its_root_and_provide_splits_it(backend: str, width: int) -> None:
    user = [Leaf(f"u{i}", f"u{i}", ("root",)) for i in range(width)]
    root = Leaf("root", "root", ("base",))
    shared = Feed(Side(tuple(Feed(one, root) for one in user)), Leaf("base", "base"))
    split = Side(
        tuple(Feed(one, Feed(root, Leaf(f"base{i}", "base"))) for i, one in enumerate(user))
    )
    roots = []
    for wiring in (shared, split):
        bench = Bench()
        run(backend, lambda: opened_once(bench.build(wiring), *(one.key for one in user)))  # noqa: B023 - it runs here
        roots.append(sum(service[0] == "root" for service in bench.logged("acquire")))
    assert roots == [1, width]


# ---------------------------------------------------------------- 2 and 3


class Boom(Exception):  # noqa: N818 - a test's own
    """What a leaf or a body raises."""


def raise_boom() -> None:
    raise Boom


@contextmanager
def suppress_boom() -> Iterator[None]:
    try:
        yield
    except* Boom:
        pass


async def run_to_its_end(bench: Bench, graph: tuple[Leaf, ...], end: str, stop: str) -> object:
    """Open all of *graph* and end it by *end*, at the leaf *stop* where that is in a leaf."""
    with anyio.CancelScope() as cancelling:

        async def cancelled() -> None:
            cancelling.cancel()
            await anyio.sleep(math.inf)

        at_the_leaf = {
            "failure": lambda: Failure(stop),
            "exception in a leaf": raise_boom,
            "cancellation in a leaf": cancelled,
        }
        in_the_body: dict[str, Callable[[], Any]] = {
            "exception": raise_boom,
            "cancellation": cancelled,
        }
        if end in at_the_leaf:
            bench.ends[stop] = at_the_leaf[end]
        try:
            layer = bench.build(Bag(graph))
            async with open_runtime(layer, *map(tag, keys_of(graph))) as opened:
                bench.log.append(("body", opened))
                if end in in_the_body:
                    await (in_the_body[end]() or anyio.lowlevel.checkpoint())
        except Boom as error:
            return error
        return opened
    return "cancelled"


ends = st.sampled_from(
    [
        "success",
        "failure",
        "exception",
        "exception in a leaf",
        "cancellation",
        "cancellation in a leaf",
    ]
)


@on_each_backend
@given(graph=sound_graphs(), end=ends, data=st.data())
def test_2_dependencies_come_first_and_release_is_the_exact_reverse(
    backend: str, graph: tuple[Leaf, ...], end: str, data: st.DataObject
) -> None:
    bench = Bench()
    stop = data.draw(st.sampled_from(graph)).name
    result = run(backend, lambda: run_to_its_end(bench, graph, end, stop))

    acquired = bench.logged("acquire")
    for place, service in enumerate(acquired):
        assert set(service[1:]) <= set(acquired[:place])
    taken = [event for event in bench.log if event[0] in {"acquire", "enter"}]
    given_back = [event for event in bench.log if event[0] in {"release", "exit"}]
    assert taken == [
        event for service in acquired for event in (("acquire", service), ("enter", service))
    ]
    assert given_back == [
        event for service in acquired[::-1] for event in (("release", service), ("exit", service))
    ]
    expected = {"failure": Failure(stop), "cancellation": "cancelled"}
    expected["cancellation in a leaf"] = "cancelled"
    if end in expected:
        assert result == expected[end]
    elif end == "success":
        assert isinstance(result, Success)
    else:
        assert isinstance(result, Boom)
    if end.endswith(("leaf", "failure")):
        assert acquired[-1][0] == stop
    else:
        assert len(acquired) == len(graph)


@on_each_backend
@given(graph=sound_graphs(), data=st.data())
def test_3_a_failure_is_returned_unchanged_after_everything_was_released(
    backend: str, graph: tuple[Leaf, ...], data: st.DataObject
) -> None:
    bench = Bench()
    stop = data.draw(st.sampled_from(graph)).name
    failure = Failure(object())
    bench.ends[stop] = lambda: failure

    async def body() -> None:
        async with open_runtime(bench.build(Bag(graph)), *map(tag, keys_of(graph))) as opened:
            assert opened is failure
            bench.log.append(("body", opened))

    run(backend, body)
    assert bench.log[-1] == ("body", failure)
    assert bench.logged("release") == bench.logged("acquire")[::-1]


# ---------------------------------------------------------------- 4, 5, 6


def expected_problems(graph: tuple[Leaf, ...], asked: tuple[str, ...]) -> set[Any]:
    """The problems of a flat bag, from reachability by squaring a boolean matrix."""
    offering = {key: [leaf for leaf in graph if leaf.key == key] for key in KEYS}
    edges = {(one, other) for one in graph for key in one.needs for other in offering[key]}
    paths = set(edges)
    while grown := {(a, d) for a, b in paths for c, d in edges if b == c} - paths:
        paths |= grown
    starts = [leaf for key in asked for leaf in offering[key]]
    reached = {leaf for leaf in graph if leaf in starts or any((s, leaf) in paths for s in starts)}
    wanted = {(key, None) for key in asked} | {
        (key, leaf) for leaf in reached for key in leaf.needs
    }
    problems: set[Any] = set()
    for key in {key for key, _ in wanted}:
        if not offering[key]:
            needers = sorted({leaf.key for want, leaf in wanted if want == key and leaf})
            problems.add(Missing(tag(key), tuple(map(tag, needers))))
        if len(offering[key]) > 1:
            name = "Bench.leaf.<locals>.acquire"
            problems.add(Duplicate(tag(key), (f"scoped({key!r}, {name})",) * len(offering[key])))
    for leaf in reached:
        circle = {one for one in reached if {(leaf, one), (one, leaf)} <= paths}
        pairs = {(one.key, other.key) for one, other in edges if {one, other} <= circle}
        if pairs:
            problems.add(Cycle(tuple((tag(one), tag(other)) for one, other in sorted(pairs))))
    return problems


@on_each_backend
@given(graph=any_graphs(), asked=asked)
def test_4_miswired_means_no_acquisition_and_exactly_the_problems_that_are_there(
    backend: str, graph: tuple[Leaf, ...], asked: tuple[str, ...]
) -> None:
    bench = Bench()
    layer = bench.build(Bag(graph))
    problems = expected_problems(graph, asked)
    opened = run(backend, lambda: opened_once(layer, *asked))
    planned = plan(layer, *map(tag, asked))
    assert isinstance(opened, Failure) == isinstance(planned, Failure) == bool(problems)
    if problems:
        assert opened == planned
        assert set(opened.failure().problems) == problems
        assert len(opened.failure().problems) == len(problems)
        assert bench.log == []


@given(graph=sound_graphs(), data=st.data())
def test_5_two_leaves_of_one_tag_are_a_duplicate_and_the_same_leaf_twice_is_not(
    graph: tuple[Leaf, ...], data: st.DataObject
) -> None:
    bench = Bench()
    tags = [tag(key) for key in keys_of(graph)]
    doubled = data.draw(st.sampled_from(graph))
    rival = succeed(tag(doubled.key), doubled)
    once = bench.build(Bag(graph))
    assert plan(bench.build(Bag((*graph, doubled))), *tags) == plan(once, *tags)
    problems = plan(wire(*map(bench.build, graph), rival), *tags).failure().problems
    named = tuple(sorted([repr(bench.build(doubled)), repr(rival)]))
    assert problems == (Duplicate(tag(doubled.key), named),)


@on_each_backend
@given(graph=sound_graphs(), size=st.integers(1, 5))
def test_6_a_cycle_is_reported_and_nothing_runs(
    backend: str, graph: tuple[Leaf, ...], size: int
) -> None:
    circle = [Leaf(f"c{i}", f"c{i}", (f"c{(i + 1) % size}",)) for i in range(size)]
    entry = evolve(graph[0], needs=(*graph[0].needs, "c0"))
    bench = Bench()
    layer = bench.build(Bag((entry, *graph[1:], *circle)))
    opened = run(backend, lambda: opened_once(layer, *keys_of(graph)))
    around = sorted((one.key, one.needs[0]) for one in circle)
    assert opened == Failure(
        Miswired((Cycle(tuple((tag(one), tag(other)) for one, other in around)),))
    )
    assert bench.log == []


# ---------------------------------------------------------------- 7


@given(wiring=st.lists(wirings, max_size=4).map(tuple), asked=asked, data=st.data())
def test_7_wire_does_not_depend_on_order(
    wiring: tuple[Any, ...], asked: tuple[str, ...], data: st.DataObject
) -> None:
    bench = Bench()
    tags = tuple(map(tag, asked))
    one, other = Bag(wiring), Bag(tuple(data.draw(st.permutations(wiring))))
    assert plan(bench.build(one), *tags) == plan(bench.build(other), *tags)


@given(one=wirings, two=wirings, three=wirings, asked=asked)
def test_7_merge_is_associative_commutative_and_idempotent(
    one: Any, two: Any, three: Any, asked: tuple[str, ...]
) -> None:
    bench = Bench()
    a, b, c = map(bench.build, (one, two, three))
    tags = tuple(map(tag, asked))
    for left, right in [
        (merge(a, merge(b, c)), merge(merge(a, b), c)),
        (merge(a, b), merge(b, a)),
        (merge(a, a), a),
        (merge(a, merge()), a),
    ]:
        assert left == right
        assert plan(left, *tags) == plan(right, *tags)


# ---------------------------------------------------------------- 8


@given(fed=wirings, feeder=wirings, key=keys)
def test_8_provide_hides_what_it_used(fed: Any, feeder: Any, key: str) -> None:
    bench = Bench()
    offered = plan(provide(bench.build(fed), bench.build(feeder)), tag(key))
    if key not in meaning(fed, nothing):
        assert Missing(tag(key), ()) in offered.failure().problems


@on_each_backend
@given(graph=sound_graphs())
def test_8_two_runtimes_share_nothing(backend: str, graph: tuple[Leaf, ...]) -> None:
    bench = Bench()
    layer = bench.build(Bag(graph))
    tags = tuple(map(tag, keys_of(graph)))

    async def body() -> None:
        async with open_runtime(layer, *tags) as one, open_runtime(layer, *tags) as other:
            for mine, yours in zip(one.unwrap(), other.unwrap(), strict=True):
                assert mine == yours
                assert mine is not yours

    run(backend, body)
    acquired = bench.logged("acquire")
    half = len(graph)
    assert acquired[:half] == acquired[half:]
    assert bench.logged("release") == acquired[::-1]


# ---------------------------------------------------------------- 9 and 10


@on_each_backend
@given(breaks=st.lists(st.booleans(), min_size=1, max_size=6))
def test_9_a_raising_callback_does_not_skip_the_others_and_all_are_raised_together(
    backend: str, breaks: list[bool]
) -> None:
    called: list[int] = []

    async def acquire(scope: Scope) -> Success[int]:
        for number, is_broken in enumerate(breaks):

            async def release(number: int = number, is_broken: bool = is_broken) -> None:  # noqa: FBT001 - bound early
                await anyio.lowlevel.checkpoint()
                called.append(number)
                if is_broken:
                    raise Boom(number)

            scope.defer(release)
        return Success(0)

    raised: list[BaseException] = []

    async def body() -> None:
        try:
            await opened_once(scoped(tag("x"), acquire), "x")
        except* Boom as group:
            raised.extend(group.exceptions)

    run(backend, body)
    assert called == list(range(len(breaks)))[::-1]
    assert [error.args[0] for error in raised] == [n for n in called if breaks[n]]


@on_each_backend
@given(steps=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_9_a_deferred_callback_that_awaits_completes_under_cancellation(
    backend: str, steps: list[int]
) -> None:
    done: list[int] = []

    async def acquire(scope: Scope) -> Success[int]:
        for number, waits in enumerate(steps):

            async def release(number: int = number, waits: int = waits) -> None:
                for _ in range(waits):
                    await anyio.lowlevel.checkpoint()
                done.append(number)

            scope.defer(release)
        return Success(0)

    async def body() -> bool:
        with anyio.CancelScope() as cancelling:
            async with open_runtime(scoped(tag("x"), acquire), tag("x")):
                cancelling.cancel()
                await anyio.sleep(math.inf)
        return cancelling.cancelled_caught

    assert run(backend, body)
    assert done == list(range(len(steps)))[::-1]


@on_each_backend
@given(graph=sound_graphs(), end=ends, data=st.data())
def test_9_task_groups_on_the_scope_end_with_the_runtime_however_it_ends(
    backend: str, graph: tuple[Leaf, ...], end: str, data: st.DataObject
) -> None:
    running: set[str] = set()

    async def background(name: str, *, task_status: TaskStatus[None]) -> None:
        running.add(name)
        task_status.started()
        try:
            await anyio.sleep(math.inf)
        finally:
            running.remove(name)

    @asynccontextmanager
    async def manage(_: Log, service: Any) -> AsyncGenerator[None, None]:
        async with anyio.create_task_group() as tasks:
            await tasks.start(background, service[0])
            yield
            tasks.cancel_scope.cancel()

    bench = Bench(manage=manage)
    stop = data.draw(st.sampled_from(graph)).name

    async def body() -> None:
        with suppress_boom():
            await run_to_its_end(bench, graph, end, stop)

    run(backend, body)
    assert running == set()
    assert bench.logged("release") == bench.logged("acquire")[::-1]


@on_each_backend
@given(graph=sound_graphs(), end=ends, data=st.data())
def test_10_a_closed_scope_refuses_registration(
    backend: str, graph: tuple[Leaf, ...], end: str, data: st.DataObject
) -> None:
    scopes: list[Scope] = []
    stop = data.draw(st.sampled_from(graph)).name
    bench = Bench()

    async def keep(scope: Scope) -> Success[int]:
        scopes.append(scope)
        return Success(0)

    bench.made[Leaf("keep", "keep")] = scoped(tag("keep"), keep)
    fed = tuple(evolve(leaf, needs=("keep", *leaf.needs)) for leaf in graph)
    run(backend, lambda: run_to_its_end(bench, (*fed, Leaf("keep", "keep")), end, stop))
    (scope,) = scopes

    @contextmanager
    def manager() -> Iterator[None]:
        bench.log.append(("enter", "too late"))
        yield

    async def body() -> None:
        with pytest.raises(RuntimeError, match="The scope is closed"):
            scope.defer(lambda: None)
        with pytest.raises(RuntimeError, match="The scope is closed"):
            await scope.enter(manager())

    run(backend, body)
    assert ("enter", "too late") not in bench.log


@given(given_names=st.sets(st.sampled_from(["one", "two", "three"])))
def test_10_a_stub_raises_only_for_members_not_given(given_names: set[str]) -> None:
    class Service(Protocol):
        three: str

        def one(self) -> str: ...
        async def two(self) -> str: ...

    double: Any = stub(Service, **{name: name.upper() for name in given_names})
    for name in ("one", "two", "three"):
        if name in given_names:
            assert getattr(double, name) == name.upper()
        else:
            with pytest.raises(AttributeError, match=f"stub of Service lacks '{name}'"):
                getattr(double, name)
