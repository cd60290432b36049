"""`otlp-capture sessions recover`: what a recorder that died left behind becomes whole."""

from typing import Annotated, Any

import attrs
import typer

from otlp_capture.capture import OtlpCaptureService, OtlpCaptureServiceTag, capture_service
from otlp_capture.capture.model import CaptureSettings
from otlp_capture.cli.help import Command
from otlp_capture.cli.options import DEFAULT_STORE, JsonOption, SpoolOption, StoreOption
from otlp_capture.cli.terminal import (
    DONE,
    FINDING,
    counted_text,
    print_json,
    put,
    run_with,
    summary,
    tell,
)
from otlp_capture.cli.upkeep import sessions as sessions
from otlp_capture.result import Failure, Fault, Outcome, Success
from otlp_capture.sessions import metadata_document
from otlp_capture.spool import Recovered


@sessions.command("recover", cls=Command)
def recover_command(
    session_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The session; without it, all.")
    ] = None,
    *,
    spool: SpoolOption = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Bring a session to its end whose recorder died.

    What it acknowledged and had not published yet is in the spool of its machine: run this there.
    It is published, the session is counted anew from what it holds, and closed.

    Without an ID all that is left in the spool is published. Sessions that are still active stay
    so, to be taken up by serve or recovered by their ID; what belongs to a session that was deleted
    is kept aside, and shown. Exit code 1: something could not be recovered.

    Example: [bold]otlp-capture sessions recover checkout[/]
    """

    async def work(capture: OtlpCaptureService) -> Outcome[int, Any]:
        if session_id is None:
            return Success(_report_all(await capture.recover_leftovers(), as_json=as_json))
        recovered = await capture.recover_capture(session_id)
        if isinstance(recovered, Failure):
            return recovered
        if as_json:
            print_json(metadata_document(recovered.unwrap()))
        else:
            put(summary(recovered.unwrap()))
        return Success(DONE)

    settings = CaptureSettings(spool_directory=spool)
    run_with(store, capture_service(settings), OtlpCaptureServiceTag, work, as_json=as_json)


def _report_all(outcomes: tuple[Outcome[Recovered, Any], ...], *, as_json: bool) -> int:
    recovered = [each.unwrap() for each in outcomes if isinstance(each, Success)]
    errors: list[Fault] = [each.failure() for each in outcomes if isinstance(each, Failure)]
    if as_json:
        print_json(
            {
                "recovered": [_document(each) for each in recovered],
                "errors": [
                    {"error": type(each).__name__, "message": each.message} for each in errors
                ],
            }
        )
    else:
        for each in recovered:
            put(_line(each))
        if not outcomes:
            tell("Nothing is left in the spool of this store.")
        for error in errors:
            tell(error.message)
    return FINDING if errors else DONE


def _document(recovered: Recovered) -> dict[str, Any]:
    fields = attrs.asdict(recovered)
    return {
        "sessionId": fields["session_id"],
        "segments": fields["segments"],
        "requests": fields["requests"],
        "sizeBytes": fields["size_bytes"],
        "droppedBytes": fields["dropped_bytes"],
        "quarantined": [str(path) for path in recovered.quarantined],
        "isOver": recovered.is_over,
    }


def _line(recovered: Recovered) -> str:
    text = (
        f"{recovered.session_id}: {counted_text(recovered.requests, 'request')} in "
        f"{counted_text(recovered.segments, 'segment')}"
    )
    if recovered.dropped_bytes:
        text += f", {counted_text(recovered.dropped_bytes, 'torn byte')} cut off"
    for path in recovered.quarantined:
        text += f", kept aside: {path}"
    if not recovered.is_over:
        text += "; it is still active: serve takes it up, recover with its ID closes it"
    return text
