import type { AgentSeries } from '../pool/agent-metrics.ts'
import { seriesLabels, seriesNumber } from './series-text.ts'

/** What agents report stands apart from what Weir measures. */
const PREFIX = 'weir_reported_'
/** A histogram's own name is no sample, but a heading: nobody else may have it either. */
const HISTOGRAM_PARTS = ['', '_bucket', '_sum', '_count'] as const

/**
 * Series that agents report of themselves, as Prometheus text. Names and labels were checked when they came in;
 * of two agents that give one name different kinds, the first is believed, and of two names that would make the same
 * samples (a histogram `h` has `h_count`) too: one sample that stands twice can cost a scraper the whole page.
 */
export function renderAgentSeries(series: Iterable<AgentSeries>): string {
  const byName = new Map<string, AgentSeries[]>()
  for (const one of series) {
    const same = byName.get(one.name)
    if (same === undefined) byName.set(one.name, [one])
    else if (same[0]?.value.kind === one.value.kind) same.push(one)
  }
  const lines: string[] = []
  const taken = new Set<string>()
  for (const [name, same] of byName) {
    const { help, value } = same[0]!
    const samples = value.kind === 'histogram' ? HISTOGRAM_PARTS.map((part) => name + part) : [name]
    if (samples.some((sample) => taken.has(sample))) continue
    for (const sample of samples) taken.add(sample)
    lines.push(`# HELP ${PREFIX}${name} ${escapeHelp(help === '' ? 'Reported by an agent.' : help)}`)
    lines.push(`# TYPE ${PREFIX}${name} ${value.kind}`)
    for (const one of same) renderOne(`${PREFIX}${name}`, one, lines)
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

function renderOne(name: string, { labels, value }: AgentSeries, lines: string[]): void {
  if (value.kind !== 'histogram') {
    lines.push(`${name}${seriesLabels(labels)} ${seriesNumber(value.value)}`)
    return
  }
  const buckets = new Map(value.buckets.map(({ le, count }) => [le, count]))
  buckets.delete(Number.NaN)
  if (!buckets.has(Number.POSITIVE_INFINITY)) buckets.set(Number.POSITIVE_INFINITY, value.count)
  for (const [le, count] of [...buckets].sort(([one], [other]) => (one < other ? -1 : 1)))
    lines.push(`${name}_bucket${seriesLabels([...labels, ['le', seriesNumber(le)]])} ${seriesNumber(count)}`)
  lines.push(`${name}_sum${seriesLabels(labels)} ${seriesNumber(value.sum)}`)
  lines.push(`${name}_count${seriesLabels(labels)} ${seriesNumber(value.count)}`)
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '')
}
