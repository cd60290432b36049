"""Keeping some services of a request, and leaving out the others."""

from collections.abc import Callable, Iterable

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.facts import Container
from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.messages import parse_request, to_bytes
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.structure import RESOURCES, service_of
from otlp_capture.result import Failure, Outcome, Success


def select_services(
    request: bytes, signal: Signal, is_selected: Callable[[str], bool]
) -> Outcome[bytes, InvalidRequest]:
    """Copy the resources of a request whose service is selected, with all that they hold.

    Args:
        request: protobuf bytes that `scan` has passed; they are not checked here again.
        signal: what they carry.
        is_selected: says whether a `service.name` is; asked once a name, `""` for none.

    Fails with:
        InvalidRequest: the bytes are malformed.

    >>> select_services(b"", "metrics", lambda service: service == "cart")
    <Success: b''>
    """
    found = KERNEL.containers(request, signal) if KERNEL else None
    if found is None:
        return select_by_parsing(request, signal, is_selected)
    if isinstance(found, Failure):
        return found
    return Success(select_from(request, found.unwrap(), is_selected))


def select_by_parsing(
    request: bytes, signal: Signal, is_selected: Callable[[str], bool]
) -> Outcome[bytes, InvalidRequest]:
    """Do what `select_services` does, through messages."""
    parsed = parse_request(request, signal)
    if isinstance(parsed, Failure):
        return parsed
    message = parsed.unwrap()
    containers = getattr(message, RESOURCES[signal])
    services = [service_of(container) for container in containers]
    chosen = {service for service in set(services) if is_selected(service)}
    for place in reversed(range(len(services))):
        if services[place] not in chosen:
            del containers[place]
    return Success(to_bytes(message))


def select_from(
    request: bytes, containers: Iterable[Container], is_selected: Callable[[str], bool]
) -> bytes:
    """Copy *request* without the containers whose service is not selected."""
    answers: dict[bytes, bool] = {}
    kept: list[bytes] = []
    position = 0
    for container in containers:
        service = container.service
        if service not in answers:
            answers[service] = is_selected(service.decode())
        if not answers[service]:
            kept.append(request[position : container.start])
            position = container.end
    kept.append(request[position:])
    return b"".join(kept)
