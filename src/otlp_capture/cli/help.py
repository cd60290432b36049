"""How a command shows its help: prose that fills the terminal, variables said once."""

import inspect
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """A command whose help is readable in 80 columns."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = flowing(self.help or "")
        for parameter in self.params:
            if isinstance(parameter, TyperOption):
                parameter.show_envvar = parameter.envvar is not None
                self._name_variable(parameter)

    def _name_variable(self, option: TyperOption) -> None:
        """Call the variable of an option such as `--from` like it: its parameter is `from_`."""
        name, written = option.name or "", (option.name or "").rstrip("_")
        if name != written:
            option.envvar = f"OTLP_CAPTURE_{self.name}_{written}".upper()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, and how options are named in the environment."""
        self.epilog = (
            f"Options are read from the environment, too: --some-option "
            f"from {ctx.auto_envvar_prefix}_SOME_OPTION."
        )
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """Commands under one name; their own options stand without variables."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        for parameter in self.params:
            if isinstance(parameter, TyperOption):
                parameter.show_envvar = False
        super().format_help(ctx, formatter)


def flowing(text: str) -> str:
    r"""Join the lines of each paragraph.

    >>> flowing("One\n    sentence.\n\n    Another\n    one.")
    'One sentence.\n\nAnother one.'
    """
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
