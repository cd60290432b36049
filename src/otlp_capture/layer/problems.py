"""What can be wrong with a wiring, each with what mends it."""

from typing import Any, ClassVar, TypeAlias

from attrs import frozen

from otlp_capture.layer.composition import Tag


@frozen
class Missing:
    """Nothing provides a tag.

    Attributes:
        tag: what is missing.
        needed_by: the services that need it, by key; empty when only the caller asked for it.
    """

    retryable: ClassVar[bool] = False
    tag: Tag[Any]
    needed_by: tuple[Tag[Any], ...]

    @property
    def message(self) -> str:
        """Which tag, who needs it, and how to bring it in."""
        needers = ", ".join(repr(tag.key) for tag in self.needed_by)
        need = f"needed by {needers}" if needers else "which was asked for"
        return (
            f"Nothing provides {self.tag.key!r}, {need}: add a layer of it to wire(...), or "
            "provide(layer, dependencies_layer) with it. merge(...) feeds no layer from another."
        )


@frozen
class Duplicate:
    """A tag has several services where it is needed, and nothing says which one is meant.

    Attributes:
        tag: what is provided more than once.
        layers: the leaves that provide it, as text. One leaf stands here twice when it is fed
            by different services.
    """

    retryable: ClassVar[bool] = False
    tag: Tag[Any]
    layers: tuple[str, ...]

    @property
    def message(self) -> str:
        """Which tag, which layers provide it, and how to keep them apart."""
        return (
            f"{self.tag.key!r} is provided {len(self.layers)} times, by {', '.join(self.layers)}: "
            "keep one, or feed each to its own layer with provide(layer, dependencies_layer)."
        )


@frozen
class Cycle:
    """Services need one another.

    Attributes:
        needs: every pair (who needs, what is needed) that lies on a circle, by key. Circles that
            share a service are one `Cycle`.
    """

    retryable: ClassVar[bool] = False
    needs: tuple[tuple[Tag[Any], Tag[Any]], ...]

    @property
    def message(self) -> str:
        """Who needs whom, and how to break the circle."""
        needs = ", ".join(f"{one.key!r} needs {other.key!r}" for one, other in self.needs)
        return (
            f"A circle of dependencies: {needs}. Move what they share into a service of its own, "
            "or feed one of them from outside with provide(layer, dependencies_layer)."
        )


Problem: TypeAlias = Missing | Duplicate | Cycle
"""One thing that is wrong with a wiring."""


@frozen
class Miswired:
    """A layer cannot give what it was asked for. Nothing was acquired.

    Attributes:
        problems: everything that is wrong, each once, sorted by message.
    """

    retryable: ClassVar[bool] = False
    problems: tuple[Problem, ...]

    @property
    def message(self) -> str:
        """Every problem on a line of its own."""
        return "\n".join(["The layer is miswired.", *(f"- {one.message}" for one in self.problems)])
