"""Partial test doubles of services."""

import typing
from collections.abc import Callable, Mapping
from types import new_class
from typing import Any, TypeVar, cast, overload

from typing_extensions import get_protocol_members, is_protocol

from otlp_capture.layer.composition import Tag

S = TypeVar("S")


@overload
def stub(of: Tag[S], /, **members: object) -> S: ...
@overload
def stub(of: Callable[..., S], /, **members: object) -> S: ...
def stub(of: object, /, **members: object) -> Any:
    """Return a test double that has only *members*; any other member raises when it is accessed.

    Args:
        of: the service's Protocol, or a tag made as `Tag[Protocol](key)`.
        **members: what the double has: functions without `self`, or plain values.

    Raises:
        TypeError: *of* names no Protocol, or a member is not one of its members.

    >>> from typing import Protocol
    >>> class Clock(Protocol):
    ...     def time_ns(self) -> int: ...
    ...     def monotonic_ns(self) -> int: ...
    >>> clock = stub(Clock, time_ns=lambda: 7)
    >>> clock.time_ns()
    7
    >>> clock.monotonic_ns()
    Traceback (most recent call last):
        ...
    AttributeError: This stub of Clock lacks 'monotonic_ns': stub(..., monotonic_ns=...) gives it.
    """
    protocol = _protocol(of)
    allowed = get_protocol_members(protocol)
    if unknown := sorted(members.keys() - allowed):
        msg = (
            f"{protocol.__name__} has no {', '.join(map(repr, unknown))}: "
            f"its members are {', '.join(map(repr, sorted(allowed)))}."
        )
        raise TypeError(msg)
    namespace = {name: _stub_member(protocol, name, members) for name in allowed}
    double: type[Any] = new_class(
        f"stub_{protocol.__name__}", (protocol,), None, lambda body: body.update(namespace)
    )
    return object.__new__(double)


def _protocol(of: object) -> type[Any]:
    named: Any = of
    if isinstance(of, Tag):
        made_as: object = getattr(cast("object", of), "__orig_class__", None)
        named = next(iter(typing.get_args(made_as)), None)
    named = typing.get_origin(named) or named
    if isinstance(named, type) and is_protocol(named):
        return cast("type[Any]", named)
    msg = f"{of!r} names no Protocol: give the Protocol, or a tag made as Tag[Protocol](key)."
    raise TypeError(msg)


def _stub_member(protocol: type[Any], name: str, members: Mapping[str, object]) -> property:
    def read(_: object) -> object:
        if name in members:
            return members[name]
        msg = f"This stub of {protocol.__name__} lacks {name!r}: stub(..., {name}=...) gives it."
        raise AttributeError(msg)

    return property(read)
