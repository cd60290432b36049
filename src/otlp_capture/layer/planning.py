"""What a runtime would acquire, worked out before anything is acquired."""

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import Any, TypeAlias

from attrs import frozen

from otlp_capture.layer.composition import Layer, Leaf, Merge, Provide, Tag, Wire
from otlp_capture.layer.problems import Cycle, Duplicate, Missing, Miswired, Problem
from otlp_capture.result import Failure, Outcome, Success


@frozen
class Acquisition:
    """One step of a plan.

    Attributes:
        leaf: what is acquired.
        dependencies: for each tag it needs, the index of the step that gives it.
    """

    leaf: Leaf[Any]
    dependencies: tuple[int, ...]


@frozen
class Plan:
    """What a runtime acquires, in order; it releases in the reverse of it.

    Attributes:
        acquisitions: the steps, dependencies first.
        services: for each tag that was asked for, the index of the step that gives it.
    """

    acquisitions: tuple[Acquisition, ...]
    services: tuple[int, ...]


class _Frame:
    """The tags that a layer sees: those of this frame, then those of the frames outside it."""

    def __init__(self, outer: "_Frame | None" = None) -> None:
        self._outer = outer
        self._offers: dict[Tag[Any], frozenset[_Bound]] = {}
        self._bound: dict[Layer[Any], frozenset[_Bound]] = {}

    def bind(self, layer: Layer[Any]) -> frozenset["_Bound"]:
        """Return the leaves that *layer* offers here, each with the frame it sees."""
        if layer not in self._bound:
            self._bound[layer] = frozenset(self._bind(layer))
        return self._bound[layer]

    def _bind(self, layer: Layer[Any]) -> Iterable["_Bound"]:
        match layer:
            case Leaf():
                return (_Bound(layer, self),)
            case Merge(members):
                return chain.from_iterable(map(self.bind, members))
            case Wire(merged):
                inner = _Frame(self)
                inner.offer(inner.bind(merged))
                return inner.bind(merged)
            case Provide(fed, dependencies_layer):
                inner = _Frame(self)
                inner.offer(self.bind(dependencies_layer))
                return inner.bind(fed)
            case _:
                msg = f"{layer!r} is not a layer: make one with succeed(...) or scoped(...)."
                raise TypeError(msg)

    def offer(self, bound: Iterable["_Bound"]) -> None:
        """Let these leaves be found by what is bound here."""
        for one in bound:
            self._offers[one.leaf.tag] = self._offers.get(one.leaf.tag, frozenset()) | {one}

    def find(self, tag: Tag[Any]) -> frozenset["_Bound"]:
        """Return what offers *tag* in the nearest frame that has it: none, one, or too many."""
        if tag in self._offers or self._outer is None:
            return self._offers.get(tag, frozenset())
        return self._outer.find(tag)


@frozen
class _Bound:
    """A leaf in the place where its dependencies are looked up."""

    leaf: Leaf[Any]
    frame: _Frame


_Needs: TypeAlias = tuple[frozenset[_Bound], ...]
_Graph: TypeAlias = dict[_Bound, _Needs]


def plan(layer: Layer[Any], *tags: Tag[Any]) -> Outcome[Plan, Miswired]:
    """Say what a runtime of *layer* would acquire for *tags*, without acquiring anything.

    A leaf is acquired once for each distinct set of services that its dependencies resolve to.
    The order depends on the tags and the dependencies alone, not on how the layer was composed.

    Fails with:
        Miswired: a tag is missing, provided twice or part of a circle; all of them are listed.
    """
    offered = _Frame()
    offered.offer(_Frame().bind(layer))
    asked, graph = _resolve(tuple(map(offered.find, tags)))
    problems: set[Problem] = {
        *_missing(tags, asked, graph),
        *_duplicates(tags, asked, graph),
        *_cycles(graph),
    }
    if problems:
        return Failure(Miswired(tuple(sorted(problems, key=lambda problem: problem.message))))
    steps = _in_order(asked, graph)
    return Success(
        Plan(
            tuple(
                Acquisition(bound.leaf, tuple(steps[only] for (only,) in graph[bound]))
                for bound in steps
            ),
            tuple(steps[only] for (only,) in asked),
        )
    )


