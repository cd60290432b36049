/*
 * An application that exports some of everything by the official OTLP exporters, and says what.
 *
 * OTEL_EXPORTER_OTLP_PROTOCOL chooses the exporters, the other OTEL_EXPORTER_OTLP_* variables tell
 * them where to send. Everything is exported plain and once more by gzip. What is printed at the end
 * is made from the SDK's own values and not by the exporters: one list of exports, each with its
 * signal, whether the exporter says that it succeeded, and its records.
 */
'use strict';

const api = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-logs');
const {
  AggregationType,
  DataPointType,
  MeterProvider,
  PeriodicExportingMetricReader,
} = require('@opentelemetry/sdk-metrics');
const { BatchSpanProcessor, TracerProvider } = require('@opentelemetry/sdk-trace');

const FAMILIES = { 'http/json': 'http', 'http/protobuf': 'proto', grpc: 'grpc' };
const NEVER_MS = 600_000;
// The exporters say that each whole number is an int, also one too large for 64 bits: none is here.
const ATTRIBUTES = {
  text: 'zażółć gęślą jaźń 🙂 \u0000\t\n',
  empty: '',
  yes: true,
  no: false,
  zero: 0,
  largest: Number.MAX_SAFE_INTEGER,
  smallest: Number.MIN_SAFE_INTEGER,
  double: 0.1,
  tiny: 5e-324,
  texts: ['a', '', 'ü'],
  doubles: [1.5, -0.25],
  switches: [true, false],
  nothing: [],
  ключ: 'значение',
};
const REMOTE = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: '00f067aa0ba902b7',
  traceFlags: api.TraceFlags.SAMPLED,
  isRemote: true,
  traceState: api.createTraceState('vendor=value,other=1'),
};

const exported = [];

function noting(exporter, signal, described) {
  const inner = exporter.export.bind(exporter);
  exporter.export = (items, done) =>
    inner(items, (result) => {
      const error = result.error === undefined ? null : String(result.error.message);
      exported.push({ signal, succeeded: result.code === 0, error, records: described(items) });
      done(result);
    });
  return exporter;
}

function time([seconds, nanoseconds]) {
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
}

function value(any) {
  if (any === undefined || any === null) {
    return null;
  }
  if (any instanceof Uint8Array) {
    return { bytes: Buffer.from(any).toString('hex') };
  }
  if (Array.isArray(any)) {
    return any.map(value);
  }
  return typeof any === 'object' ? { map: values(any) } : any;
}

function values(attributes) {
  return Object.fromEntries(
    Object.entries(attributes ?? {}).map(([key, any]) => [key, value(any)]),
  );
}

function around(resource, scope) {
  return {
    resource: values(resource.attributes),
    scope: [scope.name, scope.version ?? '', values(scope.attributes)],
  };
}

function spans(finished) {
  return finished.map((span) => ({
    ...around(span.resource, span.instrumentationScope),
    traceId: span.spanContext().traceId,
    spanId: span.spanContext().spanId,
    parentSpanId: span.parentSpanContext?.spanId ?? '',
    traceState: span.spanContext().traceState?.serialize() ?? '',
    name: span.name,
    kind: span.kind + 1,
    start: time(span.startTime),
    end: time(span.endTime),
    attributes: values(span.attributes),
    events: span.events.map((event) => [event.name, time(event.time), values(event.attributes)]),
    links: span.links.map((link) => [
      link.context.traceId,
      link.context.spanId,
      link.context.traceState?.serialize() ?? '',
      values(link.attributes),
    ]),
    status: [span.status.code, span.status.message ?? ''],
    dropped: [span.droppedAttributesCount, span.droppedEventsCount, span.droppedLinksCount],
  }));
}

function points({ resource, scopeMetrics }) {
  return scopeMetrics.flatMap(({ scope, metrics }) =>
    metrics.flatMap((metric) =>
      metric.dataPoints.map((point) => ({
        ...around(resource, scope),
        metric: metric.descriptor.name,
        description: metric.descriptor.description,
        unit: metric.descriptor.unit,
        ...measured(metric, point.value),
        attributes: values(point.attributes),
        start: time(point.startTime),
        time: time(point.endTime),
      })),
    ),
  );
}

function measured(metric, measure) {
  const temporality = metric.aggregationTemporality + 1;
  const extremes = { sum: measure.sum, min: measure.min ?? null, max: measure.max ?? null };
  switch (metric.dataPointType) {
    case DataPointType.GAUGE:
      return { kind: 'gauge', number: [metric.descriptor.valueType, measure] };
    case DataPointType.SUM:
      return {
        kind: 'sum',
        temporality,
        monotonic: metric.isMonotonic,
        number: [metric.descriptor.valueType, measure],
      };
    case DataPointType.HISTOGRAM:
      return {
        kind: 'histogram',
        temporality,
        count: measure.count,
        ...extremes,
        boundaries: measure.buckets.boundaries,
        counts: measure.buckets.counts,
      };
    default:
      return {
        kind: 'exponential_histogram',
        temporality,
        count: measure.count,
        ...extremes,
        scale: measure.scale,
        zeros: measure.zeroCount,
        positive: [measure.positive.offset, measure.positive.bucketCounts],
        negative: [measure.negative.offset, measure.negative.bucketCounts],
      };
  }
}

