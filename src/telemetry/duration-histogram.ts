import { seriesLabels, seriesNumber } from './series-text.ts'

/** Upper bounds in seconds: fine around the sub-millisecond agents we aim at, coarse to the longest timeouts. */
export const LATENCY_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const

/** Durations of one set of label values. */
export class DurationSeries {
  readonly values: readonly string[]
  /** Per bucket, not cumulated; the last is beyond all bounds. */
  readonly counts = new Float64Array(LATENCY_BUCKETS.length + 1)
  sum = 0

  constructor(values: readonly string[]) {
    this.values = values
  }

  observe(seconds: number): void {
    let bucket = 0
    while (bucket < LATENCY_BUCKETS.length && seconds > LATENCY_BUCKETS[bucket]!) bucket++
    this.counts[bucket]!++
    this.sum += seconds
  }
}

/**
 * A Prometheus histogram of durations for the hot path: prom-client checks and joins the labels of every
 * observation, here a series is found by its values, one map per label, and counted in place.
 */
export class DurationHistogram<Label extends string> {
  readonly #name: string
  readonly #help: string
  readonly #labels: readonly Label[]
  readonly #root = new Map<string, unknown>()

  constructor(name: string, help: string, labels: readonly Label[]) {
    this.#name = name
    this.#help = help
    this.#labels = labels
  }

  /** The series of these label values, in the order of the labels; made when it is new. */
  series(a: string, b?: string, c?: string, d?: string): DurationSeries {
    let level = this.#root
    if (b !== undefined) level = below(level, a)
    if (c !== undefined) level = below(level, b!)
    if (d !== undefined) level = below(level, c!)
    const last = d ?? c ?? b ?? a
    const known = level.get(last)
    if (known !== undefined) return known as DurationSeries
    const made = new DurationSeries([a, b, c, d].filter((value) => value !== undefined))
    level.set(last, made)
    return made
  }

  /** Drops the series whose first label has this value. */
  forget(first: string): void {
    this.#root.delete(first)
  }

  /** Prometheus text. */
  render(): string {
    const lines = [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} histogram`]
    for (const series of seriesIn(this.#root)) this.#renderOne(series, lines)
    return `${lines.join('\n')}\n\n`
  }

  #renderOne({ values, counts, sum }: DurationSeries, lines: string[]): void {
    const labels = this.#labels.map((label, index) => [label, values[index]!] as const)
    const own = seriesLabels(labels)
    let total = 0
    for (const [index, count] of counts.entries()) {
      total += count
      const bound = LATENCY_BUCKETS[index] ?? Number.POSITIVE_INFINITY
      lines.push(`${this.#name}_bucket${seriesLabels([['le', seriesNumber(bound)], ...labels])} ${total}`)
    }
    lines.push(`${this.#name}_sum${own} ${sum}`, `${this.#name}_count${own} ${total}`)
  }
}

function below(level: Map<string, unknown>, value: string): Map<string, unknown> {
  const known = level.get(value)
  if (known !== undefined) return known as Map<string, unknown>
  const made = new Map<string, unknown>()
  level.set(value, made)
  return made
}

function* seriesIn(level: Map<string, unknown>): Generator<DurationSeries> {
  for (const value of level.values()) {
    if (value instanceof DurationSeries) yield value
    else yield* seriesIn(value as Map<string, unknown>)
  }
}
