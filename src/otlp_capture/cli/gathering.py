"""Options that several commands have alike, written once: a value with a field for each."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import attrs


def gathering(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its parameters that are attrs classes, and it their values.

    Each field of such a class is an option: its annotation says which, as a parameter's would, and
    its default is the option's. The command is called with an instance.

    Args:
        command: a function that typer is to make a command of; all its parameters have names.
    """
    hints = get_type_hints(command, include_extras=True)
    gathered = {name: kind for name, kind in hints.items() if attrs.has(kind)}

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for name, kind in gathered.items():
            values = {field.name: given.pop(field.name) for field in attrs.fields(kind)}
            given[name] = kind(**values)
        command(**given)

    def parameters() -> Iterator[inspect.Parameter]:
        for parameter in inspect.signature(command).parameters.values():
            kind = gathered.get(parameter.name)
            if kind is None:
                yield parameter.replace(annotation=hints[parameter.name])
                continue
            of_fields = get_type_hints(kind, include_extras=True)
            for field in attrs.fields(kind):
                yield inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=field.default,
                    annotation=of_fields[field.name],
                )

    called.__dict__["__signature__"] = inspect.Signature(list(parameters()))
    return called