function logRecords(emitted) {
  return emitted.map((record) => ({
    ...around(record.resource, record.instrumentationScope),
    time: time(record.hrTime),
    observed: time(record.hrTimeObserved),
    severity: [record.severityNumber ?? 0, record.severityText ?? ''],
    body: value(record.body),
    attributes: values(record.attributes),
    event: record.eventName ?? '',
    traceId: record.spanContext?.traceId ?? '',
    spanId: record.spanContext?.spanId ?? '',
    dropped: record.droppedAttributesCount,
  }));
}

function trace(tracer, name) {
  const parent = api.trace.setSpanContext(api.ROOT_CONTEXT, REMOTE);
  const links = [{ context: REMOTE, attributes: { number: 1 } }, { context: REMOTE }];
  const root = tracer.startSpan(
    name,
    { kind: api.SpanKind.SERVER, attributes: ATTRIBUTES, links, startTime: [1_700_000_000, 1] },
    parent,
  );
  const inside = api.trace.setSpan(parent, root);
  for (const kind of [0, 1, 2, 3, 4]) {
    const child = tracer.startSpan(`child ${kind}`, { kind, attributes: { kind } }, inside);
    child.addEvent('an event', ATTRIBUTES, [1_700_000_000, 999_999_999]);
    child.setStatus({ code: kind % 3, message: kind % 3 === 2 ? 'broken: ✗' : undefined });
    child.end();
  }
  root.recordException(new Error('no value'));
  root.end();
  return inside;
}

function measure(meter) {
  const counter = meter.createCounter('counter', { unit: '{thing}', description: 'Things' });
  const balance = meter.createUpDownCounter('balance', { valueType: api.ValueType.INT });
  const gauge = meter.createGauge('gauge', { unit: 'Cel', description: '°C' });
  const histogram = meter.createHistogram('histogram', {
    unit: 'ms',
    advice: { explicitBucketBoundaries: [0, 0.5, 10] },
  });
  const exponential = meter.createHistogram('exponential', { unit: 'By' });
  meter
    .createObservableGauge('observed', { valueType: api.ValueType.INT })
    .addCallback((result) => result.observe(-7, { kind: 'int' }));
  for (let number = 1; number < 6; number += 1) {
    counter.add(number * 0.5, { ...ATTRIBUTES, number });
    balance.add(-number);
    gauge.record(number * 1e300, { list: ['a', 'b'] });
    histogram.record(number, { bucket: 'explicit' });
    exponential.record(number * 1_000_003.25, ATTRIBUTES);
    exponential.record(0);
  }
}

function tell(logger, context) {
  const bodies = [
    'plain',
    undefined,
    { nested: { list: [1, 'two', null, { deep: new Uint8Array([0, 255]) }] }, '': '' },
    [true, 1.5],
    new Uint8Array([98, 255]),
    -1,
  ];
  bodies.forEach((body, number) =>
    logger.emit({
      timestamp: [1_700_000_000, number],
      observedTimestamp: [1_700_000_001, number],
      severityNumber: number * 4 + 1,
      severityText: `SEVERITY ${number}`,
      body,
      attributes: { ...ATTRIBUTES, map: { a: [1, null] }, bytes: new Uint8Array([128]) },
      eventName: number === 0 ? undefined : 'an.event',
      context,
    }),
  );
}

async function exportEverything(family, compression) {
  const [{ OTLPTraceExporter }, { OTLPMetricExporter }, { OTLPLogExporter }] = [
    'trace',
    'metrics',
    'logs',
  ].map((signal) => require(`@opentelemetry/exporter-${signal}-otlp-${family}`));
  const resource = resourceFromAttributes({
    'service.name': `javascript ${compression}`,
    ...ATTRIBUTES,
  });
  const batches = { scheduledDelayMillis: NEVER_MS, exportTimeoutMillis: NEVER_MS };
  const tracers = new TracerProvider({
    resource,
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: noting(new OTLPTraceExporter({ compression }), 'traces', spans),
        maxExportBatchSize: 4,
        ...batches,
      }),
    ],
  });
  const meters = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: noting(new OTLPMetricExporter({ compression }), 'metrics', points),
        exportIntervalMillis: NEVER_MS,
        exportTimeoutMillis: NEVER_MS,
      }),
    ],
    views: [
      {
        instrumentName: 'exponential',
        aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
      },
    ],
  });
  const loggers = new LoggerProvider({
    resource,
    processors: [
      new BatchLogRecordProcessor({
        exporter: noting(new OTLPLogExporter({ compression }), 'logs', logRecords),
        maxExportBatchSize: 4,
        ...batches,
      }),
    ],
  });
  const tracer = tracers.getTracer('javascript', '1.0');
  const inside = trace(tracer, 'root');
  trace(tracers.getTracer('another'), 'another root');
  measure(meters.getMeter('javascript', '1.0'));
  tell(loggers.getLogger('javascript', '1.0'), inside);
  tell(loggers.getLogger('another'));
  const providers = [tracers, meters, loggers];
  await Promise.all(providers.map((provider) => provider.forceFlush().catch(() => undefined)));
  await Promise.all(providers.map((provider) => provider.shutdown().catch(() => undefined)));
}

async function main() {
  const family = FAMILIES[process.env.OTEL_EXPORTER_OTLP_PROTOCOL];
  await Promise.all(['none', 'gzip'].map((each) => exportEverything(family, each)));
  process.stdout.write(JSON.stringify(exported));
}

main();
