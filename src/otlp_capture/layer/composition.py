"""Tags name services, layers build them: the constructors and the algebra.

Half of this module is overloads: Python has no other way to tie the parameters of an acquire
function to its tags, and mypy no other way to join the errors of several layers.
"""

from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any, Final, Generic, Never, TypeAlias, final, overload

from attrs import define, field, frozen, setters
from typing_extensions import TypeVar

from otlp_capture.layer.scope import Scope
from otlp_capture.result import Outcome, Success

S = TypeVar("S")
S1 = TypeVar("S1")
S2 = TypeVar("S2")
S3 = TypeVar("S3")
S4 = TypeVar("S4")
S5 = TypeVar("S5")
S6 = TypeVar("S6")
E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True, default=Never)
E1 = TypeVar("E1", default=Never)
E2 = TypeVar("E2", default=Never)
E3 = TypeVar("E3", default=Never)
E4 = TypeVar("E4", default=Never)
E5 = TypeVar("E5", default=Never)
E6 = TypeVar("E6", default=Never)
E7 = TypeVar("E7", default=Never)
E8 = TypeVar("E8", default=Never)


@final
@define(on_setattr=setters.frozen, unsafe_hash=True)
class Tag(Generic[S]):
    """The name of a service of type `S`. Tags are equal exactly when their keys are.

    Attributes:
        key: the name, written as a dotted path: `otlp_capture.Clock`.
    """

    key: str
    # What typing notes for `Tag[Clock](...)`: `stub` learns from it what a Clock is.
    __orig_class__: Any = field(
        init=False, eq=False, hash=False, repr=False, on_setattr=setters.NO_OP
    )


class Layer(Generic[E_co]):
    """How services are built; `E_co` is what building them may fail with. Opaque.

    Made by `succeed` and `scoped`, put together by `wire`, `merge` and `provide`. A layer is a
    value and holds nothing open: each runtime acquires services of its own.
    """

    __slots__ = ()


@frozen(eq=False, repr=False)
class Leaf(Layer[E_co]):
    """One service and how it is acquired. Equal to itself alone."""

    tag: Tag[Any]
    acquire: Callable[..., Awaitable[Any]]
    needs: tuple[Tag[Any], ...]
    label: str

    def __repr__(self) -> str:
        """Say how it was made."""
        return self.label


@frozen(cache_hash=True, repr=False)
class Merge(Layer[E_co]):
    """What `merge` makes; never a merge of merges."""

    members: frozenset[Layer[Any]]

    def __repr__(self) -> str:
        """Say how it was made, the members in the order of their text."""
        return f"merge({', '.join(sorted(map(repr, self.members)))})"


@frozen(cache_hash=True, repr=False)
class Wire(Layer[E_co]):
    """What `wire` makes."""

    merged: Layer[Any]

    def __repr__(self) -> str:
        """Say how it was made."""
        return f"wire({self.merged!r})"


@frozen(cache_hash=True, repr=False)
class Provide(Layer[E_co]):
    """What `provide` makes."""

    layer: Layer[Any]
    dependencies_layer: Layer[Any]

    def __repr__(self) -> str:
        """Say how it was made."""
        return f"provide({self.layer!r}, {self.dependencies_layer!r})"


_NONE: Final[Layer[Never]] = Merge(frozenset())
_Built: TypeAlias = Awaitable[Outcome[S, E1]]


def succeed(tag: Tag[S], service: S) -> Layer[Never]:
    """Return the layer of a *service* that is there already: nothing to acquire or release."""

    async def acquire(_: Scope) -> Success[S]:
        return Success(service)

    return Leaf(tag, acquire, (), f"succeed({tag.key!r}, {type(service).__qualname__})")


