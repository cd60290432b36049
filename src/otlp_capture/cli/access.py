"""The options of `serve` that say who may send, and what clients may take."""

import os
from typing import Annotated, Final, TypeAlias

import typer

from otlp_capture.capture import InvalidConfig
from otlp_capture.receiver import TOKEN_VARIABLE, AccessSettings, TlsFiles
from otlp_capture.result import Failure, Outcome, Success

_WHO: Final = "Who may send"
_HOW: Final = "What clients may take"
_MOST: Final = 2**31 - 1
_DAY_S: Final = 86_400.0
_SHORTEST_S: Final = 0.001

TlsCertOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_WHO,
        help="Speak TLS with this certificate, a PEM file; those between it and its authority "
        "follow it.",
    ),
]
TlsKeyOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", rich_help_panel=_WHO, help="The certificate's private key, not encrypted."
    ),
]
ClientCaOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--client-ca",
        metavar="FILE",
        rich_help_panel=_WHO,
        help="Ask each client for a certificate that this authority signed (mTLS).",
    ),
]
TokensOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_WHO,
        help="Ask each request for a bearer token; a TOML file of \\[\\[token]] entries with name, "
        "token (or sha256, or env) and session, see docs/security.md.",
    ),
]
InsecureOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--insecure",
        rich_help_panel=_WHO,
        help="Listen beyond this machine even without TLS or authentication: whoever reaches the "
        "port can fill the store with what they like, and whoever sees the network can read all "
        "telemetry, and tokens.",
    ),
]
MaxConnectionsOption: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=1,
        max=_MOST,
        rich_help_panel=_HOW,
        help="Connections open at once, for HTTP and for gRPC each; others are told to come again.",
    ),
]
MaxInFlightOption: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="MIB",
        min=1,
        max=2047,
        rich_help_panel=_HOW,
        help="Bodies in memory at once, of all clients; beyond it they are told to come again.",
    ),
]
HeaderTimeoutOption: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=_SHORTEST_S,
        max=_DAY_S,
        rich_help_panel=_HOW,
        help="How long a request's head may take to come, and a TLS handshake.",
    ),
]
BodyTimeoutOption: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=_SHORTEST_S,
        max=_DAY_S,
        rich_help_panel=_HOW,
        help="How long a body may take to come.",
    ),
]
MinBodyRateOption: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="BYTES",
        min=0,
        max=_MOST,
        rich_help_panel=_HOW,
        help="How fast a body has to come over HTTP, in bytes a second after the first ten "
        "seconds; 0: at any pace.",
    ),
]
IdleTimeoutOption: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=_SHORTEST_S,
        max=_DAY_S,
        rich_help_panel=_HOW,
        help="How long an HTTP connection may be open between two requests.",
    ),
]
MaxHeaderBytesOption: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="BYTES",
        min=1,
        max=_MOST,
        rich_help_panel=_HOW,
        help="The longest header of an HTTP request, and the longest first line.",
    ),
]


def access_settings(
    tls_cert: str | None,
    tls_key: str | None,
    client_ca: str | None,
    tokens: str | None,
    *,
    is_insecure: bool,
) -> Outcome[AccessSettings, InvalidConfig]:
    """Return who may send, by options and by OTLP_CAPTURE_TOKEN.

    Fails with:
        InvalidConfig: an option is given without one that it needs.
    """
    tls = None
    if tls_cert is not None and tls_key is not None:
        tls = TlsFiles(certificate=tls_cert, key=tls_key, client_ca=client_ca)
    elif tls_cert is not None:
        return Failure(InvalidConfig("--tls-cert", tls_cert, "it needs --tls-key beside it"))
    elif tls_key is not None:
        return Failure(InvalidConfig("--tls-key", tls_key, "it needs --tls-cert beside it"))
    elif client_ca is not None:
        allowed = "it needs --tls-cert and --tls-key beside it"
        return Failure(InvalidConfig("--client-ca", client_ca, allowed))
    return Success(
        AccessSettings(
            tls=tls,
            credentials=tokens,
            token=os.environ.get(TOKEN_VARIABLE),
            is_insecure=is_insecure,
        )
    )
