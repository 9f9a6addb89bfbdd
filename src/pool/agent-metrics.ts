import type { MetricsReport } from '../core/agent-messages.ts'

/** The label that names the agent; ours to set, whatever the agent claims. */
export const AGENT_LABEL = 'agent_id'
const MAX_SERIES = 10_000
const EXPIRY_MS = 300_000
const MAX_TEXT = 1024
const MAX_LABELS = 32
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
/** Labels that start with two underscores belong to the collecting system. */
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/

export type SeriesValue =
  | { readonly kind: 'counter' | 'gauge'; readonly value: number }
  | {
      readonly kind: 'histogram'
      readonly sum: number
      readonly count: number
      readonly buckets: readonly { readonly le: number; readonly count: number }[]
    }

export interface AgentSeries {
  readonly name: string
  readonly help: string
  /** Sorted by name; the agent's own name is among them. */
  readonly labels: readonly (readonly [name: string, value: string])[]
  readonly value: SeriesValue
  /** Clock milliseconds. */
  readonly reportedAt: number
}

export interface AgentMetricsOptions {
  /** Series kept per agent; further ones are dropped and counted. Default 10,000. */
  readonly maxSeries?: number
  /** Milliseconds without report after which a series is forgotten. Default 300,000. */
  readonly expiryMs?: number
}

/** Expositions add it to each bucket of a histogram. */
const BUCKET_LABEL = 'le'

type Sample = MetricsReport['counters'][number] | MetricsReport['histograms'][number]

/**
 * The series an agent reports of itself: the last value per name and labels. What it sends is not believed:
 * names that would not survive an exposition format, labels beyond bounds and other agents' names are dropped.
 */
export class AgentMetrics {
  readonly #agent: string
  readonly #maxSeries: number
  readonly #expiryMs: number
  /** In the order of their last report: what expires first stands first. */
  readonly #series = new Map<string, AgentSeries>()
  /** One kind per name: expositions know no others. */
  readonly #kinds = new Map<string, { readonly kind: SeriesValue['kind']; series: number }>()
  /** Samples not kept: invalid, or beyond the bound. */
  dropped = 0

  constructor(agent: string, options: AgentMetricsOptions = {}) {
    this.#agent = agent
    this.#maxSeries = options.maxSeries ?? MAX_SERIES
    this.#expiryMs = options.expiryMs ?? EXPIRY_MS
  }

  get size(): number {
    return this.#series.size
  }

  take(report: MetricsReport, now: number): void {
    this.expire(now)
    for (const { value, ...sample } of report.counters) this.#keep(sample, { kind: 'counter', value }, now)
    for (const { value, ...sample } of report.gauges) this.#keep(sample, { kind: 'gauge', value }, now)
    for (const { sum, count, buckets, ...sample } of report.histograms)
      this.#keep(sample, { kind: 'histogram', sum, count, buckets: buckets.slice(0, MAX_LABELS * 4) }, now)
  }

  /** Every series that was reported lately. */
  list(now: number): readonly AgentSeries[] {
    this.expire(now)
    return [...this.#series.values()]
  }

  expire(now: number): void {
    for (const [key, series] of this.#series) {
      if (now - series.reportedAt < this.#expiryMs) return
      this.#forget(key, series.name)
    }
  }

  #keep(sample: Pick<Sample, 'name' | 'help' | 'labels'>, value: SeriesValue, now: number): void {
    const labels = this.#labels(sample.labels, value.kind)
    const isNumber = value.kind === 'histogram' ? isFiniteHistogram(value) : !Number.isNaN(value.value)
    if (
      labels === undefined ||
      !isNumber ||
      sample.name.length > MAX_TEXT ||
      !METRIC_NAME.test(sample.name)
    ) {
      this.dropped++
      return
    }
    const { name } = sample
    const key = JSON.stringify([name, labels])
    const isKnown = this.#series.has(key)
    const kind = this.#kinds.get(name)?.kind ?? value.kind
    if (kind !== value.kind || (!isKnown && this.#series.size >= this.#maxSeries)) {
      this.dropped++
      return
    }
    if (isKnown) this.#forget(key, name)
    const help = (sample.help ?? '').slice(0, MAX_TEXT)
    this.#series.set(key, { name, help, labels, value, reportedAt: now })
    const use = this.#kinds.get(name)
    if (use === undefined) this.#kinds.set(name, { kind, series: 1 })
    else use.series++
  }

  #forget(key: string, name: string): void {
    this.#series.delete(key)
    const use = this.#kinds.get(name)!
    if (--use.series === 0) this.#kinds.delete(name)
  }

  #labels(
    claimed: Readonly<Record<string, string>>,
    kind: SeriesValue['kind'],
  ): AgentSeries['labels'] | undefined {
    const labels: [string, string][] = [[AGENT_LABEL, this.#agent]]
    for (const [name, value] of Object.entries(claimed)) {
      if (name === AGENT_LABEL) continue
      if (name === BUCKET_LABEL && kind === 'histogram') return undefined
      if (!LABEL_NAME.test(name) || name.length > MAX_TEXT || value.length > MAX_TEXT) return undefined
      labels.push([name, value])
    }
    if (labels.length > MAX_LABELS) return undefined
    return labels.sort(([one], [other]) => (one < other ? -1 : 1))
  }
}

function isFiniteHistogram(value: SeriesValue & { kind: 'histogram' }): boolean {
  return !Number.isNaN(value.sum) && Number.isFinite(value.count)
}
