"""A small shop, instrumented with the official SDK: what `otlp-capture demo` records.

Each order is a trace with events; orders are shipped in batches, whose spans link to them. Orders
are counted, how long they take is a histogram, and what happens is logged. Where it all goes is
told by the usual environment variables.
"""

import random
import time
from typing import Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

_NAME: Final = "otlp_capture.demo"
_ORDERS: Final = 40
_BATCH: Final = 5
_ITEMS: Final = ("tea", "coffee", "cocoa", "maté")
_FLUSH_MS: Final = 500
_FAULT_SHARE: Final = 0.15
_PAUSE_S: Final = 0.05


class Shop:
    """Takes orders, and tells three kinds of telemetry about it."""

    def __init__(self) -> None:
        resource = Resource.create({"service.name": "demo-shop", "service.version": "1.0"})
        self._traces = TracerProvider(resource=resource)
        self._traces.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=_FLUSH_MS)
        )
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(), export_interval_millis=_FLUSH_MS
        )
        self._metrics = MeterProvider([reader], resource=resource)
        self._logs = LoggerProvider(resource=resource)
        self._logs.add_log_record_processor(
            BatchLogRecordProcessor(OTLPLogExporter(), schedule_delay_millis=_FLUSH_MS)
        )
        meter = self._metrics.get_meter(_NAME)
        self._tracer = self._traces.get_tracer(_NAME)
        self._logger = self._logs.get_logger(_NAME)
        self._orders = meter.create_counter("shop.orders", "{order}", "Orders taken")
        self._duration = meter.create_histogram("shop.order.duration", "s", "Time an order takes")
        self._chance = random.Random(7)  # noqa: S311 - the same shop every time

    def order(self, number: int) -> SpanContext:
        """Take one order, and return what a link to it needs."""
        item = self._chance.choice(_ITEMS)
        start_s = time.monotonic()
        attributes: dict[str, str | int] = {"shop.item": item, "shop.order": number}
        with self._tracer.start_as_current_span("order", kind=SpanKind.SERVER) as span:
            span.set_attributes(attributes)
            with self._tracer.start_as_current_span("pay", kind=SpanKind.CLIENT) as payment:
                time.sleep(self._chance.uniform(0.005, 0.03))
                is_paid = self._chance.random() > _FAULT_SHARE
                payment.add_event("card.charged" if is_paid else "card.declined", attributes)
                if not is_paid:
                    payment.set_status(Status(StatusCode.ERROR, "card declined"))
            self._tell(f"order {number}: {item}", is_well=is_paid)
            self._orders.add(1, {"shop.item": item, "shop.paid": is_paid})
            self._duration.record(time.monotonic() - start_s, {"shop.item": item})
            return span.get_span_context()

    def ship(self, orders: list[SpanContext]) -> None:
        """Ship a batch of orders."""
        links = [Link(order, {"shop.link": "order"}) for order in orders]
        with self._tracer.start_as_current_span("ship", links=links, kind=SpanKind.PRODUCER):
            time.sleep(0.01)
            self._tell(f"shipped {len(orders)} orders", is_well=True)

    def _tell(self, text: str, *, is_well: bool) -> None:
        self._logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.INFO if is_well else SeverityNumber.WARN,
                severity_text="INFO" if is_well else "WARN",
                body=text,
            )
        )

    def close(self) -> None:
        """Export what is left."""
        self._traces.shutdown()
        self._metrics.shutdown()
        self._logs.shutdown()


def main() -> None:
    """Take some orders, and ship them."""
    shop, waiting = Shop(), list[SpanContext]()
    for number in range(1, _ORDERS + 1):
        waiting.append(shop.order(number))
        time.sleep(_PAUSE_S)
        if len(waiting) == _BATCH:
            shop.ship(waiting)
            waiting = []
    shop.close()


if __name__ == "__main__":
    main()
