"""`otlp-capture redact`, and the option by which a recording redacts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, TypeAlias

import attrs
import typer

from otlp_capture import otlp
from otlp_capture.cli.help import Command, Group
from otlp_capture.cli.options import JsonOption
from otlp_capture.cli.terminal import (
    BAD_INPUT,
    counted_text,
    print_error,
    print_json,
    put,
    results,
    tell,
)
from otlp_capture.redaction import Redactor, load_redactor, redaction_report
from otlp_capture.result import Failure, Outcome, Success

RedactOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--redact", metavar="FILE", help="Redact by the rules of this TOML file."),
]

redact = typer.Typer(
    cls=Group, no_args_is_help=True, help="Check rules of redaction, and show what they change."
)


@redact.callback()
def about() -> None:
    """Keep `check` a command of its own, although it is the only one."""


@attrs.frozen
class FileNotRedacted:
    """A file does not hold what rules can be tried on.

    Attributes:
        file: which.
        reason: what is wrong with it.
    """

    file: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which file, and why."""
        return f"{self.file} cannot be redacted: {self.reason}"


@redact.command("check", cls=Command)
def check(
    rules: Annotated[Path, typer.Argument(metavar="RULES", help="The TOML file of rules.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="OTLP/JSON to try them on, a document or lines."),
    ] = None,
    *,
    show: Annotated[
        bool, typer.Option("--show", help="Print the requests as they would be kept, as lines.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a file of rules, and say what they change in files of OTLP/JSON.

    Nothing is written to the files. The exit code is 2 where the rules cannot be used, or a file
    cannot be read.

    Example: [bold]otlp-capture redact check rules.toml capture.jsonl[/]
    """
    redactor = chosen_redactor(rules, as_json=as_json)
    assert redactor is not None, "a file of rules was given"
    tried = [_try_on(file, redactor) for file in files or ()]
    for each in tried:
        if isinstance(each, Failure):
            print_error(each.failure(), as_json=as_json)
            raise typer.Exit(BAD_INPUT)
    requests = [request for each in tried for request in each.unwrap()]
    changed = sum(request.is_changed for request in requests)
    if as_json:
        print_json(
            {
                "rules": [rule.name for rule in redactor.rules.rules],
                "requests": len(requests),
                "changed": changed,
                "redacted": redaction_report(redactor),
                **({"kept": [request.text for request in requests]} if show else {}),
            }
        )
        return
    for request in requests if show else ():
        results.out(request.text)
    said = tell if show else put
    said(f"{rules}: {counted_text(len(redactor.rules.rules), 'rule')}, all of them usable.")
    if requests:
        said(f"{changed:,} of {counted_text(len(requests), 'request')} would be changed.")
    for line in redaction_lines(redactor):
        said(line)


def chosen_redactor(
    file: Path | None, *, as_json: bool, failed: int = BAD_INPUT
) -> Redactor | None:
    """Return what redacts by the rules of a file; without a file, nothing does.

    Where the rules cannot be used, the process ends with *failed*, and says why.
    """
    if file is None:
        return None
    loaded = load_redactor(file)
    if isinstance(loaded, Failure):
        print_error(loaded.failure(), as_json=as_json)
        raise typer.Exit(failed)
    return loaded.unwrap()


def redaction_lines(redactor: Redactor) -> Iterator[str]:
    """Yield what a redactor did, for people."""
    for name, actions in redaction_report(redactor).items():
        done = ", ".join(f"{count:,} {_DONE[action]}" for action, count in actions.items())
        yield f"redacted by {name}: {done}"


_DONE = {"drop": "dropped", "hash": "hashed", "mask": "masked", "too_long": "too long, dropped"}


@attrs.frozen
class _Tried:
    """A request after redaction, as OTLP/JSON."""

    text: str
    is_changed: bool


def _try_on(file: Path, redactor: Redactor) -> Outcome[list[_Tried], FileNotRedacted]:
    try:
        content = file.read_bytes()
    except OSError as error:
        return Failure(FileNotRedacted(str(file), error.strerror or type(error).__name__))
    lines = [line for line in content.splitlines() if line.strip()]
    has_lines = len(lines) > 1 and isinstance(otlp.decode_export_line(lines[0]), Success)
    return _redacted(file, lines if has_lines else [content], redactor)


def _redacted(
    file: Path, documents: list[bytes], redactor: Redactor
) -> Outcome[list[_Tried], FileNotRedacted]:
    tried: list[_Tried] = []
    for number, document in enumerate(documents, start=1):
        decoded = otlp.decode_export_line(document)
        if isinstance(decoded, Failure):
            reason = f"document {number}: {decoded.failure().message}"
            return Failure(FileNotRedacted(str(file), reason))
        for signal, request in decoded.unwrap():
            done = redactor.redact(request, signal)
            if isinstance(done, Failure):
                return Failure(FileNotRedacted(str(file), done.failure().message))
            kept = done.unwrap().request
            text = otlp.encode(kept, signal, "json")
            if isinstance(text, Failure):
                return Failure(FileNotRedacted(str(file), text.failure().message))
            tried.append(_Tried(text.unwrap().decode(), kept is not request))
    return Success(tried)
