"""OTLP/gRPC: a server on a port. Source: OTLP specification 1.11, OTLP/gRPC."""

from typing import Any, Final

import anyio
import attrs

from otlp_capture.receiver.intake import Intake
from otlp_capture.receiver.listening import Listening, ServedPort, reason_of, try_address
from otlp_capture.receiver.settings import CannotListen, GrpcReceiverSettings, authority
from otlp_capture.receiver.tls import ServerTls
from otlp_capture.result import Failure, Outcome, Success

_IDENTITY_AND_GZIP: Final = 1 << 0 | 1 << 2
_MEDIUM: Final = 2
_PING_AFTER_MS, _PING_TIMEOUT_MS = 60_000, 20_000


@attrs.frozen
class GrpcReceiver(ServedPort):
    """An OTLP/gRPC server that is listening."""


async def listen_grpc(
    intake: Intake, settings: GrpcReceiverSettings
) -> Outcome[Listening[GrpcReceiver], CannotListen]:
    """Begin to listen.

    Fails with:
        CannotListen: the address is not to be had.
    """
    import grpc.aio  # noqa: PLC0415 - loaded where it is used

    from otlp_capture.receiver.grpc_tending import (  # noqa: PLC0415 - for what runs
        PATH_UNREADABLE,
        Tended,
        keep_quiet_about_what_clients_send,
    )
    from otlp_capture.receiver.rpc import Exporting  # noqa: PLC0415 - it loads grpc

    try:
        # gRPC does not say why it fails, and writes on standard error that it did.
        await try_address(settings.host, settings.port)
    except (OSError, OverflowError, ValueError) as error:
        return Failure(CannotListen(settings.host, settings.port, reason_of(error)))
    exporting = Exporting(intake, settings)

    def open_server(port: int) -> tuple[Any, int]:
        server = grpc.aio.server(handlers=(exporting,), options=_options(settings))
        address = authority(settings.host, port)
        return server, _add_port(server, address, intake.access.tls)

    keep_quiet_about_what_clients_send()
    try:
        server, port = open_server(settings.port)
    except RuntimeError:
        reason = "gRPC does not get it"
        return Failure(CannotListen(settings.host, settings.port, reason))
    await server.start()
    tended = Tended(
        server, lambda: open_server(port)[0], lambda: intake.lose(PATH_UNREADABLE, "grpc")
    )

    async def close() -> None:
        server = await tended.leave()
        with anyio.move_on_after(settings.shutdown_timeout_s):
            await server.stop(settings.shutdown_timeout_s)
            await exporting.end()
        await server.stop(None)
        await exporting.give_up()

    tally = intake.tally
    scheme = "http" if intake.access.tls is None else "https"
    receiver = GrpcReceiver(settings.host, port, tally.accepted, tally.refused, scheme)
    return Success(Listening(receiver, close))


def _add_port(server: Any, address: str, tls: ServerTls | None) -> int:
    if tls is None:
        return int(server.add_insecure_port(address))
    return int(server.add_secure_port(address, tls.grpc_credentials()))


def _options(settings: GrpcReceiverSettings) -> tuple[tuple[str, int], ...]:
    """Return gRPC's options. Source: grpc/impl/channel_arg_names.h."""
    return (
        ("grpc.so_reuseport", 0),  # a port that is in use is an error
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.max_concurrent_streams", settings.max_streams),
        # Between the two gRPC refuses at random.
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.max_metadata_bytes),
        ("grpc.server_handshake_timeout_ms", int(settings.header_timeout_s * 1000)),
        # Peers that are gone must not count as connections for ever.
        ("grpc.keepalive_time_ms", _PING_AFTER_MS),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
        # Messages come as they are on the wire: we inflate them, within bounds.
        ("grpc.per_message_decompression", 0),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_AND_GZIP),
        # A level, not an algorithm: gRPC then compresses only where the client takes it.
        ("grpc.default_compression_level", _MEDIUM),
    )
