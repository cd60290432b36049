"""What the options of `replay` ask for, together."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import attrs

from otlp_capture.capture import InvalidConfig
from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.config import ReplayConfig, check_config
from otlp_replay.orchestrator import (
    AUTO,
    SelectionStrategy,
    SessionFilter,
)

TOKEN_VARIABLE: Final = "OTLP_CAPTURE_REPLAY_TOKEN"  # noqa: S105 - it is a name

_MAX_TOKEN_BYTES: Final = 65_536
OPTIONS: Final[Mapping[str, str]] = {
    "session_id": "ID",
    "merged_session_ids": "ID",
    "target_endpoint": "--to",
    "allowed_targets": "--allow-target",
    "protocol": "--protocol",
    "compression": "--compression",
    "headers": "--header",
    "bearer_token": "--bearer-token-file",
    "tls_ca": "--ca",
    "tls_certificate": "--certificate",
    "tls_key": "--key",
    "timestamp_adjustment": "--timestamps",
    "filter_services": "--service",
    "replay_from": "--from",
    "replay_until": "--until",
    "trace_share": "--share",
    "limit": "--limit",
    "shard": "--shard",
    "loops": "--loop",
    "copies": "--copies",
    "seed": "--seed",
    "speed_multiplier": "--speed",
    "max_lateness_s": "--max-lateness",
    "max_gap_s": "--max-gap",
    "max_rate": "--max-rate",
    "max_rate.per_second": "--max-rate",
    "max_duration_s": "--max-duration",
    "max_in_flight": "--concurrency",
    "ledger": "--ledger",
    "resume": "--resume",
    "max_p99_lateness_s": "--max-p99-lateness",
    "max_drift_s": "--max-drift",
    "session_filter.min_size_bytes": "--min-size",
    "session_filter.max_size_bytes": "--max-size",
    "session_filter.after_date": "--after",
    "session_filter.before_date": "--before",
}
"""The options of `replay` by the settings that they are."""


@attrs.frozen
class Choice:
    """Which session `auto` stands for."""

    strategy: SelectionStrategy
    where: SessionFilter


def named_as_option(error: Any, names: Mapping[str, str] = OPTIONS) -> Any:
    """Return an error with the option's name where it has a setting's; *names* knows them."""
    if not isinstance(error, InvalidConfig):
        return error
    option = names.get(error.field, error.field)
    return attrs.evolve(
        error,
        field=option,
        value=error.value if isinstance(error.value, str | int | float) else str(error.value),
    )


def checked_config(config: ReplayConfig) -> Outcome[ReplayConfig, InvalidConfig]:
    """Return *config* if it can be carried out; what is wrong is named as options are.

    Fails with:
        InvalidConfig: an option has a value that it cannot have.
    """
    checked = check_config(config)
    return Failure(named_as_option(checked.failure())) if isinstance(checked, Failure) else checked


def choice_of(
    ids: Sequence[str], strategy: SelectionStrategy | None, where: SessionFilter
) -> Outcome[Choice | None, InvalidConfig]:
    """Return how a session is to be chosen; None: it is named.

    Fails with:
        InvalidConfig: `auto` stands beside an id, or what chooses stands without it.
    """
    if AUTO not in ids:
        if strategy is None and where == SessionFilter():
            return Success(None)
        allowed = "--strategy, --type, sizes and times choose a session; they go with auto"
        return Failure(InvalidConfig("ID", " ".join(ids), allowed))
    if len(ids) > 1:
        return Failure(InvalidConfig("ID", " ".join(ids), "auto stands alone"))
    return Success(Choice(strategy or "latest", where))


def headers_of(texts: Sequence[str]) -> Outcome[tuple[tuple[str, str], ...], InvalidConfig]:
    """Read headers as the command line has them.

    Fails with:
        InvalidConfig: one is no NAME=VALUE.
    """
    headers = list[tuple[str, str]]()
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            # What it says is not repeated: it may be a secret.
            return Failure(InvalidConfig("--header", "…", "it is NAME=VALUE"))
        headers.append((name, unquote(value)))
    return Success(tuple(headers))


def token_of(path: Path | None) -> Outcome[str | None, InvalidConfig]:
    """Return the bearer token that a file, or else the environment, holds; None: none does.

    Fails with:
        InvalidConfig: the file cannot be read, or holds no token.
    """
    if path is None:
        return Success(os.environ.get(TOKEN_VARIABLE) or None)
    option = "--bearer-token-file"
    try:
        with path.open("rb") as file:
            token = file.read(_MAX_TOKEN_BYTES).decode("ascii").strip()
    except OSError as error:
        return Failure(InvalidConfig(option, str(path), error.strerror or str(error)))
    except UnicodeDecodeError:
        return Failure(InvalidConfig(option, str(path), "the file holds one line of ASCII"))
    if not token:
        return Failure(InvalidConfig(option, str(path), "the file is empty"))
    return Success(token)
