"""Changes of records, as people declare them on a command line."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, NoReturn, TypeAlias

import typer

from otlp_capture.otlp import (
    ATTRIBUTE_PLACES,
    TEXT_PLACES,
    DropAttribute,
    RenameAttribute,
    SetAttribute,
    SetText,
)
from otlp_replay.verify import Mutation

_PANEL: Final = "What was changed on the way, in this order"
_DROP, _RENAME, _SET, _TEXT = (
    "--drop-attribute",
    "--rename-attribute",
    "--set-attribute",
    "--set-text",
)

DropOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        _DROP,
        metavar="ON:KEY",
        rich_help_panel=_PANEL,
        help=f"An attribute is gone: span:user.id. ON is {', '.join(ATTRIBUTE_PLACES)}; may be "
        "repeated, like the next ones.",
    ),
]
RenameOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        _RENAME,
        metavar="ON:KEY=NAME",
        rich_help_panel=_PANEL,
        help="It has another name: span:user.id=enduser.id.",
    ),
]
SetOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        _SET,
        metavar="ON:KEY=VALUE",
        rich_help_panel=_PANEL,
        help="All have it with this value: resource:env=test. A number, true and false are "
        'themselves; in quotes ("1") they are text.',
    ),
]
TextOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        _TEXT,
        metavar="ON=TEXT",
        rich_help_panel=_PANEL,
        help=f"A text is this one: span_name=hidden. ON is {', '.join(TEXT_PLACES)}.",
    ),
]


def mutations_of(
    dropped: Sequence[str], renamed: Sequence[str], set_to: Sequence[str], texts: Sequence[str]
) -> tuple[Mutation, ...]:
    """Read what was changed; what is dropped is so first, then renamed, then set.

    >>> mutations_of(["span:user.id"], ["log:a=b"], ["resource:env=3"], ["span_name=x"])
    (DropAttribute(key='user.id', on='span'), RenameAttribute(key='a', to='b', on='log'), \
SetAttribute(key='env', value=3, on='resource'), SetText(on='span_name', text='x'))

    Raises:
        typer.BadParameter: one says no change.
    """
    return (
        *(_dropped(text) for text in dropped),
        *(_renamed(text) for text in renamed),
        *(_set(text) for text in set_to),
        *(_text(text) for text in texts),
    )


def _dropped(text: str) -> Mutation:
    on, key = _on(text, text, _DROP, "span:user.id")
    return DropAttribute(key, on)


def _renamed(text: str) -> Mutation:
    example = "span:http.method=http.request.method"
    left, to = _sides(text, _RENAME, example)
    if not to:
        _refuse(text, _RENAME, f"no new name: {example}")
    on, key = _on(text, left, _RENAME, example)
    return RenameAttribute(key, to, on)


def _set(text: str) -> Mutation:
    example = "resource:env=test"
    left, value = _sides(text, _SET, example)
    on, key = _on(text, left, _SET, example)
    return SetAttribute(key, _value(value), on)


def _text(text: str) -> Mutation:
    on, value = _sides(text, _TEXT, "span_name=hidden")
    for place in TEXT_PLACES:
        if place == on:
            return SetText(place, value)
    _refuse(text, _TEXT, f"of no text: ON=TEXT, where ON is {', '.join(TEXT_PLACES)}")


def _sides(text: str, option: str, example: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not equals:
        _refuse(text, option, f"without its =: {example}")
    return left, right


def _on(text: str, left: str, option: str, example: str) -> tuple[Any, str]:
    """Return whose attribute is meant, and its key."""
    on, _, key = left.partition(":")
    if on not in ATTRIBUTE_PLACES or not key:
        places = ", ".join(ATTRIBUTE_PLACES)
        _refuse(text, option, f"of no attribute: such as {example}, on one of {places}")
    return on, key


def _value(text: str) -> str | bool | int | float:
    """Return what a value is; a text need not stand in quotes.

    >>> [_value(text) for text in ("prod", "3", "2.5", "true", '"3"', "null", "NaN")]
    ['prod', 3, 2.5, True, '3', 'null', 'NaN']
    """
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value if isinstance(value, str | bool | int | float) else text


def _refuse(text: str, option: str, allowed: str) -> NoReturn:
    message = f"{text!r} is {allowed}"
    raise typer.BadParameter(message, param_hint=option)
