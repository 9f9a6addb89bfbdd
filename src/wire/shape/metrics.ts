import type { MetricSample, MetricsReport } from '../../core/agent-messages.ts'
import * as field from './fields.ts'

export function metricsReport(value: unknown): MetricsReport {
  const of = field.struct(value, 'metrics')
  return {
    agentId: field.text(field.member(of, 'agent_id', 0), 'metrics.agent_id'),
    timestampMs: field.count(field.member(of, 'timestamp_ms', 1), 'metrics.timestamp_ms'),
    intervalMs: field.count(field.member(of, 'interval_ms', 2), 'metrics.interval_ms'),
    counters: field.list(field.member(of, 'counters', 3), 'metrics.counters').map((entry) => ({
      ...sample(entry),
      value: field.count(field.member(field.struct(entry, 'counter'), 'value', 3), 'counter.value'),
    })),
    gauges: field.list(field.member(of, 'gauges', 4), 'metrics.gauges').map((entry) => ({
      ...sample(entry),
      value: field.decimal(field.member(field.struct(entry, 'gauge'), 'value', 3), 'gauge.value'),
    })),
    histograms: field.list(field.member(of, 'histograms', 5), 'metrics.histograms').map((entry) => {
      const parts = field.struct(entry, 'histogram')
      return {
        ...sample(entry),
        sum: field.decimal(field.member(parts, 'sum', 3), 'histogram.sum'),
        count: field.count(field.member(parts, 'count', 4), 'histogram.count'),
        buckets: field.list(field.member(parts, 'buckets', 5), 'histogram.buckets').map(bucket),
      }
    }),
  }
}

function sample(value: unknown): MetricSample {
  const of = field.struct(value, 'metric')
  return {
    name: field.text(field.member(of, 'name', 0), 'metric.name'),
    help: field.optionalText(field.member(of, 'help', 1), 'metric.help') || undefined,
    labels: field.textMap(field.member(of, 'labels', 2), 'metric.labels'),
  }
}

function bucket(value: unknown): { le: number; count: number } {
  const of = field.struct(value, 'bucket')
  const le = field.member(of, 'le', 0)
  return {
    le: le === '+Inf' || le === 'Inf' ? Number.POSITIVE_INFINITY : field.decimal(le, 'bucket.le'),
    count: field.count(field.member(of, 'count', 1), 'bucket.count'),
  }
}

/** JSON has no NaN and no infinity, so gauges and sums that are not finite are left out. */
export function plainMetrics(of: MetricsReport): Record<string, unknown> {
  return {
    agent_id: of.agentId,
    timestamp_ms: field.unsigned(of.timestampMs),
    interval_ms: field.unsigned(of.intervalMs),
    counters: of.counters.map((metric) => ({ ...plainSample(metric), value: field.unsigned(metric.value) })),
    gauges: of.gauges
      .filter((metric) => Number.isFinite(metric.value))
      .map((metric) => ({ ...plainSample(metric), value: metric.value })),
    histograms: of.histograms
      .filter((metric) => Number.isFinite(metric.sum))
      .map((metric) => ({
        ...plainSample(metric),
        sum: metric.sum,
        count: field.unsigned(metric.count),
        buckets: metric.buckets
          .filter(({ le }) => Number.isFinite(le) || le === Number.POSITIVE_INFINITY)
          .map(({ le, count }) => ({ le: Number.isFinite(le) ? le : '+Inf', count: field.unsigned(count) })),
      })),
  }
}

export function plainSample(of: MetricSample): Record<string, unknown> {
  return { name: of.name, ...(of.help === undefined ? {} : { help: of.help }), labels: of.labels }
}
