"""The options of the admin port."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeAlias

import attrs
import typer

from otlp_capture.capture import InvalidConfig, OtlpCaptureService
from otlp_capture.receiver import Admin, AdminSettings, Receiver, open_admin
from otlp_capture.result import Failure, Outcome, Success

AdminPortOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="PORT",
        help="Answer /healthz, /readyz, /status and POST /ring on this loopback port; 0: any.",
    ),
]
UnreadyAfterOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        min=0,
        max=86_400,
        help="/readyz says no once publishing has failed for so long; without it, for 60 s.",
    ),
]


@asynccontextmanager
async def opened_admin(
    capture: OtlpCaptureService,
    session_id: str,
    receiver: Receiver,
    port: int | None,
    unready_after_s: float | None,
) -> AsyncGenerator[Outcome[Admin | None, Any]]:
    """Answer on an admin port until the block ends; None: there is to be none."""
    if port is None:
        if unready_after_s is None:
            yield Success(None)
        else:
            allowed = "it is for --admin-port, which is not given"
            yield Failure(InvalidConfig("--unready-after", unready_after_s, allowed))
        return
    settings = AdminSettings(port=port)
    if unready_after_s is not None:
        settings = attrs.evolve(settings, unready_after_s=unready_after_s)
    async with open_admin(capture, session_id, receiver, settings) as opened:
        yield opened
