"""Requests of one record, as an SDK would build them."""

from otlp_capture.otlp import Signal
from tests.sessions import START
from tests.strategies import LEVELS, REQUEST_TYPES


def small_request(
    signal: Signal, *, service: str = "cart", time: int = START, text: str = ""
) -> bytes:
    """Build a request of one span, data point or log record.

    Args:
        signal: what it carries.
        service: the `service.name` of its resource.
        time: of its record; 0: the record has none.
        text: something to tell it from others, or to make it large.
    """
    resources, scopes, items = LEVELS[signal]
    message = REQUEST_TYPES[signal]()
    container = getattr(message, resources).add()
    container.resource.attributes.add(key="service.name").value.string_value = service
    item = getattr(getattr(container, scopes).add(), items).add()
    if signal == "traces":
        item.name, item.start_time_unix_nano, item.end_time_unix_nano = text, time, time
    elif signal == "metrics":
        item.name = text
        item.gauge.data_points.add(time_unix_nano=time)
    else:
        item.body.string_value, item.time_unix_nano = text, time
    return bytes(message.SerializeToString())
