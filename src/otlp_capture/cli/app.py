"""The commands, gathered: this package's own, and those that others register."""

import io
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from importlib.metadata import version as installed_version
from typing import Annotated, Any, Final, cast

import typer

from otlp_capture.cli.exporting import export
from otlp_capture.cli.help import Command, Group
from otlp_capture.cli.importing import import_command
from otlp_capture.cli.options import JSON_VARIABLE
from otlp_capture.cli.recording import record
from otlp_capture.cli.recovering import sessions
from otlp_capture.cli.redaction import redact
from otlp_capture.cli.retention import retention
from otlp_capture.cli.serving import serve
from otlp_capture.cli.terminal import put, tell_json
from otlp_capture.otlp.kernel.choice import describe_choice

ENTRY_POINTS: Final = "otlp_capture.commands"
"""The entry-point group; each entry is a function that typer can make a command of."""

_CONTEXT: Final = {
    "auto_envvar_prefix": "OTLP_CAPTURE",
    "help_option_names": ["-h", "--help"],
}
_TO_ITS_COMMAND: Final = {"allow_interspersed_args": False}
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        put(f"otlp-capture {installed_version('otlp-capture')} (wire: {describe_choice()})")
        raise typer.Exit


def _about(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            allow_from_autoenv=False,
            help="Print the version, and how the wire is walked, and exit.",
        ),
    ] = False,
) -> None:
    """Record OTLP traffic as sessions, replay it under control, and compare what arrived."""
    del version


def build() -> typer.Typer:
    """Return the whole command."""
    app = typer.Typer(
        cls=Group,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings=_CONTEXT,
    )
    app.callback()(_about)
    app.command("record", cls=Command, context_settings=_TO_ITS_COMMAND)(record)
    app.command("serve", cls=Command)(serve)
    app.command("import", cls=Command)(import_command)
    app.command("export", cls=Command)(export)
    app.add_typer(sessions, name="sessions")
    app.add_typer(retention, name="retention")
    app.add_typer(redact, name="redact")
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        app.command(entry.name, cls=Command)(entry.load())
    return app


def main() -> None:
    """Run the command, and end the process with its exit code."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
    if not speaks_json(sys.argv[1:], os.environ):
        build()()
    sys.exit(_run_for_machines())


def speaks_json(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Tell whether output is for machines; what stands after `--` is another command's.

    >>> speaks_json(["record", "--", "ls", "--json"], {})
    False
    """
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own or environment.get(JSON_VARIABLE, "").lower() in _TRUE


def _run_for_machines() -> Any:
    """Run the command; what is wrong with its arguments is told in JSON, too."""
    try:
        return build()(standalone_mode=False)
    except typer.TyperException as error:
        message = " ".join(error.format_message().split())
        tell_json({"error": "InvalidArguments", "message": message})
        return error.exit_code