def _resolve(asked: _Needs) -> tuple[_Needs, _Graph]:
    """Find all that *asked* reaches; of bound leaves that resolve alike, one stands for all."""
    graph: _Graph = {}
    reached = list(chain.from_iterable(asked))
    while reached:
        bound = reached.pop()
        if bound not in graph:
            graph[bound] = tuple(map(bound.frame.find, bound.leaf.needs))
            reached.extend(chain.from_iterable(graph[bound]))
    chosen = _alike(graph)

    def choose(needs: _Needs) -> _Needs:
        return tuple(frozenset(chosen[bound] for bound in candidates) for candidates in needs)

    return choose(asked), {bound: choose(graph[bound]) for bound in set(chosen.values())}


def _alike(graph: _Graph) -> Mapping[_Bound, _Bound]:
    """Map each bound leaf to one that stands for all that no resolution can tell from it.

    Starts from "the same leaf" and splits what has different dependencies until nothing splits,
    so it ends on cyclic graphs as well.
    """
    chosen: dict[_Bound, _Bound] = {}
    first: dict[object, _Bound] = {}
    for bound in graph:
        chosen[bound] = first.setdefault(bound.leaf, bound)
    groups = 0
    while len(first) > groups:
        groups, first, finer = len(first), {}, {}
        for bound, needs in graph.items():
            resolved = tuple(frozenset(chosen[one] for one in candidates) for candidates in needs)
            finer[bound] = first.setdefault((bound.leaf, resolved), bound)
        chosen = finer
    return chosen


def _missing(tags: tuple[Tag[Any], ...], asked: _Needs, graph: _Graph) -> Iterator[Missing]:
    needers: dict[Tag[Any], set[Tag[Any]]] = {
        tag: set() for tag, candidates in zip(tags, asked, strict=True) if not candidates
    }
    for bound, needs in graph.items():
        for tag, candidates in zip(bound.leaf.needs, needs, strict=True):
            if not candidates:
                needers.setdefault(tag, set()).add(bound.leaf.tag)
    for tag, needed_by in needers.items():
        yield Missing(tag, tuple(sorted(needed_by, key=lambda one: one.key)))


def _duplicates(tags: tuple[Tag[Any], ...], asked: _Needs, graph: _Graph) -> Iterator[Duplicate]:
    places = [(tags, asked), *((bound.leaf.needs, needs) for bound, needs in graph.items())]
    for needed, needs in places:
        for tag, candidates in zip(needed, needs, strict=True):
            if len(candidates) > 1:
                yield Duplicate(tag, tuple(sorted(repr(one.leaf) for one in candidates)))


def _cycles(graph: _Graph) -> Iterator[Cycle]:
    try:
        TopologicalSorter({one: chain.from_iterable(graph[one]) for one in graph}).prepare()
    except CycleError:
        yield from _circles(graph)


def _circles(graph: _Graph) -> Iterator[Cycle]:
    below = {bound: _below(bound, graph) for bound in graph}
    for bound in graph:
        circle = {one for one in below[bound] if bound in below[one]}
        needs = {
            (one.leaf.tag, other.leaf.tag)
            for one in circle
            for other in chain.from_iterable(graph[one])
            if other in circle
        }
        if needs:
            yield Cycle(tuple(sorted(needs, key=lambda pair: (pair[0].key, pair[1].key))))


def _below(start: _Bound, graph: _Graph) -> set[_Bound]:
    below: set[_Bound] = set()
    reached = list(chain.from_iterable(graph[start]))
    while reached:
        bound = reached.pop()
        if bound not in below:
            below.add(bound)
            reached.extend(chain.from_iterable(graph[bound]))
    return below


def _in_order(asked: _Needs, graph: _Graph) -> dict[_Bound, int]:
    """Number the bound leaves, dependencies first, in the order in which they are needed."""
    steps: dict[_Bound, int] = {}
    path = [only for (only,) in reversed(asked)]
    while path:
        waiting = [only for (only,) in graph[path[-1]] if only not in steps]
        if waiting:
            path.extend(reversed(waiting))
            continue
        steps.setdefault(path.pop(), len(steps))
    return steps
