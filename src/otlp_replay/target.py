"""Where a replay sends to, made of its settings and looked at before anything is sent."""

from typing import Final

import anyio.to_thread

from otlp_capture.capture import InvalidConfig
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import (
    DEFAULT_GRPC_PORT,
    ClientTls,
    ClientTlsInvalid,
    Endpoint,
    TargetNotAllowed,
    base_url,
    check_target,
    load_client_tls,
    place_of,
)
from otlp_replay.config import ReplayConfig

SESSION_HEADER: Final = "x-otlp-replay-session"
"""Marks replayed traffic with the session that it comes from."""


async def target_of(
    config: ReplayConfig,
) -> Outcome[Endpoint, InvalidConfig | TargetNotAllowed]:
    """Read a replay's certificates, look up its target, and return where it sends to.

    Fails with:
        InvalidConfig: a certificate or a key cannot be used.
        TargetNotAllowed: the target is neither loopback nor allowed.
    """
    tls = await _tls(config)
    if isinstance(tls, Failure):
        return Failure(_as_invalid(tls.failure()))
    endpoint = endpoint_of(config, tls.unwrap())
    default_port = DEFAULT_GRPC_PORT if config.protocol == "grpc" else None
    checked = await check_target(endpoint, place_of(endpoint.url, default_port=default_port))
    return checked if isinstance(checked, Failure) else Success(endpoint)


def endpoint_of(config: ReplayConfig, tls: ClientTls | None = None) -> Endpoint:
    """Return where a replay sends to.

    Args:
        config: what says so.
        tls: its certificates; None: those that the system trusts.
    """
    return Endpoint(
        url=base_url(config.target_endpoint),
        headers=(*config.headers, (SESSION_HEADER, config.session_id)),
        bearer_token=config.bearer_token,
        connections=config.max_in_flight,
        request_timeout_s=config.request_timeout_s,
        max_request_bytes=config.max_request_bytes,
        max_response_bytes=config.max_response_bytes,
        compression=config.compression,
        tls=tls,
        allowed_targets=config.allowed_targets,
    )


async def _tls(config: ReplayConfig) -> Outcome[ClientTls | None, ClientTlsInvalid]:
    if config.tls_ca is None and config.tls_certificate is None:
        return Success(None)
    return await anyio.to_thread.run_sync(
        lambda: load_client_tls(
            ca=config.tls_ca, certificate=config.tls_certificate, key=config.tls_key
        )
    )


def _as_invalid(problem: ClientTlsInvalid) -> InvalidConfig:
    return InvalidConfig(f"tls_{problem.part}", problem.path, f"it {problem.reason}")