@overload
def scoped(tag: Tag[S], acquire: Callable[[Scope], _Built[S, E1]], /) -> Layer[E1]: ...
@overload
def scoped(
    tag: Tag[S], acquire: Callable[[Scope, S1], _Built[S, E1]], tag1: Tag[S1], /
) -> Layer[E1]: ...
@overload
def scoped(
    tag: Tag[S], acquire: Callable[[Scope, S1, S2], _Built[S, E1]], tag1: Tag[S1], tag2: Tag[S2], /
) -> Layer[E1]: ...
@overload
def scoped(
    tag: Tag[S],
    acquire: Callable[[Scope, S1, S2, S3], _Built[S, E1]],
    tag1: Tag[S1],
    tag2: Tag[S2],
    tag3: Tag[S3],
    /,
) -> Layer[E1]: ...
@overload
def scoped(
    tag: Tag[S],
    acquire: Callable[[Scope, S1, S2, S3, S4], _Built[S, E1]],
    tag1: Tag[S1],
    tag2: Tag[S2],
    tag3: Tag[S3],
    tag4: Tag[S4],
    /,
) -> Layer[E1]: ...
@overload
def scoped(
    tag: Tag[S],
    acquire: Callable[[Scope, S1, S2, S3, S4, S5], _Built[S, E1]],
    tag1: Tag[S1],
    tag2: Tag[S2],
    tag3: Tag[S3],
    tag4: Tag[S4],
    tag5: Tag[S5],
    /,
) -> Layer[E1]: ...
@overload
def scoped(
    tag: Tag[S],
    acquire: Callable[[Scope, S1, S2, S3, S4, S5, S6], _Built[S, E1]],
    tag1: Tag[S1],
    tag2: Tag[S2],
    tag3: Tag[S3],
    tag4: Tag[S4],
    tag5: Tag[S5],
    tag6: Tag[S6],
    /,
) -> Layer[E1]: ...
def scoped(
    tag: Tag[Any],
    acquire: Callable[..., Awaitable[object]],
    /,
    *dependency_tags: Tag[Any],
) -> Layer[Any]:
    """Return the layer of a service that *acquire* builds.

    Args:
        tag: what the service is found by.
        acquire: called as `await acquire(scope, *dependencies)`, the dependencies in the order of
            *dependency_tags*. Returns `Success(service)` or `Failure(error)`; an error reaches
            whoever opens the runtime, unchanged.
        *dependency_tags: the services it needs, at most six.
    """
    name = getattr(acquire, "__qualname__", repr(acquire))
    return Leaf(tag, acquire, dependency_tags, f"scoped({tag.key!r}, {name})")


@overload
def merge(*layers: Layer[Never]) -> Layer[Never]: ...
@overload
def merge(
    layer1: Layer[E1],
    layer2: Layer[E2] = _NONE,
    layer3: Layer[E3] = _NONE,
    layer4: Layer[E4] = _NONE,
    layer5: Layer[E5] = _NONE,
    layer6: Layer[E6] = _NONE,
    layer7: Layer[E7] = _NONE,
    layer8: Layer[E8] = _NONE,
    /,
) -> Layer[E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8]: ...
@overload
def merge(*layers: Layer[E]) -> Layer[E]: ...
def merge(*layers: Layer[Any]) -> Layer[Any]:
    """Return the layer that offers what each of *layers* offers, side by side.

    No layer feeds another: that is what `wire` and `provide` do. Associative, commutative and
    idempotent, and equal as a value where it is the same. mypy joins the errors of up to eight
    layers; past that, merge in groups.
    """
    members = frozenset(
        chain.from_iterable(
            layer.members if isinstance(layer, Merge) else (layer,) for layer in layers
        )
    )
    return next(iter(members)) if len(members) == 1 else Merge(members)


@overload
def provide(layer: Layer[Never], dependencies_layer: Layer[Never]) -> Layer[Never]: ...
@overload
def provide(layer: Layer[E1], dependencies_layer: Layer[E2]) -> Layer[E1 | E2]: ...
def provide(layer: Layer[Any], dependencies_layer: Layer[Any]) -> Layer[Any]:
    """Return *layer* fed by *dependencies_layer*, which is hidden afterwards.

    What *dependencies_layer* does not offer comes from outside, as before. What it offers is
    nearer than the same tag from outside, so a layer can wrap another service of its own tag.

    Args:
        layer: the layer whose services the result offers.
        dependencies_layer: the layer it takes its dependencies from first.
    """
    return Provide(layer, dependencies_layer)


@overload
def wire(*leaves: Layer[Never]) -> Layer[Never]: ...
@overload
def wire(
    leaf1: Layer[E1],
    leaf2: Layer[E2] = _NONE,
    leaf3: Layer[E3] = _NONE,
    leaf4: Layer[E4] = _NONE,
    leaf5: Layer[E5] = _NONE,
    leaf6: Layer[E6] = _NONE,
    leaf7: Layer[E7] = _NONE,
    leaf8: Layer[E8] = _NONE,
    /,
) -> Layer[E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8]: ...
@overload
def wire(*leaves: Layer[E]) -> Layer[E]: ...
def wire(*leaves: Layer[Any]) -> Layer[Any]:
    """Return the layer in which each of *leaves* feeds every other that needs it, by tag.

    Their order means nothing. The result offers the services of them all, and what none of them
    offers comes from outside. mypy joins the errors of up to eight leaves; past that, put some
    into a `merge`, which changes nothing else.
    """
    return Wire(merge(*leaves))
